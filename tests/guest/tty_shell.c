// SPDX-License-Identifier: Apache-2.0
/*
 * An interactive busybox shell on a pseudo-terminal with a stopped job, over checkpoints: jobs, fg, ^C and exit go on
 * working.
 */
#include "guest.h"

static int m;
static char log_[65536];
static size_t len;

/* Reads the terminal until `what` appears after the last match. */
static void expect(const char *what)
{
	static size_t from;
	char *at;

	for (;;) {
		struct pollfd pf = {m, POLLIN, 0};
		ssize_t r;

		at = strstr(log_ + from, what);
		if (at) {
			from = (size_t)(at - log_) + strlen(what);
			return;
		}
		if (poll(&pf, 1, 5000) != 1 || (r = read(m, log_ + len, sizeof(log_) - 1 - len)) <= 0)
			guest_fail(__FILE__, __LINE__, "no \"%s\" in: %s", what, log_ + from);
		len += (size_t)r;
	}
}

static void type(const char *s)
{
	CHECK_EQ(write(m, s, strlen(s)), strlen(s));
}

void guest_test(void)
{
	const char *bb = access("/bin/busybox", X_OK) == 0 ? "/bin/busybox" : "/usr/bin/busybox";
	int n, unlock = 0;
	char name[64], line[64];
	pid_t p;

	if (access(bb, X_OK) != 0)
		SKIP("no busybox");
	m = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
	OK(ioctl(m, TIOCSPTLCK, &unlock));
	OK(ioctl(m, TIOCGPTN, &n));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	CHILD (p) {
		int s;

		CHECK(setsid() > 0);
		s = OK(open(name, O_RDWR));
		for (int i = 0; i < 3; i++)
			dup2(s, i);
		setenv("PS1", "prompt> ", 1);
		setenv("HISTFILE", "/dev/null", 1);
		execl(bb, "sh", "-i", NULL);
		_exit(99);
	}
	expect("prompt> ");
	snprintf(line, sizeof(line), "%s sleep 1000\n", bb);
	type(line);
	while (tcgetpgrp(m) == p || tcgetpgrp(m) <= 0)
		msleep(5); /* the job is not in the foreground yet */
	msleep(50);
	type("\032");
	expect("Stopped");
	expect("prompt> ");
	guest_checkpoint();
	type("jobs\n");
	expect("Stopped");
	expect("prompt> ");
	type("fg\n");
	expect("sleep 1000");
	msleep(30);
	guest_checkpoint();
	type("\003");
	expect("prompt> ");
	type("echo $((20+3))x\n");
	expect("23x");
	type("exit 5\n");
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 5);
}
