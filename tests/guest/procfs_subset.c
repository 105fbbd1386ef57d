/* SPDX-License-Identifier: Apache-2.0 */
/* What a proc mount's options leave of it, over a checkpoint; loadavg's last pid by namespace; one's own /proc/self/syscall. */
#include "guest.h"

#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

static void only_processes(void)
{
	struct dirent *e;
	int links = 0, pids = 0;
	DIR *d = opendir("p");

	CHECK(d != NULL);
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, "self") || !strcmp(e->d_name, "thread-self"))
			links++;
		else if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
			pids++;
		else
			CHECK(e->d_name[0] == '.');
	}
	closedir(d);
	CHECK_EQ(links, 2);
	CHECK(pids >= 1);
	CHECK_ERRNO(open("p/cpuinfo", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("p/sys", O_RDONLY), ENOENT);
	CHECK(access("p/self/status", R_OK) == 0);
}

static void subset(void)
{
	char buf[8192], *line;
	int fd;

	OK(mkdir("p", 0755));
	CHECK_ERRNO(mount("proc", "p", "proc", 0, "subset=machine"), EINVAL);
	OK(mount("proc", "p", "proc", 0, "hidepid=invisible,gid=7,subset=pid"));
	only_processes();
	CHECK(guest_read_file("/proc/self/mounts", buf, sizeof(buf)) > 0);
	line = strstr(buf, "/p proc ");
	CHECK(line != NULL);
	line[strcspn(line, "\n")] = '\0';
	CHECK(strstr(line, ",gid=7,hidepid=invisible,subset=pid") != NULL);
	fd = OK(open("p/self/stat", O_RDONLY));
	guest_checkpoint();
	only_processes();
	CHECK(read(fd, buf, sizeof(buf)) > 0);
	close(fd);
	OK(umount("p"));
}

static int last_pid(void)
{
	char buf[128], *sp;

	CHECK(guest_read_file("/proc/loadavg", buf, sizeof(buf)) > 0);
	sp = strrchr(buf, ' ');
	CHECK(sp != NULL);
	return atoi(sp + 1);
}

static void own_syscall(void)
{
	char buf[256], want[256];
	int fd = OK(open("/proc/self/syscall", O_RDONLY));
	ssize_t n = syscall(SYS_read, fd, buf, sizeof(buf) - 1);

	CHECK(n > 0);
	buf[n] = '\0';
	(void)snprintf(want, sizeof(want), "%d %#lx %#lx %#lx ", SYS_read, (long)fd, (long)buf, (long)sizeof(buf) - 1);
	CHECK(!strncmp(buf, want, strlen(want)));
	close(fd);
}

void guest_test(void)
{
	pid_t p, q;

	SUBTEST("own system call");
	own_syscall();
	SUBTEST("last pid of one's own namespace");
	CHILD (p) {
		OK(unshare(CLONE_NEWPID));
		CHILD (q) {
			CHECK_EQ(last_pid(), 1);
			_exit(0);
		}
		guest_reap(q);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("subset=pid");
	OK(unshare(CLONE_NEWNS));
	OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	subset();
}
