// SPDX-License-Identifier: Apache-2.0
/* clone flags: FILES, FS, VM, PARENT, SETTID/CLEARTID, exit signal, and invalid combinations. */
#include "guest.h"
#include <linux/futex.h>

static char stack[65536] __attribute__((aligned(16)));
static volatile int shared;
static pid_t ptid, ctid;

static long raw_clone(unsigned long flags, pid_t *pt, pid_t *ct)
{
	return syscall(SYS_clone, flags, NULL, pt, ct, 0);
}

static int child(void *arg)
{
	int what = (int)(intptr_t)arg;

	if (what & CLONE_FILES)
		close(100);
	if (what & CLONE_FS) {
		umask(077);
		if (chdir("sub"))
			return 1;
	}
	if (what & CLONE_VM)
		shared = 55;
	if (what & CLONE_SIGHAND)
		signal(SIGUSR1, SIG_IGN);
	return 0;
}

static void run(unsigned long flags)
{
	int st;
	pid_t p = OK(clone(child, stack + sizeof(stack), (int)flags | SIGCHLD, (void *)(intptr_t)flags));

	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK_EQ(st, 0);
}

void guest_test(void)
{
	char cwd[PATH_MAX];
	struct sigaction sa;
	pid_t p;
	int st;

	OK(mkdir("sub", 0755));
	SUBTEST("CLONE_FILES");
	OK(dup2(0, 100));
	run(0);
	CHECK(fcntl(100, F_GETFD) >= 0);
	run(CLONE_FILES);
	CHECK_ERRNO(fcntl(100, F_GETFD), EBADF);
	SUBTEST("CLONE_FS");
	run(CLONE_FS);
	CHECK_EQ(umask(022), 077);
	CHECK(getcwd(cwd, sizeof(cwd)) && strstr(cwd, "/sub"));
	OK(chdir(".."));
	SUBTEST("CLONE_VM");
	run(0);
	CHECK_EQ(shared, 0);
	run(CLONE_VM);
	CHECK_EQ(shared, 55);
	SUBTEST("CLONE_SIGHAND");
	run(CLONE_VM | CLONE_SIGHAND);
	CHECK_EQ(sigaction(SIGUSR1, NULL, &sa), 0);
	CHECK(sa.sa_handler == SIG_IGN);
	SUBTEST("SETTID");
	p = OK(raw_clone(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, &ptid, &ctid));
	if (p == 0) {
		CHECK_EQ(ctid, getpid());
		CHECK_EQ(ptid, 0); /* written in the parent, after the copy */
		_exit(0);
	}
	CHECK_EQ(ptid, p);
	CHECK_EQ(ctid, 0);
	guest_reap(p);
	SUBTEST("CHILD_CLEARTID without another user of the address space, over a checkpoint");
	volatile pid_t *word = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	struct gate g;
	gate_init(&g);
	p = OK(raw_clone(CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, (pid_t *)word));
	if (p == 0) {
		CHECK_EQ(*word, getpid());
		gate_wait(&g);
		_exit(0);
	}
	while (*word == 0)
		msleep(1);
	guest_checkpoint();
	gate_post(&g);
	guest_reap(p);
	CHECK_EQ(*word, p); /* cleared only when the address space has other users */
	SUBTEST("CLONE_PARENT");
	CHILD (p) {
		pid_t q = OK(raw_clone(CLONE_PARENT | SIGCHLD, NULL, NULL));

		if (q == 0)
			_exit(23);
		CHECK_ERRNO(waitpid(q, &st, 0), ECHILD);
		_exit(0);
	}
	int codes = 0;
	for (int i = 0; i < 2; i++) {
		CHECK(waitpid(-1, &st, 0) > 0);
		codes += WEXITSTATUS(st);
	}
	CHECK_EQ(codes, 23);
	SUBTEST("exit signal");
	guest_catch(SIGUSR2, 0);
	p = OK(raw_clone(SIGUSR2, NULL, NULL));
	if (p == 0)
		_exit(1);
	CHECK_EQ(waitpid(p, &st, __WCLONE), p);
	CHECK_EQ(guest_sig_last, SIGUSR2);
	CHECK_EQ(guest_si.si_pid, p);
	CHECK_EQ(guest_si.si_code, CLD_EXITED);
	SUBTEST("errors");
	CHECK_ERRNO(raw_clone(CLONE_SIGHAND, NULL, NULL), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_THREAD, NULL, NULL), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_THREAD | CLONE_VM, NULL, NULL), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_FS | CLONE_NEWNS, NULL, NULL), EINVAL);
	CHECK_EQ(raw_clone(CLONE_PARENT_SETTID | SIGCHLD, (pid_t *)8, NULL) == 0 ? (_exit(0), 0) : 0, 0);
	while (waitpid(-1, &st, 0) > 0)
		;
}
