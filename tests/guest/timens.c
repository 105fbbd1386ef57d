/* SPDX-License-Identifier: Apache-2.0 */
/* Time and cgroup namespaces: offsets of the monotonic clocks, who enters, what is fixed when; timers over a checkpoint. */
#include "guest.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define HOUR (3600 * 1000 * MS)

static int try_offsets(const char *text)
{
	int fd = OK(open("/proc/self/timens_offsets", O_WRONLY)), r = write(fd, text, strlen(text)) < 0 ? -errno : 0;

	close(fd);
	return r;
}

static ino_t ns(const char *path)
{
	struct stat st;

	OK(stat(path, &st));
	return st.st_ino;
}

/* Absolute times of futexes are the namespace's. */
static void futexes(void)
{
	int64_t until = now_ns(CLOCK_MONOTONIC) + 20 * MS;
	struct timespec ts = { until / (1000 * MS), until % (1000 * MS) }, past = { 1, 0 };
	uint32_t word = 0;
	struct {
		uint64_t val, addr;
		uint32_t flags, reserved;
	} v = { 0, (uintptr_t)&word, 2 /* 32 bits */, 0 };

	CHECK_ERRNO(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &ts, NULL, FUTEX_BITSET_MATCH_ANY), ETIMEDOUT);
	CHECK(now_ns(CLOCK_MONOTONIC) >= until);
	CHECK_ERRNO(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &past, NULL, FUTEX_BITSET_MATCH_ANY), ETIMEDOUT);
	until = now_ns(CLOCK_MONOTONIC) + 20 * MS;
	ts = (struct timespec){ until / (1000 * MS), until % (1000 * MS) };
	CHECK_ERRNO(syscall(449 /* futex_waitv */, &v, 1, 0, &ts, CLOCK_MONOTONIC), ETIMEDOUT);
	CHECK(now_ns(CLOCK_MONOTONIC) >= until);
	until = now_ns(CLOCK_REALTIME) + 20 * MS;
	ts = (struct timespec){ until / (1000 * MS), until % (1000 * MS) };
	CHECK_ERRNO(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &ts, NULL, FUTEX_BITSET_MATCH_ANY), ETIMEDOUT);
}

static double uptime(void)
{
	char buf[128];

	CHECK(guest_read_file("/proc/uptime", buf, sizeof(buf)) > 0);
	return strtod(buf, NULL);
}

static void inside(int64_t before)
{
	struct itimerspec its = { 0 };
	struct timespec ts;
	int64_t now = now_ns(CLOCK_MONOTONIC);
	uint64_t n;
	int fd;

	CHECK(now >= before + 10 * HOUR);
	CHECK(now < before + 11 * HOUR);
	CHECK(now_ns(CLOCK_BOOTTIME) >= 20 * HOUR);
	CHECK(uptime() >= 20 * 3600);
	futexes();
	CHECK_EQ(try_offsets("monotonic 1 0"), -EACCES); /* somebody has entered */
	guest_checkpoint();
	CHECK(now_ns(CLOCK_MONOTONIC) >= now);
	CHECK(now_ns(CLOCK_MONOTONIC) < before + 11 * HOUR);
	now = now_ns(CLOCK_MONOTONIC) + 20 * MS;
	ts = (struct timespec){ now / (1000 * MS), now % (1000 * MS) };
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL), 0);
	CHECK(now_ns(CLOCK_MONOTONIC) >= now);
	fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
	now += 40 * MS;
	its.it_value = (struct timespec){ now / (1000 * MS), now % (1000 * MS) };
	OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL));
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK(now_ns(CLOCK_MONOTONIC) >= now);
	_exit(0);
}

void guest_test(void)
{
	ino_t time0 = ns("/proc/self/ns/time"), cg0 = ns("/proc/self/ns/cgroup");
	int64_t before = now_ns(CLOCK_MONOTONIC);
	char buf[256];
	pid_t p;
	int fd;

	SUBTEST("offsets");
	CHECK_EQ(try_offsets("monotonic 1 0"), -EACCES); /* the initial namespace */
	OK(unshare(CLONE_NEWTIME));
	CHECK_EQ(ns("/proc/self/ns/time"), time0);
	CHECK(ns("/proc/self/ns/time_for_children") != time0);
	CHECK_EQ(try_offsets("monotonic x"), -EINVAL);
	CHECK_EQ(try_offsets("realtime 1 0"), -EINVAL);
	CHECK_EQ(try_offsets("monotonic 1 1000000000"), -EINVAL);
	CHECK_EQ(try_offsets("monotonic -99999999 0"), -ERANGE);
	CHECK_EQ(try_offsets("monotonic 36000 0\nboottime 72000 5"), 0);
	CHECK(guest_read_file("/proc/self/timens_offsets", buf, sizeof(buf)) > 0);
	CHECK_STR(buf, "monotonic       36000         0\nboottime        72000         5\n");
	CHECK(now_ns(CLOCK_MONOTONIC) < before + HOUR); /* we stay */
	SUBTEST("a child enters");
	CHILD (p)
		inside(before);
	guest_reap(p);
	SUBTEST("joining");
	CHILD (p) {
		fd = OK(open("/proc/self/ns/time_for_children", O_RDONLY));
		CHECK(now_ns(CLOCK_MONOTONIC) >= before + 10 * HOUR);
		fd = OK(open("/proc/1/ns/time", O_RDONLY));
		OK(setns(fd, CLONE_NEWTIME));
		CHECK(now_ns(CLOCK_MONOTONIC) < before + HOUR);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("cgroup namespace");
	fd = OK(open("/proc/self/ns/cgroup", O_RDONLY));
	OK(unshare(CLONE_NEWCGROUP));
	CHECK(ns("/proc/self/ns/cgroup") != cg0);
	OK(setns(fd, CLONE_NEWCGROUP));
	CHECK_EQ(ns("/proc/self/ns/cgroup"), cg0);
}
