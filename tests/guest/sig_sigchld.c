// SPDX-License-Identifier: Apache-2.0
/* SIGCHLD ignored, SA_NOCLDWAIT and SA_NOCLDSTOP: no zombies, no stop notices, wait ends with ECHILD. */
#include "guest.h"

void guest_test(void)
{
	struct gate g;
	pid_t p;

	gate_init(&g);
	SUBTEST("ignored: reaped at once, wait blocks until all are gone");
	signal(SIGCHLD, SIG_IGN);
	CHILD (p) {
		gate_wait(&g);
		_exit(1);
	}
	guest_checkpoint();
	CHECK_EQ(waitpid(p, NULL, WNOHANG), 0);
	gate_post(&g);
	CHECK_ERRNO(waitpid(-1, NULL, 0), ECHILD);
	CHECK_ERRNO(kill(p, 0), ESRCH);
	SUBTEST("NOCLDWAIT still signals");
	guest_catch(SIGCHLD, SA_NOCLDWAIT);
	guest_block(SIGCHLD);
	CHILD (p)
		_exit(1);
	CHECK_ERRNO(waitpid(p, NULL, 0), ECHILD);
	guest_unblock(SIGCHLD);
	CHECK_EQ(guest_sig_count, 1);
	SUBTEST("NOCLDSTOP");
	guest_sig_count = 0;
	guest_catch(SIGCHLD, SA_NOCLDSTOP | SA_RESTART);
	CHILD (p) {
		for (;;)
			pause();
	}
	OK(kill(p, SIGSTOP));
	CHECK_EQ(waitpid(p, NULL, WUNTRACED), p);
	OK(kill(p, SIGCONT));
	CHECK_EQ(waitpid(p, NULL, WCONTINUED), p);
	CHECK_EQ(guest_sig_count, 0);
	guest_checkpoint();
	OK(kill(p, SIGKILL));
	guest_status(p);
	CHECK_EQ(guest_sig_count, 1);
	SUBTEST("zombies made before ignoring stay");
	signal(SIGCHLD, SIG_DFL);
	CHILD (p)
		_exit(4);
	siginfo_t si;
	CHECK_EQ(waitid(P_PID, (id_t)p, &si, WEXITED | WNOWAIT), 0);
	signal(SIGCHLD, SIG_IGN);
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 4);
}
