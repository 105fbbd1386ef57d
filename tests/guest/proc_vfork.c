// SPDX-License-Identifier: Apache-2.0
/* vfork shares memory and suspends the parent until exec or exit; the child's faults are its own. */
#include "guest.h"

static volatile int v;

int guest_helper(int argc, char **argv)
{
	return argc == 2 ? atoi(argv[1]) : 99;
}

void guest_test(void)
{
	pid_t p = vfork();

	if (p == 0) {
		v = 42;
		_exit(3);
	}
	CHECK_EQ(v, 42);
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 3);
	SUBTEST("exec releases the parent");
	p = vfork();
	if (p == 0) {
		char *argv[] = {guest_self, (char *)"17", NULL};

		execv(guest_self, argv);
		_exit(98);
	}
	CHECK(p > 0);
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 17);
	guest_checkpoint();
	SUBTEST("failed exec goes on in the child");
	p = vfork();
	if (p == 0) {
		execl("/no/such", "x", NULL);
		v = errno;
		_exit(0);
	}
	CHECK_EQ(v, ENOENT);
	guest_reap(p);
	SUBTEST("killed child releases the parent");
	p = vfork();
	if (p == 0) {
		kill(getpid(), SIGKILL);
		_exit(0);
	}
	CHECK_EQ(WTERMSIG(guest_status(p)), SIGKILL);
}
