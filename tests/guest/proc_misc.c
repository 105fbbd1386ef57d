// SPDX-License-Identifier: Apache-2.0
/*
 * uname, sethostname, sysinfo, getrandom, personality, umask, capget, membarrier: values and errors, over a
 * checkpoint.
 */
#include "guest.h"
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

void guest_test(void)
{
	struct utsname u;
	struct sysinfo si;
	char a[64], b[64];
	pid_t p;

	SUBTEST("uname");
	CHECK_EQ(uname(&u), 0);
	CHECK_STR(u.sysname, "Linux");
	CHECK_STR(u.machine, "x86_64");
	CHECK_STR(u.nodename, "guest");
	CHECK(u.release[0] >= '3' && strchr(u.release, '.'));
	CHECK_EQ(sethostname("changed", 7), 0);
	umask(0123);
	guest_checkpoint();
	CHECK_EQ(uname(&u), 0);
	CHECK_STR(u.nodename, "changed");
	CHECK_EQ(sethostname("guest", 5), 0); /* for the next round */
	CHECK_EQ(umask(022), 0123);
	CHECK_ERRNO(sethostname("x", 65), EINVAL);
	CHILD (p) {
		OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(sethostname("x", 1), EPERM);
		_exit(0);
	}
	guest_reap(p);
	CHECK_EQ(umask(07777), 022);
	CHECK_EQ(umask(022), 0777);
	SUBTEST("sysinfo");
	CHECK_EQ(sysinfo(&si), 0);
	CHECK(si.totalram > 0 && si.freeram <= si.totalram && si.procs >= 2 && si.mem_unit >= 1);
	SUBTEST("getrandom");
	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	CHECK_EQ(getrandom(a, 64, 0), 64);
	CHECK_EQ(getrandom(b, 64, GRND_NONBLOCK), 64);
	CHECK(memcmp(a, b, 64) != 0);
	CHECK_EQ(getrandom(a, 10, GRND_RANDOM), 10);
	CHECK_ERRNO(getrandom(a, 10, 0x40), EINVAL);
	CHECK_ERRNO(getrandom(a, 10, GRND_RANDOM | GRND_INSECURE), EINVAL);
	CHECK_ERRNO(getrandom((void *)8, 10, 0), EFAULT);
	CHECK_EQ(getrandom(a, 0, 0), 0);
	SUBTEST("personality");
	CHECK_EQ(personality(0xffffffff), 0);
	CHECK_EQ(personality(ADDR_NO_RANDOMIZE), 0);
	CHECK_EQ(personality(0xffffffff), ADDR_NO_RANDOMIZE);
	CHECK_EQ(personality(0), ADDR_NO_RANDOMIZE);
	SUBTEST("capget and capset");
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	CHECK_EQ(syscall(SYS_capget, &h, d), 0);
	CHECK(d[0].effective & (1u << CAP_CHOWN));
	CHILD (p) {
		d[0].effective &= ~(1u << CAP_CHOWN);
		CHECK_EQ(syscall(SYS_capset, &h, d), 0);
		guest_write_file("f", "");
		CHECK_ERRNO(chown("f", 5, 5), EPERM);
		d[0].effective |= 1u << CAP_CHOWN;
		CHECK_EQ(syscall(SYS_capset, &h, d), 0);
		CHECK_EQ(chown("f", 5, 5), 0);
		d[0].permitted = d[0].effective = 0;
		d[1].permitted = d[1].effective = 0;
		CHECK_EQ(syscall(SYS_capset, &h, d), 0);
		d[0].permitted = 1;
		CHECK_ERRNO(syscall(SYS_capset, &h, d), EPERM);
		_exit(0);
	}
	guest_reap(p);
	h.version = 0;
	CHECK_ERRNO(syscall(SYS_capget, &h, d), EINVAL);
	CHECK_EQ(h.version, _LINUX_CAPABILITY_VERSION_3);
	SUBTEST("membarrier");
	long q = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
	CHECK(q < 0 || (q & MEMBARRIER_CMD_GLOBAL));
	CHECK_ERRNO(syscall(SYS_membarrier, 1 << 30, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 77, 0), EINVAL);
	if (q > 0 && (q & MEMBARRIER_CMD_PRIVATE_EXPEDITED)) {
		CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
		CHECK_EQ(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0), 0);
		guest_checkpoint();
		CHECK_EQ(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), 0);
	}
}
