/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX access control lists and chattr flags: enforced, inherited, tied to the mode, kept by a checkpoint. */
#include <grp.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "guest.h"

#define ACCESS	"system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

struct entry {
	uint16_t tag, perm;
	uint32_t id;
};

struct acl {
	uint32_t version;
	struct entry e[8];
};

enum { UO = 1, U = 2, GO = 4, G = 8, M = 16, O = 32 };

static int set(const char *name, const char *kind, const struct entry *e, int n)
{
	struct acl a = { .version = 2 };

	memcpy(a.e, e, (size_t)n * sizeof(*e));
	return setxattr(name, kind, &a, 4 + (size_t)n * sizeof(*e), 0);
}

static unsigned mode(const char *name)
{
	struct stat st;

	OK(stat(name, &st));
	return st.st_mode & 07777;
}

static int may(const char *name, uid_t uid, gid_t gid, int flags)
{
	pid_t p;
	int st;

	CHILD (p) {
		int fd;

		OK(setgroups(0, NULL));
		OK(setresgid(gid, gid, gid));
		OK(setresuid(uid, uid, uid));
		fd = open(name, flags);
		_exit(fd >= 0 ? 0 : errno);
	}
	CHECK_EQ(waitpid(p, &st, 0), p);
	return WEXITSTATUS(st);
}

static void test_access(void)
{
	const struct entry e[] = { { UO, 6, -1u }, { U, 4, 1001 }, { U, 6, 1002 }, { GO, 0, -1u }, { G, 6, 2000 }, { M, 4, -1u }, { O, 0, -1u } };
	const struct entry min[] = { { UO, 7, -1u }, { GO, 5, -1u }, { O, 1, -1u } };
	struct acl got;
	char list[256];

	close(OK(open("f", O_CREAT | O_RDWR, 0600)));
	CHECK_ERRNO(getxattr("f", ACCESS, &got, sizeof(got)), ENODATA);
	CHECK_ERRNO(set("f", DEFAULT, min, 3), EACCES);
	CHECK_ERRNO(setxattr("f", ACCESS, "abc", 3, 0), EINVAL);
	CHECK_ERRNO(setxattr("f", ACCESS, "\1\0\0\0", 4, 0), EOPNOTSUPP);
	CHECK_ERRNO(set("f", ACCESS, e, 3), EINVAL); /* incomplete */
	OK(set("f", ACCESS, e, 7));
	CHECK_EQ(mode("f"), 0640); /* the group bits are the mask */
	CHECK_EQ(getxattr("f", ACCESS, &got, sizeof(got)), 4 + 7 * 8);
	CHECK_ERRNO(getxattr("f", ACCESS, &got, 10), ERANGE);
	CHECK(!memcmp(got.e, e, sizeof(e)));
	CHECK_EQ(listxattr("f", list, sizeof(list)), sizeof(ACCESS));
	guest_checkpoint();
	CHECK_EQ(may("f", 1001, 1001, O_RDONLY), 0);
	CHECK_EQ(may("f", 1001, 1001, O_WRONLY), EACCES);
	CHECK_EQ(may("f", 1002, 1002, O_RDWR), EACCES); /* masked */
	CHECK_EQ(may("f", 1003, 2000, O_RDONLY), 0);
	CHECK_EQ(may("f", 1003, 0, O_RDONLY), EACCES); /* the owning group has nothing */
	CHECK_EQ(may("f", 1003, 1003, O_RDONLY), EACCES);
	OK(chmod("f", 0660)); /* opens the mask */
	CHECK_EQ(may("f", 1002, 1002, O_RDWR), 0);
	CHECK_EQ(getxattr("f", ACCESS, &got, sizeof(got)), 4 + 7 * 8);
	CHECK_EQ(got.e[5].perm, 6);
	OK(chmod("f", 0600));
	CHECK_EQ(may("f", 1002, 1002, O_RDONLY), EACCES);
	OK(set("f", ACCESS, min, 3)); /* no more than a mode */
	CHECK_EQ(mode("f"), 0751);
	CHECK_ERRNO(getxattr("f", ACCESS, &got, sizeof(got)), ENODATA);
	OK(set("f", ACCESS, e, 7));
	OK(removexattr("f", ACCESS));
	CHECK_ERRNO(getxattr("f", ACCESS, &got, sizeof(got)), ENODATA);
	CHECK_EQ(mode("f"), 0640);
	OK(symlink("f", "l"));
	CHECK_ERRNO(lgetxattr("l", ACCESS, &got, sizeof(got)), EOPNOTSUPP);
	pid_t p;
	CHILD (p) {
		OK(chmod(".", 0777));
		OK(setresuid(1003, 1003, 1003));
		CHECK_ERRNO(set("f", ACCESS, e, 7), EPERM);
		_exit(0);
	}
	guest_reap(p);
}

static void test_default(void)
{
	const struct entry d[] = { { UO, 7, -1u }, { U, 7, 1001 }, { GO, 5, -1u }, { M, 7, -1u }, { O, 0, -1u } };
	struct acl got;

	umask(022);
	OK(mkdir("d", 0755));
	OK(set("d", DEFAULT, d, 5));
	close(OK(open("d/f", O_CREAT | O_RDWR, 0666)));
	CHECK_EQ(mode("d/f"), 0660); /* the default list, not the umask */
	CHECK_EQ(getxattr("d/f", ACCESS, &got, sizeof(got)), 4 + 5 * 8);
	CHECK_EQ(got.e[0].perm, 6);
	CHECK_EQ(got.e[3].perm, 6);
	CHECK_ERRNO(getxattr("d/f", DEFAULT, &got, sizeof(got)), ENODATA);
	guest_checkpoint();
	OK(mkdir("d/sub", 0777));
	CHECK_EQ(mode("d/sub"), 0770);
	CHECK_EQ(getxattr("d/sub", DEFAULT, &got, sizeof(got)), 4 + 5 * 8);
	OK(mknod("d/sub/p", S_IFIFO | 0666, 0));
	CHECK_EQ(mode("d/sub/p"), 0660);
	int fd = OK(open("d", O_TMPFILE | O_RDWR, 0640));
	struct stat st;
	OK(fstat(fd, &st));
	CHECK_EQ(st.st_mode & 0777, 0640);
	close(fd);
	OK(removexattr("d", DEFAULT));
	close(OK(open("d/g", O_CREAT | O_RDWR, 0666)));
	CHECK_EQ(mode("d/g"), 0644);
}

static int flags_of(const char *name, int want)
{
	int fd = OK(open(name, O_RDONLY)), have = -1, r;

	r = want < 0 ? ioctl(fd, FS_IOC_GETFLAGS, &have) : ioctl(fd, FS_IOC_SETFLAGS, &want);
	int e = errno;
	close(fd);
	errno = e;
	return r < 0 ? -1 : want < 0 ? have : 0;
}

static void test_flags(void)
{
	struct statx sx;
	int fd;

	close(OK(open("i", O_CREAT | O_RDWR, 0644)));
	if (flags_of("i", -1) < 0 && errno == ENOTTY)
		SKIP("no file flags here");
	OK(flags_of("i", FS_APPEND_FL));
	CHECK_ERRNO(open("i", O_WRONLY), EPERM);
	CHECK_ERRNO(open("i", O_WRONLY | O_APPEND | O_TRUNC), EPERM);
	CHECK_ERRNO(truncate("i", 0), EPERM);
	fd = OK(open("i", O_WRONLY | O_APPEND));
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_ERRNO(fcntl(fd, F_SETFL, 0), EPERM);
	close(fd);
	CHECK_ERRNO(unlink("i"), EPERM);
	OK(flags_of("i", FS_IMMUTABLE_FL));
	guest_checkpoint();
	CHECK_EQ(flags_of("i", -1), FS_IMMUTABLE_FL);
	CHECK_ERRNO(open("i", O_WRONLY | O_APPEND), EPERM);
	CHECK_ERRNO(unlink("i"), EPERM);
	CHECK_ERRNO(rename("i", "j"), EPERM);
	CHECK_ERRNO(link("i", "j"), EPERM);
	CHECK_ERRNO(chmod("i", 0600), EPERM);
	CHECK_ERRNO(setxattr("i", "trusted.x", "y", 1, 0), EPERM);
	OK(syscall(SYS_statx, AT_FDCWD, "i", 0, STATX_BASIC_STATS, &sx));
	CHECK(sx.stx_attributes & STATX_ATTR_IMMUTABLE);
	CHECK(sx.stx_attributes_mask & STATX_ATTR_APPEND);
	CHECK_ERRNO(flags_of("i", FS_COMPR_FL), EOPNOTSUPP);
	OK(flags_of("i", FS_NODUMP_FL));
	OK(unlink("i"));
	OK(mkdir("nd", 0755));
	OK(flags_of("nd", FS_NODUMP_FL | FS_NOATIME_FL));
	close(OK(creat("nd/x", 0600)));
	CHECK_EQ(flags_of("nd/x", -1), FS_NODUMP_FL | FS_NOATIME_FL);
}

void guest_test(void)
{
	OK(mkdir("fs", 0755));
	OK(mount("none", "fs", "tmpfs", 0, ""));
	OK(chdir("fs"));
	SUBTEST("access list");
	test_access();
	SUBTEST("default list");
	test_default();
	SUBTEST("flags");
	test_flags();
}
