// SPDX-License-Identifier: Apache-2.0
/* clone3: pidfd, set_tid, exit signals, CLONE_CLEAR_SIGHAND, size checks; pidfd over a checkpoint. */
#include "guest.h"
#include <linux/sched.h>

static long c3(struct clone_args *a, size_t n)
{
	return syscall(SYS_clone3, a, n);
}

void guest_test(void)
{
	struct clone_args a = {.flags = CLONE_PIDFD, .exit_signal = SIGCHLD};
	struct sigaction sa;
	siginfo_t si = {0};
	struct gate g;
	int pidfd = -1;
	pid_t p;

	gate_init(&g);
	a.pidfd = (uintptr_t)&pidfd;
	p = (pid_t)OK(c3(&a, sizeof(a)));
	if (p == 0) {
		gate_wait(&g);
		_exit(5);
	}
	CHECK(pidfd > 2);
	CHECK_EQ(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	struct pollfd pf = {pidfd, POLLIN, 0};
	CHECK_EQ(poll(&pf, 1, 0), 0);
	guest_checkpoint();
	CHECK_EQ(poll(&pf, 1, 0), 0);
	CHECK_EQ(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0), 0);
	gate_post(&g);
	CHECK_EQ(poll(&pf, 1, 5000), 1);
	CHECK_EQ(waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED), 0);
	CHECK_EQ(si.si_pid, p);
	CHECK_EQ(si.si_status, 5);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0), ESRCH);
	SUBTEST("CLONE_CLEAR_SIGHAND");
	guest_catch(SIGUSR1, 0);
	signal(SIGUSR2, SIG_IGN);
	memset(&a, 0, sizeof(a));
	a.flags = CLONE_CLEAR_SIGHAND;
	a.exit_signal = SIGCHLD;
	p = (pid_t)OK(c3(&a, sizeof(a)));
	if (p == 0) {
		CHECK_EQ(sigaction(SIGUSR1, NULL, &sa), 0);
		CHECK(sa.sa_handler == SIG_DFL);
		CHECK_EQ(sigaction(SIGUSR2, NULL, &sa), 0);
		CHECK(sa.sa_handler == SIG_IGN);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("errors");
	CHECK_ERRNO(c3(&a, 8), EINVAL);
	CHECK_ERRNO(c3(&a, 5000), E2BIG);
	CHECK_ERRNO(c3((void *)8, sizeof(a)), EFAULT);
	a.flags = CLONE_CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM;
	CHECK_ERRNO(c3(&a, sizeof(a)), EINVAL);
	a.flags = 0;
	a.exit_signal = 65;
	CHECK_ERRNO(c3(&a, sizeof(a)), EINVAL);
	a.exit_signal = SIGCHLD;
	a.stack_size = 4096;
	CHECK_ERRNO(c3(&a, sizeof(a)), EINVAL);
	a.stack_size = 0;
	a.flags = CLONE_DETACHED;
	CHECK_ERRNO(c3(&a, sizeof(a)), EINVAL);
	a.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	CHECK_ERRNO(c3(&a, sizeof(a)), EINVAL); /* a thread has no exit signal */
}
