// SPDX-License-Identifier: Apache-2.0
/* Working directories: getcwd, fchdir, a deleted cwd, renamed above, per process; over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	char a[PATH_MAX], b[PATH_MAX + 16];
	struct stat st;
	struct gate g;
	pid_t p;
	int fd;

	gate_init(&g);
	CHECK(getcwd(a, sizeof(a)) != NULL);
	CHECK_STR(a, guest_dir);
	OK(mkdir("x", 0755));
	OK(mkdir("x/y", 0755));
	fd = OK(open("x", O_RDONLY | O_DIRECTORY));
	OK(chdir("x/y"));
	CHECK(getcwd(a, sizeof(a)) != NULL);
	snprintf(b, sizeof(b), "%s/x/y", guest_dir);
	CHECK_STR(a, b);
	CHILD (p) {
		OK(chdir("/"));
		gate_wait(&g);
		CHECK(getcwd(a, sizeof(a)) != NULL);
		CHECK_STR(a, "/");
		_exit(0);
	}
	guest_checkpoint();
	gate_post(&g);
	guest_reap(p);
	CHECK(getcwd(a, sizeof(a)) != NULL);
	CHECK_STR(a, b);
	SUBTEST("renamed above us");
	OK(rename("../../x", "../../z"));
	snprintf(b, sizeof(b), "%s/z/y", guest_dir);
	CHECK(getcwd(a, sizeof(a)) != NULL);
	CHECK_STR(a, b);
	SUBTEST("deleted");
	OK(rmdir("../y"));
	CHECK_ERRNO(syscall(SYS_getcwd, a, sizeof(a)), ENOENT);
	guest_checkpoint();
	CHECK_ERRNO(syscall(SYS_getcwd, a, sizeof(a)), ENOENT);
	CHECK_EQ(stat(".", &st), 0);
	CHECK_EQ(st.st_nlink, 0);
	CHECK_ERRNO(open("new", O_CREAT | O_RDWR, 0600), ENOENT);
	CHECK_ERRNO(mkdir("new", 0700), ENOENT);
	CHECK_EQ(access(".", F_OK), 0);
	ssize_t n = OK(readlink("/proc/self/cwd", a, sizeof(a) - 1));
	a[n] = 0;
	CHECK(strstr(a, "/z/y (deleted)"));
	DIR *d = opendir(".");
	CHECK(d != NULL);
	CHECK(readdir(d) == NULL);
	closedir(d);
	OK(chdir(".."));
	CHECK(getcwd(a, sizeof(a)) != NULL);
	snprintf(b, sizeof(b), "%s/z", guest_dir);
	CHECK_STR(a, b);
	SUBTEST("fchdir");
	OK(chdir("/"));
	OK(fchdir(fd));
	CHECK(getcwd(a, sizeof(a)) != NULL);
	CHECK_STR(a, b);
	guest_write_file("plain", "");
	CHECK_ERRNO(chdir("plain"), ENOTDIR);
	CHECK_ERRNO(chdir("none"), ENOENT);
	fd = OK(open("plain", O_RDONLY));
	CHECK_ERRNO(fchdir(fd), ENOTDIR);
	CHECK_ERRNO(fchdir(999), EBADF);
	CHECK_ERRNO(syscall(SYS_getcwd, a, 2), ERANGE);
	CHECK_ERRNO(syscall(SYS_getcwd, 8, 100), EFAULT);
}
