/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crash.h"

#include <signal.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"

extern const char __executable_start, etext;

#define FRAMES 24
#define WINDOW 1024 /* words of stack looked at */

static unsigned long stack_word(const unsigned long *sp, size_t i)
{
	return __atomic_load_n(sp + i, __ATOMIC_RELAXED);
}

void crash_log_callers(const void *ucontext)
{
#ifdef __x86_64__
	static const char hex[] = "0123456789abcdef";
	unsigned long base = (unsigned long)&__executable_start, end = (unsigned long)&etext;
	const ucontext_t *uc = ucontext;
	unsigned long sp = (unsigned long)uc->uc_mcontext.gregs[REG_RSP] & ~7UL;
	char line[FRAMES * 12] = "";
	size_t at = 0;

	for (size_t i = 0, n = 0; i < WINDOW && n < FRAMES && (sp + i * 8) >> 12 < (sp >> 12) + 2; i++) {
		unsigned long w = stack_word((const unsigned long *)sp, i);

		if (w < base || w >= end)
			continue;
		w -= base;
		line[at++] = ' ';
		for (int shift = 28; shift >= 0; shift -= 4)
			if (w >> shift || shift == 0)
				line[at++] = hex[w >> shift & 15];
		n++;
	}
	line[at] = '\0';
	log_error("perhaps called from%s", line);
#endif
}

static void on_crash(int sig, siginfo_t *si, void *arg)
{
	(void)signal(sig, SIG_DFL);
#ifdef __x86_64__
	unsigned long base = (unsigned long)&__executable_start, end = (unsigned long)&etext;
	const ucontext_t *uc = arg;
	unsigned long ip = (unsigned long)uc->uc_mcontext.gregs[REG_RIP];

	log_error("crash: signal %d, code %d, address %p, instruction 0x%lx", sig, si->si_code, si->si_addr,
		  ip >= base && ip < end ? ip - base : ip);
	/* A stack that ends within the window faults again: with the default action, after the line above. */
	crash_log_callers(arg);
#endif
	(void)raise(sig);
}

void crash_init(void)
{
	static char stack[32768] __attribute__((aligned(16)));
	static const int sigs[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
	struct sigaction sa = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};

	(void)sigaltstack(&ss, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		(void)sigaction(sigs[i], &sa, NULL);
}
