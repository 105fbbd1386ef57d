/* SPDX-License-Identifier: Apache-2.0 */
/* The fault handler behind safecopy.h; the routines themselves are in safecopy_x86.S. */
#include "sentry/mm/safecopy.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

extern const char safecopy_text_start[], safecopy_text_end[], safecopy_fixup[];
size_t safecopy_asm(void *dst, const void *src, size_t n);
size_t safezero_asm(void *dst, size_t n);
size_t safe_load_asm(const void *p, uint32_t *ret);
size_t safe_cmpxchg_asm(void *p, uint32_t old, uint32_t new_val, uint32_t *ret_old);

static struct sigaction old_segv, old_bus;

static void on_fault(int sig, siginfo_t *si, void *uc_)
{
	ucontext_t *uc = uc_;
	uintptr_t ip = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	const struct sigaction *old = sig == SIGSEGV ? &old_segv : &old_bus;

	if (ip >= (uintptr_t)safecopy_text_start && ip < (uintptr_t)safecopy_text_end) {
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)safecopy_fixup;
		return;
	}
	if ((old->sa_flags & SA_SIGINFO) && old->sa_sigaction) {
		old->sa_sigaction(sig, si, uc_);
		return;
	}
	/* Not ours: with the default action back, the instruction faults again and the process dies where the bug is. */
	(void)signal(sig, SIG_DFL);
}

static void install(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };

	(void)sigaction(SIGSEGV, &sa, &old_segv);
	(void)sigaction(SIGBUS, &sa, &old_bus);
}

void safecopy_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, install);
}

size_t safecopy(void *dst, const void *src, size_t n)
{
	return safecopy_asm(dst, src, n);
}

size_t safezero(void *dst, size_t n)
{
	return safezero_asm(dst, n);
}

int safe_load_u32(const void *p, uint32_t *ret)
{
	return safe_load_asm(p, ret) ? -EFAULT : 0;
}

int safe_cmpxchg_u32(void *p, uint32_t old, uint32_t new_val, uint32_t *ret_old)
{
	return safe_cmpxchg_asm(p, old, new_val, ret_old) ? -EFAULT : 0;
}
