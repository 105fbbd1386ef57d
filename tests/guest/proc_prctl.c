// SPDX-License-Identifier: Apache-2.0
/*
 * prctl: name, dumpable, keepcaps, no_new_privs, timer slack, tsc; per thread or process, inherited or not, over a
 * checkpoint.
 */
#include "guest.h"

static void *thread(void *arg)
{
	char name[17];

	(void)arg;
	CHECK_EQ(prctl(PR_GET_NAME, name), 0);
	CHECK_STR(name, "fifteen-charact"); /* inherited and cut */
	CHECK_EQ(prctl(PR_SET_NAME, "thread"), 0);
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	return NULL;
}

void guest_test(void)
{
	char name[64];
	pid_t p;

	CHECK_EQ(prctl(PR_SET_NAME, "fifteen-characters"), 0);
	guest_join(guest_thread(thread, NULL));
	CHECK_EQ(prctl(PR_SET_TIMERSLACK, 123456), 0);
	CHECK_EQ(prctl(PR_SET_KEEPCAPS, 1), 0);
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
	CHECK_EQ(prctl(PR_SET_DUMPABLE, 0), 0);
	guest_checkpoint();
	CHECK_EQ(prctl(PR_GET_NAME, name), 0);
	CHECK_STR(name, "fifteen-charact");
	CHECK(guest_read_file("/proc/thread-self/comm", name, sizeof(name)) > 0);
	CHECK_STR(name, "fifteen-charact\n");
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 123456);
	CHECK_EQ(prctl(PR_GET_KEEPCAPS), 1);
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
	CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0);
	SUBTEST("comm by file");
	guest_write_file("/proc/self/comm", "newname");
	CHECK_EQ(prctl(PR_GET_NAME, name), 0);
	CHECK_STR(name, "newname");
	SUBTEST("no_new_privs");
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	CHILD (p) {
		CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
		CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
		CHILD (p) {
			CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
			_exit(0);
		}
		guest_reap(p);
		_exit(0);
	}
	guest_reap(p);
	CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_SET_DUMPABLE, 2), EINVAL);
	CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
	CHECK_ERRNO(prctl(PR_SET_NAME, 8), EFAULT);
	CHECK_ERRNO(prctl(99999), EINVAL);
	CHECK_EQ(prctl(PR_SET_TIMERSLACK, 0), 0); /* back to the default */
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 50000);
}
