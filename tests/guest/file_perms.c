// SPDX-License-Identifier: Apache-2.0
/* Permission checks by owner, group, other and capability: files, directories, access(), chmod, chown, set-ID bits. */
#include "guest.h"
#include <grp.h>

static void as(uid_t uid, gid_t gid, gid_t extra)
{
	OK(syscall(SYS_setgroups, 1, &extra));
	OK(setresgid(gid, gid, gid));
	OK(setresuid(uid, uid, uid));
}

void guest_test(void)
{
	struct stat st;
	pid_t p;
	int fd;

	guest_write_file("f", "x");
	OK(chown("f", 1000, 2000));
	OK(chmod("f", 0640));
	SUBTEST("owner");
	CHILD (p) {
		as(1000, 1, 1);
		close(OK(open("f", O_RDWR)));
		CHECK_EQ(access("f", R_OK | W_OK), 0);
		CHECK_ERRNO(access("f", X_OK), EACCES);
		OK(chmod("f", 0040)); /* the owner's class alone counts */
		CHECK_ERRNO(open("f", O_RDONLY), EACCES);
		OK(chmod("f", 0640));
		CHECK_ERRNO(chown("f", 1001, -1u), EPERM);
		CHECK_ERRNO(chown("f", -1u, 3000), EPERM);
		CHECK_EQ(chown("f", -1u, 1), 0); /* own group */
		_exit(0);
	}
	guest_reap(p);
	OK(chown("f", 1000, 2000));
	SUBTEST("group, by supplementary group");
	CHILD (p) {
		as(1001, 1, 2000);
		close(OK(open("f", O_RDONLY)));
		CHECK_ERRNO(open("f", O_WRONLY), EACCES);
		CHECK_ERRNO(chmod("f", 0777), EPERM);
		guest_checkpoint();
		close(OK(open("f", O_RDONLY)));
		CHECK_ERRNO(open("f", O_WRONLY), EACCES);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("others");
	CHILD (p) {
		as(1001, 1, 1);
		CHECK_ERRNO(open("f", O_RDONLY), EACCES);
		CHECK_ERRNO(access("f", R_OK), EACCES);
		CHECK_EQ(access("f", F_OK), 0);
		CHECK_ERRNO(truncate("f", 0), EACCES);
		CHECK(link("f", "hard") == -1 && (errno == EPERM || errno == EACCES)); /* by protected_hardlinks */
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("root needs no permission but x");
	OK(chmod("f", 0));
	close(OK(open("f", O_RDWR)));
	CHECK_EQ(access("f", R_OK | W_OK), 0);
	CHECK_ERRNO(access("f", X_OK), EACCES);
	OK(chmod("f", 0001));
	CHECK_EQ(access("f", X_OK), 0);
	SUBTEST("access() uses the real ids, faccessat(AT_EACCESS) the effective ones");
	CHILD (p) {
		OK(chmod("f", 0600));
		OK(setresuid(1001, 1000, 0));
		CHECK_ERRNO(access("f", R_OK), EACCES);
		CHECK_EQ(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS), 0);
		close(OK(open("f", O_RDONLY)));
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("directories");
	OK(mkdir("d", 0755));
	guest_write_file("d/x", "");
	OK(chmod("d", 0744)); /* list but not search */
	CHILD (p) {
		as(1001, 1, 1);
		fd = OK(open("d", O_RDONLY | O_DIRECTORY));
		CHECK_ERRNO(stat("d/x", &st), EACCES);
		CHECK_ERRNO(chdir("d"), EACCES);
		CHECK_ERRNO(fchdir(fd), EACCES);
		_exit(0);
	}
	guest_reap(p);
	OK(chmod("d", 0711)); /* search but not list */
	CHILD (p) {
		as(1001, 1, 1);
		CHECK_ERRNO(open("d", O_RDONLY | O_DIRECTORY), EACCES);
		CHECK_EQ(stat("d/x", &st), 0);
		CHECK_ERRNO(unlink("d/x"), EACCES);
		CHECK_ERRNO(mkdir("d/y", 0755), EACCES);
		CHECK_ERRNO(open("d/new", O_CREAT | O_RDWR, 0600), EACCES);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("set-group-ID directories hand down their group");
	OK(mkdir("sg", 0777));
	OK(chown("sg", 0, 2000));
	OK(chmod("sg", 02777));
	guest_write_file("sg/f", "");
	OK(stat("sg/f", &st));
	CHECK_EQ(st.st_gid, 2000);
	OK(mkdir("sg/d", 0755));
	OK(stat("sg/d", &st));
	CHECK_EQ(st.st_gid, 2000);
	CHECK_EQ(st.st_mode & 07777, 02755);
	SUBTEST("set-ID bits");
	OK(chmod("f", 06755));
	OK(stat("f", &st));
	CHECK_EQ(st.st_mode & 07777, 06755);
	OK(chown("f", 1000, 2000));
	OK(stat("f", &st));
	CHECK_EQ(st.st_mode & 07777, 0755); /* even root's chown clears them */
	CHILD (p) {
		as(1000, 1, 1); /* not in the file's group */
		OK(chmod("f", 02755));
		OK(stat("f", &st));
		CHECK_EQ(st.st_mode & 07777, 0755);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("special cases");
	CHECK_ERRNO(chmod("none", 0), ENOENT);
	CHECK_ERRNO(fchmod(999, 0), EBADF);
	CHECK_ERRNO(access("f", 8), EINVAL);
	CHECK(syscall(452, AT_FDCWD, "f", 0, 0x1) == -1 && (errno == EINVAL || errno == ENOSYS)); /* fchmodat2: Linux 6.6 */
	OK(symlink("f", "s"));
	OK(lchown("s", 5, 6));
	OK(lstat("s", &st));
	CHECK_EQ(st.st_uid, 5);
	OK(stat("s", &st));
	CHECK_EQ(st.st_uid, 1000);
	CHECK_EQ(chown("f", -1u, -1u), 0);
	umask(077);
	guest_write_file("masked", "");
	OK(stat("masked", &st));
	CHECK_EQ(st.st_mode & 07777, 0600);
}
