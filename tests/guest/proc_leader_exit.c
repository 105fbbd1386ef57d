// SPDX-License-Identifier: Apache-2.0
/* The thread group leader exits first; the group lives on as a zombie leader over a checkpoint. */
#include "guest.h"

static struct gate go;

static void *other(void *arg)
{
	pid_t pid = *(pid_t *)arg;
	char path[64], buf[256];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	for (int i = 0; i < 1000; i++) {
		CHECK(guest_read_file(path, buf, sizeof(buf)) > 0);
		if (strstr(buf, ") Z "))
			break;
		msleep(1);
	}
	CHECK(strstr(buf, ") Z "));
	gate_wait(&go);
	CHECK_EQ(getpid(), pid);
	CHECK(guest_gettid() != pid);
	_exit(66);
}

void guest_test(void)
{
	pid_t p;

	gate_init(&go);
	CHILD (p) {
		static pid_t pid;

		pid = getpid();
		guest_thread(other, &pid);
		syscall(SYS_exit, 11);
	}
	msleep(20);
	guest_checkpoint();
	CHECK_EQ(waitpid(p, NULL, WNOHANG), 0);
	CHECK_EQ(kill(p, 0), 0);
	gate_post(&go);
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 66);
	SUBTEST("the last thread's plain exit gives the leader's code");
	CHILD (p) {
		syscall(SYS_exit, 12);
	}
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 12);
}
