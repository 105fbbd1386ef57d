// SPDX-License-Identifier: Apache-2.0
/* RLIMIT_NPROC for an unprivileged user: EAGAIN from fork and thread creation. */
#include "guest.h"

static void *nothing(void *arg)
{
	return arg;
}

void guest_test(void)
{
	pid_t p, q;

	CHILD (p) {
		struct rlimit rl = {2, 2};
		pthread_t t;

		OK(setrlimit(RLIMIT_NPROC, &rl));
		OK(setresgid(54321, 54321, 54321));
		OK(setresuid(54321, 54321, 54321));
		q = OK(fork());
		if (q == 0) {
			pause();
			_exit(0);
		}
		guest_checkpoint();
		CHECK_ERRNO(fork(), EAGAIN);
		CHECK_EQ(pthread_create(&t, NULL, nothing, NULL), EAGAIN);
		OK(kill(q, SIGKILL));
		guest_status(q);
		q = OK(fork());
		if (q == 0)
			_exit(0);
		guest_reap(q);
		_exit(0);
	}
	guest_reap(p);
}
