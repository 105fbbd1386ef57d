// SPDX-License-Identifier: Apache-2.0
/*
 * Controlling terminals and job control: ISIG signals, foreground groups, SIGTTIN, SIGTTOU, hang-up, /dev/tty; over a
 * checkpoint.
 */
#include "guest.h"
#include <termios.h>

static int m, s;

static void stopped(pid_t p, int sig)
{
	int st;

	CHECK_EQ(waitpid(p, &st, WUNTRACED), p);
	CHECK(WIFSTOPPED(st));
	CHECK_EQ(WSTOPSIG(st), sig);
}

static void session(void)
{
	struct gate g;
	char b[64];
	pid_t p, q;
	int n, unlock = 0, st;

	gate_init(&g);
	CHECK(setsid() > 0);
	CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
	m = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	OK(ioctl(m, TIOCSPTLCK, &unlock));
	OK(ioctl(m, TIOCGPTN, &n));
	snprintf(b, sizeof(b), "/dev/pts/%d", n);
	s = OK(open(b, O_RDWR | O_NOCTTY));
	CHECK_ERRNO(tcgetpgrp(s), ENOTTY);
	CHECK_EQ(ioctl(s, TIOCSCTTY, 0), 0);
	CHECK_EQ(tcgetpgrp(s), getpgrp());
	CHECK_EQ(tcgetsid(s), getpid());
	CHECK(open("/dev/tty", O_RDWR) >= 0);
	SUBTEST("a foreground job gets SIGINT, SIGQUIT, SIGTSTP from the keyboard");
	signal(SIGTTOU, SIG_IGN);
	CHILD (p) {
		setpgid(0, 0);
		CHECK_EQ(tcsetpgrp(s, getpid()), 0);
		guest_catch(SIGINT, SA_RESTART);
		guest_catch(SIGWINCH, SA_RESTART);
		gate_post(&g);
		while (guest_sig_last != SIGINT)
			msleep(1);
		gate_post(&g);
		while (guest_sig_last != SIGWINCH)
			msleep(1);
		gate_post(&g);
		for (;;)
			pause();
	}
	gate_wait(&g);
	guest_checkpoint();
	CHECK_EQ(tcgetpgrp(s), p);
	CHECK_EQ(write(m, "\003", 1), 1);
	gate_wait(&g);
	struct winsize w = {10, 10, 0, 0};
	OK(ioctl(m, TIOCSWINSZ, &w));
	gate_wait(&g);
	CHECK_EQ(write(m, "\032", 1), 1);
	stopped(p, SIGTSTP);
	SUBTEST("the shell takes the terminal back; a background reader stops with SIGTTIN");
	CHECK_EQ(tcsetpgrp(s, getpgrp()), 0);
	CHECK_EQ(kill(p, SIGCONT), 0);
	CHILD (q) {
		setpgid(0, 0);
		signal(SIGTTOU, SIG_DFL);
		CHECK_EQ(read(s, b, 10), 3);
		CHECK(memcmp(b, "go\n", 3) == 0);
		/* In the background again: writing is allowed unless TOSTOP, changing settings stops. */
		gate_post(&g);
		while (tcgetpgrp(s) == getpgrp())
			msleep(1);
		CHECK_EQ(write(s, "bg\n", 3), 3);
		struct termios t;
		CHECK_EQ(tcgetattr(s, &t), 0);
		CHECK_EQ(tcsetattr(s, TCSANOW, &t), 0);
		_exit(0);
	}
	stopped(q, SIGTTIN);
	guest_checkpoint();
	CHECK_EQ(tcsetpgrp(s, q), 0);
	CHECK_EQ(kill(q, SIGCONT), 0);
	CHECK_EQ(write(m, "go\n", 3), 3);
	gate_wait(&g);
	CHECK_EQ(tcsetpgrp(s, getpgrp()), 0);
	stopped(q, SIGTTOU);
	CHECK_EQ(tcsetpgrp(s, q), 0);
	CHECK_EQ(kill(q, SIGCONT), 0);
	guest_reap(q);
	SUBTEST("blocked or ignored SIGTTIN: EIO");
	CHECK_EQ(tcsetpgrp(s, p), 0);
	signal(SIGTTIN, SIG_IGN);
	CHECK_ERRNO(read(s, b, 1), EIO);
	signal(SIGTTIN, SIG_DFL);
	CHECK_EQ(write(m, "\034", 1), 1);
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK_EQ(WTERMSIG(st), SIGQUIT);
	SUBTEST("errors");
	CHECK_ERRNO(tcsetpgrp(s, 999999), ESRCH);
	CHECK_ERRNO(tcsetpgrp(s, 1), EPERM);
	CHECK_ERRNO(tcsetpgrp(s, -1), EINVAL);
	CHECK_EQ(tcsetpgrp(s, getpgrp()), 0);
	SUBTEST("hang-up: the leader gets SIGHUP and SIGCONT when the master closes");
	guest_catch(SIGHUP, 0);
	guest_block(SIGHUP);
	guest_checkpoint();
	close(m);
	sigset_t pend, none;
	CHECK_EQ(sigpending(&pend), 0);
	CHECK(sigismember(&pend, SIGHUP));
	sigemptyset(&none);
	CHECK_ERRNO(sigsuspend(&none), EINTR);
	CHECK_EQ(read(s, b, 1), 0);
	CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
	_exit(0);
}

void guest_test(void)
{
	pid_t p;

	CHILD (p)
		session();
	guest_reap(p);
	SUBTEST("the leader's exit hangs up the foreground group");
	int fds[2];
	char c;
	OK(pipe(fds));
	CHILD (p) {
		char b[64];
		int n, unlock = 0;
		pid_t q;

		CHECK(setsid() > 0);
		m = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
		OK(ioctl(m, TIOCSPTLCK, &unlock));
		OK(ioctl(m, TIOCGPTN, &n));
		snprintf(b, sizeof(b), "/dev/pts/%d", n);
		s = OK(open(b, O_RDWR)); /* without O_NOCTTY: becomes the controlling terminal */
		CHECK_EQ(tcgetsid(s), getpid());
		guest_catch(SIGHUP, 0);
		guest_block(SIGHUP);
		CHILD (q) {
			sigset_t set;

			sigemptyset(&set);
			sigaddset(&set, SIGHUP);
			CHECK_EQ(write(fds[1], "r", 1), 1);
			CHECK_EQ(sigwaitinfo(&set, NULL), SIGHUP);
			CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
			CHECK_EQ(write(fds[1], "h", 1), 1);
			_exit(0);
		}
		gate_wait(&(struct gate){fds[0], fds[1]});
		guest_checkpoint();
		_exit(0);
	}
	guest_reap(p);
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(c, 'h');
}
