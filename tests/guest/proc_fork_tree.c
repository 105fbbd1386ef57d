// SPDX-License-Identifier: Apache-2.0
/* A tree of 40 processes blocked at its leaves over a checkpoint; pids, parents and exit codes hold. */
#include "guest.h"

static struct gate go;

static void grow(int level, int id)
{
	pid_t c[3], me = getpid(), parent = getppid();

	if (level == 0) {
		gate_wait(&go);
		CHECK_EQ(getpid(), me);
		CHECK_EQ(getppid(), parent);
		_exit(id);
	}
	for (int i = 0; i < 3; i++)
		CHILD (c[i])
			grow(level - 1, i + 1);
	for (int i = 0; i < 3; i++) {
		int st = guest_status(c[i]);

		CHECK(WIFEXITED(st));
		CHECK_EQ(WEXITSTATUS(st), i + 1);
	}
	CHECK_EQ(getpid(), me);
	CHECK_EQ(getppid(), parent);
	CHECK_ERRNO(waitpid(-1, NULL, 0), ECHILD);
	_exit(id);
}

void guest_test(void)
{
	pid_t p;

	gate_init(&go);
	CHILD (p)
		grow(3, 9);
	msleep(40);
	guest_checkpoint();
	for (int i = 0; i < 27; i++)
		gate_post(&go);
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 9);
}
