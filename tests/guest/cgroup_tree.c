/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of control groups (cgroup v2): making and removing, members, migration, threads, freezing, killing, events by poll and inotify, delegation,
 * clone into a group. Natively on the host's cgroup2 mount, here on a fresh one.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

static char base[64], buf[4096];

static const char *at(const char *group, const char *file)
{
	static char path[4][300];
	static int n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s%s%s", base, group, file[0] ? "/" : "", file);
	return path[n];
}

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

static char *get(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	CHECK(fd >= 0);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n < 0 ? 0 : n] = '\0';
	return n < 0 ? NULL : buf;
}

static bool has_line(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *s = text; s && *s; s = strchr(s, '\n') ? strchr(s, '\n') + 1 : NULL)
		if (!strncmp(s, line, n) && (s[n] == '\n' || s[n] == '\0'))
			return true;
	return false;
}

static void put_pid(const char *path, pid_t pid)
{
	char num[16];

	snprintf(num, sizeof(num), "%d", pid);
	CHECK_EQ(put(path, num), (ssize_t)strlen(num));
}

static bool lists(const char *path, pid_t pid)
{
	char num[16];

	snprintf(num, sizeof(num), "%d", pid);
	return has_line(get(path), num);
}

static void wait_line(const char *path, const char *line)
{
	while (!has_line(get(path), line))
		usleep(1000);
}

static pid_t sleeper(void)
{
	pid_t p = fork();

	if (p == 0) {
		for (;;)
			pause();
	}
	return p;
}

static void tree(void)
{
	struct stat st;

	SUBTEST("tree");
	{
		CHECK_EQ(mkdir(at("a", ""), 0755), 0);
		CHECK_ERRNO(mkdir(at("a", ""), 0755), EEXIST);
		CHECK_EQ(mkdir(at("a/b", ""), 0750), 0);
		CHECK_EQ(stat(at("a/b", ""), &st), 0);
		CHECK_EQ(st.st_mode, S_IFDIR | 0750);
		CHECK_EQ(stat(at("a", ""), &st), 0);
		CHECK_EQ(st.st_nlink, 3);
		CHECK_EQ(stat(at("a", "cgroup.procs"), &st), 0);
		CHECK_EQ(st.st_mode, S_IFREG | 0644);
		CHECK_EQ(stat(at("a", "cgroup.events"), &st), 0);
		CHECK_EQ(st.st_mode, S_IFREG | 0444);
		CHECK(has_line(get(at("a", "cgroup.type")), "domain"));
		CHECK(has_line(get(at("a", "cgroup.events")), "populated 0"));
		CHECK(has_line(get(at("a", "cgroup.stat")), "nr_descendants 1"));
		CHECK(has_line(get(at("a", "cgroup.max.depth")), "max"));
		CHECK_ERRNO(rmdir(at("a", "")), EBUSY);
		CHECK_ERRNO(mkdir(at("a", "x\ny"), 0755), EINVAL);
		CHECK_ERRNO(open(at("a", "nofile"), O_CREAT | O_WRONLY, 0644), EACCES);
		CHECK_ERRNO(unlink(at("a", "cgroup.procs")), EPERM);
		CHECK_EQ(put(at("a", "cgroup.max.descendants"), "1\n"), 2);
		CHECK_ERRNO(mkdir(at("a/c", ""), 0755), EAGAIN);
		CHECK_EQ(put(at("a", "cgroup.max.descendants"), "max"), 3);
		CHECK_EQ(put(at("a", "cgroup.max.depth"), "1"), 1);
		CHECK_ERRNO(mkdir(at("a/b/c", ""), 0755), EAGAIN);
		CHECK_ERRNO(put(at("a", "cgroup.max.depth"), "x"), EINVAL);
		CHECK_ERRNO(put(at("a", "cgroup.max.depth"), "-1"), ERANGE);
		CHECK_ERRNO(put(at("a", "cgroup.freeze"), "2"), ERANGE);
		CHECK_ERRNO(put(at("a", "cgroup.kill"), "0"), ERANGE);
		CHECK_ERRNO(put(at("a", "cgroup.subtree_control"), "+nosuch"), EINVAL);
		CHECK_ERRNO(put(at("a", "cgroup.type"), "domain"), EINVAL);
		guest_checkpoint();
		CHECK_EQ(rmdir(at("a/b", "")), 0);
		CHECK_EQ(rmdir(at("a", "")), 0);
		CHECK_ERRNO(stat(at("a", ""), &st), ENOENT);
	}
}

static void members(void)
{
	SUBTEST("members");
	{
		struct pollfd pf = { .events = POLLPRI };
		char path[64], ev[512];
		int in = inotify_init1(IN_NONBLOCK), fd;
		pid_t p = sleeper();

		CHECK_EQ(mkdir(at("m", ""), 0755), 0);
		CHECK_EQ(mkdir(at("m/n", ""), 0755), 0);
		fd = open(at("m", "cgroup.events"), O_RDONLY);
		CHECK(fd >= 0);
		CHECK(read(fd, buf, sizeof(buf)) > 0);
		pf.fd = fd;
		CHECK_EQ(poll(&pf, 1, 0), 0);
		CHECK(inotify_add_watch(in, at("m", "cgroup.events"), IN_MODIFY) >= 0);
		CHECK_ERRNO(put(at("m", "cgroup.procs"), "999999"), ESRCH);
		CHECK_ERRNO(put(at("m", "cgroup.procs"), "x"), EINVAL);
		put_pid(at("m/n", "cgroup.procs"), p);
		CHECK(lists(at("m/n", "cgroup.procs"), p));
		CHECK(lists(at("m/n", "cgroup.threads"), p));
		CHECK(!lists(at("m", "cgroup.procs"), p));
		CHECK(has_line(get(at("m", "cgroup.events")), "populated 1"));
		CHECK_EQ(poll(&pf, 1, -1), 1);
		CHECK(pf.revents & POLLPRI);
		CHECK(pf.revents & POLLERR);
		CHECK_EQ(poll(&pf, 1, 0), 1); /* until it is read */
		CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
		CHECK(read(fd, buf, sizeof(buf)) > 0);
		CHECK_EQ(poll(&pf, 1, 0), 0);
		while (read(in, ev, sizeof(ev)) < 0) /* told by a worker */
			usleep(1000);
		snprintf(path, sizeof(path), "/proc/%d/cgroup", p);
		CHECK(strstr(get(path), "/m/n\n"));
		guest_checkpoint();
		CHECK(strstr(get(path), "/m/n\n"));
		CHECK(lists(at("m/n", "cgroup.procs"), p));
		CHECK_EQ(poll(&pf, 1, 0), 0);
		CHECK_ERRNO(rmdir(at("m/n", "")), EBUSY);
		kill(p, SIGKILL);
		CHECK_EQ(poll(&pf, 1, -1), 1);
		wait_line(at("m", "cgroup.events"), "populated 0");
		while (read(in, ev, sizeof(ev)) < 0)
			usleep(1000);
		/* A zombie is no member, and does not keep the directory. */
		CHECK(!lists(at("m/n", "cgroup.procs"), p));
		CHECK_EQ(rmdir(at("m/n", "")), 0);
		CHECK(strstr(get(path), "/m/n (deleted)\n"));
		CHECK_EQ(waitpid(p, NULL, 0), p);
		close(fd);
		close(in);
		CHECK_EQ(rmdir(at("m", "")), 0);
	}
}

static _Atomic uint64_t *count;

static void on_usr1(int sig)
{
	_exit(7);
}

static void freezing(void)
{
	SUBTEST("freeze");
	{
		pid_t spin, wait4ed;
		uint64_t before;

		count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		CHECK_EQ(mkdir(at("f", ""), 0755), 0);
		CHECK_EQ(mkdir(at("f/g", ""), 0755), 0);
		spin = fork();
		if (spin == 0)
			for (;;)
				++*count;
		signal(SIGUSR1, on_usr1);
		wait4ed = sleeper();
		signal(SIGUSR1, SIG_DFL);
		guest_blocked(wait4ed);
		put_pid(at("f/g", "cgroup.procs"), spin);
		put_pid(at("f/g", "cgroup.procs"), wait4ed);
		while (!*count)
			usleep(1000);
		CHECK_EQ(put(at("f", "cgroup.freeze"), "1"), 1);
		wait_line(at("f", "cgroup.events"), "frozen 1");
		CHECK(has_line(get(at("f/g", "cgroup.events")), "frozen 1"));
		CHECK(has_line(get(at("f/g", "cgroup.freeze")), "0"));
		before = *count;
		usleep(20000);
		CHECK_EQ(*count, before);
		CHECK_EQ(kill(wait4ed, SIGUSR1), 0); /* waits */
		guest_checkpoint();
		CHECK(has_line(get(at("f/g", "cgroup.events")), "frozen 1"));
		before = *count;
		usleep(20000);
		CHECK_EQ(*count, before);
		CHECK_EQ(waitpid(wait4ed, NULL, WNOHANG), 0);
		CHECK_EQ(put(at("f", "cgroup.freeze"), "0"), 1);
		wait_line(at("f", "cgroup.events"), "frozen 0");
		while (*count == before)
			usleep(1000);
		CHECK_EQ(guest_status(wait4ed), 7 << 8); /* of the signal */
		/* A frozen process can be killed. */
		CHECK_EQ(put(at("f/g", "cgroup.freeze"), "1"), 1);
		wait_line(at("f/g", "cgroup.events"), "frozen 1");
		wait4ed = sleeper();
		put_pid(at("f/g", "cgroup.procs"), wait4ed);
		wait_line(at("f/g", "cgroup.events"), "frozen 1");
		kill(wait4ed, SIGTERM);
		CHECK_EQ(guest_status(wait4ed), SIGTERM);
		CHECK_EQ(put(at("f", "cgroup.kill"), "1"), 1);
		CHECK_EQ(waitpid(spin, NULL, 0), spin);
		wait_line(at("f", "cgroup.events"), "populated 0");
		CHECK_EQ(rmdir(at("f/g", "")), 0);
		CHECK_EQ(rmdir(at("f", "")), 0);
	}
}

static void *idle_thread(void *arg)
{
	*(_Atomic pid_t *)arg = (pid_t)syscall(SYS_gettid);
	for (;;)
		pause();
	return NULL;
}

static void threads(void)
{
	SUBTEST("threads");
	{
		_Atomic pid_t *tid = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		pid_t p;

		CHECK_EQ(mkdir(at("t", ""), 0755), 0);
		CHECK_EQ(mkdir(at("t/u", ""), 0755), 0);
		CHECK_EQ(mkdir(at("t/v", ""), 0755), 0);
		p = fork();
		if (p == 0) {
			pthread_t th;

			pthread_create(&th, NULL, idle_thread, (void *)tid);
			for (;;)
				pause();
		}
		while (!*tid)
			usleep(1000);
		put_pid(at("t", "cgroup.procs"), p);
		CHECK_EQ(put(at("t/u", "cgroup.type"), "threaded"), 8);
		CHECK(has_line(get(at("t", "cgroup.type")), "domain threaded"));
		CHECK(has_line(get(at("t/u", "cgroup.type")), "threaded"));
		CHECK(has_line(get(at("t/v", "cgroup.type")), "domain invalid"));
		put_pid(at("t/u", "cgroup.threads"), *tid);
		CHECK(lists(at("t/u", "cgroup.threads"), *tid));
		CHECK(lists(at("t", "cgroup.threads"), p));
		CHECK(!lists(at("t", "cgroup.threads"), *tid));
		CHECK(lists(at("t", "cgroup.procs"), p));
		CHECK(get(at("t/u", "cgroup.procs")) == NULL);
		CHECK_EQ(errno, EOPNOTSUPP);
		CHECK_ERRNO(put(at("t/v", "cgroup.procs"), "0"), EOPNOTSUPP);
		CHECK_ERRNO(put(at("t/u", "cgroup.threads"), "0"), EOPNOTSUPP);
		guest_checkpoint();
		CHECK(lists(at("t/u", "cgroup.threads"), *tid));
		kill(p, SIGKILL);
		CHECK_EQ(waitpid(p, NULL, 0), p);
		CHECK_EQ(rmdir(at("t/u", "")), 0);
		CHECK_EQ(rmdir(at("t/v", "")), 0);
		CHECK_EQ(rmdir(at("t", "")), 0);
	}
}

static void delegation(void)
{
	SUBTEST("delegation");
	{
		pid_t p = sleeper(), c, c2;

		CHECK_EQ(mkdir(at("d", ""), 0755), 0);
		CHECK_EQ(chown(at("d", ""), 1000, 1000), 0);
		CHECK_EQ(chown(at("d", "cgroup.procs"), 1000, 1000), 0);
		CHILD (c) {
			struct stat st;

			OK(setresgid(1000, 1000, 1000));
			OK(setresuid(1000, 1000, 1000));
			CHECK_EQ(mkdir(at("d/e", ""), 0700), 0);
			CHECK_EQ(stat(at("d/e", "cgroup.procs"), &st), 0);
			CHECK_EQ(st.st_uid, 1000);
			CHECK_ERRNO(put(at("d", "cgroup.freeze"), "1"), EACCES);
			/* From outside: the common group is not ours. */
			CHECK_ERRNO(put(at("d/e", "cgroup.procs"), "0"), EACCES);
			_exit(0);
		}
		guest_reap(c);
		put_pid(at("d", "cgroup.procs"), p);
		guest_checkpoint();
		CHILD (c2) {
			OK(setresgid(1000, 1000, 1000));
			OK(setresuid(1000, 1000, 1000));
			put_pid(at("d/e", "cgroup.procs"), p);
			CHECK(lists(at("d/e", "cgroup.procs"), p));
			_exit(0);
		}
		guest_reap(c2);
		kill(p, SIGKILL);
		CHECK_EQ(waitpid(p, NULL, 0), p);
		CHECK_EQ(rmdir(at("d/e", "")), 0);
		CHECK_EQ(rmdir(at("d", "")), 0);
	}
}

static void into(void)
{
	SUBTEST("clone into");
	{
		struct clone_args a = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
		long r;

		CHECK_EQ(mkdir(at("c", ""), 0755), 0);
		a.cgroup = (uint64_t)open(at("c", ""), O_PATH | O_DIRECTORY);
		r = syscall(SYS_clone3, &a, sizeof(a));
		if (r == 0)
			for (;;)
				pause();
		CHECK(r > 0);
		CHECK(lists(at("c", "cgroup.procs"), (pid_t)r));
		CHECK_EQ(put(at("c", "cgroup.kill"), "1"), 1);
		CHECK_EQ(waitpid((pid_t)r, NULL, 0), r);
		a.cgroup = 0;
		CHECK_ERRNO(syscall(SYS_clone3, &a, sizeof(a)), EBADF);
		CHECK_EQ(rmdir(at("c", "")), 0);
	}
}

void guest_test(void)
{
	char dir[] = "cg.XXXXXX";

	OK(mkdir("mnt", 0755));
	if (mount("cgroup2", "mnt", "cgroup2", 0, NULL) < 0)
		guest_skip("no cgroup2");
	CHECK(mkdtemp(dir) != NULL);
	OK(rmdir(dir));
	snprintf(base, sizeof(base), "mnt/%s", dir);
	OK(mkdir(base, 0755));
	tree();
	members();
	freezing();
	threads();
	delegation();
	into();
	OK(rmdir(base));
	OK(umount2("mnt", MNT_DETACH));
}
