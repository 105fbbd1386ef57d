// SPDX-License-Identifier: Apache-2.0
/* pidfd_open, poll, send_signal, getfd, waitid(P_PIDFD), over a checkpoint and after death. */
#include "guest.h"

void guest_test(void)
{
	struct gate g;
	struct pollfd pf;
	siginfo_t si = {0};
	int fd, nfd, got, fds[2];
	pid_t p;

	gate_init(&g);
	OK(pipe(fds));
	CHILD (p) {
		guest_catch(SIGUSR1, 0);
		guest_block(SIGUSR1);
		gate_post(&g);
		sigset_t s;
		sigemptyset(&s);
		sigaddset(&s, SIGUSR1);
		CHECK_EQ(sigwaitinfo(&s, &si), SIGUSR1);
		CHECK_EQ(si.si_pid, getppid());
		_exit(9);
	}
	gate_wait(&g);
	fd = (int)OK(syscall(SYS_pidfd_open, p, 0));
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	nfd = (int)OK(syscall(SYS_pidfd_open, p, O_NONBLOCK));
	CHECK_EQ(waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG), 0);
	CHECK_ERRNO(waitid(P_PIDFD, (id_t)nfd, &si, WEXITED), EAGAIN);
	pf = (struct pollfd){fd, POLLIN, 0};
	CHECK_EQ(poll(&pf, 1, 0), 0);
	guest_checkpoint();
	CHECK_EQ(poll(&pf, 1, 0), 0);
	got = (int)OK(syscall(SYS_pidfd_getfd, fd, fds[1], 0));
	CHECK_EQ(write(got, "x", 1), 1);
	char c;
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 999, 0), EBADF);
	CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0), 0);
	CHECK_EQ(poll(&pf, 1, 5000), 1);
	CHECK(pf.revents & POLLIN);
	guest_checkpoint();
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(waitid(P_PIDFD, (id_t)fd, &si, WEXITED), 0);
	CHECK_EQ(si.si_pid, p);
	CHECK_EQ(si.si_status, 9);
	CHECK_ERRNO(waitid(P_PIDFD, (id_t)fd, &si, WEXITED), ECHILD);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
	SUBTEST("numbers in namespaces further in");
	CHILD (p) {
		char buf[512], want[64];
		pid_t q;
		int f;

		OK(unshare(CLONE_NEWPID));
		CHILD (q)
			pause();
		f = (int)OK(syscall(SYS_pidfd_open, q, 0));
		(void)snprintf(buf, sizeof(buf), "/proc/self/fdinfo/%d", f);
		CHECK(guest_read_file(buf, buf, sizeof(buf)) > 0);
		(void)snprintf(want, sizeof(want), "Pid:\t%d\nNSpid:\t%d\t1\n", q, q);
		CHECK(strstr(buf, want) != NULL);
		OK(kill(q, SIGKILL));
		OK(waitpid(q, NULL, 0));
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("errors");
	CHECK_ERRNO(syscall(SYS_pidfd_open, p, 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_pidfd_open, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_pidfd_open, -5, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_pidfd_open, getpid(), 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fds[0], 0, NULL, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 99), EINVAL);
	CHECK_ERRNO(waitid(P_PIDFD, 999, &si, WEXITED), EBADF);
	CHECK_ERRNO(waitid(P_PIDFD, (id_t)fds[0], &si, WEXITED), EBADF);
	SUBTEST("a /proc/pid directory stands for its process");
	CHILD (p)
		for (;;)
			pause();
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d", p);
	nfd = (int)OK(open(path, O_RDONLY | O_DIRECTORY));
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, nfd, 99, NULL, 0), EINVAL);
	CHECK_EQ(syscall(SYS_pidfd_send_signal, nfd, 0, NULL, 0), 0);
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, nfd, 0, 0), EBADF);
	guest_checkpoint();
	CHECK_EQ(syscall(SYS_pidfd_send_signal, nfd, SIGTERM, NULL, 0), 0);
	int status;
	CHECK_EQ(waitpid(p, &status, 0), p);
	CHECK_EQ(WTERMSIG(status), SIGTERM);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, nfd, 0, NULL, 0), ESRCH);
	nfd = (int)OK(open("/proc", O_RDONLY | O_DIRECTORY));
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, nfd, 0, NULL, 0), EBADF);
}
