// SPDX-License-Identifier: Apache-2.0
/* kill, tgkill, tkill: targets (pid, 0, -pgrp, -1), permissions, errors; killing processes blocked in every way. */
#include "guest.h"

void guest_test(void)
{
	pid_t p[4], q;
	int fds[2];

	SUBTEST("process group");
	OK(pipe(fds));
	for (int i = 0; i < 4; i++)
		CHILD (p[i]) {
			setpgid(0, i ? p[0] : 0);
			char c;
			read(fds[0], &c, 1);
			_exit(0);
		}
	for (int i = 0; i < 4; i++)
		setpgid(p[i], p[0]);
	for (int i = 0; i < 4; i++)
		guest_blocked(p[i]);
	guest_checkpoint();
	CHECK_EQ(kill(-p[0], 0), 0);
	CHECK_EQ(kill(-p[0], SIGTERM), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(WTERMSIG(guest_status(p[i])), SIGTERM);
	CHECK_ERRNO(kill(-p[0], 0), ESRCH);
	SUBTEST("pid 0: own group");
	guest_catch(SIGUSR1, 0);
	CHECK_EQ(kill(0, SIGUSR1), 0);
	CHECK_EQ(guest_sig_count, 1);
	SUBTEST("-1: everybody but init and self");
	if (getppid() == 1) {
		CHILD (q)
			for (;;)
				pause();
		CHECK_EQ(kill(-1, SIGKILL), 0);
		CHECK_EQ(WTERMSIG(guest_status(q)), SIGKILL);
		CHECK_EQ(kill(1, 0), 0);
		CHECK_EQ(kill(1, SIGTERM), 0); /* init has no handler for it: nothing happens */
		CHECK_EQ(kill(1, SIGKILL), 0);
		msleep(5);
		CHECK_EQ(kill(1, 0), 0);
	}
	SUBTEST("errors");
	CHECK_ERRNO(kill(getpid(), 65), EINVAL);
	CHECK_ERRNO(kill(getpid(), -1), EINVAL);
	CHECK_ERRNO(kill(999999, 0), ESRCH);
	CHECK_ERRNO(kill(INT_MIN, 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_tgkill, -1, getpid(), 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_tgkill, 1, getpid(), 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 999999, 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tkill, 999999, 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tkill, 0, 0), EINVAL);
	SUBTEST("permissions");
	CHILD (q)
		for (;;)
			pause();
	CHILD (p[0]) {
		OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(kill(q, SIGKILL), EPERM);
		CHECK_ERRNO(kill(q, 0), EPERM);
		CHECK_EQ(kill(q, SIGCONT), 0); /* same session */
		CHECK_EQ(kill(getpid(), 0), 0);
		_exit(0);
	}
	guest_reap(p[0]);
	OK(kill(q, SIGKILL));
	guest_status(q);
	SUBTEST("by thread id kill works on the whole process");
	CHECK_EQ(kill(guest_gettid(), 0), 0);
}
