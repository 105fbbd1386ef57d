// SPDX-License-Identifier: Apache-2.0
/*
 * Capabilities over execve: root regains, ambient and inheritable sets, bounding set drops, securebits; over a
 * checkpoint.
 */
#include "guest.h"
#include <linux/capability.h>
#include <linux/securebits.h>

static uint64_t effective(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];

	CHECK_EQ(syscall(SYS_capget, &h, d), 0);
	return d[0].effective | (uint64_t)d[1].effective << 32;
}

int guest_helper(int argc, char **argv)
{
	int cap = atoi(argv[1]), want = atoi(argv[2]);

	(void)argc;
	CHECK_EQ(effective() >> cap & 1, want);
	return 0;
}

static void run(int cap, int want)
{
	char a[8], b[8];

	snprintf(a, sizeof(a), "%d", cap);
	snprintf(b, sizeof(b), "%d", want);
	execl(guest_self, "x", a, b, NULL);
	_exit(99);
}

static void set(uint64_t inheritable_bit, bool drop_effective)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];

	CHECK_EQ(syscall(SYS_capget, &h, d), 0);
	d[0].inheritable |= (uint32_t)inheritable_bit;
	if (drop_effective)
		d[0].effective = d[1].effective = 0;
	CHECK_EQ(syscall(SYS_capset, &h, d), 0);
}

void guest_test(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	pid_t p;

	CHECK_EQ(syscall(SYS_capget, &h, d), 0);
	d[0].inheritable = d[1].inheritable = 0;
	CHECK_EQ(syscall(SYS_capset, &h, d), 0);
	SUBTEST("root regains everything in the bounding set");
	CHILD (p) {
		set(0, true);
		CHECK_EQ(effective(), 0);
		run(CAP_CHOWN, 1);
	}
	guest_reap(p);
	SUBTEST("dropped from the bounding set");
	CHILD (p) {
		CHECK_EQ(prctl(PR_CAPBSET_DROP, CAP_CHOWN), 0);
		CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 0);
		CHECK_EQ(effective() >> CAP_CHOWN & 1, 1); /* not yet */
		guest_checkpoint();
		CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 0);
		run(CAP_CHOWN, 0);
	}
	guest_reap(p);
	SUBTEST("other users lose them, but for ambient ones");
	CHILD (p) {
		OK(prctl(PR_SET_KEEPCAPS, 1));
		OK(setresuid(1000, 1000, 1000));
		run(CAP_CHOWN, 0);
	}
	guest_reap(p);
	CHILD (p) {
		CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_MODULE + 40, 0, 0), EINVAL);
		OK(prctl(PR_SET_KEEPCAPS, 1));
		set(1u << CAP_CHOWN, false);
		OK(setresuid(1000, 1000, 1000));
		CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), 0);
		CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0), 1);
		guest_checkpoint();
		CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0), 1);
		run(CAP_CHOWN, 1);
	}
	guest_reap(p);
	SUBTEST("securebits: NOROOT");
	CHILD (p) {
		CHECK_EQ(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT), 0);
		guest_checkpoint();
		CHECK_EQ(prctl(PR_GET_SECUREBITS), SECBIT_NOROOT);
		run(CAP_CHOWN, 0);
	}
	guest_reap(p);
	SUBTEST("setuid rules");
	CHILD (p) {
		OK(setresuid(-1, 1000, -1));
		CHECK_EQ(effective(), 0);
		OK(setresuid(-1, 0, -1));
		CHECK(effective() != 0);
		CHECK_ERRNO(prctl(PR_CAPBSET_READ, 99), EINVAL);
		CHECK_ERRNO(prctl(PR_CAPBSET_DROP, 99), EINVAL);
		_exit(0);
	}
	guest_reap(p);
}
