/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink, rtnetlink and socket diagnosis: constants and layouts of the Linux ABI. Attribute numbers are named where they are used once. */
#ifndef SENTRY_ABI_NETLINK_H
#define SENTRY_ABI_NETLINK_H

#include <stdint.h>

enum {
	LINUX_NETLINK_ROUTE = 0,
	LINUX_NETLINK_USERSOCK = 2,
	LINUX_NETLINK_SOCK_DIAG = 4,
	LINUX_NETLINK_KOBJECT_UEVENT = 15,
	LINUX_NETLINK_GENERIC = 16,
	LINUX_MAX_LINKS = 32,
};

struct linux_sockaddr_nl {
	uint16_t family, pad;
	uint32_t pid, groups;
};

struct linux_nlmsghdr {
	uint32_t len; /* header included */
	uint16_t type, flags;
	uint32_t seq, pid;
};
#define LINUX_NLMSG_ALIGN(n) (((n) + 3UL) & ~3UL)

struct linux_nlattr {
	uint16_t len; /* header included */
	uint16_t type;
};
#define LINUX_NLA_TYPE_MASK 0x3fffu
#define LINUX_NLA_F_NESTED  0x8000u

#define LINUX_NLMSG_ERROR    2
#define LINUX_NLMSG_DONE     3
#define LINUX_NLMSG_MIN_TYPE 16

#define LINUX_NLM_F_REQUEST       0x1u
#define LINUX_NLM_F_MULTI         0x2u
#define LINUX_NLM_F_ACK           0x4u
#define LINUX_NLM_F_ECHO          0x8u
#define LINUX_NLM_F_DUMP_FILTERED 0x20u
#define LINUX_NLM_F_ROOT          0x100u
#define LINUX_NLM_F_MATCH         0x200u
#define LINUX_NLM_F_DUMP          (LINUX_NLM_F_ROOT | LINUX_NLM_F_MATCH)
#define LINUX_NLM_F_REPLACE       0x100u
#define LINUX_NLM_F_EXCL          0x200u
#define LINUX_NLM_F_CREATE        0x400u
#define LINUX_NLM_F_APPEND        0x800u
#define LINUX_NLM_F_CAPPED        0x100u
#define LINUX_NLM_F_ACK_TLVS      0x200u

/* SOL_NETLINK options. */
enum {
	LINUX_NETLINK_ADD_MEMBERSHIP = 1,
	LINUX_NETLINK_DROP_MEMBERSHIP = 2,
	LINUX_NETLINK_PKTINFO = 3,
	LINUX_NETLINK_BROADCAST_ERROR = 4,
	LINUX_NETLINK_NO_ENOBUFS = 5,
	LINUX_NETLINK_LISTEN_ALL_NSID = 8,
	LINUX_NETLINK_LIST_MEMBERSHIPS = 9,
	LINUX_NETLINK_CAP_ACK = 10,
	LINUX_NETLINK_EXT_ACK = 11,
	LINUX_NETLINK_GET_STRICT_CHK = 12,
};

enum {
	LINUX_RTM_NEWLINK = 16, LINUX_RTM_DELLINK, LINUX_RTM_GETLINK, LINUX_RTM_SETLINK,
	LINUX_RTM_NEWADDR = 20, LINUX_RTM_DELADDR, LINUX_RTM_GETADDR,
	LINUX_RTM_NEWROUTE = 24, LINUX_RTM_DELROUTE, LINUX_RTM_GETROUTE,
	LINUX_RTM_NEWNEIGH = 28, LINUX_RTM_DELNEIGH, LINUX_RTM_GETNEIGH,
	LINUX_RTM_NEWRULE = 32, LINUX_RTM_DELRULE, LINUX_RTM_GETRULE,
	LINUX_RTM_GETQDISC = 38, LINUX_RTM_GETTCLASS = 42, LINUX_RTM_GETTFILTER = 46,
	LINUX_RTM_GETADDRLABEL = 74,
	LINUX_RTM_NEWNSID = 88,
	LINUX_RTM_MAX = 119,
};

enum {
	LINUX_RTNLGRP_LINK = 1,
	LINUX_RTNLGRP_NEIGH = 3,
	LINUX_RTNLGRP_IPV4_IFADDR = 5,
	LINUX_RTNLGRP_IPV4_ROUTE = 7,
	LINUX_RTNLGRP_IPV4_RULE = 8,
	LINUX_RTNLGRP_IPV6_IFADDR = 9,
	LINUX_RTNLGRP_IPV6_ROUTE = 11,
	LINUX_RTNLGRP_IPV6_RULE = 19,
	LINUX_RTNLGRP_MAX = 36,
};

struct linux_ifinfomsg {
	uint8_t family, pad;
	uint16_t type;
	int32_t index;
	uint32_t flags, change;
};

struct linux_ifaddrmsg {
	uint8_t family, prefixlen, flags, scope;
	uint32_t index;
};

struct linux_rtmsg {
	uint8_t family, dst_len, src_len, tos;
	uint8_t table, protocol, scope, type;
	uint32_t flags;
};

struct linux_ndmsg {
	uint8_t family, pad1;
	uint16_t pad2;
	int32_t ifindex;
	uint16_t state;
	uint8_t flags, type;
};

struct linux_fib_rule_hdr {
	uint8_t family, dst_len, src_len, tos;
	uint8_t table, res1, res2, action;
	uint32_t flags;
};

#define LINUX_IFF_UP        0x1u
#define LINUX_IFF_BROADCAST 0x2u
#define LINUX_IFF_LOOPBACK  0x8u
#define LINUX_IFF_RUNNING   0x40u
#define LINUX_IFF_NOARP     0x80u
#define LINUX_IFF_PROMISC   0x100u
#define LINUX_IFF_ALLMULTI  0x200u
#define LINUX_IFF_MULTICAST 0x1000u
#define LINUX_IFF_DYNAMIC   0x8000u
#define LINUX_IFF_LOWER_UP  0x10000u

#define LINUX_ARPHRD_ETHER    1
#define LINUX_ARPHRD_LOOPBACK 772

#define LINUX_RT_SCOPE_UNIVERSE 0
#define LINUX_RT_SCOPE_LINK     253
#define LINUX_RT_SCOPE_HOST     254
#define LINUX_RT_SCOPE_NOWHERE  255
#define LINUX_RT_TABLE_UNSPEC   0
#define LINUX_RT_TABLE_COMPAT   252
#define LINUX_RT_TABLE_DEFAULT  253
#define LINUX_RT_TABLE_MAIN     254
#define LINUX_RT_TABLE_LOCAL    255
#define LINUX_RTPROT_KERNEL     2
#define LINUX_RTPROT_BOOT       3
#define LINUX_RTN_UNICAST       1
#define LINUX_RTN_LOCAL         2
#define LINUX_RTN_BROADCAST     3
#define LINUX_RTN_ANYCAST       4
#define LINUX_RTN_MULTICAST     5
#define LINUX_RTN_BLACKHOLE     6
#define LINUX_RTN_UNREACHABLE   7
#define LINUX_RTN_PROHIBIT      8
#define LINUX_RTN_THROW         9
#define LINUX_RTN_MAX           11
#define LINUX_RTM_F_CLONED      0x200u
#define LINUX_RTM_F_FIB_MATCH   0x2000u
#define LINUX_RTNH_F_DEAD       1u
#define LINUX_RTNH_F_ONLINK     4u
#define LINUX_RTNH_F_LINKDOWN   16u

#define LINUX_IFA_F_SECONDARY 0x01u
#define LINUX_IFA_F_NODAD     0x02u
#define LINUX_IFA_F_PERMANENT 0x80u
#define LINUX_IFA_F_NOPREFIXROUTE 0x200u

#endif
