/* SPDX-License-Identifier: Apache-2.0 */
/* A system call is told by the low half of rax; a tracer sees the whole register, and the number alone in PTRACE_GET_SYSCALL_INFO. */
#include "guest.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#define WIDE 0xabcdef0100000000UL

static long wide_getppid(void)
{
	unsigned long rax = WIDE | SYS_getppid;

	__asm__ volatile("syscall" : "+a"(rax) : : "rcx", "r11", "memory");
	return (long)rax;
}

void guest_test(void)
{
	struct user_regs_struct r;
	struct __ptrace_syscall_info si;
	int st, seen = 0;
	pid_t p = OK(fork());

	if (p == 0) {
		OK(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		OK(raise(SIGSTOP));
		_exit(wide_getppid() == getppid() ? 0 : 1);
	}
	OK(waitpid(p, &st, 0));
	OK(ptrace(PTRACE_SETOPTIONS, p, NULL, (void *)(long)PTRACE_O_TRACESYSGOOD));
	for (;;) {
		OK(ptrace(PTRACE_SYSCALL, p, NULL, NULL));
		OK(waitpid(p, &st, 0));
		if (WIFEXITED(st))
			break;
		OK(ptrace(PTRACE_GETREGS, p, NULL, &r));
		if (r.orig_rax != (WIDE | SYS_getppid))
			continue;
		CHECK(OK(ptrace(PTRACE_GET_SYSCALL_INFO, p, (void *)sizeof(si), &si)) > 0);
		if (seen++ == 0) {
			CHECK_EQ(si.op, PTRACE_SYSCALL_INFO_ENTRY);
			CHECK_EQ(si.entry.nr, (uint64_t)SYS_getppid);
			CHECK_EQ((long)r.rax, -ENOSYS);
			guest_checkpoint();
		} else {
			CHECK_EQ(si.op, PTRACE_SYSCALL_INFO_EXIT);
		}
	}
	CHECK_EQ(seen, 2);
	CHECK_EQ(WEXITSTATUS(st), 0);
}
