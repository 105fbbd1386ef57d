// SPDX-License-Identifier: Apache-2.0
/* Zombies keep pid, status and usage over a checkpoint; SIGCHLD was sent once; kill and setpgid on zombies. */
#include "guest.h"

void guest_test(void)
{
	pid_t p[4];
	siginfo_t si;
	int st;

	guest_catch(SIGCHLD, SA_RESTART);
	for (int i = 0; i < 4; i++)
		CHILD (p[i]) {
			if (i == 3)
				kill(getpid(), SIGKILL);
			_exit(10 + i);
		}
	for (int i = 0; i < 4; i++)
		CHECK_EQ(waitid(P_PID, (id_t)p[i], &si, WEXITED | WNOWAIT), 0);
	CHECK(guest_sig_count >= 1);
	guest_sig_count = 0;
	guest_checkpoint();
	CHECK_EQ(guest_sig_count, 0);
	CHECK_EQ(kill(p[0], 0), 0);
	CHECK_EQ(kill(p[0], SIGTERM), 0);
	CHECK_EQ(setpgid(p[0], p[0]), 0); /* a zombie still can be moved */
	CHECK_EQ(getpgid(p[0]), p[0]);
	char path[64], buf[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)p[1]);
	CHECK(guest_read_file(path, buf, sizeof(buf)) > 0);
	CHECK(strstr(buf, ") Z "));
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)p[1]);
	CHECK_EQ(guest_read_file(path, buf, sizeof(buf)), 0);
	for (int i = 0; i < 4; i++) {
		memset(&si, 0, sizeof(si));
		CHECK_EQ(waitid(P_PID, (id_t)p[i], &si, WEXITED | WNOWAIT), 0);
		CHECK_EQ(si.si_signo, SIGCHLD);
		CHECK_EQ(si.si_pid, p[i]);
		CHECK_EQ(si.si_uid, 0);
		CHECK_EQ(si.si_code, i == 3 ? CLD_KILLED : CLD_EXITED);
		CHECK_EQ(si.si_status, i == 3 ? SIGKILL : 10 + i);
		CHECK_EQ(waitpid(p[i], &st, 0), p[i]);
		CHECK_EQ(st, i == 3 ? SIGKILL : (10 + i) << 8);
		CHECK_ERRNO(waitpid(p[i], &st, 0), ECHILD);
		CHECK_ERRNO(kill(p[i], 0), ESRCH);
	}
}
