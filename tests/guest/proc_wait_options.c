// SPDX-License-Identifier: Apache-2.0
/* wait4 and waitid: pid selectors, WNOHANG, WUNTRACED, WCONTINUED, WNOWAIT, P_PGID, errors, rusage. */
#include "guest.h"

void guest_test(void)
{
	struct gate g;
	siginfo_t si;
	struct rusage ru;
	pid_t p, q;
	int st;

	gate_init(&g);
	SUBTEST("no children, bad arguments");
	CHECK_ERRNO(waitpid(-1, &st, 0), ECHILD);
	CHECK_ERRNO(waitpid(1, &st, 0), ECHILD);
	CHECK_ERRNO(waitpid(-1, &st, 0x100), EINVAL);
	CHECK_ERRNO(waitid(P_ALL, 0, &si, 0), EINVAL);
	CHECK_ERRNO(waitid((idtype_t)77, 0, &si, WEXITED), EINVAL);
	CHECK_ERRNO(waitid(P_PID, 0, &si, WEXITED), EINVAL);
	CHECK_ERRNO(waitpid(INT_MIN, &st, 0), ESRCH);
	CHILD (p) {
		gate_wait(&g);
		_exit(7);
	}
	CHILD (q) {
		setpgid(0, 0);
		gate_wait(&g);
		_exit(8);
	}
	setpgid(q, q);
	SUBTEST("WNOHANG");
	CHECK_EQ(waitpid(p, &st, WNOHANG), 0);
	memset(&si, 0xff, sizeof(si));
	CHECK_EQ(waitid(P_ALL, 0, &si, WEXITED | WNOHANG), 0);
	CHECK_EQ(si.si_pid, 0);
	CHECK_EQ(si.si_signo, 0);
	SUBTEST("stopped");
	guest_blocked(p);
	CHECK_EQ(kill(p, SIGSTOP), 0);
	CHECK_EQ(waitpid(p, &st, WUNTRACED), p);
	CHECK(WIFSTOPPED(st));
	CHECK_EQ(WSTOPSIG(st), SIGSTOP);
	CHECK_EQ(waitpid(p, &st, WUNTRACED | WNOHANG), 0); /* reported once */
	guest_checkpoint();
	CHECK_EQ(waitpid(p, &st, WUNTRACED | WNOHANG), 0);
	SUBTEST("continued");
	CHECK_EQ(kill(p, SIGCONT), 0);
	memset(&si, 0, sizeof(si));
	CHECK_EQ(waitid(P_PID, (id_t)p, &si, WCONTINUED | WNOWAIT), 0);
	CHECK_EQ(si.si_code, CLD_CONTINUED);
	CHECK_EQ(si.si_status, SIGCONT);
	CHECK_EQ(waitpid(p, &st, WCONTINUED), p);
	CHECK(WIFCONTINUED(st));
	CHECK_EQ(waitpid(p, &st, WCONTINUED | WNOHANG), 0);
	SUBTEST("stopped by waitid, unreported over a checkpoint");
	CHECK_EQ(kill(p, SIGSTOP), 0);
	CHECK_EQ(waitid(P_PID, (id_t)p, &si, WSTOPPED | WNOWAIT), 0);
	CHECK_EQ(si.si_code, CLD_STOPPED);
	guest_checkpoint();
	memset(&si, 0, sizeof(si));
	CHECK_EQ(waitid(P_PID, (id_t)p, &si, WSTOPPED), 0);
	CHECK_EQ(si.si_status, SIGSTOP);
	CHECK_EQ(kill(p, SIGCONT), 0);
	SUBTEST("process groups");
	gate_post(&g);
	gate_post(&g);
	CHECK_EQ(waitpid(-q, &st, 0), q);
	CHECK_EQ(WEXITSTATUS(st), 8);
	CHECK_ERRNO(waitid(P_PGID, (id_t)q, &si, WEXITED), ECHILD);
	CHECK_EQ(wait4(0, &st, 0, &ru), p);
	CHECK_EQ(WEXITSTATUS(st), 7);
	CHECK(ru.ru_maxrss >= 0);
	SUBTEST("__WCLONE sees only clone children");
	CHILD (p)
		_exit(0);
	CHECK_ERRNO(waitpid(p, &st, __WCLONE), ECHILD);
	CHECK_EQ(waitpid(p, &st, __WALL), p);
	SUBTEST("a bad pointer reaps nothing extra");
	CHILD (p)
		_exit(1);
	CHECK_ERRNO(waitpid(p, (int *)8, 0), EFAULT);
}
