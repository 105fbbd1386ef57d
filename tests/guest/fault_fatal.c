// SPDX-License-Identifier: Apache-2.0
/* Faults without a handler, or with the signal blocked or ignored, end the process with the right status. */
#include "guest.h"

static int died(void (*fn)(void))
{
	pid_t p;

	CHILD (p) {
		fn();
		_exit(0);
	}
	return guest_status(p);
}

static void segv(void)
{
	*(volatile int *)16 = 1;
}

static void segv_blocked(void)
{
	guest_block(SIGSEGV);
	guest_catch(SIGSEGV, 0);
	segv();
}

static void segv_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	segv();
}

static void on_segv(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)si, (void)uc;
	segv();
}

static void segv_in_handler(void)
{
	guest_handler(SIGSEGV, on_segv, 0);
	segv();
}

static void bad_stack(void)
{
	guest_catch(SIGUSR1, 0);
	__asm__ volatile("mov $39, %%eax\n\t syscall\n\t mov %%eax, %%edi\n\t mov $8, %%rsp\n\t mov $10, %%esi\n\t"
			 "mov $62, %%eax\n\t syscall\n\t mov $60, %%eax\n\t xor %%edi, %%edi\n\t syscall"
			 : : : "rax", "rcx", "r11", "rdi", "rsi", "memory");
}

static void ill(void)
{
	__asm__ volatile("ud2");
}

static void deep(int n)
{
	volatile char b[4096];

	b[0] = (char)n;
	if (n > 0)
		deep(n - 1);
	b[1] = b[0];
}

static void overflow(void)
{
	struct rlimit rl = {256 * 1024, 256 * 1024};

	setrlimit(RLIMIT_STACK, &rl);
	deep(1000);
}

static void do_abort(void)
{
	abort();
}

void guest_test(void)
{
	CHECK_EQ(WTERMSIG(died(segv)), SIGSEGV);
	CHECK_EQ(WTERMSIG(died(segv_blocked)), SIGSEGV);
	CHECK_EQ(WTERMSIG(died(segv_ignored)), SIGSEGV);
	CHECK_EQ(WTERMSIG(died(segv_in_handler)), SIGSEGV);
	guest_checkpoint();
	CHECK_EQ(WTERMSIG(died(bad_stack)), SIGSEGV);
	CHECK_EQ(WTERMSIG(died(ill)), SIGILL);
	CHECK_EQ(WTERMSIG(died(overflow)), SIGSEGV);
	CHECK_EQ(WTERMSIG(died(do_abort)), SIGABRT);
	CHECK(!WCOREDUMP(died(do_abort))); /* RLIMIT_CORE is 0 */
}
