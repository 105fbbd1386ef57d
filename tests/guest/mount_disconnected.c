/* SPDX-License-Identifier: Apache-2.0 */
/* A directory that is moved out of the bind mount it was reached by: usable, but ".." does not lead out of the mount. */
#include "guest.h"

#include <linux/landlock.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE

static int enforce(const char *allowed)
{
	struct landlock_ruleset_attr a = { .handled_access_fs = READ_FILE };
	struct landlock_path_beneath_attr b = { .allowed_access = READ_FILE, .parent_fd = OK(open(allowed, O_PATH)) };
	int rs = OK((int)syscall(SYS_landlock_create_ruleset, &a, sizeof(a.handled_access_fs), 0));

	OK(syscall(SYS_landlock_add_rule, rs, LANDLOCK_RULE_PATH_BENEATH, &b, 0));
	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	OK(syscall(SYS_landlock_restrict_self, rs, 0));
	close(b.parent_fd);
	return close(rs);
}

static int reads(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void restricted(int dir, const char *allowed, int want)
{
	pid_t p;

	CHILD (p) {
		OK(enforce(allowed));
		CHECK_EQ(reads(dir, "file"), want);
		_exit(0);
	}
	guest_reap(p);
}

void guest_test(void)
{
	int dir, below;

	OK(unshare(CLONE_NEWNS));
	OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	OK(mkdir("top", 0755));
	OK(mount("tmpfs", "top", "tmpfs", 0, NULL));
	OK(mkdir("top/src", 0755));
	OK(mkdir("top/src/d", 0755));
	OK(mkdir("top/src/d/below", 0755));
	OK(mkdir("top/other", 0755));
	OK(mkdir("top/unrelated", 0755));
	OK(mkdir("mnt", 0755));
	guest_write_file("top/src/d/file", "x");
	OK(mount("top/src", "mnt", NULL, MS_BIND, NULL));
	dir = OK(open("mnt/d", O_RDONLY | O_DIRECTORY));
	below = OK(open("mnt/d/below", O_RDONLY | O_DIRECTORY));
	CHECK_EQ(reads(dir, ".."), 0);
	SUBTEST("out of the mount");
	OK(rename("top/src/d", "top/other/d"));
	CHECK_EQ(reads(dir, "file"), 0);
	CHECK_EQ(reads(dir, ".."), -ENOENT);
	CHECK_EQ(reads(below, ".."), -ENOENT);
	CHECK_EQ(reads(dir, "below/.."), -ENOENT);
	CHECK_EQ(reads(AT_FDCWD, "top/other/d/.."), 0); /* by its new name it is where it belongs */
	SUBTEST("landlock: rules of where it is, and of where it was reached");
	restricted(dir, "top/other", 0);
	restricted(dir, "mnt", 0);
	restricted(dir, "top/unrelated", -EACCES);
	guest_checkpoint();
	CHECK_EQ(reads(dir, "file"), 0);
	CHECK_EQ(reads(dir, ".."), -ENOENT);
	restricted(dir, "mnt", 0);
	SUBTEST("back");
	OK(rename("top/other/d", "top/src/d"));
	CHECK_EQ(reads(dir, ".."), 0);
	CHECK_EQ(reads(below, "../file"), 0);
}
