/* SPDX-License-Identifier: Apache-2.0 */
/* File capabilities: what exec makes of them by user, bounding set, ambient set, no_new_privs and nosuid; how they are lost; securebits. */
#include "guest.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/mount.h>
#include <sys/auxv.h>
#include <sys/xattr.h>

#define BIT(c) (1ULL << (c))
#define XATTR "security.capability"

struct caps {
	uint64_t eff, perm, inh;
};

static struct caps mine(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	OK(syscall(SYS_capget, &h, d));
	return (struct caps){ d[0].effective | (uint64_t)d[1].effective << 32, d[0].permitted | (uint64_t)d[1].permitted << 32,
			      d[0].inheritable | (uint64_t)d[1].inheritable << 32 };
}

static void set_caps(uint64_t eff, uint64_t perm, uint64_t inh)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = { { (uint32_t)eff, (uint32_t)perm, (uint32_t)inh },
					       { (uint32_t)(eff >> 32), (uint32_t)(perm >> 32), (uint32_t)(inh >> 32) } };

	OK(syscall(SYS_capset, &h, d));
}

static void copy_self(const char *to)
{
	int in = OK(open(guest_self, O_RDONLY)), out = OK(open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755));
	char buf[65536];
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		CHECK_EQ(write(out, buf, (size_t)n), n);
	close(in);
	close(out);
}

static int set_file(const char *path, uint64_t perm, uint64_t inh, bool eff)
{
	struct vfs_cap_data v = { .magic_etc = VFS_CAP_REVISION_2 | (eff ? VFS_CAP_FLAGS_EFFECTIVE : 0) };

	v.data[0].permitted = (uint32_t)perm;
	v.data[1].permitted = (uint32_t)(perm >> 32);
	v.data[0].inheritable = (uint32_t)inh;
	v.data[1].inheritable = (uint32_t)(inh >> 32);
	return setxattr(path, XATTR, &v, sizeof(v), 0);
}

static void become(uid_t id)
{
	OK(setgroups(0, NULL));
	OK(setresgid(id, id, id));
	OK(setresuid(id, id, id));
}

/* Runs the program and has it compare its effective and permitted sets and AT_SECURE. */
static void expect(const char *prog, uint64_t eff, uint64_t perm, int secure)
{
	char e[32], p[32], s[8];
	pid_t c;

	snprintf(e, sizeof(e), "%llx", (unsigned long long)eff);
	snprintf(p, sizeof(p), "%llx", (unsigned long long)perm);
	snprintf(s, sizeof(s), "%d", secure);
	CHILD (c) {
		execl(prog, prog, e, p, s, NULL);
		_exit(99);
	}
	guest_reap(c);
}

int guest_helper(int argc, char **argv)
{
	struct caps c = mine();

	CHECK_EQ(c.eff, strtoull(argv[1], NULL, 16));
	CHECK_EQ(c.perm, strtoull(argv[2], NULL, 16));
	CHECK_EQ(getauxval(23 /* AT_SECURE */), (unsigned long)atoi(argv[3]));
	return 0;
}

static void test_attr(void)
{
	struct vfs_ns_cap_data v3 = { .magic_etc = VFS_CAP_REVISION_3 };
	struct vfs_cap_data v = { .magic_etc = VFS_CAP_REVISION_2 };
	char buf[64];
	int fd;

	SUBTEST("the attribute");
	copy_self("a");
	CHECK_ERRNO(setxattr("a", XATTR, &v, 12, 0), EINVAL);
	v.magic_etc = 0x55000000;
	CHECK_ERRNO(setxattr("a", XATTR, &v, sizeof(v), 0), EINVAL);
	OK(set_file("a", BIT(CAP_NET_RAW), 0, true));
	CHECK_EQ(getxattr("a", XATTR, buf, sizeof(buf)), 20);
	SUBTEST("lost by writing, truncating, chown");
	fd = OK(open("a", O_WRONLY | O_APPEND));
	CHECK_EQ(write(fd, "x", 1), 1);
	close(fd);
	CHECK_ERRNO(getxattr("a", XATTR, buf, sizeof(buf)), ENODATA);
	OK(set_file("a", BIT(CAP_NET_RAW), 0, true));
	OK(chown("a", 0, 0));
	CHECK_ERRNO(getxattr("a", XATTR, buf, sizeof(buf)), ENODATA);
	OK(set_file("a", BIT(CAP_NET_RAW), 0, true));
	OK(truncate("a", 5));
	CHECK_ERRNO(getxattr("a", XATTR, buf, sizeof(buf)), ENODATA);
	OK(set_file("a", BIT(CAP_NET_RAW), 0, true));
	OK(chmod("a", 0700));
	CHECK_EQ(getxattr("a", XATTR, buf, sizeof(buf)), 20);
	v3.rootid = 0;
	OK(setxattr("a", XATTR, &v3, sizeof(v3), 0));
	v3.rootid = 7;
	OK(setxattr("a", XATTR, &v3, sizeof(v3), 0));
	CHECK_EQ(getxattr("a", XATTR, &v3, sizeof(v3)), 24);
	CHECK_EQ(v3.rootid, 7);
	become(1000);
	CHECK_ERRNO(set_file("a", 0, 0, false), EPERM);
}

static void test_exec(void)
{
	uint64_t raw = BIT(CAP_NET_RAW), admin = BIT(CAP_NET_ADMIN);
	pid_t p;

	SUBTEST("for an ordinary user");
	OK(chmod(".", 0755));
	copy_self("ep");
	copy_self("p");
	copy_self("i");
	copy_self("suid");
	copy_self("plain");
	OK(set_file("ep", raw, 0, true));
	OK(set_file("p", raw, 0, false));
	OK(set_file("i", 0, raw, true));
	OK(set_file("suid", raw, 0, true));
	OK(chmod("suid", 04755));
	CHILD (p) {
		become(1000);
		expect("ep", raw, raw, 1);
		expect("p", 0, raw, 1);
		expect("plain", 0, 0, 0);
		expect("i", 0, 0, 1);
		expect("suid", raw, raw, 1); /* the capabilities count, not the user */
		SUBTEST("no_new_privs");
		OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		expect("ep", 0, 0, 1);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("bounding set");
	CHILD (p) {
		OK(prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0));
		become(1000);
		CHILD (p) {
			execl("ep", "ep", "0", "0", "0", NULL);
			_exit(errno == EPERM ? 42 : 43);
		}
		CHECK_EQ(guest_status(p), 42 << 8);
		expect("p", 0, 0, 0);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("inheritable and ambient");
	CHILD (p) {
		OK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
		become(1000);
		set_caps(raw | admin, raw | admin, raw | admin);
		expect("i", raw, raw, 1);
		OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0));
		CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_PTRACE, 0, 0), EPERM);
		CHILD (p) {
			char e[32];

			snprintf(e, sizeof(e), "%llx", (unsigned long long)admin);
			CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_ADMIN, 0, 0), 1);
			execl("/proc/self/exe", "x", "ambient", e, NULL);
			_exit(9);
		}
		(void)guest_status(p);
		expect("ep", raw, raw, 1); /* cleared by a file with capabilities */
		guest_checkpoint();
		CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_ADMIN, 0, 0), 1);
		OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
		CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_ADMIN, 0, 0), 0);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("root without its powers");
	CHILD (p) {
		OK(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0));
		CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0), EPERM);
		expect("plain", 0, 0, 0);
		expect("ep", raw, raw, 0);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("kept over setuid");
	CHILD (p) {
		OK(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0));
		OK(setresuid(1000, 1000, 1000));
		CHECK(mine().eff & raw);
		CHECK(mine().perm & raw);
		_exit(0);
	}
	guest_reap(p);
	CHILD (p) {
		OK(setresuid(-1, 1000, -1));
		CHECK_EQ(mine().eff, 0);
		CHECK(mine().perm & raw);
		OK(setresuid(-1, 0, -1));
		CHECK(mine().eff & raw);
		OK(setresuid(1000, 1000, 1000));
		CHECK_EQ(mine().perm, 0);
		CHECK_ERRNO(setuid(0), EPERM);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("nosuid");
	OK(mkdir("m", 0755));
	OK(mount("none", "m", "tmpfs", MS_NOSUID, NULL));
	copy_self("m/ep");
	OK(set_file("m/ep", raw, 0, true));
	CHILD (p) {
		become(1000);
		expect("m/ep", 0, 0, 0);
		_exit(0);
	}
	guest_reap(p);
	OK(umount("m"));
}

void guest_test(void)
{
	pid_t p;

	/* The scratch directory may be mounted nosuid. */
	OK(mkdir("own", 0755));
	OK(mount("none", "own", "tmpfs", 0, "mode=755"));
	OK(chmod(".", 0755));
	OK(chdir("own"));
	CHILD (p) {
		test_attr();
		_exit(0);
	}
	guest_reap(p);
	test_exec();
}
