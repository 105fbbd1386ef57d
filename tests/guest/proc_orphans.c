// SPDX-License-Identifier: Apache-2.0
/* Orphans are reparented to init or the nearest subreaper, also after a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	struct gate dead, ask, answer;
	pid_t init = getppid(), p, who;
	int fds[2], v = 9;

	gate_init(&dead);
	gate_init(&ask);
	gate_init(&answer);
	OK(pipe(fds));
	SUBTEST("to init");
	CHILD (p) {
		CHILD (p) {
			gate_wait(&ask);
			who = getppid();
			CHECK_EQ(write(fds[1], &who, sizeof(who)), sizeof(who));
			_exit(0);
		}
		_exit(0);
	}
	guest_reap(p);
	guest_checkpoint();
	gate_post(&ask);
	CHECK_EQ(read(fds[0], &who, sizeof(who)), sizeof(who));
	CHECK_EQ(who, init);
	SUBTEST("to a subreaper");
	CHECK_EQ(prctl(PR_GET_CHILD_SUBREAPER, &v), 0);
	CHECK_EQ(v, 0);
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	CHILD (p) {
		CHECK_EQ(prctl(PR_GET_CHILD_SUBREAPER, &v), 0);
		CHECK_EQ(v, 0); /* not inherited */
		CHILD (p) {
			pid_t me = getpid();

			CHECK_EQ(write(fds[1], &me, sizeof(me)), sizeof(me));
			gate_wait(&ask);
			who = getppid();
			CHECK_EQ(write(fds[1], &who, sizeof(who)), sizeof(who));
			_exit(44);
		}
		_exit(0);
	}
	pid_t orphan;
	CHECK_EQ(read(fds[0], &orphan, sizeof(orphan)), sizeof(orphan));
	guest_reap(p);
	guest_checkpoint();
	CHECK_EQ(prctl(PR_GET_CHILD_SUBREAPER, &v), 0);
	CHECK_EQ(v, 1);
	gate_post(&ask);
	CHECK_EQ(read(fds[0], &who, sizeof(who)), sizeof(who));
	CHECK_EQ(who, getpid());
	CHECK_EQ(WEXITSTATUS(guest_status(orphan)), 44);
}
