/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and keyrings: types, rings of threads, processes and sessions, permissions, quota, errors; a checkpoint with keys held. */
#include "guest.h"

#include <grp.h>
#include <linux/keyctl.h>

typedef int32_t serial;

static serial add_key(const char *type, const char *desc, const void *p, size_t n, serial ring)
{
	return (serial)syscall(SYS_add_key, type, desc, p, n, ring);
}

static serial request_key(const char *type, const char *desc, const char *info, serial dest)
{
	return (serial)syscall(SYS_request_key, type, desc, info, dest);
}

#define keyctl(...) syscall(SYS_keyctl, __VA_ARGS__)

static void check_desc(serial k, const char *want)
{
	char buf[256];

	CHECK_EQ(keyctl(KEYCTL_DESCRIBE, k, buf, sizeof(buf)), (long)strlen(want) + 1);
	CHECK_STR(buf, want);
}

/* Nobody has it any more; Linux collects what was in a ring a little later. */
static void gone(serial k)
{
	char buf[64];

	while (keyctl(KEYCTL_DESCRIBE, k, buf, sizeof(buf)) >= 0)
		msleep(1);
	CHECK(errno == ENOKEY || errno == EACCES);
}

static void test_basic(void)
{
	serial ses = (serial)OK(keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL)), k, k2, r;
	static char proc[65536];
	char buf[128];

	SUBTEST("user keys");
	k = OK(add_key("user", "one", "secret", 6, KEY_SPEC_SESSION_KEYRING));
	check_desc(k, "user;0;0;3f010000;one");
	check_desc(ses, "keyring;0;0;3f030000;_ses");
	CHECK_EQ(keyctl(KEYCTL_READ, k, buf, sizeof(buf)), 6);
	CHECK(memcmp(buf, "secret", 6) == 0);
	buf[0] = 'z';
	CHECK_EQ(keyctl(KEYCTL_READ, k, buf, 3), 6);
	CHECK_EQ(keyctl(KEYCTL_READ, k, NULL, 0), 6);
	CHECK_EQ(add_key("user", "one", "changed", 7, KEY_SPEC_SESSION_KEYRING), k); /* updated */
	CHECK_EQ(keyctl(KEYCTL_READ, k, buf, sizeof(buf)), 7);
	OK(keyctl(KEYCTL_UPDATE, k, "again", 5));
	CHECK_EQ(keyctl(KEYCTL_READ, k, buf, sizeof(buf)), 5);
	k2 = OK(add_key("logon", "a:b", "pw", 2, KEY_SPEC_SESSION_KEYRING));
	check_desc(k2, "logon;0;0;3d010000;a:b");
	CHECK_ERRNO(keyctl(KEYCTL_READ, k2, buf, sizeof(buf)), EOPNOTSUPP);
	CHECK_EQ(request_key("user", "one", NULL, 0), k);
	CHECK_ERRNO(request_key("user", "none", NULL, 0), ENOKEY);
	CHECK_EQ(keyctl(KEYCTL_SEARCH, ses, "user", "one", 0), k);
	CHECK_ERRNO(keyctl(KEYCTL_SEARCH, ses, "user", "none", 0), ENOKEY);
	guest_checkpoint();
	CHECK_EQ(keyctl(KEYCTL_READ, k, buf, sizeof(buf)), 5);
	CHECK(memcmp(buf, "again", 5) == 0);
	CHECK_EQ(request_key("user", "one", NULL, 0), k);
	CHECK_EQ(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0), ses);
	CHECK(guest_read_file("/proc/keys", proc, sizeof(proc)) > 0);
	snprintf(buf, sizeof(buf), "%08x I--Q---     1 perm 3f010000     0     0 user      one: 5\n", (unsigned)k);
	CHECK(strstr(proc, buf));
	CHECK(guest_read_file("/proc/key-users", proc, sizeof(proc)) > 0);
	CHECK(strstr(proc, "    0:  ") == proc);
	SUBTEST("keyrings");
	r = OK(add_key("keyring", "ring", NULL, 0, KEY_SPEC_SESSION_KEYRING));
	check_desc(r, "keyring;0;0;3f010000;ring");
	OK(keyctl(KEYCTL_LINK, k, r));
	CHECK_EQ(keyctl(KEYCTL_READ, r, buf, sizeof(buf)), 4);
	CHECK(memcmp(buf, &k, 4) == 0);
	CHECK_ERRNO(keyctl(KEYCTL_LINK, ses, r), EDEADLK);
	CHECK_ERRNO(keyctl(KEYCTL_LINK, r, r), EDEADLK);
	CHECK_ERRNO(keyctl(KEYCTL_LINK, k2, k), ENOTDIR);
	OK(keyctl(KEYCTL_UNLINK, k, r));
	CHECK_ERRNO(keyctl(KEYCTL_UNLINK, k, r), ENOENT);
	CHECK_ERRNO(keyctl(KEYCTL_UNLINK, k, k2), ENOTDIR);
	CHECK_ERRNO(keyctl(KEYCTL_CLEAR, k), ENOTDIR);
	OK(keyctl(KEYCTL_MOVE, k, KEY_SPEC_SESSION_KEYRING, r, 0));
	CHECK_EQ(keyctl(KEYCTL_SEARCH, ses, "user", "one", 0), k); /* below */
	OK(keyctl(KEYCTL_CLEAR, r));
	gone(k);
	SUBTEST("revoked, expired, invalidated");
	k = OK(add_key("user", "r", "x", 1, r));
	OK(keyctl(KEYCTL_REVOKE, k));
	CHECK_ERRNO(keyctl(KEYCTL_READ, k, buf, sizeof(buf)), EKEYREVOKED);
	CHECK_ERRNO(request_key("user", "r", NULL, 0), EKEYREVOKED);
	k = OK(add_key("user", "i", "x", 1, r));
	OK(keyctl(KEYCTL_INVALIDATE, k));
	CHECK_ERRNO(keyctl(KEYCTL_READ, k, buf, sizeof(buf)), ENOKEY);
	k = OK(add_key("user", "t", "x", 1, r));
	OK(keyctl(KEYCTL_SET_TIMEOUT, k, 1));
	msleep(2100);
	CHECK_ERRNO(keyctl(KEYCTL_READ, k, buf, sizeof(buf)), EKEYEXPIRED);
}

static void test_errors(void)
{
	char big[40], buf[8];
	serial k, r;

	SUBTEST("errors");
	memset(big, 'x', sizeof(big) - 1);
	big[39] = 0;
	OK(keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL));
	CHECK_ERRNO(add_key("nosuch", "x", "y", 1, KEY_SPEC_SESSION_KEYRING), ENODEV);
	CHECK_ERRNO(add_key(big, "x", "y", 1, KEY_SPEC_SESSION_KEYRING), EINVAL);
	CHECK_ERRNO(add_key("", "x", "y", 1, KEY_SPEC_SESSION_KEYRING), EINVAL);
	CHECK_ERRNO(add_key(".x", "x", "y", 1, KEY_SPEC_SESSION_KEYRING), EPERM);
	CHECK_ERRNO(add_key("keyring", ".x", NULL, 0, KEY_SPEC_SESSION_KEYRING), EPERM);
	CHECK_ERRNO(add_key("user", NULL, "y", 1, KEY_SPEC_SESSION_KEYRING), EINVAL);
	CHECK_ERRNO(add_key("user", "x", NULL, 1, KEY_SPEC_SESSION_KEYRING), EFAULT);
	CHECK_ERRNO(add_key("user", "x", "", 0, KEY_SPEC_SESSION_KEYRING), EINVAL);
	CHECK_ERRNO(add_key("user", "x", "y", 2 << 20, KEY_SPEC_SESSION_KEYRING), EINVAL);
	CHECK_ERRNO(add_key("keyring", "x", "y", 1, KEY_SPEC_SESSION_KEYRING), EINVAL);
	CHECK_ERRNO(add_key("logon", "x", "y", 1, KEY_SPEC_SESSION_KEYRING), EINVAL);
	CHECK_ERRNO(add_key("user", "x", "y", 1, 0x7ffffff0), ENOKEY);
	CHECK_ERRNO(add_key("user", "x", "y", 1, -99), EINVAL);
	k = OK(add_key("user", "x", "y", 1, KEY_SPEC_SESSION_KEYRING));
	CHECK_ERRNO(add_key("user", "x", "y", 1, k), ENOTDIR);
	CHECK_ERRNO(keyctl(KEYCTL_SETPERM, k, 0x40000000), EINVAL);
	CHECK_ERRNO(keyctl(12345), EOPNOTSUPP);
	CHECK_ERRNO(keyctl(KEYCTL_INSTANTIATE, k, "x", 1, 0), EPERM);
	CHECK_ERRNO(keyctl(KEYCTL_JOIN_SESSION_KEYRING, ".x"), EPERM);
	CHECK_ERRNO(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_GROUP_KEYRING, 0), EINVAL);
	CHECK_ERRNO(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0), ENOKEY);
	CHECK_ERRNO(keyctl(KEYCTL_UPDATE, KEY_SPEC_SESSION_KEYRING, "x", 1), EOPNOTSUPP);
	CHECK_EQ(keyctl(KEYCTL_SET_REQKEY_KEYRING, -1), 0);
	CHECK_ERRNO(keyctl(KEYCTL_SET_REQKEY_KEYRING, 6), EINVAL);
	CHECK_EQ(keyctl(KEYCTL_SET_REQKEY_KEYRING, 3), 0);
	CHECK_EQ(keyctl(KEYCTL_SET_REQKEY_KEYRING, -1), 3);
	CHECK_EQ(keyctl(KEYCTL_GET_SECURITY, k, buf, sizeof(buf)), 1);
	r = OK(add_key("keyring", "closed", NULL, 0, KEY_SPEC_SESSION_KEYRING));
	OK(keyctl(KEYCTL_RESTRICT_KEYRING, r, NULL, NULL));
	CHECK_ERRNO(keyctl(KEYCTL_LINK, k, r), EPERM);
}

static void *in_thread(void *arg)
{
	serial mine = (serial)OK(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 1));

	CHECK(mine != *(serial *)arg);
	CHECK_EQ(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0), ((serial *)arg)[1]);
	return NULL;
}

static void test_rings(void)
{
	serial ring[3];
	pid_t p;

	SUBTEST("rings of threads, processes, sessions");
	ring[2] = (serial)OK(keyctl(KEYCTL_JOIN_SESSION_KEYRING, "named"));
	check_desc(ring[2], "keyring;0;0;3f130000;named");
	ring[0] = (serial)OK(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 1));
	ring[1] = (serial)OK(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1));
	check_desc(ring[0], "keyring;0;0;3f010000;_tid");
	check_desc(ring[1], "keyring;0;0;3f010000;_pid");
	guest_join(guest_thread(in_thread, ring));
	guest_checkpoint();
	CHECK_EQ(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0), ring[0]);
	CHECK_EQ(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0), ring[1]);
	CHILD (p) {
		CHECK_ERRNO(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0), ENOKEY);
		CHECK_ERRNO(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0), ENOKEY);
		CHECK_EQ(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0), ring[2]);
		OK(add_key("user", "child", "x", 1, KEY_SPEC_SESSION_KEYRING));
		_exit(0);
	}
	guest_reap(p);
	CHECK(request_key("user", "child", NULL, 0) > 0);
	check_desc((serial)OK(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0)), "keyring;0;65534;1f3f0000;_uid.0");
	check_desc((serial)OK(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_SESSION_KEYRING, 0)), "keyring;0;65534;1f3f0000;_uid_ses.0");
}

static void test_perms(void)
{
	serial k;
	char buf[16], desc[16];
	int n;

	SUBTEST("other users, quota");
	OK(keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL));
	k = OK(add_key("user", "rootkey", "x", 1, KEY_SPEC_SESSION_KEYRING));
	OK(keyctl(KEYCTL_CHOWN, k, -1, 5));
	check_desc(k, "user;0;5;3f010000;rootkey");
	OK(setgroups(0, NULL));
	OK(setresgid(5000, 5000, 5000));
	OK(setresuid(5000, 5000, 5000));
	CHECK_EQ(keyctl(KEYCTL_READ, k, buf, sizeof(buf)), 1); /* possessed */
	CHECK_ERRNO(keyctl(KEYCTL_SETPERM, k, 0x3f3f3f3f), EACCES);
	CHECK_ERRNO(keyctl(KEYCTL_CHOWN, k, 5000, -1), EACCES);
	OK(keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL));
	gone(k);
	k = OK(add_key("user", "mine", "x", 1, KEY_SPEC_SESSION_KEYRING));
	OK(keyctl(KEYCTL_SETPERM, k, 0x3f000000));
	OK(keyctl(KEYCTL_DESCRIBE, k, buf, sizeof(buf)));
	OK(keyctl(KEYCTL_SETPERM, k, 0x003d0000));
	CHECK_EQ(keyctl(KEYCTL_READ, k, buf, sizeof(buf)), 1); /* who can find it may read it */
	OK(keyctl(KEYCTL_SETPERM, k, 0x00350000));
	CHECK_ERRNO(keyctl(KEYCTL_READ, k, buf, sizeof(buf)), EACCES);
	for (n = 0; n < 300; n++) {
		snprintf(desc, sizeof(desc), "k%d", n);
		if (add_key("user", desc, "x", 1, KEY_SPEC_SESSION_KEYRING) < 0)
			break;
	}
	CHECK_EQ(errno, EDQUOT);
	CHECK(n > 100 && n < 200);
}

static void in_child(void (*fn)(void))
{
	pid_t p;

	CHILD (p) {
		fn();
		_exit(0);
	}
	guest_reap(p);
}

void guest_test(void)
{
	if (keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0) < 0)
		SKIP("no keyrings here");
	in_child(test_basic);
	in_child(test_errors);
	in_child(test_rings);
	in_child(test_perms);
}
