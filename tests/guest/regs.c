// SPDX-License-Identifier: Apache-2.0
/*
 * All general registers, flags and the stack pointer survive system calls, preemption and a checkpoint in a spinning
 * thread.
 */
#include "guest.h"

#define PATTERN(n) (0x1111111111111111ULL * (n) ^ 0xa5a5000000005a5aULL)

/* Makes one getpid with every other register loaded; rcx and r11 are the kernel's to clobber. Returns a mask of changed registers. */
static uint64_t syscall_keeps(void)
{
	uint64_t bad;

	__asm__ volatile("push %%rbp\n\t"
			 "mov $0x1101, %%rbx\n\t mov $0x1102, %%rdx\n\t mov $0x1103, %%rsi\n\t mov $0x1104, %%rdi\n\t"
			 "mov $0x1105, %%r8\n\t mov $0x1106, %%r9\n\t mov $0x1107, %%r10\n\t mov $0x1108, %%r12\n\t"
			 "mov $0x1109, %%r13\n\t mov $0x110a, %%r14\n\t mov $0x110b, %%r15\n\t mov $0x110c, %%rbp\n\t"
			 "mov $39, %%eax\n\t"
			 "syscall\n\t"
			 "xor $0x1101, %%rbx\n\t xor $0x1102, %%rdx\n\t xor $0x1103, %%rsi\n\t xor $0x1104, %%rdi\n\t"
			 "xor $0x1105, %%r8\n\t xor $0x1106, %%r9\n\t xor $0x1107, %%r10\n\t xor $0x1108, %%r12\n\t"
			 "xor $0x1109, %%r13\n\t xor $0x110a, %%r14\n\t xor $0x110b, %%r15\n\t xor $0x110c, %%rbp\n\t"
			 "or %%rdx, %%rbx\n\t or %%rsi, %%rbx\n\t or %%rdi, %%rbx\n\t or %%r8, %%rbx\n\t or %%r9, %%rbx\n\t"
			 "or %%r10, %%rbx\n\t or %%r12, %%rbx\n\t or %%r13, %%rbx\n\t or %%r14, %%rbx\n\t or %%r15, %%rbx\n\t"
			 "or %%rbp, %%rbx\n\t"
			 "pop %%rbp\n\t"
			 "mov %%rbx, %0"
			 : "=m"(bad)
			 :
			 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
			   "memory", "cc");
	return bad;
}

static volatile int stop;

/* Spins in user mode with registers loaded until `stop`; a checkpoint catches it at an arbitrary instruction. */
static void *spin(void *arg)
{
	uint64_t bad;

	(void)arg;
	__asm__ volatile("mov $0x2201, %%rbx\n\t mov $0x2202, %%rdx\n\t mov $0x2203, %%rsi\n\t mov $0x2204, %%rcx\n\t"
			 "mov $0x2205, %%r8\n\t mov $0x2206, %%r9\n\t mov $0x2207, %%r10\n\t mov $0x2208, %%r11\n\t"
			 "mov $0x2209, %%r12\n\t mov $0x220a, %%r13\n\t mov $0x220b, %%r14\n\t mov $0x220c, %%r15\n\t"
			 "1: cmpl $0, (%%rdi)\n\t je 1b\n\t"
			 "xor $0x2201, %%rbx\n\t xor $0x2202, %%rdx\n\t xor $0x2203, %%rsi\n\t xor $0x2204, %%rcx\n\t"
			 "xor $0x2205, %%r8\n\t xor $0x2206, %%r9\n\t xor $0x2207, %%r10\n\t xor $0x2208, %%r11\n\t"
			 "xor $0x2209, %%r12\n\t xor $0x220a, %%r13\n\t xor $0x220b, %%r14\n\t xor $0x220c, %%r15\n\t"
			 "or %%rdx, %%rbx\n\t or %%rsi, %%rbx\n\t or %%rcx, %%rbx\n\t or %%r8, %%rbx\n\t or %%r9, %%rbx\n\t"
			 "or %%r10, %%rbx\n\t or %%r11, %%rbx\n\t or %%r12, %%rbx\n\t or %%r13, %%rbx\n\t or %%r14, %%rbx\n\t"
			 "or %%r15, %%rbx\n\t mov %%rbx, %%rax"
			 : "=a"(bad)
			 : "D"(&stop)
			 : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	CHECK_EQ(bad, 0);
	return NULL;
}

static uint64_t flags_after_syscall(uint64_t set)
{
	uint64_t f;

	__asm__ volatile("pushfq\n\t or %1, (%%rsp)\n\t popfq\n\t mov $39, %%eax\n\t syscall\n\t pushfq\n\t pop %0\n\t cld"
			 : "=r"(f)
			 : "r"(set)
			 : "rax", "rcx", "r11", "memory", "cc");
	return f;
}

void guest_test(void)
{
	pthread_t t;
	uint64_t rsp0, rsp1, r11, rcx, rip;

	SUBTEST("general registers across a call");
	for (int i = 0; i < 200; i++)
		CHECK_EQ(syscall_keeps(), 0);
	SUBTEST("flags");
	CHECK((flags_after_syscall(0x400) & 0x400) != 0); /* DF */
	CHECK((flags_after_syscall(0x1) & 0x1) != 0);	  /* CF */
	CHECK((flags_after_syscall(0x800) & 0x800) != 0); /* OF */
	SUBTEST("rcx is the return address and r11 the flags");
	__asm__ volatile("lea 1f(%%rip), %2\n\t mov $39, %%eax\n\t syscall\n1:\n\t mov %%rcx, %0\n\t mov %%r11, %1"
			 : "=&r"(rcx), "=&r"(r11), "=&r"(rip)
			 :
			 : "rax", "rcx", "r11", "memory");
	CHECK_EQ(rcx, rip);
	CHECK((r11 & 0x202) == 0x202);
	SUBTEST("unknown system call");
	CHECK_ERRNO(syscall(10000), ENOSYS);
	CHECK_ERRNO(syscall(-1), ENOSYS);
	CHECK_ERRNO(syscall(400), ENOSYS);
	SUBTEST("spinning over a checkpoint");
	t = guest_thread(spin, NULL);
	msleep(20);
	__asm__ volatile("mov %%rsp, %0" : "=r"(rsp0));
	guest_checkpoint();
	__asm__ volatile("mov %%rsp, %0" : "=r"(rsp1));
	CHECK_EQ(rsp0, rsp1);
	stop = 1;
	guest_join(t);
	for (int i = 0; i < 200; i++)
		CHECK_EQ(syscall_keeps(), 0);
}
