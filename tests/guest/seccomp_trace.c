/* SPDX-License-Identifier: Apache-2.0 */
/* SECCOMP_RET_TRACE: the tracer sees, changes and skips calls; reading filters back. */
#include "guest.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

static struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getpgrp, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 0x123),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getuid, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 55),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static void child(void)
{
	struct sock_fprog p = { .len = ARRAY_SIZE(filter), .filter = filter };

	OK(ptrace(PTRACE_TRACEME, 0, 0, 0));
	raise(SIGSTOP);
	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p, 0, 0));
	CHECK_EQ(syscall(SYS_getpgrp), getpgid(0)); /* seen, runs */
	CHECK_EQ(syscall(SYS_getpgrp), 777); /* skipped with a value */
	CHECK_ERRNO(syscall(SYS_getpgrp), ENOSYS); /* skipped without one */
	CHECK_EQ(syscall(SYS_getpgrp), getpid()); /* made getpid */
	CHECK_ERRNO(syscall(SYS_getpgrp), 55); /* made getuid, which the filter refuses */
	raise(SIGSTOP);
	_exit(0);
}

static void event(pid_t p)
{
	unsigned long msg = 0;
	int st;

	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK_EQ(st >> 8, SIGTRAP | PTRACE_EVENT_SECCOMP << 8);
	OK(ptrace(PTRACE_GETEVENTMSG, p, 0, &msg));
	CHECK_EQ(msg, 0x123);
}

static void change(pid_t p, long nr, long rax)
{
	struct user_regs_struct r;

	OK(ptrace(PTRACE_GETREGS, p, 0, &r));
	CHECK_EQ(r.orig_rax, __NR_getpgrp);
	CHECK_EQ(r.rax, -ENOSYS);
	r.orig_rax = (unsigned long)nr;
	r.rax = (unsigned long)rax;
	OK(ptrace(PTRACE_SETREGS, p, 0, &r));
}

void guest_test(void)
{
	struct sock_filter back[ARRAY_SIZE(filter)];
	pid_t p;
	int st;

	SUBTEST("events");
	CHILD (p)
		child();
	CHECK_EQ(waitpid(p, &st, 0), p);
	OK(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESECCOMP));
	OK(ptrace(PTRACE_CONT, p, 0, 0));
	event(p);
	guest_checkpoint();
	OK(ptrace(PTRACE_CONT, p, 0, 0));
	event(p);
	change(p, -1, 777);
	guest_checkpoint();
	OK(ptrace(PTRACE_CONT, p, 0, 0));
	event(p);
	change(p, -1, -ENOSYS);
	OK(ptrace(PTRACE_CONT, p, 0, 0));
	event(p);
	change(p, __NR_getpid, -ENOSYS);
	OK(ptrace(PTRACE_CONT, p, 0, 0));
	event(p);
	change(p, __NR_getuid, -ENOSYS);
	OK(ptrace(PTRACE_CONT, p, 0, 0));
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK_EQ(st >> 8, SIGSTOP);
	SUBTEST("filters read back");
	CHECK_EQ(ptrace(PTRACE_SECCOMP_GET_FILTER, p, 0, 0), (long)ARRAY_SIZE(filter));
	CHECK_EQ(ptrace(PTRACE_SECCOMP_GET_FILTER, p, 0, back), (long)ARRAY_SIZE(filter));
	CHECK(memcmp(back, filter, sizeof(filter)) == 0);
	CHECK_ERRNO(ptrace(PTRACE_SECCOMP_GET_FILTER, p, 1, 0), ENOENT);
	OK(ptrace(PTRACE_CONT, p, 0, 0));
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK_EQ(st, 0);
}
