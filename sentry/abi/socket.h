/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: constants and layouts of the Linux ABI (x86-64). */
#ifndef SENTRY_ABI_SOCKET_H
#define SENTRY_ABI_SOCKET_H

#include <stdint.h>

#define LINUX_AF_UNSPEC  0
#define LINUX_AF_UNIX    1
#define LINUX_AF_INET    2
#define LINUX_AF_INET6   10
#define LINUX_AF_NETLINK 16
#define LINUX_AF_MAX     46

#define LINUX_SOCK_STREAM    1
#define LINUX_SOCK_DGRAM     2
#define LINUX_SOCK_RAW       3
#define LINUX_SOCK_SEQPACKET 5
#define LINUX_SOCK_TYPE_MASK 0xfu
#define LINUX_SOCK_MAX       11
#define LINUX_SOCK_CLOEXEC   02000000u
#define LINUX_SOCK_NONBLOCK  04000u

#define LINUX_SHUT_RD   0
#define LINUX_SHUT_WR   1
#define LINUX_SHUT_RDWR 2

#define LINUX_MSG_OOB          0x1u
#define LINUX_MSG_PEEK         0x2u
#define LINUX_MSG_DONTROUTE    0x4u
#define LINUX_MSG_CTRUNC       0x8u
#define LINUX_MSG_TRUNC        0x20u
#define LINUX_MSG_DONTWAIT     0x40u
#define LINUX_MSG_EOR          0x80u
#define LINUX_MSG_WAITALL      0x100u
#define LINUX_MSG_ERRQUEUE     0x2000u
#define LINUX_MSG_NOSIGNAL     0x4000u
#define LINUX_MSG_MORE         0x8000u
#define LINUX_MSG_WAITFORONE   0x10000u
#define LINUX_MSG_ZEROCOPY     0x4000000u
#define LINUX_MSG_FASTOPEN     0x20000000u
#define LINUX_MSG_CMSG_CLOEXEC 0x40000000u

#define LINUX_SOL_SOCKET  1
#define LINUX_SOL_NETLINK 270

#define LINUX_SO_DEBUG        1
#define LINUX_SO_REUSEADDR    2
#define LINUX_SO_TYPE         3
#define LINUX_SO_ERROR        4
#define LINUX_SO_DONTROUTE    5
#define LINUX_SO_BROADCAST    6
#define LINUX_SO_SNDBUF       7
#define LINUX_SO_RCVBUF       8
#define LINUX_SO_KEEPALIVE    9
#define LINUX_SO_OOBINLINE    10
#define LINUX_SO_NO_CHECK     11
#define LINUX_SO_PRIORITY     12
#define LINUX_SO_LINGER       13
#define LINUX_SO_REUSEPORT    15
#define LINUX_SO_PASSCRED     16
#define LINUX_SO_PEERCRED     17
#define LINUX_SO_RCVLOWAT     18
#define LINUX_SO_SNDLOWAT     19
#define LINUX_SO_RCVTIMEO     20
#define LINUX_SO_SNDTIMEO     21
#define LINUX_SO_PEERNAME     28
#define LINUX_SO_TIMESTAMP    29
#define LINUX_SO_ACCEPTCONN   30
#define LINUX_SO_PEERSEC      31
#define LINUX_SO_SNDBUFFORCE  32
#define LINUX_SO_RCVBUFFORCE  33
#define LINUX_SO_PASSSEC      34
#define LINUX_SO_MARK         36
#define LINUX_SO_PROTOCOL     38
#define LINUX_SO_DOMAIN       39
#define LINUX_SO_PEEK_OFF     42
#define LINUX_SO_PEERGROUPS   59
#define LINUX_SO_RCVTIMEO_NEW 66
#define LINUX_SO_SNDTIMEO_NEW 67
#define LINUX_SO_PEERPIDFD    77

#define LINUX_SO_BSDCOMPAT	      14
#define LINUX_SO_BINDTODEVICE	      25
#define LINUX_SO_ATTACH_FILTER	      26
#define LINUX_SO_DETACH_FILTER	      27
#define LINUX_SO_TIMESTAMPNS	      35
#define LINUX_SO_TIMESTAMPING	      37
#define LINUX_SO_RXQ_OVFL	      40
#define LINUX_SO_WIFI_STATUS	      41
#define LINUX_SO_NOFCS		      43
#define LINUX_SO_LOCK_FILTER	      44
#define LINUX_SO_SELECT_ERR_QUEUE     45
#define LINUX_SO_BUSY_POLL	      46
#define LINUX_SO_MAX_PACING_RATE      47
#define LINUX_SO_BPF_EXTENSIONS	      48
#define LINUX_SO_INCOMING_CPU	      49
#define LINUX_SO_ATTACH_BPF	      50
#define LINUX_SO_ATTACH_REUSEPORT_CBPF 51
#define LINUX_SO_ATTACH_REUSEPORT_EBPF 52
#define LINUX_SO_CNX_ADVICE	      53
#define LINUX_SO_MEMINFO	      55
#define LINUX_SO_INCOMING_NAPI_ID     56
#define LINUX_SO_COOKIE		      57
#define LINUX_SO_ZEROCOPY	      60
#define LINUX_SO_TXTIME		      61
#define LINUX_SO_BINDTOIFINDEX	      62
#define LINUX_SO_TIMESTAMP_NEW	      63
#define LINUX_SO_TIMESTAMPNS_NEW      64
#define LINUX_SO_TIMESTAMPING_NEW     65
#define LINUX_SO_DETACH_REUSEPORT_BPF 68
#define LINUX_SO_PREFER_BUSY_POLL     69
#define LINUX_SO_BUSY_POLL_BUDGET     70
#define LINUX_SO_NETNS_COOKIE	      71
#define LINUX_SO_BUF_LOCK	      72
#define LINUX_SO_RESERVE_MEM	      73
#define LINUX_SO_TXREHASH	      74
#define LINUX_SO_RCVMARK	      75

#define LINUX_SCM_RIGHTS      1
#define LINUX_SCM_CREDENTIALS 2
#define LINUX_SCM_MAX_FD      253

#define LINUX_SIOCINQ  0x541B
#define LINUX_SIOCOUTQ 0x5411
#define LINUX_SIOCATMARK   0x8905
#define LINUX_SIOCGSTAMP   0x8906
#define LINUX_SIOCGSTAMPNS 0x8907
#define LINUX_SIOCGSTAMP_NEW   0x80108906
#define LINUX_SIOCGSTAMPNS_NEW 0x80108907
#define LINUX_SIOCOUTQNSD  0x894B

#define LINUX_UNIX_PATH_MAX 108

struct linux_sockaddr_un {
	uint16_t sun_family;
	char sun_path[LINUX_UNIX_PATH_MAX];
};

#define LINUX_SOCKADDR_MAX 128 /* sizeof(struct sockaddr_storage) */

struct linux_msghdr {
	uint64_t name;
	int32_t namelen;
	int32_t _pad0;
	uint64_t iov, iovlen;
	uint64_t control, controllen;
	uint32_t flags;
	int32_t _pad1;
};
_Static_assert(sizeof(struct linux_msghdr) == 56, "struct msghdr layout");

struct linux_mmsghdr {
	struct linux_msghdr hdr;
	uint32_t len;
	int32_t _pad;
};

struct linux_cmsghdr {
	uint64_t len; /* header included */
	int32_t level, type;
};
#define LINUX_CMSG_ALIGN(n) (((n) + 7) & ~7UL)

struct linux_ucred {
	int32_t pid;
	uint32_t uid, gid;
};

struct linux_linger {
	int32_t onoff, linger;
};

#endif
