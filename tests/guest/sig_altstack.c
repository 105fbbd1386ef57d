// SPDX-License-Identifier: Apache-2.0
/*
 * sigaltstack: SA_ONSTACK, SS_ONSTACK inside, EPERM, SS_AUTODISARM, inheritance, over a checkpoint inside the
 * handler.
 */
#include "guest.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static char stack[65536];
static stack_t inside;
static uintptr_t sp_seen;
static bool checkpoint_inside;

static void handler(int sig, siginfo_t *si, void *uc)
{
	char here;
	stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};

	(void)sig, (void)si;
	sp_seen = (uintptr_t)&here;
	CHECK_EQ(sigaltstack(NULL, &inside), 0);
	if (checkpoint_inside) {
		guest_checkpoint();
		CHECK_ERRNO(sigaltstack(&other, NULL), EPERM);
		CHECK_EQ((uintptr_t)((ucontext_t *)uc)->uc_stack.ss_sp, (uintptr_t)stack);
	}
}

static bool on_alt(void)
{
	return sp_seen >= (uintptr_t)stack && sp_seen < (uintptr_t)stack + sizeof(stack);
}

static void *thread(void *arg)
{
	stack_t ss;

	CHECK_EQ(sigaltstack(NULL, &ss), 0);
	CHECK_EQ(ss.ss_flags, SS_DISABLE); /* not inherited by threads */
	return arg;
}

void guest_test(void)
{
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)}, now;
	pid_t p;

	CHECK_EQ(sigaltstack(NULL, &now), 0);
	CHECK_EQ(now.ss_flags, SS_DISABLE);
	CHECK_EQ(sigaltstack(&ss, NULL), 0);
	guest_handler(SIGUSR1, handler, SA_ONSTACK);
	guest_handler(SIGUSR2, handler, 0);
	checkpoint_inside = true;
	raise(SIGUSR1);
	checkpoint_inside = false;
	CHECK(on_alt());
	CHECK_EQ(inside.ss_flags, SS_ONSTACK);
	CHECK_EQ((uintptr_t)inside.ss_sp, (uintptr_t)stack);
	CHECK_EQ(inside.ss_size, sizeof(stack));
	CHECK_EQ(sigaltstack(NULL, &now), 0);
	CHECK_EQ(now.ss_flags, 0);
	raise(SIGUSR2);
	CHECK(!on_alt());
	CHECK_EQ(inside.ss_flags, 0);
	SUBTEST("inheritance");
	guest_join(guest_thread(thread, NULL));
	CHILD (p) {
		raise(SIGUSR1);
		CHECK(on_alt());
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("AUTODISARM");
	ss.ss_flags = (int)SS_AUTODISARM;
	CHECK_EQ(sigaltstack(&ss, NULL), 0);
	raise(SIGUSR1);
	CHECK(on_alt());
	CHECK_EQ(inside.ss_flags, SS_DISABLE);
	CHECK_EQ(sigaltstack(NULL, &now), 0);
	CHECK_EQ(now.ss_flags, (int)SS_AUTODISARM);
	SUBTEST("errors");
	ss.ss_flags = 0;
	ss.ss_size = 100;
	CHECK_ERRNO(sigaltstack(&ss, NULL), ENOMEM);
	ss.ss_flags = 0x40;
	CHECK_ERRNO(sigaltstack(&ss, NULL), EINVAL);
	CHECK_ERRNO(sigaltstack((void *)8, NULL), EFAULT);
	ss.ss_flags = SS_DISABLE;
	CHECK_EQ(sigaltstack(&ss, NULL), 0);
	raise(SIGUSR1);
	CHECK(!on_alt());
}
