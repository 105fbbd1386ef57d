// SPDX-License-Identifier: Apache-2.0
/* A parent blocked in wait4/waitid while its child sleeps, over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	pid_t p, q;
	struct gate g, h;

	gate_init(&g);
	gate_init(&h);
	CHILD (p) {
		pid_t c;
		int st;

		CHILD (c) {
			gate_wait(&g);
			_exit(33);
		}
		CHECK_EQ(waitpid(c, &st, 0), c);
		CHECK_EQ(WEXITSTATUS(st), 33);
		CHECK_ERRNO(waitpid(-1, &st, 0), ECHILD);
		_exit(0);
	}
	CHILD (q) {
		siginfo_t si = {0};
		pid_t c;

		CHILD (c) {
			gate_wait(&h);
			raise(SIGTERM);
		}
		CHECK_EQ(waitid(P_ALL, 0, &si, WEXITED), 0);
		CHECK_EQ(si.si_pid, c);
		CHECK_EQ(si.si_code, CLD_KILLED);
		CHECK_EQ(si.si_status, SIGTERM);
		_exit(0);
	}
	guest_blocked(p);
	guest_blocked(q);
	guest_checkpoint();
	gate_post(&g);
	gate_post(&h);
	guest_reap(p);
	guest_reap(q);
}
