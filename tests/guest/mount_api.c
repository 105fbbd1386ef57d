/* SPDX-License-Identifier: Apache-2.0 */
/* fsopen, fsconfig, fsmount, fspick, open_tree, move_mount, mount_setattr: with checkpoints between the steps. */
#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "guest.h"

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif
#define AT_RECURSIVE_F 0x8000

int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);

static int fsopen_(const char *n, unsigned f)
{
	return (int)syscall(SYS_fsopen, n, f);
}
static int fsconfig_(int fd, unsigned cmd, const char *k, const void *v, int aux)
{
	return (int)syscall(SYS_fsconfig, fd, cmd, k, v, aux);
}
static int fsmount_(int fd, unsigned f, unsigned attr)
{
	return (int)syscall(SYS_fsmount, fd, f, attr);
}
static int fspick_(int dfd, const char *p, unsigned f)
{
	return (int)syscall(SYS_fspick, dfd, p, f);
}
static int open_tree_(int dfd, const char *p, unsigned f)
{
	return (int)syscall(SYS_open_tree, dfd, p, f);
}
static int move_mount_(int fd, const char *fp, int td, const char *tp, unsigned f)
{
	return (int)syscall(SYS_move_mount, fd, fp, td, tp, f);
}
static int setattr_(int dfd, const char *p, unsigned f, void *a, size_t n)
{
	return (int)syscall(SYS_mount_setattr, dfd, p, f, a, n);
}

static const char *info(const char *where)
{
	static char line[4096], found[4096];
	char full[1024], cwd[512];
	FILE *f = fopen("/proc/self/mountinfo", "r");

	CHECK(f && getcwd(cwd, sizeof(cwd)));
	snprintf(full, sizeof(full), " %s/%s ", cwd, where);
	found[0] = '\0';
	while (fgets(line, sizeof(line), f))
		if (strstr(line, full))
			strcpy(found, line);
	fclose(f);
	return found;
}

static void test_build(void)
{
	char buf[256];
	int fd, m;
	ssize_t n;

	CHECK_ERRNO(fsopen_("nosuchfs", 0), ENODEV);
	CHECK_ERRNO(fsopen_("tmpfs", 2), EINVAL);
	fd = OK(fsopen_("tmpfs", FSOPEN_CLOEXEC));
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(fsmount_(fd, 0, 0), EINVAL); /* nothing was made yet */
	OK(fsconfig_(fd, FSCONFIG_SET_STRING, "source", "mysrc", 0));
	CHECK_ERRNO(fsconfig_(fd, FSCONFIG_SET_STRING, "source", "again", 0), EINVAL);
	n = read(fd, buf, sizeof(buf));
	CHECK(n > 2 && buf[0] == 'e' && memmem(buf, (size_t)n, "ultiple sources", 15));
	CHECK_ERRNO(read(fd, buf, sizeof(buf)), ENODATA);
	OK(fsconfig_(fd, FSCONFIG_SET_STRING, "size", "1m", 0));
	OK(fsconfig_(fd, FSCONFIG_SET_STRING, "mode", "711", 0));
	CHECK_ERRNO(fsconfig_(fd, FSCONFIG_SET_STRING, "nosuch", "1", 0), EINVAL);
	CHECK_ERRNO(read(fd, buf, 3), EMSGSIZE);
	CHECK_ERRNO(fsconfig_(fd, FSCONFIG_SET_STRING, "nosuch", "1", 0), EINVAL);
	guest_checkpoint();
	n = read(fd, buf, sizeof(buf));
	CHECK(n > 2 && buf[0] == 'e' && memmem(buf, (size_t)n, "nknown parameter 'nosuch'", 25));
	CHECK_ERRNO(fsconfig_(fd, FSCONFIG_SET_FLAG, "ro", "x", 0), EINVAL);
	CHECK_ERRNO(fsconfig_(fd, FSCONFIG_SET_FLAG, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(fsconfig_(fd, 77, "x", NULL, 0), EOPNOTSUPP);
	CHECK_ERRNO(fsconfig_(-1, FSCONFIG_SET_FLAG, "ro", NULL, 0), EINVAL);
	CHECK_ERRNO(fsconfig_(999, FSCONFIG_SET_FLAG, "ro", NULL, 0), EBADF);
	CHECK_ERRNO(fsconfig_(0, FSCONFIG_SET_FLAG, "ro", NULL, 0), EINVAL);
	CHECK_ERRNO(fsconfig_(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0), EBUSY);
	OK(fsconfig_(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	CHECK_ERRNO(fsconfig_(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0), EBUSY);
	CHECK_ERRNO(fsconfig_(fd, FSCONFIG_SET_FLAG, "ro", NULL, 0), EBUSY);
	guest_checkpoint();
	CHECK_ERRNO(fsmount_(fd, 0, 0x70), EINVAL);
	CHECK_ERRNO(fsmount_(fd, 2, 0), EINVAL);
	m = OK(fsmount_(fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME));
	CHECK_ERRNO(fsmount_(fd, 0, 0), EBUSY);
	/* It can be used before it is anywhere. */
	CHECK_ERRNO(fcntl(m, F_SETFL, 0), EBADF);
	OK(mkdirat(m, "inside", 0755));
	guest_checkpoint();
	OK(faccessat(m, "inside", F_OK, 0));
	OK(mkdir("t", 0755));
	OK(move_mount_(m, "", AT_FDCWD, "t", MOVE_MOUNT_F_EMPTY_PATH));
	CHECK(strstr(info("t"), "nosuid,noatime - tmpfs mysrc rw,size=1024k,mode=711") != NULL);
	OK(access("t/inside", F_OK));
	CHECK_ERRNO(umount2("t", 0), EBUSY); /* the descriptor */
	close(m);
	OK(access("t/inside", F_OK));

	/* The context may change what it made. */
	OK(fsconfig_(fd, FSCONFIG_SET_FLAG, "ro", NULL, 0));
	OK(fsconfig_(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
	CHECK(strstr(info("t"), " - tmpfs mysrc ro") != NULL);
	close(fd);
	fd = OK(fspick_(AT_FDCWD, "t", 0));
	OK(fsconfig_(fd, FSCONFIG_SET_FLAG, "rw", NULL, 0));
	OK(fsconfig_(fd, FSCONFIG_SET_STRING, "size", "2m", 0));
	guest_checkpoint();
	OK(fsconfig_(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
	CHECK(strstr(info("t"), " - tmpfs mysrc rw,size=2048k") != NULL);
	close(fd);
	CHECK_ERRNO(fspick_(AT_FDCWD, "t/inside", 0), EINVAL);
	CHECK_ERRNO(fspick_(AT_FDCWD, "t", 16), EINVAL);
	OK(umount2("t", 0));
}

static void test_tree(void)
{
	int a, b;

	OK(mkdir("src", 0755));
	OK(mount("none", "src", "tmpfs", 0, ""));
	OK(mkdir("src/sub", 0755));
	OK(mount("none", "src/sub", "tmpfs", 0, ""));
	OK(mkdir("src/sub/deep", 0755));
	OK(mkdir("dst", 0755));
	CHECK_ERRNO(open_tree_(AT_FDCWD, "src", AT_RECURSIVE_F), EINVAL);
	CHECK_ERRNO(open_tree_(AT_FDCWD, "src", 0x2), EINVAL);
	CHECK_ERRNO(open_tree_(AT_FDCWD, "nosuch", 0), ENOENT);
	a = OK(open_tree_(AT_FDCWD, "src", 0)); /* plain: O_PATH */
	CHECK(fcntl(a, F_GETFL) & O_PATH);
	close(a);
	a = OK(open_tree_(AT_FDCWD, "src", OPEN_TREE_CLONE | AT_RECURSIVE_F));
	b = OK(open_tree_(AT_FDCWD, "src", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
	guest_checkpoint();
	OK(faccessat(a, "sub/deep", F_OK, 0));
	CHECK_ERRNO(faccessat(b, "sub/deep", F_OK, 0), ENOENT);
	OK(move_mount_(a, "", AT_FDCWD, "dst", MOVE_MOUNT_F_EMPTY_PATH));
	OK(access("dst/sub/deep", F_OK));
	/* Attached: a second move is an ordinary one. */
	OK(mkdir("dst2", 0755));
	OK(move_mount_(a, "", AT_FDCWD, "dst2", MOVE_MOUNT_F_EMPTY_PATH));
	OK(access("dst2/sub/deep", F_OK));
	CHECK_ERRNO(access("dst/sub", F_OK), ENOENT);
	close(a);
	close(b);
	CHECK_ERRNO(move_mount_(AT_FDCWD, "dst", AT_FDCWD, "dst2", 0), EINVAL); /* not a mount */
	CHECK_ERRNO(move_mount_(AT_FDCWD, "dst2", AT_FDCWD, "dst", 0x200), EINVAL);
	OK(move_mount_(AT_FDCWD, "dst2", AT_FDCWD, "dst", 0));
	OK(access("dst/sub/deep", F_OK));
	OK(umount2("dst", MNT_DETACH));
}

static void test_setattr(void)
{
	struct mount_attr m = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV };
	struct statfs st;
	char big[sizeof(m) + 8] = { 0 };
	int fd;

	CHECK_ERRNO(setattr_(AT_FDCWD, "src", 1, &m, sizeof(m)), EINVAL);
	CHECK_ERRNO(setattr_(AT_FDCWD, "src", 0, &m, 8), EINVAL);
	CHECK_ERRNO(setattr_(AT_FDCWD, "src", 0, &m, 8192), E2BIG);
	big[sizeof(big) - 1] = 1;
	CHECK_ERRNO(setattr_(AT_FDCWD, "src", 0, big, sizeof(big)), E2BIG);
	CHECK_ERRNO(setattr_(AT_FDCWD, "src/sub/deep", 0, &m, sizeof(m)), EINVAL);
	fd = OK(open("src/sub/f", O_WRONLY | O_CREAT, 0644));
	CHECK_ERRNO(setattr_(AT_FDCWD, "src", AT_RECURSIVE_F, &m, sizeof(m)), EBUSY);
	OK(statfs("src", &st));
	CHECK(!(st.f_flags & 1)); /* all or nothing */
	close(fd);
	OK(setattr_(AT_FDCWD, "src", AT_RECURSIVE_F, &m, sizeof(m)));
	OK(statfs("src/sub", &st));
	CHECK((st.f_flags & (1 | 4)) == (1 | 4));
	CHECK_ERRNO(open("src/sub/f", O_WRONLY), EROFS);
	m = (struct mount_attr){ .attr_clr = MOUNT_ATTR_RDONLY, .attr_set = MOUNT_ATTR_NOATIME };
	CHECK_ERRNO(setattr_(AT_FDCWD, "src", 0, &m, sizeof(m)), EINVAL); /* atime is a field: cleared first */
	m.attr_clr |= MOUNT_ATTR__ATIME;
	m.propagation = 1u << 20; /* MS_SHARED */
	OK(setattr_(AT_FDCWD, "src", AT_RECURSIVE_F, &m, sizeof(m)));
	CHECK(strstr(info("src/sub"), "rw,nodev,noatime shared:") != NULL);
	m = (struct mount_attr){ .propagation = (1u << 20) | (1u << 18) };
	CHECK_ERRNO(setattr_(AT_FDCWD, "src", 0, &m, sizeof(m)), EINVAL);
	m = (struct mount_attr){ .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = 999 };
	CHECK_ERRNO(setattr_(AT_FDCWD, "src", 0, &m, sizeof(m)), EBADF);

	/* MOVE_MOUNT_SET_GROUP: a private bind joins the group. */
	OK(mkdir("join", 0755));
	OK(mount("src", "join", NULL, 4096, NULL)); /* MS_BIND */
	OK(mount(NULL, "join", NULL, 1ul << 18, NULL)); /* MS_PRIVATE */
	CHECK(!strstr(info("join"), "shared:"));
	OK(move_mount_(AT_FDCWD, "src", AT_FDCWD, "join", 0x100));
	CHECK(strstr(info("join"), "shared:") != NULL);
	CHECK_ERRNO(move_mount_(AT_FDCWD, "src", AT_FDCWD, "join", 0x100), EINVAL);
	OK(umount2("join", MNT_DETACH));
	OK(umount2("src", MNT_DETACH));
}

void guest_test(void)
{
	OK(unshare(CLONE_NEWNS));
	OK(mount(NULL, "/", NULL, (1ul << 14) | (1ul << 18), NULL)); /* MS_REC | MS_PRIVATE */
	SUBTEST("build");
	test_build();
	SUBTEST("ramfs");
	struct statfs st;
	OK(mkdir("ram", 0755));
	OK(mount("none", "ram", "ramfs", 0, "mode=700,whatever"));
	OK(mkdir("ram/x", 0755));
	guest_checkpoint();
	CHECK(strstr(info("ram"), " - ramfs none rw,mode=700") != NULL);
	OK(statfs("ram", &st));
	CHECK_EQ(st.f_type, 0x858458f6);
	CHECK_EQ(st.f_blocks, 0);
	OK(access("ram/x", F_OK));
	OK(umount2("ram", 0));
	SUBTEST("tree");
	test_tree();
	SUBTEST("setattr");
	test_setattr();
	SUBTEST("without privilege");
	{
		pid_t p;
		CHILD (p) {
			OK(setresuid(1000, 1000, 1000));
			CHECK_ERRNO(fsopen_("tmpfs", 99), EPERM);
			CHECK_ERRNO(fspick_(AT_FDCWD, "/", 0), EPERM);
			CHECK_ERRNO(move_mount_(AT_FDCWD, "x", AT_FDCWD, "y", 0), EPERM);
			CHECK_ERRNO(open_tree_(AT_FDCWD, "/", OPEN_TREE_CLONE), EPERM);
			close(OK(open_tree_(AT_FDCWD, "/", 0)));
			_exit(0);
		}
		guest_reap(p);
	}
}
