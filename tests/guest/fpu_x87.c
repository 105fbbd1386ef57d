// SPDX-License-Identifier: Apache-2.0
/* The x87 stack, control and status words survive system calls, signal handlers and a checkpoint. */
#include "guest.h"

static uint16_t get_cw(void)
{
	uint16_t v;

	__asm__ volatile("fnstcw %0" : "=m"(v));
	return v;
}

static void set_cw(uint16_t v)
{
	__asm__ volatile("fldcw %0" : : "m"(v));
}

static uint16_t handler_cw;

static void clobber(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)si, (void)uc;
	handler_cw = get_cw();
	__asm__ volatile("fninit\n\t fldz\n\t fldz\n\t fldz" : : : "memory");
}

static volatile int stop;

static void *spin(void *arg)
{
	double a, b, c;

	(void)arg;
	__asm__ volatile("fninit\n\t fld1\n\t fldpi\n\t fldl2e\n\t 1: cmpl $0, (%0)\n\t je 1b\n\t"
			 "fstpl (%1)\n\t fstpl (%2)\n\t fstpl (%3)"
			 :
			 : "r"(&stop), "r"(&a), "r"(&b), "r"(&c)
			 : "memory", "cc");
	CHECK(a > 1.44 && a < 1.45);
	CHECK(b > 3.14 && b < 3.15);
	CHECK(c == 1.0);
	return NULL;
}

void guest_test(void)
{
	long double x;
	uint16_t sw;
	pthread_t t;

	guest_handler(SIGUSR1, clobber, 0);
	SUBTEST("stack and control word around a handler");
	set_cw(0x0f7f); /* round to zero, all masked, extended */
	__asm__ volatile("fldpi\n\t mov $39, %%eax\n\t syscall\n\t mov %%eax, %%edi\n\t mov $10, %%esi\n\t mov $62, %%eax\n\t"
			 "syscall\n\t fnstsw %1\n\t fstpt %0"
			 : "=m"(x), "=m"(sw)
			 :
			 : "rax", "rcx", "r11", "rdi", "rsi", "memory");
	CHECK(x > 3.14159265358979L && x < 3.1415926535898L);
	CHECK_EQ((sw >> 11) & 7, 7); /* TOP: one value pushed */
	CHECK_EQ(get_cw(), 0x0f7f);
	CHECK_EQ(handler_cw, 0x037f); /* handlers start with fresh FPU state */
	SUBTEST("over a checkpoint");
	t = guest_thread(spin, NULL);
	msleep(10);
	guest_checkpoint();
	stop = 1;
	guest_join(t);
	CHECK_EQ(get_cw(), 0x0f7f);
	set_cw(0x037f);
}
