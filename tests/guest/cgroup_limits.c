/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What controllers of cgroup v2 enforce: pids.max, memory.max with the OOM killer (by oom_score_adj, with oom.group), cpu.max, cpuset. Needs a mount whose root gives
 * these controllers, which a host with version 1 hierarchies does not.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>

#include "guest.h"

static char buf[8192];

static ssize_t put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), e;
	ssize_t r;

	if (fd < 0)
		return -1;
	r = write(fd, text, strlen(text));
	e = errno;
	close(fd);
	errno = e;
	return r;
}

#define PUT(path, text) CHECK_EQ(put(path, text), (ssize_t)strlen(text))

static char *get(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	CHECK(fd >= 0);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	CHECK(n >= 0);
	buf[n] = '\0';
	return buf;
}

static long field(const char *path, const char *name)
{
	size_t n = strlen(name);

	for (char *s = get(path); s && *s; s = strchr(s, '\n') ? strchr(s, '\n') + 1 : NULL)
		if (!strncmp(s, name, n) && s[n] == ' ')
			return atol(s + n + 1);
	return -1;
}

static void pids(void)
{
	pid_t p;

	SUBTEST("pids");
	OK(mkdir("mnt/p", 0755));
	PUT("mnt/p/pids.max", "3");
	CHECK_STR(get("mnt/p/pids.max"), "3\n");
	CHECK_ERRNO(put("mnt/p/pids.max", "-1"), EINVAL);
	CHECK_ERRNO(put("mnt/p/pids.max", "4194304"), EINVAL);
	CHILD (p) {
		pid_t a, b;

		PUT("mnt/p/cgroup.procs", "0");
		CHECK_STR(get("mnt/p/pids.current"), "1\n");
		a = guest_fork();
		if (a == 0)
			for (;;)
				pause();
		b = guest_fork();
		if (b == 0)
			_exit(0);
		/* A zombie counts until it is reaped. */
		while (kill(b, 0) == 0 && field("mnt/p/pids.events", "max") == 0 && fork() != -1)
			CHECK(0);
		CHECK_EQ(errno, EAGAIN);
		guest_checkpoint();
		CHECK_STR(get("mnt/p/pids.current"), "3\n");
		CHECK_STR(get("mnt/p/pids.peak"), "3\n");
		CHECK_ERRNO(fork(), EAGAIN);
		CHECK_EQ(field("mnt/p/pids.events", "max"), 2);
		guest_reap(b);
		b = guest_fork();
		if (b == 0)
			_exit(0);
		guest_reap(b);
		kill(a, SIGKILL);
		waitpid(a, NULL, 0);
		PUT("mnt/p/pids.max", "max");
		_exit(0);
	}
	guest_reap(p);
	OK(rmdir("mnt/p"));
}

/* Touches memory, page by page, for ever. */
static void eat(void)
{
	for (;;) {
		char *m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(m != MAP_FAILED);
		memset(m, 1, 1 << 20);
	}
}

static void adj(const char *v)
{
	PUT("/proc/self/oom_score_adj", v);
}

static void memory(void)
{
	struct pollfd pf = { .events = POLLPRI };
	pid_t p, quiet;
	long now;

	SUBTEST("memory");
	OK(mkdir("mnt/m", 0755));
	PUT("mnt/m/memory.max", "32M");
	CHECK_STR(get("mnt/m/memory.max"), "33554432\n");
	PUT("mnt/m/memory.high", "max");
	PUT("mnt/m/memory.low", "4097");
	CHECK_STR(get("mnt/m/memory.low"), "4096\n");
	CHECK_ERRNO(put("mnt/m/memory.max", "lots"), EINVAL);
	CHECK_STR(get("mnt/m/memory.swap.current"), "0\n");
	pf.fd = OK(open("mnt/m/memory.events", O_RDONLY));
	CHECK(read(pf.fd, buf, sizeof(buf)) > 0);
	quiet = guest_fork();
	if (quiet == 0) {
		char *m;

		PUT("mnt/m/cgroup.procs", "0");
		m = mmap(NULL, 20 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(m != MAP_FAILED);
		memset(m, 1, 20 << 20);
		for (;;)
			pause();
	}
	guest_blocked(quiet);
	while (field("mnt/m/memory.stat", "anon") < 20 << 20)
		msleep(1);
	now = atol(get("mnt/m/memory.current"));
	CHECK(now >= 20 << 20);
	CHECK(now < 28 << 20);
	guest_checkpoint();
	now = atol(get("mnt/m/memory.current"));
	CHECK(now >= 20 << 20);
	CHECK(now < 28 << 20);
	CHILD (p) {
		PUT("mnt/m/cgroup.procs", "0");
		adj("1000"); /* the other one is larger */
		eat();
	}
	CHECK_EQ(guest_status(p), SIGKILL);
	CHECK_EQ(waitpid(quiet, NULL, WNOHANG), 0);
	CHECK(field("mnt/m/memory.events", "oom_kill") == 1);
	CHECK(field("mnt/m/memory.events", "oom") >= 1);
	CHECK(field("mnt/m/memory.events", "max") >= 1);
	CHECK_EQ(OK(poll(&pf, 1, -1)), 1);
	CHECK(pf.revents & POLLPRI);
	close(pf.fd);

	SUBTEST("group");
	PUT("mnt/m/memory.oom.group", "1");
	CHILD (p) {
		PUT("mnt/m/cgroup.procs", "0");
		eat();
	}
	CHECK_EQ(guest_status(p), SIGKILL);
	CHECK_EQ(guest_status(quiet), SIGKILL);
	CHECK_EQ(field("mnt/m/memory.events", "oom_group_kill"), 1);
	CHECK_EQ(field("mnt/m/memory.events", "oom_kill"), 3);
	guest_checkpoint();
	CHECK_EQ(field("mnt/m/memory.events", "oom_kill"), 3);
	CHECK(atol(get("mnt/m/memory.peak")) >= 32 << 20);
	OK(rmdir("mnt/m"));
}

static void cpu(void)
{
	int64_t used;
	cpu_set_t set;
	pid_t p;

	SUBTEST("cpu");
	OK(mkdir("mnt/c", 0755));
	CHECK_STR(get("mnt/c/cpu.max"), "max 100000\n");
	CHECK_STR(get("mnt/c/cpu.weight"), "100\n");
	CHECK_ERRNO(put("mnt/c/cpu.weight", "0"), ERANGE);
	CHECK_ERRNO(put("mnt/c/cpu.max", "10"), EINVAL);
	PUT("mnt/c/cpu.max", "10000 50000");
	CHECK_STR(get("mnt/c/cpu.max"), "10000 50000\n");
	PUT("mnt/c/cpu.weight.nice", "-5");
	CHECK_STR(get("mnt/c/cpu.weight"), "305\n");
	CHILD (p) {
		PUT("mnt/c/cgroup.procs", "0");
		for (;;)
			;
	}
	while (field("mnt/c/cpu.stat", "nr_throttled") < 3)
		msleep(1);
	guest_checkpoint();
	used = field("mnt/c/cpu.stat", "usage_usec");
	CHECK(used > 0);
	CHECK(field("mnt/c/cpu.stat", "nr_periods") >= 1);
	while (field("mnt/c/cpu.stat", "usage_usec") == used)
		msleep(1);
	kill(p, SIGKILL);
	CHECK_EQ(guest_status(p), SIGKILL);

	SUBTEST("cpuset");
	PUT("mnt/c/cpuset.cpus", "0");
	CHECK_STR(get("mnt/c/cpuset.cpus.effective"), "0\n");
	CHECK_ERRNO(put("mnt/c/cpuset.cpus", "zero"), EINVAL);
	CHILD (p) {
		PUT("mnt/c/cgroup.procs", "0");
		OK(sched_getaffinity(0, sizeof(set), &set));
		CHECK_EQ(CPU_COUNT(&set), 1);
		CHECK(CPU_ISSET(0, &set));
		CPU_SET(1, &set);
		OK(sched_setaffinity(0, sizeof(set), &set));
		OK(sched_getaffinity(0, sizeof(set), &set));
		CHECK_EQ(CPU_COUNT(&set), 1);
		_exit(0);
	}
	guest_reap(p);
	OK(rmdir("mnt/c"));
}

static void control(void)
{
	SUBTEST("subtree_control");
	OK(mkdir("mnt/s", 0755));
	OK(mkdir("mnt/s/t", 0755));
	CHECK_ERRNO(access("mnt/s/t/pids.max", F_OK), ENOENT);
	CHECK_ERRNO(put("mnt/s/t/cgroup.subtree_control", "+pids"), ENOENT);
	PUT("mnt/s/cgroup.subtree_control", "+pids +memory");
	CHECK_STR(get("mnt/s/t/cgroup.controllers"), "memory pids\n");
	OK(access("mnt/s/t/pids.max", F_OK));
	PUT("mnt/s/t/cgroup.subtree_control", "+pids");
	CHECK_ERRNO(put("mnt/s/cgroup.subtree_control", "-pids"), EBUSY);
	CHECK_ERRNO(put("mnt/s/cgroup.procs", "0"), EBUSY); /* it has children that share memory */
	PUT("mnt/s/t/cgroup.subtree_control", "-pids");
	PUT("mnt/s/t/memory.max", "1G");
	guest_checkpoint();
	CHECK_STR(get("mnt/s/t/memory.max"), "1073741824\n");
	PUT("mnt/s/cgroup.subtree_control", "-pids -memory");
	CHECK_ERRNO(access("mnt/s/t/pids.max", F_OK), ENOENT);
	OK(rmdir("mnt/s/t"));
	OK(rmdir("mnt/s"));
}

void guest_test(void)
{
	char self[16], *s, *next;

	OK(mkdir("mnt", 0755));
	if (mount("cgroup2", "mnt", "cgroup2", 0, NULL) < 0)
		SKIP("no cgroup2");
	if (!strstr(get("mnt/cgroup.controllers"), "memory"))
		SKIP("no controllers");
	/* Out of the way: the root may not give controllers while it has processes. */
	if (mkdir("mnt/self", 0755) < 0)
		CHECK_EQ(errno, EEXIST); /* made by the round before */
	for (s = strdup(get("mnt/cgroup.procs")); *s; s = next) {
		next = strchr(s, '\n') + 1;
		snprintf(self, sizeof(self), "%d", atoi(s));
		PUT("mnt/self/cgroup.procs", self);
	}
	PUT("mnt/cgroup.subtree_control", "+memory +pids +cpu +cpuset");
	CHECK_STR(get("mnt/cgroup.subtree_control"), "cpuset cpu memory pids\n");
	control();
	pids();
	memory();
	cpu();
}
