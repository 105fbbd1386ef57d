/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of sockets. */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "sentry/syscalls/strace/internal.h"

#ifndef MSG_PROXY
#define MSG_PROXY 0x10
#endif

const struct xlat x_sock_families[] = {
	X(AF_UNSPEC), X(AF_UNIX), X(AF_INET), X(AF_INET6), X(AF_NETLINK), X(AF_PACKET), X(AF_VSOCK), X(AF_ALG), X(AF_BLUETOOTH), X(AF_CAN), X(AF_TIPC),
	X(AF_KEY), X(AF_XDP), XEND,
};
const struct xlat x_msg_flags[] = {
	X(MSG_OOB), X(MSG_PEEK), X(MSG_DONTROUTE), X(MSG_CTRUNC), X(MSG_PROXY), X(MSG_TRUNC), X(MSG_DONTWAIT), X(MSG_EOR), X(MSG_WAITALL), X(MSG_FIN),
	X(MSG_SYN), X(MSG_CONFIRM), X(MSG_RST), X(MSG_ERRQUEUE), X(MSG_NOSIGNAL), X(MSG_MORE), X(MSG_WAITFORONE), X(MSG_BATCH), X(MSG_ZEROCOPY),
	X(MSG_FASTOPEN), X(MSG_CMSG_CLOEXEC), XEND,
};
static const struct xlat x_type[] = {
	X(SOCK_STREAM), X(SOCK_DGRAM), X(SOCK_RAW), X(SOCK_RDM), X(SOCK_SEQPACKET), X(SOCK_DCCP), X(SOCK_PACKET), XEND,
};
static const struct xlat x_sock_flags[] = { X(SOCK_CLOEXEC), X(SOCK_NONBLOCK), XEND };
static const struct xlat x_ipproto[] = {
	X(IPPROTO_IP), X(IPPROTO_ICMP), X(IPPROTO_IGMP), X(IPPROTO_TCP), X(IPPROTO_UDP), X(IPPROTO_IPV6), X(IPPROTO_SCTP), X(IPPROTO_UDPLITE),
	X(IPPROTO_RAW), X(IPPROTO_ICMPV6), X(IPPROTO_MPTCP), XEND,
};
static const struct xlat x_nlproto[] = {
	X(NETLINK_ROUTE), X(NETLINK_USERSOCK), X(NETLINK_FIREWALL), X(NETLINK_SOCK_DIAG), X(NETLINK_NFLOG), X(NETLINK_XFRM), X(NETLINK_SELINUX),
	X(NETLINK_AUDIT), X(NETLINK_CONNECTOR), X(NETLINK_NETFILTER), X(NETLINK_KOBJECT_UEVENT), X(NETLINK_GENERIC), X(NETLINK_CRYPTO), XEND,
};

bool k_FAMILY(struct dec *d, uint64_t v)
{
	dec_value(d, x_sock_families, (uint32_t)v, "AF_???");
	return true;
}

bool k_SOCKTYPE(struct dec *d, uint64_t v)
{
	dec_value(d, x_type, v & 15, "SOCK_???");
	if (v & ~15ull & 0xffffffff) {
		strbuf_addc(&d->b, '|');
		dec_flags(d, x_sock_flags, v & ~15ull & 0xffffffff, NULL);
	}
	return true;
}

bool k_SOCKPROTO(struct dec *d, uint64_t v)
{
	if (d->a[0] == AF_INET || d->a[0] == AF_INET6)
		dec_value(d, x_ipproto, (uint32_t)v, "IPPROTO_???");
	else if (d->a[0] == AF_NETLINK)
		dec_value(d, x_nlproto, (uint32_t)v, "NETLINK_???");
	else
		strbuf_addf(&d->b, "%u", (uint32_t)v);
	return true;
}

bool k_ACCEPTFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_sock_flags, (uint32_t)v, "SOCK_???");
	return true;
}

bool k_SHUTHOW(struct dec *d, uint64_t v)
{
	static const struct xlat x[] = { X(SHUT_RD), X(SHUT_WR), X(SHUT_RDWR), XEND };

	dec_value(d, x, (uint32_t)v, "SHUT_???");
	return true;
}

bool k_MSGFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_msg_flags, (uint32_t)v, "MSG_???");
	return true;
}

bool k_OUT_SOCKPAIR(struct dec *d, uint64_t v)
{
	return k_OUT_PIPE(d, v);
}

/* --- addresses --- */

static void put_un(struct dec *d, const struct sockaddr_un *u, uint64_t len)
{
	size_t n = len > 2 ? MIN(len, sizeof(*u)) - 2 : 0;

	strbuf_adds(&d->b, "{sa_family=AF_UNIX");
	if (n) {
		strbuf_adds(&d->b, u->sun_path[0] ? ", sun_path=" : ", sun_path=@");
		if (u->sun_path[0])
			dec_bytes(d, u->sun_path, strnlen(u->sun_path, n), false);
		else
			dec_bytes(d, u->sun_path + 1, n - 1, false);
	}
	strbuf_addc(&d->b, '}');
}

void dec_sockaddr(struct dec *d, uint64_t addr, uint64_t len)
{
	union {
		struct sockaddr sa;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_nl nl;
		uint8_t b[128];
	} u;
	char text[INET6_ADDRSTRLEN];

	memset(&u, 0, sizeof(u));
	if (len < 2 || !dec_read(d, addr, &u, MIN(len, sizeof(u)))) {
		dec_ptr(d, addr);
		return;
	}
	if (u.sa.sa_family == AF_UNIX) {
		put_un(d, &u.un, len);
	} else if (u.sa.sa_family == AF_INET && len >= sizeof(u.in)) {
		strbuf_addf(&d->b, "{sa_family=AF_INET, sin_port=htons(%u), sin_addr=inet_addr(\"%s\")}", ntohs(u.in.sin_port),
			    inet_ntop(AF_INET, &u.in.sin_addr, text, sizeof(text)));
	} else if (u.sa.sa_family == AF_INET6 && len >= 24) {
		strbuf_addf(&d->b, "{sa_family=AF_INET6, sin6_port=htons(%u), sin6_flowinfo=htonl(%u), inet_pton(AF_INET6, \"%s\", &sin6_addr), "
				   "sin6_scope_id=%u}",
			    ntohs(u.in6.sin6_port), ntohl(u.in6.sin6_flowinfo), inet_ntop(AF_INET6, &u.in6.sin6_addr, text, sizeof(text)),
			    u.in6.sin6_scope_id);
	} else if (u.sa.sa_family == AF_NETLINK && len >= sizeof(u.nl)) {
		strbuf_addf(&d->b, "{sa_family=AF_NETLINK, nl_pid=%d, nl_groups=%08x}", (int)u.nl.nl_pid, u.nl.nl_groups);
	} else {
		strbuf_adds(&d->b, "{sa_family=");
		dec_value(d, x_sock_families, u.sa.sa_family, "AF_???");
		strbuf_adds(&d->b, ", sa_data=");
		dec_bytes(d, u.sa.sa_data, MIN(len, sizeof(u.sa)) - 2, false);
		strbuf_addc(&d->b, '}');
	}
}

bool k_SOCKADDR(struct dec *d, uint64_t v)
{
	dec_sockaddr(d, v, (uint32_t)d->a[d->i + 1]);
	return true;
}

/* Remembers the room that the caller gave; the call writes the length over it. */
bool k_OUT_SOCKADDR(struct dec *d, uint64_t v)
{
	int32_t len;

	if (!d->exit) {
		if (dec_read(d, d->a[d->i + 1], &len, sizeof(len))) {
			d->save[0] = (uint32_t)len;
			d->saved = true;
		}
		return false;
	}
	if (dec_failed(d) || !dec_read(d, d->a[d->i + 1], &len, sizeof(len)))
		dec_ptr(d, v);
	else
		dec_sockaddr(d, v, d->saved ? MIN((uint32_t)len, d->save[0]) : (uint32_t)len);
	return true;
}

bool k_OUT_SOCKLEN(struct dec *d, uint64_t v)
{
	int32_t len;

	if (!d->exit)
		return false;
	if (!dec_read(d, v, &len, sizeof(len)))
		dec_ptr(d, v);
	else if (d->saved && !dec_failed(d) && d->save[0] != (uint32_t)len)
		strbuf_addf(&d->b, "[%u => %d]", (uint32_t)d->save[0], len);
	else
		strbuf_addf(&d->b, "[%d]", len);
	return true;
}

/* --- messages --- */

static const struct xlat x_scm[] = { { 1, "SCM_RIGHTS" }, { 2, "SCM_CREDENTIALS" }, { 29, "SCM_TIMESTAMP" }, { 35, "SCM_TIMESTAMPNS" }, XEND };

static void put_cmsg(struct dec *d, uint64_t addr, uint64_t len)
{
	uint64_t at = 0;
	bool any = false;

	strbuf_addc(&d->b, '[');
	while (at + 16 <= len) {
		struct {
			uint64_t len;
			int32_t level, type;
		} h;
		int32_t w[16];
		size_t n;

		if (!dec_read(d, addr + at, &h, sizeof(h)) || h.len < 16 || h.len > len - at)
			break;
		strbuf_addf(&d->b, "%s{cmsg_len=%lu, cmsg_level=", any ? ", " : "", (unsigned long)h.len);
		any = true;
		n = MIN((h.len - 16) / 4, ARRAY_SIZE(w));
		if (h.level != SOL_SOCKET) {
			strbuf_addf(&d->b, "%d, cmsg_type=%d}", h.level, h.type);
		} else {
			strbuf_adds(&d->b, "SOL_SOCKET, cmsg_type=");
			dec_value(d, x_scm, (uint32_t)h.type, "SCM_???");
			if (n && dec_read(d, addr + at + 16, w, n * 4) && h.type == 1) {
				strbuf_adds(&d->b, ", cmsg_data=[");
				for (size_t i = 0; i < n; i++)
					strbuf_addf(&d->b, "%s%d", i ? ", " : "", w[i]);
				strbuf_addc(&d->b, ']');
			} else if (n >= 3 && h.type == 2) {
				strbuf_addf(&d->b, ", cmsg_data={pid=%d, uid=%d, gid=%d}", w[0], w[1], w[2]);
			}
			strbuf_addc(&d->b, '}');
		}
		at += ALIGN_UP(h.len, 8);
	}
	strbuf_addc(&d->b, ']');
}

/* @bytes: content of the vectors that is valid; -1 all. */
static void put_msghdr(struct dec *d, uint64_t v, int64_t bytes, uint64_t room)
{
	struct {
		uint64_t name;
		uint32_t namelen, p0;
		uint64_t iov, iovlen, control, controllen;
		uint32_t flags, p1;
	} m;

	if (!dec_read(d, v, &m, sizeof(m))) {
		dec_ptr(d, v);
		return;
	}
	strbuf_adds(&d->b, "{msg_name=");
	if (m.namelen && m.name)
		dec_sockaddr(d, m.name, m.namelen);
	else
		dec_ptr(d, m.name);
	if (d->saved && room != m.namelen)
		strbuf_addf(&d->b, ", msg_namelen=%u => %u, msg_iov=", (uint32_t)room, m.namelen);
	else
		strbuf_addf(&d->b, ", msg_namelen=%u, msg_iov=", m.namelen);
	dec_iov(d, m.iov, m.iovlen, bytes);
	strbuf_addf(&d->b, ", msg_iovlen=%lu", (unsigned long)m.iovlen);
	if (m.controllen && m.control) {
		strbuf_adds(&d->b, ", msg_control=");
		put_cmsg(d, m.control, MIN(m.controllen, 65536ul));
	}
	strbuf_addf(&d->b, ", msg_controllen=%lu, msg_flags=", (unsigned long)m.controllen);
	dec_flags(d, x_msg_flags, m.flags, "MSG_???");
	strbuf_addc(&d->b, '}');
}

bool k_MSGHDR(struct dec *d, uint64_t v)
{
	put_msghdr(d, v, -1, 0);
	return true;
}

bool k_OUT_MSGHDR(struct dec *d, uint64_t v)
{
	uint32_t len;

	if (!d->exit) {
		if (dec_read(d, v + 8, &len, sizeof(len))) {
			d->save[0] = len;
			d->saved = true;
		}
		return false;
	}
	if (dec_failed(d)) {
		d->saved = false;
		put_msghdr(d, v, 0, 0);
	} else {
		put_msghdr(d, v, d->ret, d->save[0]);
	}
	return true;
}

static void put_mmsg(struct dec *d, uint64_t v, uint64_t n, bool out)
{
	strbuf_addc(&d->b, '[');
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = v + i * 64;
		uint32_t len = 0;

		if (i)
			dec_comma(d);
		if (i == STRACE_VEC || !dec_read(d, at + 56, &len, sizeof(len))) {
			strbuf_adds(&d->b, "...");
			break;
		}
		strbuf_adds(&d->b, "{msg_hdr=");
		put_msghdr(d, at, out ? (int64_t)len : -1, 0);
		if (out)
			strbuf_addf(&d->b, ", msg_len=%u", len);
		strbuf_addc(&d->b, '}');
	}
	strbuf_addc(&d->b, ']');
}

/* sendmmsg tells how much of each was sent. */
bool k_MMSGHDR(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	put_mmsg(d, v, dec_failed(d) ? MIN(d->a[2], 1024ul) : (uint64_t)d->ret, !dec_failed(d));
	return true;
}

bool k_OUT_MMSGHDR(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		put_mmsg(d, v, (uint64_t)d->ret, true);
	return true;
}

/* --- options --- */

static const struct xlat x_sol[] = {
	X(SOL_SOCKET), X(SOL_IP), X(SOL_TCP), X(SOL_IPV6), { 17, "SOL_UDP" }, X(SOL_RAW), X(SOL_PACKET), { 270, "SOL_NETLINK" }, { 58, "SOL_ICMPV6" }, XEND,
};
static const struct xlat x_so[] = {
	X(SO_DEBUG), X(SO_REUSEADDR), X(SO_TYPE), X(SO_ERROR), X(SO_DONTROUTE), X(SO_BROADCAST), X(SO_SNDBUF), X(SO_RCVBUF), X(SO_SNDBUFFORCE),
	X(SO_RCVBUFFORCE), X(SO_KEEPALIVE), X(SO_OOBINLINE), X(SO_PRIORITY), X(SO_LINGER), X(SO_REUSEPORT), X(SO_PASSCRED), X(SO_PEERCRED), X(SO_RCVLOWAT),
	X(SO_SNDLOWAT), { 20, "SO_RCVTIMEO_OLD" }, { 21, "SO_SNDTIMEO_OLD" }, X(SO_BINDTODEVICE), X(SO_ATTACH_FILTER), X(SO_DETACH_FILTER),
	{ 29, "SO_TIMESTAMP_OLD" }, X(SO_ACCEPTCONN), X(SO_PEERSEC), X(SO_PASSSEC), { 35, "SO_TIMESTAMPNS_OLD" }, X(SO_MARK),
	{ 37, "SO_TIMESTAMPING_OLD" }, X(SO_PROTOCOL), X(SO_DOMAIN), X(SO_RXQ_OVFL), X(SO_PEEK_OFF), X(SO_NOFCS), X(SO_LOCK_FILTER), X(SO_BUSY_POLL),
	X(SO_INCOMING_CPU), X(SO_COOKIE), X(SO_PEERGROUPS), X(SO_ZEROCOPY), X(SO_MEMINFO), XEND,
};
static const struct xlat x_tcp[] = {
	X(TCP_NODELAY), X(TCP_MAXSEG), X(TCP_CORK), X(TCP_KEEPIDLE), X(TCP_KEEPINTVL), X(TCP_KEEPCNT), X(TCP_SYNCNT), X(TCP_LINGER2), X(TCP_DEFER_ACCEPT),
	X(TCP_WINDOW_CLAMP), X(TCP_INFO), X(TCP_QUICKACK), X(TCP_CONGESTION), X(TCP_USER_TIMEOUT), X(TCP_FASTOPEN), X(TCP_TIMESTAMP),
	X(TCP_NOTSENT_LOWAT), X(TCP_FASTOPEN_CONNECT), XEND,
};
static const struct xlat x_ip[] = {
	X(IP_TOS), X(IP_TTL), X(IP_HDRINCL), X(IP_OPTIONS), X(IP_RECVOPTS), X(IP_PKTINFO), X(IP_MTU_DISCOVER), X(IP_RECVERR), X(IP_RECVTTL), X(IP_RECVTOS),
	X(IP_MTU), X(IP_FREEBIND), X(IP_TRANSPARENT), X(IP_BIND_ADDRESS_NO_PORT), X(IP_MULTICAST_IF), X(IP_MULTICAST_TTL), X(IP_MULTICAST_LOOP),
	X(IP_ADD_MEMBERSHIP), X(IP_DROP_MEMBERSHIP), X(IP_MULTICAST_ALL), XEND,
};
static const struct xlat x_ip6[] = {
	X(IPV6_V6ONLY), X(IPV6_UNICAST_HOPS), X(IPV6_MULTICAST_IF), X(IPV6_MULTICAST_HOPS), X(IPV6_MULTICAST_LOOP), X(IPV6_JOIN_GROUP), X(IPV6_LEAVE_GROUP),
	X(IPV6_MTU_DISCOVER), X(IPV6_MTU), X(IPV6_RECVERR), X(IPV6_RECVPKTINFO), X(IPV6_PKTINFO), X(IPV6_RECVHOPLIMIT), X(IPV6_RECVTCLASS), X(IPV6_TCLASS), XEND,
};
static const struct xlat x_nl[] = {
	X(NETLINK_ADD_MEMBERSHIP), X(NETLINK_DROP_MEMBERSHIP), X(NETLINK_PKTINFO), X(NETLINK_BROADCAST_ERROR), X(NETLINK_NO_ENOBUFS), X(NETLINK_EXT_ACK),
	X(NETLINK_CAP_ACK), X(NETLINK_GET_STRICT_CHK), XEND,
};

bool k_SOL(struct dec *d, uint64_t v)
{
	dec_value(d, x_sol, (uint32_t)v, "SOL_???");
	return true;
}

bool k_SOPT(struct dec *d, uint64_t v)
{
	switch ((int)d->a[1]) {
	case SOL_SOCKET:
		dec_value(d, x_so, (uint32_t)v, "SO_???");
		return true;
	case SOL_TCP:
		dec_value(d, x_tcp, (uint32_t)v, "TCP_???");
		return true;
	case SOL_IP:
		dec_value(d, x_ip, (uint32_t)v, "IP_???");
		return true;
	case SOL_IPV6:
		dec_value(d, x_ip6, (uint32_t)v, "IPV6_???");
		return true;
	case 270:
		dec_value(d, x_nl, (uint32_t)v, "NETLINK_???");
		return true;
	default:
		return k_INT(d, v);
	}
}

static void put_optval(struct dec *d, uint64_t v, uint64_t len)
{
	int lvl = (int)d->a[1], opt = (int)d->a[2];
	int32_t w[4];

	if (lvl == SOL_SOCKET && opt == SO_LINGER && len >= 8 && dec_read(d, v, w, 8))
		strbuf_addf(&d->b, "{l_onoff=%d, l_linger=%d}", w[0], w[1]);
	else if (lvl == SOL_SOCKET && opt == SO_PEERCRED && len >= 12 && dec_read(d, v, w, 12))
		strbuf_addf(&d->b, "{pid=%d, uid=%d, gid=%d}", w[0], w[1], w[2]);
	else if (lvl == SOL_SOCKET && (opt == 20 || opt == 21) && len >= 16)
		(void)k_TIMEVAL(d, v);
	else if (lvl == SOL_SOCKET && opt == SO_ERROR && len == 4 && dec_read(d, v, w, 4))
		strbuf_addf(&d->b, "[%s]", w[0] && strerrorname_np(w[0]) ? strerrorname_np(w[0]) : "0");
	else if (lvl == SOL_SOCKET && opt == SO_TYPE && len == 4 && dec_read(d, v, w, 4))
		strbuf_addf(&d->b, "[%s]", xlat_name(x_type, (uint32_t)w[0]) ? xlat_name(x_type, (uint32_t)w[0]) : "?");
	else if (len == 4 && dec_read(d, v, w, 4))
		strbuf_addf(&d->b, "[%d]", w[0]);
	else
		dec_str(d, v, len, false);
}

bool k_SOVAL(struct dec *d, uint64_t v)
{
	put_optval(d, v, (uint32_t)d->a[4]);
	return true;
}

bool k_OUT_SOVAL(struct dec *d, uint64_t v)
{
	uint32_t len;

	if (!d->exit) {
		if (dec_read(d, d->a[4], &len, sizeof(len))) {
			d->save[0] = len;
			d->saved = true;
		}
		return false;
	}
	if (dec_failed(d) || !dec_read(d, d->a[4], &len, sizeof(len)))
		dec_ptr(d, v);
	else
		put_optval(d, v, len);
	return true;
}
