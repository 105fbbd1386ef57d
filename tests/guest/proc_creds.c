// SPDX-License-Identifier: Apache-2.0
/*
 * The setuid family: real, effective, saved and file system ids, supplementary groups, capability effects, over a
 * checkpoint.
 */
#include "guest.h"
#include <grp.h>
#include <sys/fsuid.h>

static void want_uids(uid_t r, uid_t e, uid_t s)
{
	uid_t ar, ae, as;

	CHECK_EQ(getresuid(&ar, &ae, &as), 0);
	CHECK_EQ(ar, r);
	CHECK_EQ(ae, e);
	CHECK_EQ(as, s);
}

static void scenario(int n)
{
	gid_t g[8], rg, eg, sg;

	switch (n) {
	case 0: /* seteuid and back */
		OK(syscall(SYS_setresuid, -1, 1000, -1));
		want_uids(0, 1000, 0);
		CHECK_EQ(setfsuid((uid_t)-1), 1000);
		CHECK_ERRNO(chown(".", 1, 1), EPERM);
		guest_checkpoint();
		want_uids(0, 1000, 0);
		CHECK_EQ(setfsuid((uid_t)-1), 1000);
		OK(syscall(SYS_setresuid, -1, 0, -1));
		OK(chown(".", 0, 0));
		break;
	case 1: /* setuid by root is for good */
		OK(syscall(SYS_setuid, 1000));
		want_uids(1000, 1000, 1000);
		CHECK_ERRNO(syscall(SYS_setuid, 0), EPERM);
		CHECK_ERRNO(syscall(SYS_setresuid, 0, -1, -1), EPERM);
		OK(syscall(SYS_setuid, 1000));
		CHECK_ERRNO(syscall(SYS_setgid, 5), EPERM);
		CHECK_ERRNO(syscall(SYS_setgroups, 0, NULL), EPERM);
		guest_checkpoint();
		want_uids(1000, 1000, 1000);
		CHECK_ERRNO(syscall(SYS_setuid, 0), EPERM);
		break;
	case 2: /* permutations of three ids */
		OK(syscall(SYS_setresuid, 1, 2, 3));
		OK(syscall(SYS_setresuid, 2, 3, 1));
		OK(syscall(SYS_setresuid, -1, 1, -1));
		want_uids(2, 1, 1);
		CHECK_ERRNO(syscall(SYS_setresuid, 3, -1, -1), EPERM);
		OK(syscall(SYS_setreuid, 1, 2));
		want_uids(1, 2, 2); /* the saved id follows when the real id changes */
		break;
	case 3: /* groups */
		OK(syscall(SYS_setgroups, 3, (gid_t[]){30, 10, 20}));
		CHECK_EQ(getgroups(0, NULL), 3);
		CHECK_ERRNO(getgroups(2, g), EINVAL);
		OK(syscall(SYS_setresgid, 100, 200, 300));
		guest_checkpoint();
		CHECK_EQ(getgroups(8, g), 3);
		CHECK_EQ(g[0] + g[1] + g[2], 60);
		CHECK_EQ(getresgid(&rg, &eg, &sg), 0);
		CHECK(rg == 100 && eg == 200 && sg == 300);
		CHECK_EQ(setfsgid((gid_t)-1), 200);
		CHECK_ERRNO(syscall(SYS_setgroups, 65537, g), EINVAL);
		OK(syscall(SYS_setresuid, 1000, 1000, 1000));
		OK(syscall(SYS_setresgid, -1, 300, -1));
		CHECK_ERRNO(syscall(SYS_setresgid, -1, 10, -1), EPERM);
		break;
	case 4: /* setfsuid alone */
		OK(mkdir("d4", 0700));
		CHECK_EQ(setfsuid(1000), 0);
		CHECK_EQ(geteuid(), 0);
		CHECK_ERRNO(open("d4", O_RDONLY), EACCES);
		CHECK_ERRNO(mkdir("d4/x", 0700), EACCES);
		guest_checkpoint();
		CHECK_ERRNO(open("d4", O_RDONLY), EACCES);
		CHECK_EQ(setfsuid(0), 1000);
		OK(rmdir("d4"));
		break;
	case 5: /* keepcaps */
		OK(prctl(PR_SET_KEEPCAPS, 1));
		OK(syscall(SYS_setresuid, 1000, 1000, 1000));
		CHECK_EQ(prctl(PR_CAPBSET_READ, 0), 1);
		CHECK_ERRNO(chown(".", 1, 1), EPERM); /* permitted, not effective */
		break;
	}
	_exit(0);
}

void guest_test(void)
{
	pid_t p;

	for (int i = 0; i < 6; i++) {
		CHILD (p)
			scenario(i);
		guest_reap(p);
	}
	SUBTEST("set-user-ID files");
	CHECK_ERRNO(syscall(SYS_setuid, -1), EINVAL);
	CHECK_ERRNO(syscall(SYS_setreuid, -1, -1) == 0 ? (errno = EINVAL, -1) : 0, EINVAL);
}
