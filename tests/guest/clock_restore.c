// SPDX-License-Identifier: Apache-2.0
/*
 * Clocks and timers over a checkpoint: monotonic time never goes back and includes no more than the real time that passed; a timer of either clock fires
 * once and not early, whatever `restore --clock` says.
 */
#include "guest.h"
#include <signal.h>
#include <sys/timerfd.h>

#define SLACK (20 * MS)

struct stamp {
	int64_t mono, boot, raw, real;
};

static struct stamp take(void)
{
	return (struct stamp){now_ns(CLOCK_MONOTONIC), now_ns(CLOCK_BOOTTIME), now_ns(CLOCK_MONOTONIC_RAW), now_ns(CLOCK_REALTIME)};
}

static double uptime(void)
{
	char buf[128];

	CHECK(guest_read_file("/proc/uptime", buf, sizeof(buf)) > 0);
	return strtod(buf, NULL);
}

static struct itimerspec after(int64_t ns)
{
	return (struct itimerspec){.it_value = {ns / (1000 * MS), ns % (1000 * MS)}};
}

static void clocks(void)
{
	struct stamp a = take(), b;
	double up = uptime();

	guest_checkpoint();
	b = take();
	CHECK(b.mono >= a.mono && b.boot >= a.boot && b.raw >= a.raw);
	CHECK(b.mono - a.mono <= b.real - a.real + SLACK);
	CHECK(b.boot - a.boot <= b.real - a.real + SLACK);
	CHECK(uptime() >= up);
}

/* A relative time-out is not early on the clock it is measured by, and is not restarted from its beginning. */
static void sleeper(void)
{
	int64_t t0 = now_ns(CLOCK_MONOTONIC);
	pid_t p;

	CHILD (p) {
		struct timespec ts = {0, 400 * MS};

		CHECK_EQ(nanosleep(&ts, NULL), 0);
		CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 400 * MS);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	guest_reap(p);
}

static void realtime_timer(void)
{
	int fd = OK(timerfd_create(CLOCK_REALTIME, 0));
	int64_t when = now_ns(CLOCK_REALTIME) + 300 * MS;
	struct itimerspec its = after(when);
	uint64_t n;

	CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL), 0);
	guest_checkpoint();
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK_EQ(n, 1);
	CHECK(now_ns(CLOCK_REALTIME) >= when);
	close(fd);
}

static void interval(void)
{
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
	struct itimerspec its = after(50 * MS), cur;
	uint64_t n, total = 0;
	int64_t t0 = now_ns(CLOCK_MONOTONIC);

	its.it_interval = its.it_value;
	CHECK_EQ(timerfd_settime(fd, 0, &its, NULL), 0);
	guest_checkpoint();
	while (total < 6) {
		CHECK_EQ(read(fd, &n, 8), 8);
		total += n;
	}
	/* No tick is lost or invented: as many as periods have passed. */
	CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= (int64_t)total * 50 * MS);
	CHECK_EQ(timerfd_gettime(fd, &cur), 0);
	CHECK(cur.it_value.tv_nsec > 0 && cur.it_value.tv_nsec <= 50 * MS);
	close(fd);
}

static void alarm_signal(void)
{
	sigset_t set;
	siginfo_t si;
	int64_t t0 = now_ns(CLOCK_MONOTONIC);

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	alarm(1);
	guest_checkpoint();
	CHECK_EQ(sigwaitinfo(&set, &si), SIGALRM);
	CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 1000 * MS);
}

static void posix_timer(void)
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec its = after(100 * MS);
	sigset_t set;
	siginfo_t si;
	timer_t id;
	int64_t t0;

	its.it_interval = its.it_value;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, &ev, &id), 0);
	t0 = now_ns(CLOCK_MONOTONIC);
	CHECK_EQ(timer_settime(id, 0, &its, NULL), 0);
	guest_checkpoint();
	msleep(250);
	CHECK_EQ(sigwaitinfo(&set, &si), SIGUSR1);
	CHECK((now_ns(CLOCK_MONOTONIC) - t0) / (100 * MS) >= si.si_overrun + 1);
	CHECK(si.si_overrun >= 1);
	CHECK_EQ(timer_delete(id), 0);
}

void guest_test(void)
{
	SUBTEST("clocks");
	clocks();
	SUBTEST("a sleep");
	sleeper();
	SUBTEST("an absolute timer of the realtime clock");
	realtime_timer();
	SUBTEST("an interval timer");
	interval();
	SUBTEST("alarm");
	alarm_signal();
	SUBTEST("a POSIX timer");
	posix_timer();
}
