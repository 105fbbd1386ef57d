// SPDX-License-Identifier: Apache-2.0
/* arch_prctl: FS and GS bases, per thread, in children, over a checkpoint; bad addresses are refused. */
#include "guest.h"
#include <asm/prctl.h>

static uint64_t area[4][8];

static uint64_t gs0(void)
{
	uint64_t v;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(v));
	return v;
}

static struct gate go;
static int ready;

static void *thread(void *arg)
{
	uint64_t *mine = area[(uintptr_t)arg];
	unsigned long v;

	CHECK_EQ(syscall(SYS_arch_prctl, ARCH_SET_GS, mine), 0);
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	gate_wait(&go);
	CHECK_EQ(gs0(), mine[0]);
	CHECK_EQ(syscall(SYS_arch_prctl, ARCH_GET_GS, &v), 0);
	CHECK_EQ(v, (uintptr_t)mine);
	return NULL;
}

void guest_test(void)
{
	pthread_t t[3];
	unsigned long fs = 0, v = 1;
	pid_t p;

	for (unsigned i = 0; i < 4; i++)
		area[i][0] = 0x1000 + i;
	gate_init(&go);
	SUBTEST("get and set");
	CHECK_EQ(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs), 0);
	CHECK_EQ(fs, (unsigned long)pthread_self());
	CHECK_EQ(syscall(SYS_arch_prctl, ARCH_GET_GS, &v), 0);
	CHECK_EQ(v, 0);
	CHECK_EQ(syscall(SYS_arch_prctl, ARCH_SET_GS, area[0]), 0);
	CHECK_EQ(gs0(), 0x1000);
	SUBTEST("errors");
	CHECK_ERRNO(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x800000000000UL), EPERM);
	CHECK_ERRNO(syscall(SYS_arch_prctl, ARCH_SET_FS, -4096L), EPERM);
	CHECK_ERRNO(syscall(SYS_arch_prctl, ARCH_GET_GS, 8UL), EFAULT);
	CHECK_ERRNO(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL);
	SUBTEST("children and threads");
	CHILD (p) {
		CHECK_EQ(gs0(), 0x1000);
		_exit(0);
	}
	guest_reap(p);
	for (uintptr_t i = 0; i < 3; i++)
		t[i] = guest_thread(thread, (void *)(i + 1));
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < 3)
		msleep(1);
	guest_checkpoint();
	CHECK_EQ(gs0(), 0x1000);
	for (int i = 0; i < 3; i++)
		gate_post(&go);
	for (int i = 0; i < 3; i++)
		guest_join(t[i]);
	v = 0;
	CHECK_EQ(syscall(SYS_arch_prctl, ARCH_GET_FS, &v), 0);
	CHECK_EQ(v, fs);
}
