// SPDX-License-Identifier: Apache-2.0
/* AVX upper halves survive system calls, signals and a checkpoint. */
#include "guest.h"

static volatile int stop;

__attribute__((target("avx"))) static void hold(uint64_t seed, bool spin)
{
	uint64_t in[16] __attribute__((aligned(32))), out[16] __attribute__((aligned(32)));

	for (int i = 0; i < 16; i++)
		in[i] = seed * 0x9e3779b97f4a7c15ULL + (uint64_t)i;
	if (spin)
		__asm__ volatile("vmovaps (%1), %%ymm0\n\t vmovaps 32(%1), %%ymm5\n\t vmovaps 64(%1), %%ymm10\n\t"
				 "vmovaps 96(%1), %%ymm15\n\t 1: cmpl $0, (%0)\n\t je 1b\n\t"
				 "vmovaps %%ymm0, (%2)\n\t vmovaps %%ymm5, 32(%2)\n\t vmovaps %%ymm10, 64(%2)\n\t"
				 "vmovaps %%ymm15, 96(%2)\n\t vzeroupper"
				 :
				 : "r"(&stop), "r"(in), "r"(out)
				 : "memory", "cc", "xmm0", "xmm5", "xmm10", "xmm15");
	else
		__asm__ volatile("vmovaps (%0), %%ymm0\n\t vmovaps 32(%0), %%ymm5\n\t vmovaps 64(%0), %%ymm10\n\t"
				 "vmovaps 96(%0), %%ymm15\n\t mov $39, %%eax\n\t syscall\n\t"
				 "mov %%eax, %%edi\n\t mov $10, %%esi\n\t mov $62, %%eax\n\t syscall\n\t"
				 "vmovaps %%ymm0, (%1)\n\t vmovaps %%ymm5, 32(%1)\n\t vmovaps %%ymm10, 64(%1)\n\t"
				 "vmovaps %%ymm15, 96(%1)\n\t vzeroupper"
				 :
				 : "r"(in), "r"(out)
				 : "memory", "cc", "rax", "rcx", "rdi", "rsi", "r11", "xmm0", "xmm5", "xmm10", "xmm15");
	CHECK(memcmp(in, out, sizeof(in)) == 0);
}

__attribute__((target("avx"))) static void clobber(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)si, (void)uc;
	__asm__ volatile("vzeroall" : : : "xmm0", "xmm5", "xmm10", "xmm15", "memory");
}

static void *thread(void *arg)
{
	hold((uint64_t)(uintptr_t)arg, true);
	return NULL;
}

void guest_test(void)
{
	pthread_t t[2];

	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx"))
		SKIP("no AVX");
	guest_handler(SIGUSR1, clobber, 0);
	SUBTEST("across kill(self) and a handler that clears everything");
	for (uint64_t i = 0; i < 50; i++)
		hold(i + 100, false);
	SUBTEST("spinning over a checkpoint");
	for (uintptr_t i = 0; i < 2; i++)
		t[i] = guest_thread(thread, (void *)(i + 1));
	msleep(20);
	guest_checkpoint();
	stop = 1;
	for (int i = 0; i < 2; i++)
		guest_join(t[i]);
	hold(7, false);
}
