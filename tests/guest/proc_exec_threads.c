// SPDX-License-Identifier: Apache-2.0
/* execve from a non-leader thread: other threads die, the pid stays, the new program has one thread. */
#include "guest.h"

static int fds[2];

int guest_helper(int argc, char **argv)
{
	char buf[4096];

	CHECK_EQ(argc, 2);
	CHECK_EQ(atoi(argv[1]), getpid());
	CHECK_EQ(guest_gettid(), getpid());
	CHECK(guest_read_file("/proc/self/status", buf, sizeof(buf)) > 0);
	CHECK(strstr(buf, "Threads:\t1\n"));
	return 13;
}

static void *sleeper(void *arg)
{
	char c;

	read(fds[0], &c, 1);
	return arg;
}

static void *execer(void *arg)
{
	char pid[16], *av[] = {(char *)"x", pid, NULL};

	(void)arg;
	msleep(5);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	execv(guest_self, av);
	_exit(99);
}

void guest_test(void)
{
	pid_t p;

	OK(pipe(fds));
	for (int i = 0; i < 5; i++) {
		CHILD (p) {
			for (int k = 0; k < 4; k++)
				guest_thread(sleeper, NULL);
			guest_thread(execer, NULL);
			if (i & 1)
				syscall(SYS_exit, 0); /* a zombie leader */
			for (;;)
				pause();
		}
		CHECK_EQ(WEXITSTATUS(guest_status(p)), 13);
		if (i == 2)
			guest_checkpoint();
	}
}
