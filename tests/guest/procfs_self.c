// SPDX-License-Identifier: Apache-2.0
/*
 * /proc/self: status, stat, cmdline, environ, exe, fd, limits, task, io errors; other processes; before and after a
 * checkpoint.
 */
#include "guest.h"

static char b[65536];

static long field(const char *name)
{
	char want[64], *p;

	snprintf(want, sizeof(want), "\n%s:", name);
	p = strstr(b, want);
	if (!p)
		guest_fail(__FILE__, __LINE__, "no %s in status", name);
	return strtol(p + strlen(want), NULL, 10);
}

static void check(void)
{
	char link[PATH_MAX], *p;
	int pid, ppid, pgrp, sid;
	ssize_t n;
	char state;

	SUBTEST("status");
	CHECK(guest_read_file("/proc/self/status", b, sizeof(b)) > 0);
	CHECK(strncmp(b, "Name:\tprocfs_self\n", 18) == 0);
	CHECK_EQ(field("Pid"), getpid());
	CHECK_EQ(field("Tgid"), getpid());
	CHECK_EQ(field("PPid"), getppid());
	CHECK_EQ(field("Threads"), 1);
	CHECK_EQ(field("Uid"), 0);
	CHECK_EQ(field("TracerPid"), 0);
	CHECK(field("VmRSS") > 0);
	CHECK(strstr(b, "\nState:\tR (running)\n"));
	CHECK(strstr(b, "\nSigBlk:\t0000000000000200\n")); /* SIGUSR1 */
	CHECK(strstr(b, "\nSigIgn:\t0000000000000800\n")); /* SIGUSR2 */
	CHECK(strstr(b, "\nSigCgt:\t0000000000000001\n")); /* SIGHUP */
	CHECK(strstr(b, "\nShdPnd:\t0000000000000000\n"));
	SUBTEST("stat");
	CHECK(guest_read_file("/proc/self/stat", b, sizeof(b)) > 0);
	CHECK_EQ(sscanf(b, "%d (procfs_self) %c %d %d %d", &pid, &state, &ppid, &pgrp, &sid), 5);
	CHECK(pid == getpid() && state == 'R' && ppid == getppid() && pgrp == getpgrp() && sid == getsid(0));
	int fields = 0;
	for (p = strrchr(b, ')'); *p; p++)
		fields += *p == ' ';
	CHECK_EQ(fields, 50);
	SUBTEST("cmdline, environ, comm, exe, cwd, root");
	n = guest_read_file("/proc/self/cmdline", b, sizeof(b));
	CHECK(n > 0 && b[n - 1] == 0);
	CHECK(strstr(b, "procfs_self"));
	n = guest_read_file("/proc/self/environ", b, sizeof(b));
	CHECK(memmem(b, (size_t)n, "GUEST_TMP=", 10));
	CHECK_EQ(guest_read_file("/proc/self/comm", b, sizeof(b)), 12);
	n = OK(readlink("/proc/self/exe", link, sizeof(link) - 1));
	link[n] = 0;
	CHECK_STR(link, guest_self);
	n = OK(readlink("/proc/self/cwd", link, sizeof(link) - 1));
	link[n] = 0;
	CHECK_STR(link, guest_dir);
	n = OK(readlink("/proc/self/root", link, sizeof(link) - 1));
	link[n] = 0;
	CHECK_STR(link, "/");
	n = OK(readlink("/proc/self", link, sizeof(link) - 1));
	link[n] = 0;
	CHECK_EQ(atoi(link), getpid());
	SUBTEST("fd and fdinfo");
	int fd = OK(open("file", O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600)), pfd[2];
	OK(lseek(fd, 42, SEEK_SET));
	snprintf(b, sizeof(b), "/proc/self/fd/%d", fd);
	n = OK(readlink(b, link, sizeof(link) - 1));
	link[n] = 0;
	CHECK(strstr(link, "/file"));
	snprintf(b, sizeof(b), "/proc/self/fdinfo/%d", fd);
	CHECK(guest_read_file(b, b, sizeof(b)) > 0);
	CHECK(strstr(b, "pos:\t42\n"));
	CHECK(strstr(b, "flags:\t02102002\n"));
	OK(pipe(pfd));
	snprintf(b, sizeof(b), "/proc/self/fd/%d", pfd[0]);
	n = OK(readlink(b, link, sizeof(link) - 1));
	CHECK(strncmp(link, "pipe:[", 6) == 0);
	int count = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		count++;
	closedir(d);
	CHECK_EQ(count, guest_count_fds() + 3);
	close(pfd[0]);
	close(pfd[1]);
	close(fd);
	CHECK_ERRNO(readlink("/proc/self/fd/999", link, 10), ENOENT);
	SUBTEST("limits");
	CHECK(guest_read_file("/proc/self/limits", b, sizeof(b)) > 0);
	CHECK(strstr(b, "Max open files            777 "));
	CHECK(strstr(b, "Max core file size        0 "));
	SUBTEST("write errors");
	CHECK_ERRNO(open("/proc/nothing", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("/proc/new", O_CREAT | O_RDWR, 0600), ENOENT);
	CHECK_ERRNO(open("/proc/999999/stat", O_RDONLY), ENOENT);
	CHECK_ERRNO(mkdir("/proc/x", 0755), ENOENT);
	SUBTEST("reading in small pieces is the same as at once");
	char small[512], whole[512];
	n = guest_read_file("/proc/self/limits", whole, sizeof(whole));
	fd = OK(open("/proc/self/limits", O_RDONLY));
	for (int i = 0; i < n; i++)
		CHECK_EQ(read(fd, small + i, 1), 1);
	CHECK(memcmp(small, whole, (size_t)n) == 0);
	close(fd);
}

void guest_test(void)
{
	struct rlimit rl = {777, 1000};
	struct gate g;
	pid_t p;
	int fd;

	gate_init(&g);
	OK(setrlimit(RLIMIT_NOFILE, &rl));
	guest_block(SIGUSR1);
	signal(SIGUSR2, SIG_IGN);
	guest_catch(SIGHUP, 0);
	struct stat st;
	OK(stat("/proc/self", &st));
	check();
	CHILD (p) {
		gate_wait(&g);
		_exit(0);
	}
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)p);
	fd = OK(open(path, O_RDONLY));
	guest_checkpoint();
	check();
	SUBTEST("an open file of a process that dies");
	CHECK(read(fd, b, 100) > 0);
	gate_post(&g);
	guest_reap(p);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_ERRNO(read(fd, b, 100), ESRCH);
}
