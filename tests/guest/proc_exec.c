// SPDX-License-Identifier: Apache-2.0
/* execve: arguments, environment, close-on-exec, signal dispositions and masks, cwd, pid kept, auxv, name. */
#include "guest.h"
#include <sys/auxv.h>

int guest_helper(int argc, char **argv)
{
	struct sigaction sa;
	stack_t ss;
	sigset_t s;
	char buf[64], *e;

	CHECK_EQ(argc, 5);
	CHECK_STR(argv[0], "zero");
	CHECK_STR(argv[2], "");
	CHECK_STR(argv[3], "with space");
	CHECK(argv[5] == NULL);
	CHECK_EQ(atoi(argv[4]), getpid());
	CHECK_STR(getenv("A"), "1");
	CHECK_STR(getenv("B"), "");
	CHECK(environ[2] == NULL);
	SUBTEST("descriptors");
	CHECK(fcntl(50, F_GETFD) == 0);
	CHECK_ERRNO(fcntl(51, F_GETFD), EBADF);
	SUBTEST("signals");
	CHECK_EQ(sigaction(SIGUSR1, NULL, &sa), 0);
	CHECK(sa.sa_handler == SIG_DFL);
	CHECK_EQ(sa.sa_flags & (SA_RESTART | SA_ONSTACK), 0);
	CHECK_EQ(sigaction(SIGUSR2, NULL, &sa), 0);
	CHECK(sa.sa_handler == SIG_IGN);
	CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &s), 0);
	CHECK(sigismember(&s, SIGHUP));
	CHECK_EQ(sigpending(&s), 0);
	CHECK(sigismember(&s, SIGHUP));
	CHECK_EQ(sigaltstack(NULL, &ss), 0);
	CHECK_EQ(ss.ss_flags, SS_DISABLE);
	SUBTEST("name");
	CHECK_EQ(prctl(PR_GET_NAME, buf), 0);
	CHECK_STR(buf, "linked-name-is-"); /* 15 characters */
	CHECK(guest_read_file("/proc/self/comm", buf, sizeof(buf)) > 0);
	CHECK_STR(buf, "linked-name-is-\n");
	SUBTEST("auxv");
	CHECK_EQ(getauxval(AT_PAGESZ), 4096);
	CHECK_EQ(getauxval(AT_UID), getuid());
	CHECK_EQ(getauxval(AT_SECURE), 0);
	CHECK(getauxval(AT_RANDOM) != 0);
	CHECK(getauxval(AT_PHDR) != 0 && getauxval(AT_PHNUM) > 0 && getauxval(AT_ENTRY) != 0);
	CHECK_EQ(getauxval(AT_CLKTCK), 100);
	e = (char *)getauxval(AT_EXECFN);
	CHECK(e && strstr(e, "linked-name"));
	CHECK(getcwd(buf, sizeof(buf)) && strstr(buf, "/tmp"));
	return 21;
}

static void child(void)
{
	static char altstack[16384];
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)};
	char pid[16], *argv[] = {(char *)"zero", (char *)"x", (char *)"", (char *)"with space", pid, NULL};
	char *envp[] = {(char *)"A=1", (char *)"B=", NULL};

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	OK(dup2(0, 50));
	OK(dup3(0, 51, O_CLOEXEC));
	guest_catch(SIGUSR1, SA_RESTART | SA_ONSTACK);
	signal(SIGUSR2, SIG_IGN);
	CHECK_EQ(sigaltstack(&ss, NULL), 0);
	guest_block(SIGHUP);
	raise(SIGHUP);
	OK(symlink(guest_self, "linked-name-is-very-long"));
	execve("linked-name-is-very-long", argv, envp);
	CHECK(!"exec");
}

void guest_test(void)
{
	pid_t p;

	if (strncmp(guest_dir, "/tmp", 4) != 0)
		SKIP("scratch directory elsewhere");
	CHILD (p)
		child();
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 21);
	guest_checkpoint();
	unlink("linked-name-is-very-long");
	CHILD (p)
		child();
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 21);
}
