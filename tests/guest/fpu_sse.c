// SPDX-License-Identifier: Apache-2.0
/* XMM registers and MXCSR survive system calls, context switches, signal handlers and a checkpoint in user code. */
#include "guest.h"

static volatile int stop;

static void *spin(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg, out[32] __attribute__((aligned(16))), in[32] __attribute__((aligned(16)));

	for (int i = 0; i < 32; i++)
		in[i] = seed * 0x9e3779b97f4a7c15ULL + (uint64_t)i;
#define LD(n) "movaps " #n "*16(%1), %%xmm" #n "\n\t"
#define ST(n) "movaps %%xmm" #n ", " #n "*16(%2)\n\t"
	__asm__ volatile(LD(0) LD(1) LD(2) LD(3) LD(4) LD(5) LD(6) LD(7) LD(8) LD(9) LD(10) LD(11) LD(12) LD(13) LD(14) LD(15)
			 "1: cmpl $0, (%0)\n\t pause\n\t je 1b\n\t"
			 ST(0) ST(1) ST(2) ST(3) ST(4) ST(5) ST(6) ST(7) ST(8) ST(9) ST(10) ST(11) ST(12) ST(13) ST(14) ST(15)
			 :
			 : "r"(&stop), "r"(in), "r"(out)
			 : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
			   "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	CHECK(memcmp(in, out, sizeof(in)) == 0);
	return NULL;
}

static uint32_t get_mxcsr(void)
{
	uint32_t v;

	__asm__ volatile("stmxcsr %0" : "=m"(v));
	return v;
}

static void set_mxcsr(uint32_t v)
{
	__asm__ volatile("ldmxcsr %0" : : "m"(v));
}

static uint32_t handler_mxcsr;

static void clobber(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)si, (void)uc;
	handler_mxcsr = get_mxcsr();
	set_mxcsr(0x1f80);
	__asm__ volatile("pxor %%xmm0, %%xmm0\n\t pxor %%xmm7, %%xmm7\n\t pxor %%xmm15, %%xmm15" : : : "xmm0", "xmm7", "xmm15");
}

void guest_test(void)
{
	pthread_t t[4];
	uint64_t v[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL}, a[2], b[2], c[2];

	SUBTEST("signal handler clobbers");
	guest_handler(SIGUSR1, clobber, 0);
	set_mxcsr(0x7f80); /* round to zero */
	__asm__ volatile("movups (%4), %%xmm0\n\t movups (%4), %%xmm7\n\t movups (%4), %%xmm15\n\t"
			 "mov $39, %%eax\n\t syscall\n\t mov %%eax, %%edi\n\t mov %5, %%esi\n\t mov $62, %%eax\n\t syscall\n\t"
			 "movups %%xmm0, %0\n\t movups %%xmm7, %1\n\t movups %%xmm15, %2"
			 : "=m"(a), "=m"(b), "=m"(c)
			 : "m"(v), "r"(v), "i"(SIGUSR1)
			 : "rax", "rcx", "r11", "rdi", "rsi", "memory", "xmm0", "xmm7", "xmm15");
	CHECK_EQ(get_mxcsr() & 0xffc0, 0x7f80);
	CHECK(memcmp(a, v, 16) == 0);
	CHECK(memcmp(b, v, 16) == 0);
	CHECK(memcmp(c, v, 16) == 0);
	SUBTEST("fork inherits MXCSR");
	pid_t p;
	CHILD (p) {
		CHECK_EQ(get_mxcsr() & 0xffc0, 0x7f80);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("threads hold XMM over a checkpoint");
	for (uintptr_t i = 0; i < 4; i++)
		t[i] = guest_thread(spin, (void *)(i + 1));
	msleep(20);
	guest_checkpoint();
	CHECK_EQ(get_mxcsr() & 0xffc0, 0x7f80);
	stop = 1;
	for (int i = 0; i < 4; i++)
		guest_join(t[i]);
}
