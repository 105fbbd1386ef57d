// SPDX-License-Identifier: Apache-2.0
/* Bind mounts: directories, files, read-only binds, recursive binds, moves, crossing .., EXDEV; over a checkpoint. */
#include "guest.h"
#include <sys/mount.h>

void guest_test(void)
{
	char b[64];
	struct stat x, y;

	OK(mkdir("src", 0755));
	OK(mkdir("dst", 0755));
	OK(mkdir("src/sub", 0755));
	guest_write_file("src/f", "file");
	CHECK_EQ(mount("src", "dst", NULL, MS_BIND, NULL), 0);
	OK(stat("src/f", &x));
	OK(stat("dst/f", &y));
	CHECK(x.st_ino == y.st_ino && x.st_dev == y.st_dev);
	guest_write_file("dst/new", "made there");
	guest_checkpoint();
	CHECK_EQ(guest_read_file("src/new", b, sizeof(b)), 10);
	SUBTEST("two mounts are two devices for rename and link");
	CHECK_ERRNO(rename("src/f", "dst/g"), EXDEV);
	CHECK_ERRNO(link("src/f", "dst/g"), EXDEV);
	SUBTEST(".. leaves the mount at its mount point");
	OK(chdir("dst/sub/../.."));
	CHECK_EQ(access("src", F_OK), 0);
	SUBTEST("a read-only bind leaves the source writable");
	CHECK_EQ(mount(NULL, "dst", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	guest_checkpoint();
	CHECK_ERRNO(open("dst/x", O_CREAT | O_RDWR, 0600), EROFS);
	guest_write_file("src/x", "");
	CHECK_EQ(access("dst/x", R_OK), 0);
	SUBTEST("files");
	guest_write_file("target", "hidden");
	CHECK_EQ(mount("src/f", "target", NULL, MS_BIND, NULL), 0);
	CHECK_EQ(guest_read_file("target", b, sizeof(b)), 4);
	CHECK_ERRNO(unlink("target"), EBUSY);
	CHECK_ERRNO(mount("src", "target", NULL, MS_BIND, NULL), ENOTDIR);
	guest_checkpoint();
	CHECK_EQ(guest_read_file("target", b, sizeof(b)), 4);
	CHECK_EQ(umount("target"), 0);
	CHECK_EQ(guest_read_file("target", b, sizeof(b)), 6);
	SUBTEST("recursive or not");
	CHECK_EQ(umount("dst"), 0);
	CHECK_EQ(mount("t", "src/sub", "tmpfs", 0, NULL), 0);
	guest_write_file("src/sub/inner", "");
	CHECK_EQ(mount("src", "dst", NULL, MS_BIND, NULL), 0);
	CHECK_ERRNO(access("dst/sub/inner", F_OK), ENOENT);
	CHECK_EQ(umount("dst"), 0);
	CHECK_EQ(mount("src", "dst", NULL, MS_BIND | MS_REC, NULL), 0);
	CHECK_EQ(access("dst/sub/inner", F_OK), 0);
	CHECK_ERRNO(umount("dst"), EBUSY);
	CHECK_EQ(umount("dst/sub"), 0);
	CHECK_EQ(umount("dst"), 0);
	SUBTEST("move");
	CHECK_EQ(mount(NULL, "src/sub", NULL, MS_PRIVATE, NULL), 0);
	OK(mkdir("moved", 0755));
	int r = mount("src/sub", "moved", NULL, MS_MOVE, NULL);
	if (r == 0) {
		CHECK_EQ(access("moved/inner", F_OK), 0);
		guest_checkpoint();
		CHECK_EQ(access("moved/inner", F_OK), 0);
		CHECK_EQ(umount("moved"), 0);
	} else {
		CHECK_EQ(errno, EINVAL); /* below a shared mount */
		CHECK_EQ(umount("src/sub"), 0);
	}
	CHECK_ERRNO(mount("none", "dst", NULL, MS_BIND, NULL), ENOENT);
	CHECK_ERRNO(mount("src", "dst", NULL, MS_BIND | MS_REMOUNT, NULL), EINVAL); /* not a mount point */
}
