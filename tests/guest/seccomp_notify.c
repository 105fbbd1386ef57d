/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp user notification: a supervisor answers calls, lets them continue, gives descriptors; checkpoints while a call waits. */
#include "guest.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

#define FLAG_WAIT_KILLABLE 32
#define ADDFD		   SECCOMP_IOCTL_NOTIF_ADDFD

static long seccomp(unsigned op, unsigned flags, const void *arg)
{
	return syscall(SYS_seccomp, op, flags, arg);
}

static int listener(int nr, unsigned flags)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { .len = ARRAY_SIZE(f), .filter = f };

	return (int)OK(seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &p));
}

static void receive(int fd, struct seccomp_notif *n)
{
	memset(n, 0, sizeof(*n));
	OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, n));
}

static void answer(int fd, uint64_t id, int64_t val, int error, uint32_t flags)
{
	struct seccomp_notif_resp r = { .id = id, .val = val, .error = error, .flags = flags };

	OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
}

static int ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	OK(poll(&p, 1, 0));
	return p.revents;
}

static void test_answers(void)
{
	int fd = listener(__NR_getppid, 0);
	struct seccomp_notif_resp bad = { 0 };
	struct seccomp_notif n;
	uint64_t id;
	pid_t p;

	SUBTEST("value, error, continue");
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(ready(fd), 0);
	CHILD (p) {
		CHECK_EQ(syscall(SYS_getppid, 11, 22, 33), 4242);
		CHECK_ERRNO(syscall(SYS_getppid), EXDEV);
		CHECK(syscall(SYS_getppid) > 0);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint(); /* nobody has received it */
	CHECK_EQ(ready(fd), POLLIN);
	receive(fd, &n);
	CHECK_EQ(ready(fd), POLLOUT);
	CHECK_EQ(n.pid, p);
	CHECK_EQ(n.flags, 0);
	CHECK_EQ(n.data.nr, __NR_getppid);
	CHECK_EQ(n.data.args[0], 11);
	CHECK_EQ(n.data.args[2], 33);
	id = n.id;
	guest_checkpoint(); /* received, not answered */
	OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id));
	bad.id = id + 100;
	CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &bad.id), ENOENT);
	CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &bad), ENOENT);
	bad = (struct seccomp_notif_resp){ .id = id, .flags = 2 };
	CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &bad), EINVAL);
	bad = (struct seccomp_notif_resp){ .id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE, .val = 1 };
	CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &bad), EINVAL);
	answer(fd, id, 4242, 0, 0);
	receive(fd, &n);
	CHECK_EQ(n.id, id + 1);
	answer(fd, n.id, 0, -EXDEV, 0);
	receive(fd, &n);
	answer(fd, n.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	guest_reap(p);
	CHECK_EQ(ready(fd), 0);
	CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id), ENOENT);
	n.id = 1;
	CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n), EINVAL); /* not zeroed */
	CHECK_ERRNO(ioctl(fd, 0x1234, 0), EINVAL);
	close(fd);
}

static void test_numbers(void)
{
	int fd = listener(__NR_getppid, 0);
	struct seccomp_notif n;
	pid_t p;

	SUBTEST("any number is a result, those of the kernel's own codes too");
	CHILD (p) {
		CHECK_ERRNO(syscall(SYS_getppid), 512);
		CHECK_EQ(syscall(SYS_getppid), -100000);
		for (int e = 513; e <= 620; e++)
			CHECK_ERRNO(syscall(SYS_getppid), e);
		_exit(0);
	}
	receive(fd, &n);
	answer(fd, n.id, 0, -512, 0);
	receive(fd, &n);
	answer(fd, n.id, -100000, 0, 0);
	for (int e = 513; e <= 620; e++) {
		receive(fd, &n);
		answer(fd, n.id, 0, -e, 0);
	}
	guest_reap(p);
	close(fd);
}

static void *supervise(void *arg)
{
	struct seccomp_notif n;

	receive(*(int *)arg, &n);
	answer(*(int *)arg, n.id, 99, 0, 0);
	return NULL;
}

static void test_blocked_recv(void)
{
	int fd = listener(__NR_getppid, 0);
	pthread_t th;
	pid_t p;

	SUBTEST("a supervisor that waits");
	th = guest_thread(supervise, &fd);
	msleep(50);
	guest_checkpoint();
	CHILD (p) {
		CHECK_EQ(syscall(SYS_getppid), 99);
		_exit(0);
	}
	guest_join(th);
	guest_reap(p);
	close(fd);
}

static void test_closed(void)
{
	int fd = listener(__NR_getppid, 0);
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog pr = { .len = 1, .filter = &allow };
	struct seccomp_notif n;
	pid_t p;

	SUBTEST("one listener, and after it");
	CHECK_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &pr), EBUSY);
	CHILD (p) {
		close(fd);
		CHECK_ERRNO(syscall(SYS_getppid), ENOSYS); /* closed while it waits */
		CHECK_ERRNO(syscall(SYS_getppid), ENOSYS);
		_exit(0);
	}
	receive(fd, &n);
	close(fd);
	guest_reap(p);
}

static void test_signals(void)
{
	int fd = listener(__NR_getppid, 0);
	struct seccomp_notif n;
	struct seccomp_notif_resp r;
	pid_t p;

	SUBTEST("a signal interrupts");
	CHILD (p) {
		guest_catch(SIGUSR1, 0);
		CHECK_ERRNO(syscall(SYS_getppid), EINTR);
		guest_catch(SIGUSR1, SA_RESTART);
		CHECK_EQ(syscall(SYS_getppid), 5);
		CHECK_EQ(guest_sig_count, 2);
		_exit(0);
	}
	receive(fd, &n);
	kill(p, SIGUSR1);
	r = (struct seccomp_notif_resp){ .id = n.id };
	while (ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id) == 0)
		msleep(1);
	CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r), ENOENT);
	receive(fd, &n);
	kill(p, SIGUSR1);
	receive(fd, &n); /* the restarted call asks again */
	answer(fd, n.id, 5, 0, 0);
	guest_reap(p);
	SUBTEST("death while waiting");
	CHILD (p) {
		syscall(SYS_getppid);
		_exit(0);
	}
	receive(fd, &n);
	kill(p, SIGKILL);
	CHECK_EQ(guest_status(p), SIGKILL);
	CHECK_ERRNO(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id), ENOENT);
	close(fd);
}

static void test_killable(void)
{
	int fd = listener(__NR_getppid, FLAG_WAIT_KILLABLE);
	struct seccomp_notif n;
	pid_t p;

	SUBTEST("only a fatal signal interrupts a received call");
	CHILD (p) {
		guest_catch(SIGUSR1, 0);
		CHECK_EQ(syscall(SYS_getppid), 6);
		CHECK_EQ(guest_sig_count, 1);
		_exit(0);
	}
	receive(fd, &n);
	kill(p, SIGUSR1);
	guest_checkpoint();
	msleep(20);
	OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
	answer(fd, n.id, 6, 0, 0);
	guest_reap(p);
	close(fd);
}

static void test_addfd(void)
{
	struct {
		struct seccomp_notif_addfd a;
		char more[8];
	} big;
	int fd = listener(__NR_getppid, 0), null = OK(open("/dev/null", O_RDWR)), zero = OK(open("/dev/zero", O_RDONLY));
	struct seccomp_notif_addfd a = { .srcfd = (unsigned)zero };
	struct seccomp_notif n;
	pid_t p;
	int r;

	SUBTEST("descriptors");
	CHILD (p) {
		char c = 1;

		OK(dup2(null, 100));
		r = (int)syscall(SYS_getppid);
		CHECK(r > 2);
		CHECK_EQ(read(r, &c, 1), 1);
		CHECK_EQ(c, 0);
		CHECK_EQ(fcntl(r, F_GETFD), FD_CLOEXEC);
		CHECK_EQ(read(100, &c, 1), 1); /* was /dev/null */
		_exit(0);
	}
	receive(fd, &n);
	a.id = n.id + 1;
	CHECK_ERRNO(ioctl(fd, ADDFD, &a), ENOENT);
	a.id = n.id;
	a.srcfd = 999;
	CHECK_ERRNO(ioctl(fd, ADDFD, &a), EBADF);
	a.srcfd = (unsigned)zero;
	a.newfd = 100;
	CHECK_ERRNO(ioctl(fd, ADDFD, &a), EINVAL);
	a.newfd_flags = O_NONBLOCK;
	CHECK_ERRNO(ioctl(fd, ADDFD, &a), EINVAL);
	a.newfd_flags = 0;
	/* Larger, and with another direction: by a program for a later kernel. */
	a.newfd = 0;
	big.a = a;
	memset(big.more, 1, sizeof(big.more));
	CHECK_ERRNO(ioctl(fd, _IOWR('!', 3, typeof(big)), &big), E2BIG);
	a.newfd = 100;
	a.flags = SECCOMP_ADDFD_FLAG_SETFD;
	CHECK_EQ(ioctl(fd, ADDFD, &a), 100);
	a.newfd = 0;
	a.newfd_flags = O_CLOEXEC;
	a.flags = SECCOMP_ADDFD_FLAG_SEND;
	r = OK(ioctl(fd, ADDFD, &a));
	CHECK(r > 2);
	guest_reap(p);
	close(fd);
}

static void test_hangup(void)
{
	struct pollfd pf;
	int sv[2], fd;
	pid_t p;
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(sizeof(int))];
	} u;
	char c = 0;
	struct iovec io = { &c, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u) };

	SUBTEST("hang-up when the last user has gone");
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHILD (p) {
		fd = listener(__NR_getppid, 0);
		u.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&u.h), &fd, sizeof(fd));
		CHECK_EQ(sendmsg(sv[1], &m, 0), 1);
		pause();
		_exit(0);
	}
	CHECK_EQ(recvmsg(sv[0], &m, 0), 1);
	memcpy(&fd, CMSG_DATA(&u.h), sizeof(fd));
	CHECK_EQ(ready(fd), 0);
	guest_checkpoint();
	CHECK_EQ(ready(fd), 0);
	kill(p, SIGKILL);
	guest_status(p);
	pf = (struct pollfd){ .fd = fd, .events = POLLIN };
	CHECK_EQ(poll(&pf, 1, 20000), 1);
	CHECK_EQ(pf.revents, POLLHUP);
}

static void in_child(void (*fn)(void))
{
	pid_t p;

	CHILD (p) {
		OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		fn();
		_exit(0);
	}
	guest_reap(p);
}

void guest_test(void)
{
	in_child(test_answers);
	in_child(test_numbers);
	in_child(test_blocked_recv);
	in_child(test_closed);
	in_child(test_signals);
	in_child(test_killable);
	in_child(test_addfd);
	in_child(test_hangup);
}
