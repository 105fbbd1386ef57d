// SPDX-License-Identifier: Apache-2.0
/* Hardware faults become signals with the right si_code, si_addr and trap number; handlers can repair and resume. */
#include "guest.h"
#include <setjmp.h>

static sigjmp_buf jb;
static siginfo_t si_seen;
static ucontext_t uc_seen;

static void jump(int sig, siginfo_t *si, void *uc)
{
	si_seen = *si;
	memcpy(&uc_seen.uc_mcontext, &((ucontext_t *)uc)->uc_mcontext, sizeof(uc_seen.uc_mcontext));
	siglongjmp(jb, sig);
}

static char *repair_page;

static void repair(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)uc;
	si_seen = *si;
	guest_sig_count++;
	mprotect(repair_page, PAGE, PROT_READ | PROT_WRITE);
}

static void skip_insn(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	si_seen = *si;
	((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
	((ucontext_t *)uc)->uc_mcontext.gregs[REG_RBX] = 77;
}

static volatile int zero;

void guest_test(void)
{
	char *p = OK(mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	int sigs[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	uint64_t rbx;

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		guest_handler(sigs[i], jump, SA_NODEFER);
	SUBTEST("SEGV_MAPERR");
	CHECK_EQ(munmap(p + 2 * PAGE, PAGE), 0);
	if (sigsetjmp(jb, 1) == 0) {
		*(volatile char *)(p + 2 * PAGE + 5) = 1;
		CHECK(!"reached");
	}
	CHECK_EQ(si_seen.si_signo, SIGSEGV);
	CHECK_EQ(si_seen.si_code, SEGV_MAPERR);
	CHECK_EQ((uintptr_t)si_seen.si_addr, (uintptr_t)p + 2 * PAGE + 5);
	CHECK_EQ(uc_seen.uc_mcontext.gregs[REG_TRAPNO], 14);
	CHECK_EQ(uc_seen.uc_mcontext.gregs[REG_ERR] & 6, 6); /* user, write */
	CHECK_EQ((uintptr_t)uc_seen.uc_mcontext.gregs[REG_CR2], (uintptr_t)p + 2 * PAGE + 5);
	SUBTEST("SEGV_ACCERR");
	mprotect(p + PAGE, PAGE, PROT_READ);
	if (sigsetjmp(jb, 1) == 0) {
		*(volatile char *)(p + PAGE) = 1;
		CHECK(!"reached");
	}
	CHECK_EQ(si_seen.si_code, SEGV_ACCERR);
	CHECK_EQ((uintptr_t)si_seen.si_addr, (uintptr_t)p + PAGE);
	if (sigsetjmp(jb, 1) == 0) {
		((void (*)(void))p)(); /* not executable */
		CHECK(!"reached");
	}
	CHECK_EQ(si_seen.si_code, SEGV_ACCERR);
	CHECK_EQ((uintptr_t)si_seen.si_addr, (uintptr_t)p);
	CHECK(uc_seen.uc_mcontext.gregs[REG_ERR] & 16);
	SUBTEST("non-canonical address");
	if (sigsetjmp(jb, 1) == 0) {
		*(volatile char *)0x8000000000000000UL = 1;
		CHECK(!"reached");
	}
	CHECK_EQ(si_seen.si_signo, SIGSEGV);
	CHECK_EQ(si_seen.si_code, SI_KERNEL);
	CHECK_EQ((uintptr_t)si_seen.si_addr, 0);
	SUBTEST("divide");
	if (sigsetjmp(jb, 1) == 0) {
		__asm__ volatile("xor %%edx, %%edx\n\t mov $1, %%eax\n\t idivl %0" : : "m"(zero) : "eax", "edx", "cc");
		CHECK(!"reached");
	}
	CHECK_EQ(si_seen.si_signo, SIGFPE);
	CHECK_EQ(si_seen.si_code, FPE_INTDIV);
	CHECK_EQ((uintptr_t)si_seen.si_addr, (uintptr_t)uc_seen.uc_mcontext.gregs[REG_RIP]);
	CHECK_EQ(uc_seen.uc_mcontext.gregs[REG_TRAPNO], 0);
	SUBTEST("illegal instruction");
	if (sigsetjmp(jb, 1) == 0) {
		__asm__ volatile("ud2");
		CHECK(!"reached");
	}
	CHECK_EQ(si_seen.si_signo, SIGILL);
	CHECK_EQ(si_seen.si_code, ILL_ILLOPN);
	CHECK_EQ((uintptr_t)si_seen.si_addr, (uintptr_t)uc_seen.uc_mcontext.gregs[REG_RIP]);
	SUBTEST("int3");
	if (sigsetjmp(jb, 1) == 0) {
		__asm__ volatile("int3");
		CHECK(!"reached");
	}
	CHECK_EQ(si_seen.si_signo, SIGTRAP);
	CHECK_EQ(si_seen.si_code, SI_KERNEL);
	SUBTEST("privileged instruction");
	if (sigsetjmp(jb, 1) == 0) {
		__asm__ volatile("hlt");
		CHECK(!"reached");
	}
	CHECK_EQ(si_seen.si_signo, SIGSEGV);
	CHECK_EQ(si_seen.si_code, SI_KERNEL);
	SUBTEST("repair and resume");
	repair_page = p;
	guest_handler(SIGSEGV, repair, 0);
	mprotect(p, PAGE, PROT_NONE);
	guest_checkpoint();
	*(volatile char *)(p + 9) = 42;
	CHECK_EQ(p[9], 42);
	CHECK_EQ(guest_sig_count, 1);
	CHECK_EQ((uintptr_t)si_seen.si_addr, (uintptr_t)p + 9);
	SUBTEST("handler edits the context");
	guest_handler(SIGILL, skip_insn, 0);
	__asm__ volatile("mov $1, %%rbx\n\t ud2\n\t mov %%rbx, %0" : "=r"(rbx) : : "rbx");
	CHECK_EQ(rbx, 77);
}
