/* SPDX-License-Identifier: Apache-2.0 */
/* Prints outcomes of the rarer file calls; the runner compares them with the host. In a tmpfs of its own, so that both sides have one. */
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "guest.h"

#define V(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s = %lld%s%s\n", __LINE__, #x, v_, v_ == -1 ? " " : "", v_ == -1 ? strerrorname_np(errno) : ""); CHECK(true); v_; })
#define E(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s: %s\n", __LINE__, #x, v_ == -1 ? strerrorname_np(errno) : "ok"); CHECK(true); v_; })

static int open2(int dfd, const char *name, uint64_t flags, uint64_t resolve)
{
	struct open_how h = { .flags = flags, .resolve = resolve, .mode = flags & (O_CREAT | __O_TMPFILE) ? 0600 : 0 };
	int fd, tries = 0;

	/* A rename or mount of anybody on the host meanwhile: openat2(2) says to try again. */
	do
		fd = (int)syscall(SYS_openat2, dfd, name, &h, sizeof(h));
	while (fd < 0 && errno == EAGAIN && ++tries < 100);
	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 0 : -1;
}

static int rename2(const char *a, const char *b, unsigned flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags);
}

static void names(void)
{
	struct stat st;
	int d, f;

	E(mkdir("d", 0755));
	E(mkdir("d/in", 0755));
	E(symlink("../out", "d/up"));
	E(symlink("/d", "d/abs"));
	E(symlink("in", "d/in2"));
	E(mkdir("out", 0755));
	E(close(creat("d/f", 0644)));
	d = open("d", O_RDONLY | O_DIRECTORY);
	E(open2(d, "f", O_RDONLY, RESOLVE_BENEATH));
	E(open2(d, "../out", O_RDONLY, RESOLVE_BENEATH));
	E(open2(d, "up", O_RDONLY, RESOLVE_BENEATH));
	E(open2(d, "abs", O_RDONLY, RESOLVE_BENEATH));
	E(open2(d, "in/../f", O_RDONLY, RESOLVE_BENEATH));
	E(open2(d, "/f", O_RDONLY, RESOLVE_BENEATH));
	E(open2(d, "/f", O_RDONLY, RESOLVE_IN_ROOT));
	E(open2(d, "../f", O_RDONLY, RESOLVE_IN_ROOT));
	E(open2(d, "up", O_RDONLY, RESOLVE_IN_ROOT));
	E(open2(d, "in2", O_RDONLY, RESOLVE_NO_SYMLINKS));
	E(open2(d, "in2/", O_RDONLY, RESOLVE_NO_SYMLINKS));
	E(open2(d, "in2", O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS));
	E(open2(AT_FDCWD, "/proc/self/exe", O_RDONLY, RESOLVE_NO_MAGICLINKS));
	E(open2(AT_FDCWD, "/proc/self/cwd", O_RDONLY, RESOLVE_NO_MAGICLINKS));
	E(open2(AT_FDCWD, "/proc", O_RDONLY, RESOLVE_NO_XDEV));
	E(open2(d, "f", O_RDONLY, RESOLVE_NO_XDEV));
	E(open2(d, "f", O_RDONLY, RESOLVE_CACHED));
	E(open2(d, "f", O_RDWR | O_TRUNC, RESOLVE_CACHED));
	E(open2(d, "new", O_RDWR | O_CREAT, RESOLVE_CACHED));
	E(open2(d, "f", O_RDONLY, RESOLVE_BENEATH | RESOLVE_IN_ROOT));
	E(open2(d, "f", O_RDONLY, 0x80));
	E(rename2("d/f", "d/f", RENAME_NOREPLACE));
	E(rename2("d/f", "d/in", RENAME_NOREPLACE));
	E(rename2("d/f", "d/in", RENAME_EXCHANGE));
	E(rename2("d/f", "d/in", RENAME_EXCHANGE));
	E(rename2("d/f", "none", RENAME_EXCHANGE));
	E(rename2("d/f", "d/g", RENAME_EXCHANGE | RENAME_NOREPLACE));
	E(rename2("d/f", "d/g", 8));
	E(rename2("d/f", "d/w", RENAME_WHITEOUT));
	E(lstat("d/f", &st));
	V(st.st_mode & S_IFMT);
	V(st.st_rdev);
	E(unlink("d/f"));
	E(rename("d/w", "d/f"));
	f = open("d/f", O_PATH);
	E(linkat(f, "", AT_FDCWD, "l1", AT_EMPTY_PATH));
	E(linkat(f, "", AT_FDCWD, "l2", 0));
	E(linkat(f, "x", AT_FDCWD, "l3", AT_EMPTY_PATH));
	E(linkat(AT_FDCWD, "d/in2", AT_FDCWD, "l4", AT_SYMLINK_FOLLOW));
	E(linkat(AT_FDCWD, "d", AT_FDCWD, "l5", 0));
	E(linkat(AT_FDCWD, "d/f", AT_FDCWD, "l5", 0x4000));
	E(fchmod(f, 0600));
	E(fchown(f, 0, 0));
	E(fgetxattr(f, "user.x", NULL, 0));
	E(ioctl(f, FIONREAD, &d));
	E(ftruncate(f, 0));
	E(fstat(f, &st));
	E(fcntl(f, F_GETFL) & O_PATH ? 0 : -1);
	E(fcntl(f, F_SETFL, 0));
	E(fcntl(f, F_GETLK, &st));
	E(fcntl(f, F_DUPFD, 100000000));
	E(fcntl(f, 1030, 10));
	E(flock(f, LOCK_SH));
	E(dup3(f, f, 0));
	E(dup3(f, 50, 1));
	E(dup3(f, -1, 0));
	close(f);
	f = open("d", O_TMPFILE | O_RDWR, 0600);
	char self[64];
	snprintf(self, sizeof(self), "/proc/self/fd/%d", f);
	E(linkat(AT_FDCWD, self, AT_FDCWD, "d/tmpf", AT_SYMLINK_FOLLOW));
	E(linkat(AT_FDCWD, self, AT_FDCWD, "d/tmpf", AT_SYMLINK_FOLLOW));
	close(f);
	f = open("d", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", f);
	E(linkat(AT_FDCWD, self, AT_FDCWD, "d/tmpx", AT_SYMLINK_FOLLOW));
	close(f);
	E(open("d", O_TMPFILE | O_RDONLY, 0600));
	E(open("d/f", O_TMPFILE | O_RDWR, 0600));
}

static void attributes(void)
{
	struct timespec ts[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };
	struct file_clone_range r = { .src_fd = -1 };
	int fd = open("a", O_RDWR | O_CREAT, 0644), n;
	int pipefd[2];
	char big[70000];

	memset(big, 'x', sizeof(big));
	E(utimensat(AT_FDCWD, "a", ts, 0));
	E(utimensat(AT_FDCWD, "nosuch", ts, 0));
	ts[0].tv_nsec = 1000000000;
	E(utimensat(AT_FDCWD, "a", ts, 0));
	E(utimensat(AT_FDCWD, NULL, NULL, 0));
	E(utimensat(fd, NULL, NULL, 0));
	E(utimensat(fd, NULL, NULL, AT_SYMLINK_NOFOLLOW));
	E(utimensat(AT_FDCWD, "a", NULL, 0x4000));
	E(setxattr("a", "user.", "x", 1, 0));
	E(setxattr("a", "user.n", "x", 1, XATTR_REPLACE));
	E(setxattr("a", "user.n", "x", 1, XATTR_CREATE));
	E(setxattr("a", "user.n", "x", 1, XATTR_CREATE));
	E(setxattr("a", "user.n", "x", 1, 4));
	E(setxattr("a", "user.big", big, sizeof(big), 0));
	E(setxattr("a", "nospace.x", "x", 1, 0));
	E(setxattr("a", "system.other", "x", 1, 0));
	E(setxattr("a", "", "x", 1, 0));
	E(setxattr("a", NULL, "x", 1, 0));
	E(getxattr("a", "user.n", big, 0));
	E(getxattr("a", "user.none", big, 10));
	E(removexattr("a", "user.none"));
	E(getxattr("a", "trusted.none", big, 10));
	E(ioctl(fd, FIGETBSZ, &n));
	V(n);
	E(ioctl(fd, FIBMAP, &n));
	E(ioctl(fd, FICLONE, fd));
	E(ioctl(fd, FICLONE, 9999));
	E(ioctl(fd, FICLONERANGE, &r));
	E(ioctl(fd, FS_IOC_GETFLAGS, &n));
	V(n);
	E(ioctl(fd, 0x12345678, 0));
	E(pipe(pipefd));
	E(ioctl(pipefd[0], FS_IOC_GETFLAGS, &n));
	E(ioctl(pipefd[0], FIGETBSZ, &n));
	E(sync_file_range(fd, 0, 10, 0));
	E(sync_file_range(fd, -1, 10, 0));
	E(sync_file_range(fd, 0, 10, 8));
	E(sync_file_range(pipefd[0], 0, 10, 0));
	E(lseek(fd, -1, SEEK_SET));
	E(lseek(fd, 0, 9));
	E(lseek(fd, 0, SEEK_DATA));
	E(ftruncate(fd, 100000));
	V(lseek(fd, 0, SEEK_DATA));
	V(lseek(fd, 0, SEEK_HOLE));
	V(lseek(fd, 100000, SEEK_HOLE));
	E(pwrite(fd, "x", 1, 50000));
	V(lseek(fd, 0, SEEK_DATA));
	V(lseek(fd, 50000, SEEK_HOLE));
	E(pwrite(fd, "x", 1, -5));
	E(ftruncate(fd, -1));
	E(truncate("a", -1));
	E(truncate("d", 0));
	E(fallocate(fd, 0, -1, 10));
	E(fallocate(fd, 0, 0, 0));
	E(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
	E(fallocate(fd, 0x400, 0, 10));
	E(fallocate(pipefd[1], 0, 0, 10));
	E(syscall(SYS_faccessat2, AT_FDCWD, "a", 8, 0));
	E(syscall(SYS_faccessat2, AT_FDCWD, "a", 0, 0x4000));
	E(syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH));
	E(syscall(SYS_close_range, 10, 5, 0));
	E(syscall(SYS_close_range, 1000, 2000, 8));
	E(syscall(SYS_close_range, 1000, 2000, 4));
	E(fcntl(fd, F_SETLEASE, 9));
	E(fcntl(fd, F_NOTIFY, 1));
	E(fcntl(fd, F_SETSIG, 65));
	E(fcntl(fd, F_SETSIG, 64));
	E(fcntl(fd, F_SETOWN, 999999));
	E(fcntl(fd, 9999, 0));
	E(syscall(SYS_quotactl, 0x80000700, NULL, 0, NULL));
	E(syscall(SYS_quotactl, 0x800007ff, NULL, 0, NULL));
	E(syscall(SYS_quotactl, 0x80000700, "nosuch", 0, NULL));
	E(syscall(SYS_quotactl, 0x80000700, "a", 0, NULL));
	E(syscall(SYS_quotactl_fd, 9999, 0x80000700, 0, NULL));
	E(syscall(SYS_quotactl_fd, fd, 0x80000709, 0, NULL));
	E(syscall(SYS_ustat, 0xfffff, big));
	E(syscall(SYS_sysfs, 1, "nosuchfs"));
	E(syscall(SYS_sysfs, 9, 0));
	close(fd);
	close(pipefd[0]);
	close(pipefd[1]);
}

static void locks(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10 };
	int fd = open("lk", O_RDWR | O_CREAT, 0600), ro = open("lk", O_RDONLY);
	int to[2], from[2], st;
	pid_t p;
	char c;

	E(fcntl(ro, F_SETLK, &l));
	l.l_type = 7;
	E(fcntl(fd, F_SETLK, &l));
	l.l_type = F_WRLCK;
	l.l_start = -1;
	E(fcntl(fd, F_SETLK, &l));
	l.l_start = 0x7fffffffffffffff;
	l.l_len = 10;
	E(fcntl(fd, F_SETLK, &l));
	l.l_start = 10;
	l.l_len = -5;
	E(fcntl(fd, F_SETLK, &l));
	l.l_len = -20;
	E(fcntl(fd, F_SETLK, &l));
	l.l_whence = 9;
	E(fcntl(fd, F_SETLK, &l));
	E(fcntl(fd, F_OFD_SETLK, &l));
	l = (struct flock){ .l_type = F_WRLCK, .l_pid = 5, .l_len = 1 };
	E(fcntl(fd, F_OFD_SETLK, &l));
	E(fcntl(fd, F_OFD_GETLK, &l));
	/* Two that wait for each other. */
	l = (struct flock){ .l_type = F_WRLCK, .l_len = 1 };
	E(fcntl(fd, F_SETLK, &l));
	OK(pipe(to));
	OK(pipe(from));
	CHILD (p) {
		l = (struct flock){ .l_type = F_WRLCK, .l_start = 1, .l_len = 1 };
		OK(fcntl(fd, F_SETLK, &l));
		CHECK_EQ(write(from[1], "x", 1), 1);
		l.l_start = 0;
		OK(fcntl(fd, F_SETLKW, &l));
		_exit(0);
	}
	CHECK_EQ(read(from[0], &c, 1), 1);
	guest_blocked(p);
	l.l_start = 1;
	E(fcntl(fd, F_SETLKW, &l));
	l = (struct flock){ .l_type = F_UNLCK };
	E(fcntl(fd, F_SETLK, &l));
	CHECK_EQ(waitpid(p, &st, 0), p);
	V(st);
	E(flock(fd, LOCK_EX | LOCK_NB));
	E(flock(ro, LOCK_SH | LOCK_NB));
	E(flock(fd, LOCK_SH | LOCK_NB));
	E(flock(ro, LOCK_SH | LOCK_NB));
	E(flock(fd, LOCK_EX | LOCK_NB));
	E(flock(ro, 77));
	close(fd);
	close(ro);
}

void guest_test(void)
{
	OK(mkdir("fs", 0755));
	OK(mount("none", "fs", "tmpfs", 0, ""));
	OK(chdir("fs"));
	SUBTEST("names");
	names();
	SUBTEST("attributes");
	attributes();
	SUBTEST("locks");
	locks();
}
