// SPDX-License-Identifier: Apache-2.0
/* sched_* and priorities: affinity, policies, nice values, inheritance and errors, over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	cpu_set_t set, all;
	struct sched_param sp = {0};
	struct timespec ts;
	pid_t p;

	CHECK_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
	CHECK(CPU_COUNT(&all) >= 1);
	int first = 0;
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&set);
	CPU_SET(first, &set);
	CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, 5), 0);
	CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
	CHECK_EQ(sched_setscheduler(0, SCHED_BATCH, &sp), 0);
	guest_checkpoint();
	CPU_ZERO(&set);
	CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
	CHECK_EQ(CPU_COUNT(&set), 1);
	CHECK(CPU_ISSET(first, &set));
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 5);
	CHECK_EQ(sched_getscheduler(0), SCHED_BATCH);
	CHILD (p) {
		CHECK_EQ(getpriority(PRIO_PROCESS, 0), 5);
		CHECK_EQ(sched_getscheduler(0), SCHED_BATCH);
		CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
		CHECK_EQ(CPU_COUNT(&set), 1);
		OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, 0), EACCES);
		CHECK_EQ(setpriority(PRIO_PROCESS, 0, 100), 0); /* clamped */
		CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
		CHECK_ERRNO(setpriority(PRIO_PROCESS, getppid(), 7), EPERM);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("errors");
	CPU_ZERO(&set);
	CHECK_ERRNO(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	CHECK_ERRNO(sched_getaffinity(999999, sizeof(set), &set), ESRCH);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 3, &set), EINVAL);
	CHECK_ERRNO(sched_setscheduler(0, 99, &sp), EINVAL);
	sp.sched_priority = 5;
	CHECK_ERRNO(sched_setscheduler(0, SCHED_OTHER, &sp), EINVAL);
	CHECK_ERRNO(sched_getscheduler(-1), EINVAL);
	CHECK_ERRNO(getpriority(99, 0), EINVAL);
	CHECK_ERRNO(getpriority(PRIO_PROCESS, 999999), ESRCH);
	CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
	CHECK_EQ(sched_get_priority_min(SCHED_RR), 1);
	CHECK_EQ(sched_get_priority_max(SCHED_OTHER), 0);
	CHECK_ERRNO(sched_get_priority_max(77), EINVAL);
	CHECK_EQ(sched_rr_get_interval(0, &ts), 0);
	CHECK_EQ(sched_yield(), 0);
	unsigned cpu = 9999;
	CHECK_EQ(syscall(SYS_getcpu, &cpu, NULL, NULL), 0);
	CHECK(cpu < 4096);
}
