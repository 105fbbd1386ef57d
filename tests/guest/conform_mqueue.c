// SPDX-License-Identifier: Apache-2.0
/* Prints outcomes of POSIX message queue calls in corner cases; the runner compares them with the host. */
#include "guest.h"

#include <mqueue.h>

#define V(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s = %lld%s%s\n", __LINE__, #x, v_, v_ == -1 ? " " : "", v_ == -1 ? strerrorname_np(errno) : ""); CHECK(true); v_; })
#define E(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s: %s\n", __LINE__, #x, v_ == -1 ? strerrorname_np(errno) : "ok"); CHECK(true); v_; })

static long sys_open(const char *name, int flags, int mode, struct mq_attr *a)
{
	return syscall(SYS_mq_open, name, flags, mode, a);
}

static void opening(void)
{
	struct mq_attr a = { .mq_maxmsg = 2, .mq_msgsize = 8 }, bad;
	char longname[300];
	int q;

	memset(longname, 'n', sizeof(longname));
	longname[256] = 0;
	E(sys_open(longname, O_CREAT | O_RDWR, 0600, &a));
	longname[255] = 0;
	E(q = sys_open(longname, O_CREAT | O_RDWR, 0600, &a));
	close(q);
	V(syscall(SYS_mq_unlink, longname));
	E(sys_open("", O_CREAT | O_RDWR, 0600, &a));
	E(sys_open("a/b", O_CREAT | O_RDWR, 0600, &a));
	E(sys_open("/a", O_CREAT | O_RDWR, 0600, &a));
	E(sys_open(".", O_CREAT | O_RDWR, 0600, &a));
	E(sys_open("..", O_RDWR, 0600, &a));
	E(sys_open((void *)8, O_RDWR, 0600, &a));
	E(sys_open("q", O_RDWR, 0600, NULL));
	E(sys_open("q", O_CREAT | O_RDWR, 0600, (void *)8));
	bad = (struct mq_attr){ .mq_maxmsg = 0, .mq_msgsize = 8 };
	E(sys_open("q", O_CREAT | O_RDWR, 0600, &bad));
	bad = (struct mq_attr){ .mq_maxmsg = 1, .mq_msgsize = 0 };
	E(sys_open("q", O_CREAT | O_RDWR, 0600, &bad));
	bad = (struct mq_attr){ .mq_maxmsg = -1, .mq_msgsize = 8 };
	E(sys_open("q", O_CREAT | O_RDWR, 0600, &bad));
	bad = (struct mq_attr){ .mq_maxmsg = 1 << 20, .mq_msgsize = 8 };
	E(sys_open("q", O_CREAT | O_RDWR, 0600, &bad));
	E(sys_open("q", O_CREAT | 3, 0600, &a));
	E(q = sys_open("q", O_CREAT | O_RDWR, 0640, &a));
	V(fcntl(q, F_GETFD));
	V(fcntl(q, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	E(sys_open("q", O_CREAT | O_EXCL | O_RDWR, 0600, &a));
	E(sys_open("q", 3, 0, NULL));
	V(mq_getattr(q, &a));
	V(a.mq_maxmsg);
	V(a.mq_msgsize);
	V(a.mq_curmsgs);
	V(a.mq_flags);
	a.mq_flags = O_NONBLOCK | 1;
	V(mq_setattr(q, &a, NULL));
	a.mq_flags = O_NONBLOCK;
	V(mq_setattr(q, &a, &bad));
	V(bad.mq_flags);
	V(fcntl(q, F_GETFL) & O_NONBLOCK);
	V(mq_setattr(0, &a, NULL));
	V(mq_getattr(q, (void *)8));
	V(mq_getattr(99, &a));
	V(lseek(q, 0, SEEK_SET));
	V(write(q, "x", 1));
	char text[100] = "";
	V(read(q, text, 99));
	dprintf(1, "call text %s", text);
	struct stat st;
	V(fstat(q, &st));
	V(st.st_mode);
	V(st.st_size);
	pid_t c;
	CHILD (c) {
		OK(setresgid(1000, 1000, 1000));
		OK(setresuid(1000, 1000, 1000));
		E(sys_open("q", O_RDONLY, 0, NULL));
		E(sys_open("q", O_CREAT | O_RDONLY, 0600, NULL));
		V(syscall(SYS_mq_unlink, "q"));
		bad = (struct mq_attr){ .mq_maxmsg = 11, .mq_msgsize = 8 };
		E(sys_open("q2", O_CREAT | O_RDWR, 0600, &bad));
		bad = (struct mq_attr){ .mq_maxmsg = 10, .mq_msgsize = 8193 };
		E(sys_open("q2", O_CREAT | O_RDWR, 0600, &bad));
		struct rlimit rl = { 1000, 1000 };
		OK(setrlimit(RLIMIT_MSGQUEUE, &rl));
		bad = (struct mq_attr){ .mq_maxmsg = 10, .mq_msgsize = 8192 };
		E(sys_open("q2", O_CREAT | O_RDWR, 0600, &bad));
		_exit(0);
	}
	guest_reap(c);
	V(syscall(SYS_mq_unlink, "q"));
	V(syscall(SYS_mq_unlink, "q"));
	V(syscall(SYS_mq_unlink, ""));
	V(syscall(SYS_mq_unlink, "x/y"));
	V(syscall(SYS_mq_unlink, (void *)8));
	close(q);
}

static void transfer(void)
{
	struct mq_attr a = { .mq_maxmsg = 2, .mq_msgsize = 8 };
	struct timespec past = { 1, 0 }, bad = { 1, -1 };
	struct pollfd pf;
	char b[64];
	unsigned prio = 9;
	int q = OK((int)sys_open("t", O_CREAT | O_RDWR, 0600, &a)), r, w;

	r = OK((int)sys_open("t", O_RDONLY | O_NONBLOCK, 0, NULL));
	w = OK((int)sys_open("t", O_WRONLY | O_NONBLOCK, 0, NULL));
	pf = (struct pollfd){ q, POLLIN | POLLOUT, 0 };
	V((poll(&pf, 1, 0), pf.revents));
	V(mq_receive(r, b, 8, &prio));
	V(mq_receive(r, b, 7, &prio));
	V(mq_receive(w, b, 8, &prio));
	V(mq_send(r, "x", 1, 0));
	V(mq_send(w, "123456789", 9, 0));
	V(mq_send(w, "x", 1, 32768));
	V(mq_send(w, (void *)8, 4, 0));
	V(mq_send(w, "", 0, 5));
	V(mq_send(w, "high", 4, 7));
	V((poll(&pf, 1, 0), pf.revents));
	V(mq_send(w, "more", 4, 7));
	V(mq_timedsend(q, "more", 4, 7, &past));
	V(mq_timedsend(q, "more", 4, 7, &bad));
	V(syscall(SYS_mq_timedsend, q, "more", 4, 7, (void *)8));
	V(mq_getattr(q, &a));
	V(a.mq_curmsgs);
	guest_checkpoint();
	V(mq_receive(q, b, 64, &prio));
	V(prio);
	V(mq_receive(q, b, 64, &prio));
	V(prio);
	V(mq_timedreceive(q, b, 64, &prio, &past));
	V(mq_timedreceive(q, b, 64, &prio, &bad));
	V(mq_receive(1, b, 64, &prio));
	/* Notification. */
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77 };
	guest_catch(SIGUSR1, 0);
	V(mq_notify(99, &ev));
	V(mq_notify(q, NULL));
	V(mq_notify(q, &ev));
	V(mq_notify(q, &ev));
	ev.sigev_notify = 9;
	V(syscall(SYS_mq_notify, q, &ev));
	ev.sigev_notify = SIGEV_SIGNAL;
	ev.sigev_signo = 99;
	V(syscall(SYS_mq_notify, q, &ev));
	V(syscall(SYS_mq_notify, q, (void *)8));
	guest_checkpoint();
	V(mq_send(w, "wake", 4, 1));
	V(guest_sig_count);
	V(guest_si.si_code);
	V(guest_si.si_value.sival_int);
	V(guest_si.si_pid == getpid());
	V(mq_send(w, "wake", 4, 1));
	V(guest_sig_count);
	ev = (struct sigevent){ .sigev_notify = SIGEV_NONE };
	V(mq_notify(r, &ev));
	V(mq_notify(w, NULL));
	V(mq_notify(w, &ev));
	close(w); /* ends the registration */
	V(mq_notify(r, &ev));
	V(syscall(SYS_mq_unlink, "t"));
	V(mq_receive(q, b, 64, NULL)); /* lives on */
	close(q);
	close(r);
}

void guest_test(void)
{
	opening();
	transfer();
}
