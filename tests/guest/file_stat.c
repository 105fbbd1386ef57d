// SPDX-License-Identifier: Apache-2.0
/* stat and statx fields, times updated by operations, utimensat rules, statfs; kept over a checkpoint. */
#include "guest.h"
#include <sys/statfs.h>
#include <sys/sysmacros.h>

static int64_t t(struct timespec ts)
{
	return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

void guest_test(void)
{
	struct stat a, b;
	struct statx x;
	struct statfs fs;
	struct timespec ts[2] = {{1000000000, 123456789}, {1100000000, 987654321}};
	int fd = guest_make_file("f", 5000, 1);
	pid_t p;

	OK(stat("f", &a));
	CHECK_EQ(a.st_size, 5000);
	CHECK_EQ(a.st_nlink, 1);
	CHECK_EQ(a.st_mode, S_IFREG | 0644);
	CHECK(a.st_blksize >= 512);
	CHECK(a.st_blocks >= 8);
	CHECK(llabs(t(a.st_mtim) - now_ns(CLOCK_REALTIME)) < 10000 * MS);
	OK(fstat(fd, &b));
	CHECK(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	SUBTEST("statx");
	CHECK_EQ(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS | STATX_BTIME, &x), 0);
	CHECK_EQ(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
	CHECK_EQ(x.stx_size, 5000);
	CHECK_EQ(x.stx_ino, a.st_ino);
	CHECK_EQ(x.stx_mode, a.st_mode);
	CHECK_EQ(makedev(x.stx_dev_major, x.stx_dev_minor), a.st_dev);
	CHECK_EQ(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &x), 0);
	CHECK_ERRNO(statx(fd, "", 0, STATX_SIZE, &x), ENOENT);
	CHECK_ERRNO(statx(AT_FDCWD, "f", 0x10000000, STATX_SIZE, &x), EINVAL);
	CHECK_ERRNO(statx(AT_FDCWD, "f", 0, STATX__RESERVED, &x), EINVAL);
	SUBTEST("utimensat");
	CHECK_EQ(utimensat(AT_FDCWD, "f", ts, 0), 0);
	OK(stat("f", &a));
	CHECK_EQ(t(a.st_atim), t(ts[0]));
	CHECK_EQ(t(a.st_mtim), t(ts[1]));
	guest_checkpoint();
	OK(stat("f", &b));
	CHECK_EQ(t(b.st_atim), t(ts[0]));
	CHECK_EQ(t(b.st_mtim), t(ts[1]));
	CHECK_EQ(t(b.st_ctim), t(a.st_ctim));
	CHECK_EQ(b.st_ino, a.st_ino);
	CHECK_EQ(b.st_dev, a.st_dev);
	OK(fstat(fd, &b));
	CHECK_EQ(b.st_ino, a.st_ino);
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_NOW;
	CHECK_EQ(futimens(fd, ts), 0);
	OK(stat("f", &a));
	CHECK_EQ(t(a.st_atim), 1000000000LL * 1000 * MS + 123456789);
	CHECK(llabs(t(a.st_mtim) - now_ns(CLOCK_REALTIME)) < 10000 * MS);
	ts[0].tv_nsec = 1000000000;
	CHECK_ERRNO(futimens(fd, ts), EINVAL);
	CHILD (p) {
		OK(setresuid(1000, 1000, 1000));
		ts[0] = ts[1] = (struct timespec){5, 5};
		CHECK_ERRNO(utimensat(AT_FDCWD, "f", ts, 0), EPERM);
		CHECK_ERRNO(utimensat(AT_FDCWD, "f", NULL, 0), EACCES);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("which operation moves which time");
	ts[0] = ts[1] = (struct timespec){1000, 0};
	OK(futimens(fd, ts));
	OK(fstat(fd, &a));
	msleep(15);
	CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
	OK(fstat(fd, &b));
	CHECK(t(b.st_mtim) > t(a.st_mtim) && t(b.st_ctim) > t(a.st_ctim) && t(b.st_atim) == t(a.st_atim));
	OK(futimens(fd, ts));
	OK(fstat(fd, &a));
	msleep(15);
	OK(fchmod(fd, 0600));
	OK(fstat(fd, &b));
	CHECK(t(b.st_mtim) == t(a.st_mtim) && t(b.st_ctim) > t(a.st_ctim));
	OK(mkdir("d", 0755));
	OK(utimensat(AT_FDCWD, "d", ts, 0));
	guest_write_file("d/new", "");
	OK(stat("d", &b));
	CHECK(t(b.st_mtim) > 2000000 * MS);
	CHECK_EQ(b.st_nlink, 2);
	OK(mkdir("d/s", 0755));
	OK(stat("d", &b));
	CHECK_EQ(b.st_nlink, 3);
	SUBTEST("statfs");
	CHECK_EQ(statfs(".", &fs), 0);
	CHECK(fs.f_bsize > 0 && fs.f_namelen == 255 && fs.f_bavail <= fs.f_blocks);
	CHECK_EQ(statfs("/proc", &fs), 0);
	CHECK_EQ(fs.f_type, 0x9fa0);
	CHECK_ERRNO(statfs("none", &fs), ENOENT);
	CHECK_ERRNO(stat("none", &a), ENOENT);
	CHECK_ERRNO(syscall(SYS_stat, "f", 8), EFAULT);
	CHECK_ERRNO(stat("f/x", &a), ENOTDIR);
	CHECK_ERRNO(fstat(999, &a), EBADF);
	CHECK_ERRNO(fstatat(AT_FDCWD, "f", &a, 0x4), EINVAL);
	SUBTEST("device nodes");
	if (mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0) {
		OK(stat("null", &a));
		CHECK(S_ISCHR(a.st_mode));
		CHECK_EQ(a.st_rdev, makedev(1, 3));
	}
	OK(mknod("sock", S_IFSOCK | 0600, 0));
	OK(stat("sock", &a));
	CHECK(S_ISSOCK(a.st_mode));
	CHECK_ERRNO(open("sock", O_RDONLY), ENXIO);
	OK(mknod("reg", 0600, 0));
	OK(stat("reg", &a));
	CHECK(S_ISREG(a.st_mode));
	CHECK_ERRNO(mknod("dir", S_IFDIR | 0700, 0), EPERM);
	CHECK_ERRNO(mknod("x", S_IFLNK | 0700, 0), EINVAL);
	CHILD (p) {
		OK(chmod(".", 0777));
		OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(mknod("dev", S_IFCHR | 0600, makedev(1, 3)), EPERM);
		CHECK_EQ(mknod("fifo", S_IFIFO | 0600, 0), 0);
		_exit(0);
	}
	guest_reap(p);
}
