// SPDX-License-Identifier: Apache-2.0
/* Processes that fork, exec themselves and exit all the time over checkpoints; every status is right, none is lost. */
#include "guest.h"

int guest_helper(int argc, char **argv)
{
	return argc == 2 ? atoi(argv[1]) : 99;
}

static volatile int stop;

static void *churn(void *arg)
{
	for (int i = 0; !__atomic_load_n(&stop, __ATOMIC_SEQ_CST) || i < 10; i++) {
		pid_t p = guest_fork();
		char n[8], *av[] = {(char *)"x", n, NULL};

		if (p == 0) {
			snprintf(n, sizeof(n), "%d", i % 100);
			if (i % 2)
				execv(guest_self, av);
			_exit(i % 100);
		}
		CHECK_EQ(WEXITSTATUS(guest_status(p)), i % 100);
	}
	return arg;
}

void guest_test(void)
{
	pthread_t a = guest_thread(churn, NULL), b = guest_thread(churn, NULL);

	msleep(20);
	guest_checkpoint();
	msleep(20);
	guest_checkpoint();
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	guest_join(a);
	guest_join(b);
	CHECK_ERRNO(waitpid(-1, NULL, WNOHANG), ECHILD);
}
