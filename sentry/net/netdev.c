/* SPDX-License-Identifier: Apache-2.0 */
/* Interface ioctls (netdevice(7)), answered by sockets of every family for lo. Linux: net/core/dev_ioctl.c. */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/loopback.h"
#include "sentry/net/unix.h"

#define SIOCGIFNAME_C    0x8910
#define SIOCGIFCONF_C    0x8912
#define SIOCGIFFLAGS_C   0x8913
#define SIOCSIFFLAGS_C   0x8914
#define SIOCGIFADDR_C    0x8915
#define SIOCGIFDSTADDR_C 0x8917
#define SIOCGIFBRDADDR_C 0x8919
#define SIOCGIFNETMASK_C 0x891b
#define SIOCGIFMETRIC_C  0x891d
#define SIOCGIFMTU_C     0x8921
#define SIOCGIFHWADDR_C  0x8927
#define SIOCGIFINDEX_C   0x8933
#define SIOCGIFTXQLEN_C  0x8942

struct ifreq_ {
	char name[16];
	union {
		uint8_t bytes[24];
		struct { uint16_t family, port; uint8_t addr[4]; } in;
		int32_t i;
		int16_t flags;
	};
};
_Static_assert(sizeof(struct ifreq_) == 40, "struct ifreq layout");

static int64_t get_conf(struct task *t, gaddr_t arg)
{
	struct {
		int32_t len, pad;
		uint64_t buf;
	} c;
	struct ifreq_ r = { .name = "lo", .in = { .family = LINUX_AF_INET, .addr = { 127, 0, 0, 1 } } };
	int err = copy_in(t, &c, arg, sizeof(c));

	if (err)
		return err;
	if (c.buf) {
		bool fits = c.len >= (int32_t)sizeof(r);

		if (fits && copy_out(t, GADDR(c.buf), &r, sizeof(r)))
			return -EFAULT;
		c.len = fits ? (int32_t)sizeof(r) : 0;
	} else {
		c.len = sizeof(r);
	}
	return copy_out(t, arg, &c, sizeof(c));
}

int64_t netdev_ioctl(struct sock *sk, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct ifreq_ r;
	int err;

	if (cmd == SIOCGIFCONF_C)
		return get_conf(t, GADDR(arg));
	if (cmd < SIOCGIFNAME_C || cmd > SIOCGIFTXQLEN_C)
		return -ENOTTY;
	err = copy_in(t, &r, GADDR(arg), sizeof(r));
	if (err)
		return err;
	if (cmd == SIOCGIFNAME_C) {
		if (r.i != LO_IFINDEX)
			return -ENODEV;
		memset(r.name, 0, sizeof(r.name));
		memcpy(r.name, "lo", 3);
		return copy_out(t, GADDR(arg), &r, sizeof(r));
	}
	r.name[sizeof(r.name) - 1] = 0;
	if (strcmp(r.name, "lo"))
		return -ENODEV;
	switch (cmd) {
	case SIOCGIFFLAGS_C:
		r.flags = (int16_t)(LO_FLAGS & 0xffff);
		break;
	case SIOCSIFFLAGS_C:
		if (!task_capable(t, LINUX_CAP_NET_ADMIN))
			return -EPERM;
		return r.flags & 1 ? 0 : -EOPNOTSUPP; /* it is up and stays so */
	case SIOCGIFADDR_C:
	case SIOCGIFDSTADDR_C:
		memset(r.bytes, 0, sizeof(r.bytes));
		r.in.family = LINUX_AF_INET;
		memcpy(r.in.addr, (const uint8_t[]){ 127, 0, 0, 1 }, 4);
		break;
	case SIOCGIFBRDADDR_C:
		memset(r.bytes, 0, sizeof(r.bytes));
		r.in.family = LINUX_AF_INET;
		break;
	case SIOCGIFNETMASK_C:
		memset(r.bytes, 0, sizeof(r.bytes));
		r.in.family = LINUX_AF_INET;
		r.in.addr[0] = 255;
		break;
	case SIOCGIFMETRIC_C:
		r.i = 0;
		break;
	case SIOCGIFMTU_C:
		r.i = LO_MTU;
		break;
	case SIOCGIFHWADDR_C:
		memset(r.bytes, 0, sizeof(r.bytes));
		r.in.family = LO_ARPHRD;
		break;
	case SIOCGIFINDEX_C:
		r.i = LO_IFINDEX;
		break;
	case SIOCGIFTXQLEN_C:
		r.i = 1000;
		break;
	default:
		return -ENOTTY;
	}
	return copy_out(t, GADDR(arg), &r, sizeof(r));
}
