/* SPDX-License-Identifier: Apache-2.0 */
/* User namespaces: maps and their rules, capabilities inside and outside, nesting, joining, ownership; a checkpoint inside one. */
#include "guest.h"

#include <linux/capability.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <sys/mount.h>

static void put_file(const char *path, const char *text)
{
	int fd = OK(open(path, O_WRONLY));

	CHECK_EQ(write(fd, text, strlen(text)), (long)strlen(text));
	close(fd);
}

static int try_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), r;

	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static uint64_t caps(int which)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	OK(syscall(SYS_capget, &h, d));
	return which == 0 ? d[0].effective | (uint64_t)d[1].effective << 32 : d[0].permitted | (uint64_t)d[1].permitted << 32;
}

static ino_t ns_ino(const char *path)
{
	struct stat st;

	OK(stat(path, &st));
	return st.st_ino;
}

static void become(uid_t id)
{
	OK(setgroups(0, NULL));
	OK(setresgid(id, id, id));
	OK(setresuid(id, id, id));
	OK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static void test_unmapped(void)
{
	ino_t before = ns_ino("/proc/self/ns/user");
	struct stat st;

	SUBTEST("a new namespace without maps");
	become(1000);
	OK(unshare(CLONE_NEWUSER));
	CHECK(ns_ino("/proc/self/ns/user") != before);
	CHECK_EQ(getuid(), 65534);
	CHECK_EQ(geteuid(), 65534);
	CHECK_EQ(getgid(), 65534);
	CHECK(caps(0) >> CAP_SYS_ADMIN & 1);
	CHECK_ERRNO(setuid(0), EINVAL);
	CHECK_ERRNO(setgid(5), EINVAL);
	CHECK_ERRNO(setgroups(0, NULL), EPERM);
	CHECK_ERRNO(setresuid(0, -1, -1), EINVAL);
	OK(stat("/", &st));
	CHECK_EQ(st.st_uid, 65534);
	CHECK_ERRNO(unshare(CLONE_NEWUSER), EPERM); /* ids that are not mapped make no namespace */
}

static void test_own_map(void)
{
	struct stat st;
	char buf[256];
	int fd;

	SUBTEST("mapping oneself");
	become(1000);
	fd = OK(open("/tmp", O_RDONLY | O_DIRECTORY));
	OK(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC));
	CHECK_EQ(try_file("/proc/self/uid_map", "0 1000 2\n"), -EPERM);
	CHECK_EQ(try_file("/proc/self/uid_map", "0 0 1\n"), -EPERM);
	CHECK_EQ(try_file("/proc/self/uid_map", "0 1000\n"), -EINVAL);
	CHECK_EQ(try_file("/proc/self/uid_map", "0 1000 0\n"), -EINVAL);
	CHECK_EQ(try_file("/proc/self/uid_map", "x\n"), -EINVAL);
	CHECK_EQ(try_file("/proc/self/uid_map", "4294967295 1000 1\n"), -EINVAL);
	CHECK_EQ(try_file("/proc/self/uid_map", "0 1000 1\n0 2000 1\n"), -EINVAL);
	CHECK_EQ(try_file("/proc/self/gid_map", "0 1000 1\n"), -EPERM); /* setgroups must be denied first */
	CHECK_EQ(try_file("/proc/self/setgroups", "no\n"), -EINVAL);
	put_file("/proc/self/setgroups", "deny");
	CHECK_EQ(try_file("/proc/self/setgroups", "allow"), -EPERM);
	put_file("/proc/self/uid_map", "0 1000 1\n");
	put_file("/proc/self/gid_map", "7 1000 1");
	CHECK_EQ(try_file("/proc/self/uid_map", "0 1000 1\n"), -EPERM); /* once */
	CHECK_EQ(getuid(), 0);
	CHECK_EQ(getgid(), 7);
	CHECK(guest_read_file("/proc/self/uid_map", buf, sizeof(buf)) > 0);
	CHECK_STR(buf, "         0       1000          1\n");
	CHECK(guest_read_file("/proc/self/gid_map", buf, sizeof(buf)) > 0);
	CHECK_STR(buf, "         7       1000          1\n");
	CHECK(guest_read_file("/proc/self/setgroups", buf, sizeof(buf)) > 0);
	CHECK_STR(buf, "deny\n");
	CHECK_ERRNO(setgroups(0, NULL), EPERM);
	guest_checkpoint();
	SUBTEST("power inside, none outside");
	OK(sethostname("inner", 5));
	OK(mount("none", "/tmp", "tmpfs", 0, "mode=0700"));
	OK(stat("/tmp", &st));
	CHECK_EQ(st.st_uid, 0);
	CHECK_EQ(st.st_gid, 7);
	OK(mkdir("/tmp/d", 0755));
	CHECK_ERRNO(chown("/tmp/d", 1, -1), EINVAL);
	CHECK_ERRNO(chown("/tmp/d", -1, 0), EINVAL);
	OK(chown("/tmp/d", 0, 7));
	CHECK_ERRNO(mknod("/tmp/d/dev", S_IFCHR | 0600, 0x103), EPERM);
	OK(chroot("/tmp/d"));
	OK(fchdir(fd));
	OK(chroot("."));
	CHECK_ERRNO(fchmod(fd, 0777), EPERM); /* the host's /tmp: not ours */
	CHECK_ERRNO(unshare(CLONE_NEWUSER), EPERM); /* chrooted */
}

static void test_caps_outside(void)
{
	int fd;
	pid_t p;
	struct gate ready, go;

	SUBTEST("initial namespaces are out of reach");
	gate_init(&ready);
	gate_init(&go);
	fd = OK(open("/proc/self/ns/uts", O_RDONLY));
	CHILD (p) {
		gate_wait(&go);
		_exit(0);
	}
	become(1000);
	OK(unshare(CLONE_NEWUSER));
	CHECK_ERRNO(sethostname("x", 1), EPERM);
	CHECK_ERRNO(mount("none", "/tmp", "tmpfs", 0, NULL), EPERM);
	CHECK_ERRNO(setns(fd, CLONE_NEWUTS), EPERM);
	CHECK_ERRNO(kill(p, 0), EPERM);
	OK(unshare(CLONE_NEWUTS));
	OK(sethostname("x", 1));
	OK(unshare(CLONE_NEWNET));
	CHECK_ERRNO(setns(fd, CLONE_NEWUTS), EPERM);
	gate_post(&go);
}

static void *idle(void *arg)
{
	gate_wait(arg);
	return NULL;
}

static void test_errors(void)
{
	struct gate g;
	pthread_t th;
	int fd = OK(open("/proc/self/ns/user", O_RDONLY));

	SUBTEST("who may not");
	CHECK_ERRNO(setns(fd, CLONE_NEWUSER), EINVAL); /* one's own */
	CHECK_ERRNO(setns(fd, CLONE_NEWUTS), EINVAL);
	CHECK_ERRNO(ioctl(fd, NS_GET_PARENT), EPERM);
	CHECK_EQ(ioctl(fd, NS_GET_NSTYPE), CLONE_NEWUSER);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_NEWUSER | CLONE_FS | SIGCHLD, 0, 0, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, 0, 0, 0, 0), EINVAL);
	gate_init(&g);
	th = guest_thread(idle, &g);
	CHECK_ERRNO(unshare(CLONE_NEWUSER), EINVAL);
	gate_post(&g);
	guest_join(th);
	CHECK_EQ(try_file("/proc/self/uid_map", "0 0 1\n"), -EPERM);
}

/* A child in a new namespace that waits; its parent maps it. */
static pid_t container(struct gate *ready, struct gate *go, uint64_t more)
{
	pid_t p = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | more | SIGCHLD, 0, 0, 0, 0);

	CHECK(p >= 0);
	if (p == 0) {
		gate_post(ready);
		gate_wait(go);
	}
	return p;
}

static void map_child(pid_t p, const char *what, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", p, what);
	put_file(path, text);
}

static void test_parent_maps(void)
{
	struct gate ready, go, done;
	char path[64], buf[256];
	uid_t r, e, s, owner = 99;
	int fd, up;
	pid_t p;

	SUBTEST("mapped by the parent, joined, asked");
	gate_init(&ready);
	gate_init(&go);
	gate_init(&done);
	p = container(&ready, &go, CLONE_NEWUTS);
	if (p == 0) {
		gid_t g[2] = { 5, 3 }, back[4];

		OK(setresuid(0, 0, 0));
		OK(setresgid(0, 0, 0));
		OK(setgroups(2, g));
		CHECK_EQ(getgroups(4, back), 2);
		CHECK_EQ(back[0] + back[1], 8);
		OK(setresuid(3, 4, 5));
		OK(getresuid(&r, &e, &s));
		CHECK(r == 3 && e == 4 && s == 5);
		CHECK_ERRNO(setresuid(10, -1, -1), EINVAL); /* not mapped */
		CHECK_ERRNO(setresuid(6, -1, -1), EPERM); /* mapped, but no capability any more */
		CHECK_EQ(caps(1) != 0, 0);
		gate_post(&ready);
		gate_wait(&done);
		_exit(0);
	}
	gate_wait(&ready);
	map_child(p, "uid_map", "0 10000 10\n");
	map_child(p, "gid_map", "0 20000 5\n5 30000 5\n");
	gate_post(&go);
	gate_wait(&ready);
	guest_checkpoint();
	snprintf(path, sizeof(path), "/proc/%d/status", p);
	CHECK(guest_read_file(path, buf, sizeof(buf)) > 0);
	CHECK(strstr(buf, "\nUid:\t10003\t10004\t10005\t10004\n"));
	CHECK(strstr(buf, "\nGid:\t20000\t20000\t20000\t20000\n"));
	snprintf(path, sizeof(path), "/proc/%d/gid_map", p);
	CHECK(guest_read_file(path, buf, sizeof(buf)) > 0);
	CHECK_STR(buf, "         0      20000          5\n         5      30000          5\n");
	snprintf(path, sizeof(path), "/proc/%d/ns/user", p);
	fd = OK(open(path, O_RDONLY));
	OK(ioctl(fd, NS_GET_OWNER_UID, &owner));
	CHECK_EQ(owner, getuid());
	up = OK(ioctl(fd, NS_GET_PARENT));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", up);
	CHECK_EQ(ns_ino(path), ns_ino("/proc/self/ns/user"));
	close(up);
	snprintf(path, sizeof(path), "/proc/%d/ns/uts", p);
	up = OK(open(path, O_RDONLY));
	CHECK_EQ(ioctl(up, NS_GET_NSTYPE), CLONE_NEWUTS);
	CHILD (r) {
		int u = OK(ioctl(up, NS_GET_USERNS));
		struct stat a, b;

		OK(fstat(u, &a));
		OK(fstat(fd, &b));
		CHECK_EQ(a.st_ino, b.st_ino);
		CHECK_ERRNO(ioctl(up, NS_GET_PARENT), EINVAL);
		OK(setns(fd, CLONE_NEWUSER));
		CHECK_EQ(getuid(), 65534);
		OK(setresuid(2, 2, 2));
		CHECK_EQ(getuid(), 2);
		_exit(0);
	}
	guest_reap((pid_t)r);
	CHILD (r) {
		OK(setns(fd, CLONE_NEWUSER));
		OK(setns(up, CLONE_NEWUTS));
		OK(sethostname("joined", 6));
		_exit(0);
	}
	guest_reap((pid_t)r);
	gate_post(&done);
	guest_reap(p);
}

static void test_files(void)
{
	struct gate ready, go;
	struct stat st;
	pid_t p;

	SUBTEST("files with and without mapped owners");
	gate_init(&ready);
	gate_init(&go);
	guest_write_file("mapped", "x");
	guest_write_file("alien", "x");
	OK(chown("mapped", 10001, 10001));
	OK(chmod("mapped", 0));
	OK(chmod("alien", 0600));
	OK(chmod(".", 0777));
	p = container(&ready, &go, 0);
	if (p == 0) {
		OK(setresgid(0, 0, 0));
		OK(setresuid(0, 0, 0));
		OK(stat("mapped", &st));
		CHECK(st.st_uid == 1 && st.st_gid == 1);
		OK(stat("alien", &st));
		CHECK(st.st_uid == 65534 && st.st_gid == 65534);
		OK(open("mapped", O_RDWR)); /* CAP_DAC_OVERRIDE counts for it */
		CHECK_ERRNO(open("alien", O_RDONLY), EACCES); /* not for this */
		OK(chmod("mapped", 0644));
		CHECK_ERRNO(chmod("alien", 0644), EPERM);
		OK(chown("mapped", 5, 5));
		CHECK_ERRNO(chown("alien", 5, 5), EPERM);
		CHECK_ERRNO(chown("mapped", 50000, 5), EINVAL);
		guest_write_file("made", "x");
		OK(chmod("made", 04755));
		_exit(0);
	}
	gate_wait(&ready);
	map_child(p, "uid_map", "0 10000 100\n");
	map_child(p, "gid_map", "0 10000 100\n");
	gate_post(&go);
	guest_reap(p);
	OK(stat("mapped", &st));
	CHECK(st.st_uid == 10005 && st.st_gid == 10005);
	OK(stat("made", &st));
	CHECK(st.st_uid == 10000 && st.st_gid == 10000);
}

static void nest(int depth)
{
	pid_t p;

	if (depth == 0)
		return;
	CHILD (p) {
		OK(unshare(CLONE_NEWUSER));
		put_file("/proc/self/uid_map", "0 0 1\n");
		put_file("/proc/self/setgroups", "deny");
		put_file("/proc/self/gid_map", "0 0 1\n");
		nest(depth - 1);
		_exit(0);
	}
	guest_reap(p);
}

static void test_nested(void)
{
	char buf[128];
	pid_t p;

	SUBTEST("nested");
	nest(5);
	SUBTEST("signals and messages carry the reader's numbers");
	CHILD (p) {
		struct ucred c = { 0 };
		socklen_t n = sizeof(c);
		sigset_t set;
		siginfo_t si;
		int sv[2];
		pid_t q, me = getpid();

		OK(unshare(CLONE_NEWUSER));
		put_file("/proc/self/setgroups", "deny");
		put_file("/proc/self/uid_map", "77 0 1\n");
		put_file("/proc/self/gid_map", "78 0 1\n");
		CHECK_EQ(getuid(), 77);
		OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
		OK(getsockopt(sv[0], SOL_SOCKET, SO_PEERCRED, &c, &n));
		CHECK(c.uid == 77 && c.gid == 78);
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigprocmask(SIG_BLOCK, &set, NULL);
		CHILD (q) {
			kill(me, SIGUSR1);
			_exit(0);
		}
		CHECK_EQ(sigwaitinfo(&set, &si), SIGUSR1);
		CHECK_EQ(si.si_uid, 77);
		OK(waitid(P_PID, (id_t)q, &si, WEXITED));
		CHECK_EQ(si.si_uid, 77);
		CHECK(guest_read_file("/proc/self/uid_map", buf, sizeof(buf)) > 0);
		CHECK_STR(buf, "        77          0          1\n");
		_exit(0);
	}
	guest_reap(p);
}

static void test_pid(void)
{
	pid_t p;
	int st;

	SUBTEST("with a pid namespace, /proc mounted inside");
	CHILD (p) {
		become(1000);
		OK(unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS));
		put_file("/proc/self/uid_map", "0 1000 1\n");
		CHILD (p) {
			char link[32];
			ssize_t n;

			CHECK_EQ(getpid(), 1);
			OK(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
			n = OK(readlink("/proc/self", link, sizeof(link)));
			CHECK(n == 1 && link[0] == '1');
			guest_checkpoint();
			CHECK_EQ(getuid(), 0);
			_exit(3);
		}
		CHECK_EQ(waitpid(p, &st, 0), p);
		CHECK_EQ(st, 3 << 8);
		_exit(0);
	}
	guest_reap(p);
}

static void in_child(void (*fn)(void))
{
	pid_t p;

	CHILD (p) {
		fn();
		_exit(0);
	}
	guest_reap(p);
}

void guest_test(void)
{
	in_child(test_unmapped);
	in_child(test_own_map);
	in_child(test_caps_outside);
	in_child(test_errors);
	in_child(test_parent_maps);
	in_child(test_files);
	in_child(test_nested);
	in_child(test_pid);
}
