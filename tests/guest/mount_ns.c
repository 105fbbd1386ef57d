// SPDX-License-Identifier: Apache-2.0
/* Mount namespaces: unshare isolates later mounts; setns goes back; pivot_root; two namespaces over a checkpoint. */
#include "guest.h"
#include <sys/mount.h>

void guest_test(void)
{
	struct gate there, go;
	pid_t p;
	int ns = OK(open("/proc/self/ns/mnt", O_RDONLY));
	struct stat a, b;

	gate_init(&there);
	gate_init(&go);
	OK(mkdir("m", 0755));
	CHILD (p) {
		OK(unshare(CLONE_NEWNS));
		OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
		OK(mount("t", "m", "tmpfs", 0, NULL));
		guest_write_file("m/private", "");
		OK(fstat(ns, &a));
		OK(stat("/proc/self/ns/mnt", &b));
		CHECK(a.st_ino != b.st_ino);
		gate_post(&there);
		gate_wait(&go);
		CHECK_EQ(access("m/private", F_OK), 0);
		CHECK_EQ(setns(ns, CLONE_NEWNS), 0);
		OK(chdir(guest_dir));
		CHECK_ERRNO(access("m/private", F_OK), ENOENT);
		_exit(0);
	}
	gate_wait(&there);
	CHECK_ERRNO(access("m/private", F_OK), ENOENT);
	guest_checkpoint();
	CHECK_ERRNO(access("m/private", F_OK), ENOENT);
	gate_post(&go);
	guest_reap(p);
	SUBTEST("pivot_root");
	CHILD (p) {
		OK(unshare(CLONE_NEWNS));
		OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
		CHECK_ERRNO(syscall(SYS_pivot_root, "m", "m"), EINVAL); /* not a mount point */
		OK(mount("t", "m", "tmpfs", 0, NULL));
		OK(mkdir("m/old", 0755));
		guest_write_file("m/here", "");
		if (syscall(SYS_pivot_root, "m", "m/old") != 0) {
			CHECK_EQ(errno, EINVAL); /* the root is the initial ramfs */
			_exit(0);
		}
		OK(chdir("/"));
		CHECK_EQ(access("/here", F_OK), 0);
		CHECK_EQ(access("/old/proc", F_OK), 0);
		gate_post(&there);
		gate_wait(&go);
		CHECK_EQ(access("/here", F_OK), 0);
		CHECK_EQ(umount2("/old", MNT_DETACH), 0);
		CHECK_ERRNO(access("/old/proc", F_OK), ENOENT);
		_exit(0);
	}
	msleep(20);
	guest_checkpoint();
	gate_post(&go);
	guest_reap(p);
	SUBTEST("errors");
	CHECK_ERRNO(unshare(0x1), EINVAL);
	CHECK_ERRNO(setns(0, 0), EINVAL);
	CHECK_ERRNO(setns(999, 0), EBADF);
	CHECK_ERRNO(setns(ns, CLONE_NEWUTS), EINVAL);
	CHILD (p) {
		OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(unshare(CLONE_NEWNS), EPERM);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("UTS namespace");
	CHILD (p) {
		char n[65];

		OK(unshare(CLONE_NEWUTS));
		OK(sethostname("inner", 5));
		guest_checkpoint();
		OK(gethostname(n, sizeof(n)));
		CHECK_STR(n, "inner");
		_exit(0);
	}
	guest_reap(p);
	char n[65];
	OK(gethostname(n, sizeof(n)));
	CHECK(strcmp(n, "inner") != 0);
}
