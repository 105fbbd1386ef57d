// SPDX-License-Identifier: Apache-2.0
/*
 * ptrace: system call stops. Entry and exit in turn over checkpoints (no stop lost, none added), PTRACE_GET_SYSCALL_INFO, changed and
 * skipped calls, PTRACE_SYSEMU, calls interrupted and restarted by signals and by checkpoints.
 */
#include "guest.h"
#include <linux/ptrace.h>
#include <sys/user.h>

long ptrace(int req, ...);

#define SYSTRAP (SIGTRAP | 0x80)

static pid_t traced(void (*fn)(void))
{
	pid_t p;
	int st;

	CHILD (p) {
		CHECK_EQ(ptrace(PTRACE_TRACEME, 0, NULL, NULL), 0);
		raise(SIGSTOP);
		fn();
		_exit(5);
	}
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
	CHECK_EQ(ptrace(PTRACE_SETOPTIONS, p, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)), 0);
	return p;
}

static struct ptrace_syscall_info info(pid_t p)
{
	struct ptrace_syscall_info i;

	memset(&i, 0, sizeof(i));
	CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, p, (void *)sizeof(i), &i) > 0);
	return i;
}

static int next(pid_t p, int req)
{
	int st;

	CHECK_EQ(ptrace(req, p, NULL, NULL), 0);
	CHECK_EQ(waitpid(p, &st, __WALL), p);
	return st;
}

/* To the entry of call @nr, passing all others. */
static struct ptrace_syscall_info entry(pid_t p, uint64_t nr)
{
	for (;;) {
		struct ptrace_syscall_info i;

		CHECK_EQ(next(p, PTRACE_SYSCALL) >> 8, SYSTRAP);
		i = info(p);
		if (i.op == PTRACE_SYSCALL_INFO_ENTRY && i.entry.nr == nr)
			return i;
	}
}

static int64_t leave(pid_t p)
{
	struct ptrace_syscall_info i;

	CHECK_EQ(next(p, PTRACE_SYSCALL) >> 8, SYSTRAP);
	i = info(p);
	CHECK_EQ(i.op, PTRACE_SYSCALL_INFO_EXIT);
	return i.exit.rval;
}

static struct user_regs_struct regs(pid_t p)
{
	struct user_regs_struct r;

	CHECK_EQ(ptrace(PTRACE_GETREGS, p, NULL, &r), 0);
	return r;
}

static void set(pid_t p, struct user_regs_struct r)
{
	CHECK_EQ(ptrace(PTRACE_SETREGS, p, NULL, &r), 0);
}

static void ends(pid_t p)
{
	int st;

	CHECK_EQ(ptrace(PTRACE_CONT, p, NULL, NULL), 0);
	st = guest_status(p);
	CHECK(WIFEXITED(st));
	CHECK_EQ(WEXITSTATUS(st), 5);
}

static int fds[2];
static volatile int handled;

static void on_usr1(int sig)
{
	handled++;
}

static void plain(void)
{
	CHECK_EQ(syscall(SYS_dup, 1234, 2, 3, 4, 5, 6), -1);
	CHECK_EQ(syscall(SYS_getppid), getppid());
	CHECK_EQ(syscall(SYS_getsid, 0), 4242); /* becomes another call with another result */
	CHECK_EQ(syscall(SYS_getuid), 77); /* skipped */
	CHECK_EQ(syscall(SYS_getgid), 88); /* emulated */
}

static void sleeper(void)
{
	struct timespec ts = { 0, 400 * MS };
	int64_t t0 = now_ns(CLOCK_MONOTONIC);

	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL), 0);
	CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 400 * MS);
}

static void reader(void)
{
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };
	char c;

	OK(sigaction(SIGUSR1, &sa, NULL));
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(c, 'x');
	CHECK_EQ(handled, 1);
}

void guest_test(void)
{
	struct ptrace_syscall_info i;
	struct user_regs_struct r;
	pid_t p;
	int st;

	SUBTEST("entry and exit");
	p = traced(plain);
	i = info(p);
	CHECK_EQ(i.op, PTRACE_SYSCALL_INFO_NONE);
	CHECK(i.instruction_pointer && i.stack_pointer);
	i = entry(p, SYS_dup);
	CHECK_EQ(i.entry.args[0], 1234);
	CHECK_EQ(i.entry.args[5], 6);
	guest_checkpoint();
	r = regs(p);
	CHECK_EQ((long)r.rax, -ENOSYS);
	CHECK_EQ(r.orig_rax, SYS_dup);
	CHECK_EQ(r.rip, i.instruction_pointer);
	CHECK_EQ(leave(p), -EBADF);
	i = info(p);
	CHECK_EQ(i.exit.is_error, 1);
	guest_checkpoint();
	CHECK_EQ((long)regs(p).rax, -EBADF);
	(void)entry(p, SYS_getppid);
	CHECK_EQ(leave(p), getpid());

	SUBTEST("changed, skipped and emulated calls");
	(void)entry(p, SYS_getsid);
	r = regs(p);
	r.orig_rax = SYS_getpgid;
	r.rdi = 0;
	set(p, r);
	guest_checkpoint();
	CHECK_EQ(leave(p), getpgid(p));
	r = regs(p);
	r.rax = 4242;
	set(p, r);
	guest_checkpoint();
	(void)entry(p, SYS_getuid);
	r = regs(p);
	r.orig_rax = (unsigned long)-1;
	r.rax = 77;
	set(p, r);
	CHECK_EQ(leave(p), 77);
	for (;;) {
		st = next(p, PTRACE_SYSEMU);
		CHECK_EQ(st >> 8, SYSTRAP);
		r = regs(p);
		if (r.orig_rax == SYS_getgid)
			break;
		CHECK(0); /* nothing else between */
	}
	guest_checkpoint();
	r.rax = 88;
	set(p, r);
	ends(p);

	SUBTEST("a sleeping call");
	p = traced(sleeper);
	(void)entry(p, SYS_clock_nanosleep);
	CHECK_EQ(ptrace(PTRACE_SYSCALL, p, NULL, NULL), 0);
	guest_checkpoint();
	CHECK_EQ(waitpid(p, &st, 0), p); /* one stop, the exit */
	CHECK_EQ(st >> 8, SYSTRAP);
	i = info(p);
	CHECK_EQ(i.op, PTRACE_SYSCALL_INFO_EXIT);
	CHECK_EQ(i.exit.rval, 0);
	ends(p);

	SUBTEST("a sleep interrupted by a dropped signal");
	p = traced(sleeper);
	(void)entry(p, SYS_clock_nanosleep);
	CHECK_EQ(ptrace(PTRACE_SYSCALL, p, NULL, NULL), 0);
	msleep(50);
	OK(kill(p, SIGUSR1));
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK_EQ(st >> 8, SYSTRAP);
	i = info(p);
	CHECK_EQ(i.op, PTRACE_SYSCALL_INFO_EXIT);
	CHECK_EQ(i.exit.rval, -516); /* ERESTART_RESTARTBLOCK */
	guest_checkpoint();
	CHECK_EQ(next(p, PTRACE_SYSCALL) >> 8, SIGUSR1);
	CHECK_EQ((long)regs(p).rax, -516);
	guest_checkpoint();
	CHECK_EQ(next(p, PTRACE_SYSCALL) >> 8, SYSTRAP);
	i = info(p);
	CHECK_EQ(i.op, PTRACE_SYSCALL_INFO_ENTRY);
	CHECK_EQ(i.entry.nr, SYS_restart_syscall);
	guest_checkpoint();
	CHECK_EQ(leave(p), 0);
	ends(p);

	SUBTEST("a read interrupted by a handler and restarted");
	OK(pipe(fds));
	p = traced(reader);
	(void)entry(p, SYS_read);
	CHECK_EQ(ptrace(PTRACE_SYSCALL, p, NULL, NULL), 0);
	guest_checkpoint();
	OK(kill(p, SIGUSR1));
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK_EQ(info(p).exit.rval, -512); /* ERESTARTSYS */
	CHECK_EQ(next(p, PTRACE_SYSCALL) >> 8, SIGUSR1);
	guest_checkpoint();
	CHECK_EQ(ptrace(PTRACE_SYSCALL, p, NULL, SIGUSR1), 0);
	CHECK_EQ(waitpid(p, &st, 0), p);
	i = info(p);
	CHECK_EQ(i.op, PTRACE_SYSCALL_INFO_ENTRY);
	CHECK_EQ(i.entry.nr, SYS_rt_sigreturn);
	(void)entry(p, SYS_read);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(leave(p), 1);
	ends(p);
}
