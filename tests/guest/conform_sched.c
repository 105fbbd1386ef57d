/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduling calls with all sorts of arguments, as root and as a user: policies, nice, attributes, ioprio, affinity. One line for each case. */
#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "guest.h"

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t prio;
	uint64_t runtime, deadline, period;
	uint32_t umin, umax;
};

static void say(const char *what, long a, long b, long r)
{
	printf("%s(%ld, %ld) = %ld %s\n", what, a, b, r < 0 ? -1L : r, r < 0 ? strerrorname_np(errno) : "");
}

static void setattr_case(const char *name, struct attr at, uint32_t size, unsigned flags)
{
	struct attr got = { 0 };
	long r;

	at.size = size;
	r = syscall(SYS_sched_setattr, 0, &at, flags);
	printf("setattr %s: %ld %s", name, r, r < 0 ? strerrorname_np(errno) : "");
	if (syscall(SYS_sched_getattr, 0, &got, 48, 0) == 0)
		printf(" -> policy %u flags %lx nice %d prio %u", got.policy, (unsigned long)got.flags, got.nice, got.prio);
	printf("\n");
}

static void cases(const char *who)
{
	static const int policies[] = { 0, 1, 2, 3, 4, 5, 6, 7, -1, 0x40000000, 0x40000001 };
	static const int prios[] = { 0, 1, 50, 99, 100, -1 };
	struct sched_param sp;
	cpu_set_t set;
	unsigned char small[4];

	printf("== %s\n", who);
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		say("prio_max", policies[i], 0, syscall(SYS_sched_get_priority_max, policies[i]));
		say("prio_min", policies[i], 0, syscall(SYS_sched_get_priority_min, policies[i]));
		for (size_t j = 0; j < ARRAY_SIZE(prios); j++) {
			sp.sched_priority = prios[j];
			errno = 0;
			say("setscheduler", policies[i], prios[j], syscall(SYS_sched_setscheduler, 0, policies[i], &sp));
			say("getscheduler", 0, 0, syscall(SYS_sched_getscheduler, 0));
			sp.sched_priority = 0;
			(void)syscall(SYS_sched_setscheduler, 0, 0, &sp);
		}
	}
	for (int n = -25; n <= 25; n += 5) {
		say("setpriority", PRIO_PROCESS, n, setpriority(PRIO_PROCESS, 0, n));
		errno = 0;
		say("getpriority", PRIO_PROCESS, 0, syscall(SYS_getpriority, PRIO_PROCESS, 0));
	}
	say("setpriority", 3, 0, setpriority(3, 0, 0));
	say("setpriority", PRIO_PROCESS, 99999, setpriority(PRIO_PROCESS, 99999, 0));
	setattr_case("other", (struct attr){ .policy = 0, .nice = 5 }, 48, 0);
	setattr_case("lower nice", (struct attr){ .policy = 0, .nice = 1 }, 48, 0);
	setattr_case("negative nice", (struct attr){ .policy = 0, .nice = -5 }, 48, 0);
	setattr_case("nice out of range", (struct attr){ .policy = 0, .nice = 100 }, 48, 0);
	setattr_case("batch", (struct attr){ .policy = 3, .nice = 19 }, 48, 0);
	setattr_case("idle", (struct attr){ .policy = 5, .nice = 19 }, 48, 0);
	setattr_case("fifo", (struct attr){ .policy = 1, .prio = 3 }, 48, 0);
	setattr_case("fifo prio 0", (struct attr){ .policy = 1 }, 48, 0);
	setattr_case("reset on fork", (struct attr){ .policy = 0, .flags = 1, .nice = 19 }, 48, 0);
	setattr_case("clear reset", (struct attr){ .policy = 0, .nice = 19 }, 48, 0);
	setattr_case("keep policy", (struct attr){ .policy = 7, .flags = 8, .nice = 19 }, 48, 0);
	setattr_case("keep params", (struct attr){ .policy = 0, .flags = 0x10, .nice = -20 }, 48, 0);
	setattr_case("unknown flag", (struct attr){ .flags = 0x100 }, 48, 0);
	setattr_case("bad size", (struct attr){ 0 }, 40, 0);
	setattr_case("size 0", (struct attr){ .nice = 19 }, 0, 0);
	setattr_case("flags", (struct attr){ 0 }, 48, 1);
	setattr_case("other with prio", (struct attr){ .policy = 0, .prio = 1 }, 48, 0);
	setattr_case("deadline zero", (struct attr){ .policy = 6 }, 48, 0);
	(void)setpriority(PRIO_PROCESS, 0, 0);
	for (int c = 0; c <= 4; c++)
		for (int l = 0; l <= 8; l += 4) {
			say("ioprio_set", c, l, syscall(SYS_ioprio_set, 1, 0, c << 13 | l));
			say("ioprio_get", c, l, syscall(SYS_ioprio_get, 1, 0));
		}
	say("ioprio_set", 9, 0, syscall(SYS_ioprio_set, 9, 0, 0));
	say("ioprio_get", 1, 99999, syscall(SYS_ioprio_get, 1, 99999));
	CPU_ZERO(&set);
	say("setaffinity empty", 0, 0, syscall(SYS_sched_setaffinity, 0, sizeof(set), &set));
	CPU_SET(0, &set);
	say("setaffinity 0", 0, 0, syscall(SYS_sched_setaffinity, 0, sizeof(set), &set));
	say("getaffinity count", 0, 0, sched_getaffinity(0, sizeof(set), &set) < 0 ? -1 : CPU_COUNT(&set));
	say("getaffinity small", 0, 0, syscall(SYS_sched_getaffinity, 0, sizeof(small), small));
	say("getaffinity odd", 0, 0, syscall(SYS_sched_getaffinity, 0, 12, &set));
	say("setaffinity pid", 0, 0, syscall(SYS_sched_setaffinity, 99999, sizeof(set), &set));
	say("setaffinity null", 0, 0, syscall(SYS_sched_setaffinity, 0, sizeof(set), NULL));
	say("getparam null", 0, 0, syscall(SYS_sched_getparam, 0, NULL));
	say("getscheduler", -1, 0, syscall(SYS_sched_getscheduler, -1));
	say("rr_interval", -1, 0, syscall(SYS_sched_rr_get_interval, -1, &set));
	say("getcpu null", 0, 0, syscall(SYS_getcpu, NULL, NULL, NULL));
	if (getuid())
		say("other's setpriority", 1, 0, setpriority(PRIO_PROCESS, 1, 5));
}

void guest_test(void)
{
	pid_t p;

	CHILD (p) {
		cases("root");
		fflush(stdout);
		_exit(0);
	}
	guest_reap(p);
	CHILD (p) {
		OK(setresgid(1000, 1000, 1000));
		OK(setresuid(1000, 1000, 1000));
		cases("user");
		fflush(stdout);
		_exit(0);
	}
	guest_reap(p);
}
