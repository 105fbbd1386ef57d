// SPDX-License-Identifier: Apache-2.0
/* PR_SET_PDEATHSIG fires when the parent thread exits, is not inherited, survives a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	struct gate go;
	int fds[2], v;
	pid_t p;
	char c;

	gate_init(&go);
	OK(pipe(fds));
	CHECK_EQ(prctl(PR_SET_PDEATHSIG, SIGUSR2), 0);
	CHECK_EQ(prctl(PR_GET_PDEATHSIG, &v), 0);
	CHECK_EQ(v, SIGUSR2);
	CHECK_ERRNO(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
	CHILD (p) {
		CHECK_EQ(prctl(PR_GET_PDEATHSIG, &v), 0);
		CHECK_EQ(v, 0);
		CHILD (p) {
			guest_catch(SIGUSR1, 0);
			guest_block(SIGUSR1);
			CHECK_EQ(prctl(PR_SET_PDEATHSIG, SIGUSR1), 0);
			CHECK_EQ(write(fds[1], "r", 1), 1);
			sigset_t s;
			sigemptyset(&s);
			sigaddset(&s, SIGUSR1);
			CHECK_EQ(sigwaitinfo(&s, NULL), SIGUSR1);
			CHECK_EQ(write(fds[1], "k", 1), 1);
			_exit(0);
		}
		gate_wait(&go);
		_exit(0);
	}
	CHECK_EQ(read(fds[0], &c, 1), 1);
	guest_checkpoint();
	gate_post(&go);
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(c, 'k');
	guest_reap(p);
	CHECK_EQ(prctl(PR_GET_PDEATHSIG, &v), 0);
	CHECK_EQ(v, SIGUSR2);
}
