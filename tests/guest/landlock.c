/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock: rulesets and their errors, every file right, layers, moving files, tracing; checkpoints with a half-made ruleset and inside. */
#include "guest.h"

#include <linux/landlock.h>
#include <sys/mount.h>
#include <sys/ptrace.h>

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#define READ	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE	LANDLOCK_ACCESS_FS_WRITE_FILE
#define ALL	((1ULL << 14) - 1)
#define MAKE                                                                                                           \
	(LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_MAKE_FIFO)
#define REMOVE (LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR)

static int ruleset(uint64_t handled)
{
	struct landlock_ruleset_attr a = { .handled_access_fs = handled };

	return (int)syscall(SYS_landlock_create_ruleset, &a, sizeof(a.handled_access_fs), 0);
}

static int add_fd(int rs, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr b = { .allowed_access = access, .parent_fd = fd };

	return (int)syscall(SYS_landlock_add_rule, rs, LANDLOCK_RULE_PATH_BENEATH, &b, 0);
}

static void add(int rs, const char *path, uint64_t access)
{
	int fd = OK(open(path, O_PATH));

	OK(add_fd(rs, fd, access));
	close(fd);
}

/* guest_checkpoint() writes to a directory of the runner. */
static void restrict_self(int rs, uint64_t handled)
{
	if (getenv("GUEST_CKPT"))
		add(rs, getenv("GUEST_CKPT"), handled);
	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	OK(syscall(SYS_landlock_restrict_self, rs, 0));
	close(rs);
}

static void tree(void)
{
	OK(mkdir("a", 0755));
	OK(mkdir("a/sub", 0755));
	OK(mkdir("b", 0755));
	guest_write_file("a/f", "x");
	guest_write_file("a/sub/g", "x");
	guest_write_file("b/h", "x");
	guest_write_file("top", "x");
}

static void test_errors(void)
{
	struct landlock_ruleset_attr a = { .handled_access_fs = READ };
	struct landlock_path_beneath_attr b = { .allowed_access = READ, .parent_fd = -1 };
	char big[64] = { 1 };
	int rs, p[2], dir = OK(open(".", O_PATH)), file;

	SUBTEST("errors");
	guest_write_file("ef", "x");
	file = OK(open("ef", O_RDONLY));
	CHECK(syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 2);
	CHECK_ERRNO(syscall(SYS_landlock_create_ruleset, &a, sizeof(a), LANDLOCK_CREATE_RULESET_VERSION), EINVAL);
	CHECK_ERRNO(syscall(SYS_landlock_create_ruleset, &a, sizeof(a), 0x80), EINVAL);
	CHECK_ERRNO(syscall(SYS_landlock_create_ruleset, &a, 7, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_landlock_create_ruleset, &a, 5000, 0), E2BIG);
	CHECK_ERRNO(syscall(SYS_landlock_create_ruleset, NULL, 8, 0), EFAULT);
	CHECK_ERRNO(syscall(SYS_landlock_create_ruleset, NULL, 1, 0), EFAULT); /* before the size */
	big[63] = 1;
	CHECK_ERRNO(syscall(SYS_landlock_create_ruleset, big, sizeof(big), 0), E2BIG);
	CHECK_ERRNO(ruleset(1ULL << 40), EINVAL);
	CHECK_ERRNO(ruleset(0), ENOMSG);
	rs = OK(ruleset(READ));
	CHECK_EQ(fcntl(rs, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(syscall(SYS_landlock_add_rule, rs, LANDLOCK_RULE_PATH_BENEATH, &b, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_landlock_add_rule, rs, 77, &b, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_landlock_add_rule, rs, LANDLOCK_RULE_PATH_BENEATH, NULL, 0), EFAULT);
	CHECK_ERRNO(syscall(SYS_landlock_add_rule, 99, LANDLOCK_RULE_PATH_BENEATH, &b, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_landlock_add_rule, file, LANDLOCK_RULE_PATH_BENEATH, &b, 0), EBADFD);
	CHECK_ERRNO(add_fd(rs, dir, 0), ENOMSG);
	CHECK_ERRNO(add_fd(rs, dir, WRITE), EINVAL); /* not handled */
	CHECK_ERRNO(add_fd(rs, file, READ), EINVAL); /* READ_DIR of a file */
	CHECK_ERRNO(add_fd(rs, -1, READ), EBADF);
	CHECK_ERRNO(add_fd(rs, rs, READ), EBADFD);
	OK(pipe(p));
	CHECK_ERRNO(add_fd(rs, p[0], LANDLOCK_ACCESS_FS_READ_FILE), EBADFD);
	OK(add_fd(rs, file, LANDLOCK_ACCESS_FS_READ_FILE));
	CHECK_ERRNO(syscall(SYS_landlock_restrict_self, rs, 0x100), EINVAL);
	CHECK_ERRNO(syscall(SYS_landlock_restrict_self, 99, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_landlock_restrict_self, file, 0), EBADFD);
	OK(setresuid(1000, 1000, 1000));
	CHECK_ERRNO(syscall(SYS_landlock_restrict_self, rs, 0), EPERM); /* without no_new_privs */
}

static void test_rights(void)
{
	int rs = OK(ruleset(ALL)), fd, old = OK(open("top", O_RDWR));
	char c;

	SUBTEST("rights");
	add(rs, "a", READ | WRITE);
	guest_checkpoint(); /* a ruleset that is being made */
	add(rs, "a/sub", MAKE | REMOVE);
	add(rs, "/proc", READ);
	restrict_self(rs, ALL);
	guest_checkpoint(); /* restricted */
	fd = OK(open("a/f", O_RDWR));
	close(fd);
	OK(open("a", O_RDONLY | O_DIRECTORY));
	OK(open("a/sub/g", O_RDWR)); /* rules add up along the path */
	CHECK_ERRNO(open("b/h", O_RDONLY), EACCES);
	CHECK_ERRNO(open("b/h", O_WRONLY), EACCES);
	CHECK_ERRNO(open("b", O_RDONLY | O_DIRECTORY), EACCES);
	OK(open("b/h", O_PATH)); /* no access yet */
	CHECK_EQ(access("b/h", R_OK), 0);
	CHECK_EQ(read(old, &c, 1), 1); /* opened before */
	CHECK_ERRNO(open("a/new", O_RDWR | O_CREAT, 0644), EACCES);
	close(OK(open("a/sub/new", O_RDWR | O_CREAT, 0644)));
	OK(mkdir("a/sub/d", 0755));
	OK(symlink("x", "a/sub/l"));
	OK(mkfifo("a/sub/p", 0644));
	CHECK_ERRNO(mkdir("a/d", 0755), EACCES);
	CHECK_ERRNO(mkdir("a", 0755), EEXIST);
	CHECK_ERRNO(symlink("x", "b/l"), EACCES);
	CHECK_ERRNO(mkfifo("b/p", 0644), EACCES);
	CHECK_ERRNO(mknod("a/sub/c", S_IFCHR | 0600, 0x103), EACCES);
	CHECK_ERRNO(unlink("a/f"), EACCES);
	CHECK_ERRNO(unlink("a/none"), ENOENT);
	CHECK_ERRNO(rmdir("b"), EACCES);
	OK(unlink("a/sub/new"));
	OK(rmdir("a/sub/d"));
	OK(truncate("b/h", 0)); /* ABI 2 knows no such right */
	CHECK_ERRNO(mount("none", "a", "tmpfs", 0, NULL), EPERM);
	CHECK_ERRNO(umount2("/proc", 0), EPERM);
	CHECK_ERRNO(execl(guest_self, guest_self, "x", NULL), EACCES);
	SUBTEST("renames");
	OK(rename("a/sub/l", "a/sub/l2"));
	CHECK_ERRNO(rename("a/f", "a/f2"), EACCES);
	CHECK_ERRNO(rename("a/sub/g", "a/g"), EACCES); /* may not make it there */
	CHECK_ERRNO(rename("a/sub/l2", "b/l2"), EACCES);
	CHECK_ERRNO(link("a/f", "a/sub/hard"), EXDEV); /* reparenting needs REFER */
	OK(link("a/sub/g", "a/sub/hard"));
}

static void test_layers(void)
{
	int rs = OK(ruleset(READ | WRITE));
	pid_t p;

	SUBTEST("layers");
	add(rs, "a", READ | WRITE);
	add(rs, "b", READ);
	restrict_self(rs, READ | WRITE);
	CHILD (p) {
		rs = OK(ruleset(LANDLOCK_ACCESS_FS_READ_FILE));
		CHECK_ERRNO(open("/", O_RDONLY), EACCES);
		add(rs, "b", LANDLOCK_ACCESS_FS_READ_FILE);
		restrict_self(rs, LANDLOCK_ACCESS_FS_READ_FILE);
		OK(open("b/h", O_RDONLY));
		CHECK_ERRNO(open("a/f", O_RDONLY), EACCES);
		OK(open("a/f", O_WRONLY));
		OK(open("a", O_RDONLY));
		guest_checkpoint();
		CHECK_ERRNO(open("a/f", O_RDONLY), EACCES);
		OK(open("b/h", O_RDONLY));
		CHECK_ERRNO(open("b/h", O_WRONLY), EACCES);
		CHECK_ERRNO(ptrace(PTRACE_ATTACH, getppid(), 0, 0), EPERM);
		CHECK_ERRNO(ptrace(PTRACE_TRACEME, 0, 0, 0) ? -1 : (errno = EXDEV, -1), EXDEV); /* the less restricted parent may */
		_exit(0);
	}
	guest_reap(p);
	OK(open("a/f", O_RDONLY));
	SUBTEST("at most 16");
	CHILD (p) {
		int n = 1;

		rs = OK(ruleset(LANDLOCK_ACCESS_FS_MAKE_BLOCK));
		while (syscall(SYS_landlock_restrict_self, rs, 0) == 0)
			n++;
		CHECK_EQ(errno, E2BIG);
		CHECK_EQ(n, 16);
		_exit(0);
	}
	guest_reap(p);
}

static void test_refer(void)
{
	uint64_t make = LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | REMOVE | LANDLOCK_ACCESS_FS_REFER;
	int rs = OK(ruleset(make | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE));

	SUBTEST("moving between directories");
	add(rs, "a", make | LANDLOCK_ACCESS_FS_READ_FILE);
	add(rs, "b", make);
	OK(mkdir("c", 0755));
	add(rs, "c", make | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE);
	OK(mkdir("d", 0755));
	restrict_self(rs, make);
	OK(rename("a/f", "b/f")); /* loses a right */
	CHECK_ERRNO(rename("b/f", "a/f"), EXDEV); /* would gain it */
	CHECK_ERRNO(rename("a/sub", "c/sub"), EXDEV);
	CHECK_ERRNO(link("b/h", "c/h"), EXDEV);
	CHECK_ERRNO(rename("a/sub", "d/sub"), EACCES);
	OK(link("a/sub/g", "b/g"));
	OK(rename("a/sub", "b/sub"));
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "b/h", AT_FDCWD, "a", 2), EACCES);
}

static void in_child(void (*fn)(void))
{
	static int n;
	char dir[16];
	pid_t p;

	snprintf(dir, sizeof(dir), "t%d", n++);
	OK(mkdir(dir, 0777));
	CHILD (p) {
		OK(chdir(dir));
		tree();
		fn();
		_exit(0);
	}
	guest_reap(p);
}

void guest_test(void)
{
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 0)
		SKIP("no landlock here");
	in_child(test_errors);
	in_child(test_rights);
	in_child(test_layers);
	in_child(test_refer);
}
