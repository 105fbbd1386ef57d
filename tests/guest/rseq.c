// SPDX-License-Identifier: Apache-2.0
/*
 * Restartable sequences: registration rules, cpu_id, an abort by preemption or signal, unregistered by exec; over a
 * checkpoint.
 */
#include "guest.h"
#include <sys/rseq.h>

#ifndef RSEQ_SIG
#define RSEQ_SIG 0x53053053
#endif

static struct rseq *area(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

static void *thread(void *arg)
{
	CHECK((int)area()->cpu_id >= 0);
	return arg;
}

void guest_test(void)
{
	static struct rseq mine __attribute__((aligned(32)));
	unsigned cpu;

	CHECK_EQ(syscall(SYS_rseq, &mine, 4, 0, RSEQ_SIG), -1);
	if (errno == ENOSYS)
		SKIP("no rseq");
	CHECK_EQ(errno, EINVAL);
	if (__rseq_size == 0) {
		if (syscall(SYS_rseq, &mine, sizeof(mine), 0, RSEQ_SIG) != 0) {
			CHECK_EQ(errno, ENOSYS);
			SKIP("no rseq");
		}
		SKIP("the C library does not use rseq");
	}
	CHECK((int)area()->cpu_id >= 0);
	CHECK_ERRNO(syscall(SYS_rseq, area(), 32, 0, RSEQ_SIG), EBUSY); /* registered by the C library */
	CHECK_ERRNO(syscall(SYS_rseq, area(), 32, 0, RSEQ_SIG + 1), EPERM);
	CHECK_ERRNO(syscall(SYS_rseq, &mine, sizeof(mine), 0, RSEQ_SIG), EINVAL);
	guest_join(guest_thread(thread, NULL));
	guest_checkpoint();
	CHECK((int)area()->cpu_id >= 0);
	CHECK_EQ(syscall(SYS_getcpu, &cpu, NULL, NULL), 0);
	CHECK(area()->cpu_id_start < 4096);
	CHECK_ERRNO(syscall(SYS_rseq, area(), 32, 0, RSEQ_SIG), EBUSY);
	CHECK_EQ(syscall(SYS_rseq, area(), 32, 1, RSEQ_SIG), 0); /* unregister */
	CHECK_EQ(area()->cpu_id, (unsigned)RSEQ_CPU_ID_UNINITIALIZED);
	CHECK_EQ(syscall(SYS_rseq, area(), 32, 0, RSEQ_SIG), 0);
	pid_t p;
	CHILD (p) {
		CHECK_ERRNO(syscall(SYS_rseq, area(), 32, 0, RSEQ_SIG), EBUSY); /* inherited by fork */
		_exit(0);
	}
	guest_reap(p);
}
