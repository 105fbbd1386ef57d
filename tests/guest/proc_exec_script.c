// SPDX-License-Identifier: Apache-2.0
/* #! scripts: argument, nesting and its limit, missing interpreter, long lines, relative paths. */
#include "guest.h"

int guest_helper(int argc, char **argv)
{
	/* Prints the arguments, separated, for the caller to compare. */
	for (int i = 1; i < argc; i++)
		dprintf(1, "[%s]", argv[i]);
	return 0;
}

static void script(const char *name, const char *fmt, const char *interp)
{
	char b[PATH_MAX + 100];

	snprintf(b, sizeof(b), fmt, interp);
	guest_write_file(name, b);
	OK(chmod(name, 0755));
}

static void check(const char *prog, const char *want)
{
	char buf[1024], *av[] = {(char *)"argv0", (char *)"a b", (char *)"c", NULL}, *ev[] = {NULL};
	int fds[2], n = 0;
	ssize_t r;
	pid_t p;

	OK(pipe(fds));
	CHILD (p) {
		dup2(fds[1], 1);
		execve(prog, av, ev);
		dprintf(1, "errno %d", errno);
		_exit(0);
	}
	close(fds[1]);
	while ((r = read(fds[0], buf + n, sizeof(buf) - 1 - (size_t)n)) > 0)
		n += (int)r;
	buf[n] = 0;
	close(fds[0]);
	guest_reap(p);
	CHECK_STR(buf, want);
}

static void all(void)
{
	check("./s1", "[./s1][a b][c]");
	check("./s2", "[one arg with  spaces][./s2][a b][c]");
	check("./s3", "[x][./s3][a b][c]");
	check("./n1", "[x][./s3][mid][./n1][a b][c]");
	check("s1", "[s1][a b][c]");
}

void guest_test(void)
{
	char want[64];

	script("s1", "#!%s\nignored", guest_self);
	script("s2", "#!%s   one arg with  spaces  \t\n", guest_self);
	script("s3", "#! \t %s x", guest_self); /* no newline at the end */
	script("n1", "#!%s mid\n", "./s3");
	all();
	guest_checkpoint();
	all();
	SUBTEST("nesting limit");
	script("n2", "#!%s\n", "./n1");
	script("n3", "#!%s\n", "./n2");
	script("n4", "#!%s\n", "./n3");
	script("n5", "#!%s\n", "./n4");
	check("./n2", "[x][./s3][mid][./n1][./n2][a b][c]");
	check("./n3", "[x][./s3][mid][./n1][./n2][./n3][a b][c]");
	snprintf(want, sizeof(want), "errno %d", ELOOP);
	check("./n5", want);
	SUBTEST("errors");
	script("e1", "#!%s\n", "/no/such/interpreter");
	snprintf(want, sizeof(want), "errno %d", ENOENT);
	check("./e1", want);
	script("e2", "#!%s\n", "");
	snprintf(want, sizeof(want), "errno %d", ENOEXEC);
	check("./e2", want);
	guest_write_file("noexec", "x");
	script("e3", "#!%s\n", "./noexec");
	snprintf(want, sizeof(want), "errno %d", EACCES);
	check("./e3", want);
	script("e4", "#!%s\n", "/tmp");
	check("./e4", want);
	script("e5", "#%s\n", guest_self);
	snprintf(want, sizeof(want), "errno %d", ENOEXEC);
	check("./e5", want);
}
