// SPDX-License-Identifier: Apache-2.0
/*
 * /proc files of the system that common programs read: stat, meminfo, cpuinfo, loadavg, uptime, version, filesystems,
 * mounts, sys/kernel.
 */
#include "guest.h"

static char b[262144];

static const char *rd(const char *path)
{
	if (guest_read_file(path, b, sizeof(b)) < 0)
		guest_fail(__FILE__, __LINE__, "cannot read %s: errno %d", path, errno);
	return b;
}

static void check(void)
{
	double up, idle, l1, l5, l15;
	unsigned long total, v;
	int run, all, last;
	struct stat st;

	CHECK(strncmp(rd("/proc/stat"), "cpu  ", 5) == 0);
	CHECK(strstr(b, "\nctxt ") && strstr(b, "\nbtime ") && strstr(b, "\nprocesses "));
	CHECK_EQ(sscanf(rd("/proc/meminfo"), "MemTotal: %lu kB", &total), 1);
	CHECK(total > 1000);
	CHECK(strstr(b, "\nMemFree:") && strstr(b, "\nMemAvailable:") && strstr(b, "\nSwapTotal:") && strstr(b, "\nCached:"));
	CHECK(strstr(rd("/proc/cpuinfo"), "processor\t: 0\n"));
	CHECK(strstr(b, "\nflags\t\t: ") && strstr(b, " sse2 "));
	CHECK_EQ(sscanf(rd("/proc/loadavg"), "%lf %lf %lf %d/%d %d", &l1, &l5, &l15, &run, &all, &last), 6);
	CHECK(all >= 2);
	CHECK_EQ(sscanf(rd("/proc/uptime"), "%lf %lf", &up, &idle), 2);
	CHECK(up >= 0); /* a sandbox may be younger than 10 ms */
	CHECK(strncmp(rd("/proc/version"), "Linux version ", 14) == 0);
	CHECK(strstr(rd("/proc/filesystems"), "nodev\ttmpfs\n") && strstr(b, "nodev\tproc\n"));
	CHECK(strstr(rd("/proc/mounts"), " /proc proc "));
	CHECK(strchr(rd("/proc/sys/kernel/hostname"), '\n'));
	CHECK_STR(rd("/proc/sys/kernel/ostype"), "Linux\n");
	CHECK(rd("/proc/sys/kernel/osrelease")[0] >= '3');
	CHECK_EQ(sscanf(rd("/proc/sys/kernel/pid_max"), "%lu", &v), 1);
	CHECK(v >= 300);
	CHECK_EQ(sscanf(rd("/proc/sys/vm/overcommit_memory"), "%lu", &v), 1);
	CHECK_EQ(strlen(rd("/proc/sys/kernel/random/uuid")), 37);
	CHECK_EQ(strlen(rd("/proc/sys/kernel/random/boot_id")), 37);
	OK(lstat("/proc/mounts", &st));
	CHECK(S_ISLNK(st.st_mode));
	OK(stat("/proc/self/ns/pid", &st));
	OK(stat("/proc", &st));
	CHECK_EQ(st.st_ino, 1);
	CHECK_EQ(st.st_mode, S_IFDIR | 0555);
	SUBTEST("the directory lists the processes");
	DIR *d = opendir("/proc");
	struct dirent *e;
	bool self = false, me = false, init = false;
	char want[16];
	snprintf(want, sizeof(want), "%d", (int)getpid());
	while ((e = readdir(d))) {
		self |= strcmp(e->d_name, "self") == 0;
		me |= strcmp(e->d_name, want) == 0;
		init |= strcmp(e->d_name, "1") == 0;
	}
	closedir(d);
	CHECK(self && me && init);
}

void guest_test(void)
{
	check();
	guest_checkpoint();
	check();
	SUBTEST("hostname by sysctl");
	int fd = open("/proc/sys/kernel/hostname", O_WRONLY);
	if (fd >= 0 && write(fd, "viaproc", 7) == 7) {
		char n[65];

		OK(gethostname(n, sizeof(n)));
		CHECK_STR(n, "viaproc");
	}
}
