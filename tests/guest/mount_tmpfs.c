// SPDX-License-Identifier: Apache-2.0
/*
 * Mounting, unmounting and stacking tmpfs; read-only, remount, busy, lazy detach, mountinfo; contents over a
 * checkpoint.
 */
#include "guest.h"
#include <sys/mount.h>
#include <sys/statfs.h>

void guest_test(void)
{
	static char mi[65536];
	char path[PATH_MAX + 32], b[64];
	struct stat up, in;
	struct statfs fs;
	pid_t p;
	int fd;

	OK(mkdir("m", 0755));
	OK(stat("m", &up));
	snprintf(path, sizeof(path), "%s/m", guest_dir);
	CHECK_EQ(mount("some source", "m", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=700,nr_inodes=50"), 0);
	OK(stat("m", &in));
	CHECK(in.st_dev != up.st_dev);
	CHECK_EQ(in.st_mode & 07777, 0700);
	OK(statfs("m", &fs));
	CHECK_EQ(fs.f_type, 0x01021994);
	CHECK_EQ(fs.f_blocks * (unsigned long)fs.f_bsize, 1 << 20);
	guest_write_file("m/f", "contents");
	guest_checkpoint();
	CHECK_EQ(guest_read_file("m/f", b, sizeof(b)), 8);
	CHECK(guest_read_file("/proc/self/mountinfo", mi, sizeof(mi)) > 0);
	char *line = strstr(mi, path);
	CHECK(line && strstr(line, " - tmpfs some\\040source ") && strstr(line, "nosuid,nodev"));
	CHECK(guest_read_file("/proc/self/mounts", mi, sizeof(mi)) > 0);
	CHECK((line = strstr(mi, path)) && strncmp(line + strlen(path), " tmpfs rw,nosuid,nodev", 22) == 0);
	SUBTEST("the size limit");
	fd = OK(open("m/big", O_CREAT | O_WRONLY, 0600));
	char *big = calloc(1, 2 << 20);
	CHECK(write(fd, big, 2 << 20) < (2 << 20));
	CHECK_ERRNO(write(fd, big, 1 << 20), ENOSPC);
	close(fd);
	OK(unlink("m/big"));
	SUBTEST("stacking");
	CHECK_EQ(mount("t", "m", "tmpfs", 0, NULL), 0);
	CHECK_ERRNO(access("m/f", F_OK), ENOENT);
	guest_checkpoint();
	CHECK_EQ(umount("m"), 0);
	CHECK_EQ(access("m/f", F_OK), 0);
	SUBTEST("busy and lazy");
	fd = OK(open("m/f", O_RDONLY));
	CHECK_ERRNO(umount("m"), EBUSY);
	CHECK_ERRNO(rmdir("m"), EBUSY);
	CHECK_ERRNO(rename("m", "n"), EBUSY);
	SUBTEST("read-only");
	CHECK_ERRNO(mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0 ? (errno = 0, -1) : -1, errno);
	CHECK_ERRNO(open("m/new", O_CREAT | O_RDWR, 0600), EROFS);
	CHECK_ERRNO(open("m/f", O_RDWR), EROFS);
	CHECK_ERRNO(mkdir("m/d", 0755), EROFS);
	CHECK_ERRNO(chmod("m/f", 0600), EROFS);
	CHECK_ERRNO(unlink("m/f"), EROFS);
	CHECK_ERRNO(access("m/f", W_OK), EROFS);
	CHECK_EQ(access("m/f", R_OK), 0);
	guest_checkpoint();
	CHECK_ERRNO(open("m/f", O_RDWR), EROFS);
	CHECK_EQ(mount(NULL, "m", NULL, MS_REMOUNT, NULL), 0);
	CHECK_EQ(umount2("m", MNT_DETACH), 0);
	CHECK_ERRNO(access("m/f", F_OK), ENOENT);
	CHECK_EQ(read(fd, b, 64), 8); /* detached, still there for us */
	guest_checkpoint();
	CHECK_EQ(pread(fd, b, 64, 0), 8);
	SUBTEST("errors");
	CHECK_ERRNO(umount("m"), EINVAL);
	CHECK_ERRNO(umount("none"), ENOENT);
	CHECK_ERRNO(umount2("m", 0x100), EINVAL);
	CHECK_ERRNO(mount("x", "none", "tmpfs", 0, NULL), ENOENT);
	CHECK_ERRNO(mount("x", "m", "nosuchfs", 0, NULL), ENODEV);
	CHECK_ERRNO(mount("x", "m", NULL, 0, NULL), EINVAL);
	CHECK_ERRNO(mount("x", "m", "tmpfs", 0, "size=abc"), EINVAL);
	CHILD (p) {
		OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(mount("x", "m", "tmpfs", 0, NULL), EPERM);
		CHECK_ERRNO(umount("m"), EPERM);
		_exit(0);
	}
	guest_reap(p);
}
