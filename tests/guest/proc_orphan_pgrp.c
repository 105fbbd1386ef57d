// SPDX-License-Identifier: Apache-2.0
/*
 * A process group that becomes orphaned with stopped members gets SIGHUP then SIGCONT; stops are ignored in orphaned
 * groups.
 */
#include "guest.h"

void guest_test(void)
{
	int fds[2];
	pid_t p, q, r;
	char c;

	OK(pipe(fds));
	CHILD (p) {
		CHILD (q) {
			setpgid(0, 0);
			guest_catch(SIGHUP, 0);
			guest_catch(SIGCONT, 0);
			CHECK_EQ(write(fds[1], "r", 1), 1);
			raise(SIGSTOP);
			/* Continued: both were delivered. */
			CHECK_EQ(guest_sig_count, 2);
			CHECK_EQ(write(fds[1], "h", 1), 1);
			/* In an orphaned group the terminal stop signals do nothing. */
			raise(SIGTSTP);
			CHECK_EQ(write(fds[1], "t", 1), 1);
			_exit(0);
		}
		CHECK_EQ(waitpid(q, NULL, WUNTRACED), q);
		pause();
		_exit(0);
	}
	CHECK_EQ(read(fds[0], &c, 1), 1);
	guest_blocked(p);
	guest_checkpoint();
	OK(kill(p, SIGKILL));
	CHECK_EQ(WTERMSIG(guest_status(p)), SIGKILL);
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(c, 'h');
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(c, 't');
	(void)r;
}
