// SPDX-License-Identifier: Apache-2.0
/* Raw and ping sockets on lo: echo by both, IP_HDRINCL, filters, protocols; over checkpoints. */
#include "guest.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/icmp6.h>

#define SA(a) (struct sockaddr *)&(a), sizeof(a)
#ifndef SOL_RAW
#define SOL_RAW 255
#endif
#ifndef ICMP_FILTER
#define ICMP_FILTER 1
#endif

static const struct sockaddr_in lo = {.sin_family = AF_INET, .sin_addr = {0x0100007f}};

static uint16_t csum(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint32_t s = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		s += (uint32_t)b[i] << 8 | b[i + 1];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

static void echo(struct icmphdr *h, int id, int seq)
{
	memset(h, 0, sizeof(*h));
	h->type = ICMP_ECHO;
	h->un.echo.id = htons(id);
	h->un.echo.sequence = htons(seq);
	h->checksum = csum(h, sizeof(*h));
}

static void ping_range(const char *v)
{
	int f = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY);

	if (f >= 0) {
		CHECK_EQ(write(f, v, strlen(v)), (long)strlen(v));
		close(f);
	}
}

void guest_test(void)
{
	struct sockaddr_in from;
	socklen_t l;
	struct icmphdr h, *r;
	uint8_t b[256];
	struct iphdr *ip = (struct iphdr *)b;
	int s, u, one = 1;
	pid_t p;

	guest_lo_up();
	SUBTEST("making");
	CHECK_ERRNO(socket(AF_INET, SOCK_RAW, 0), EPROTONOSUPPORT);
	CHILD (p) {
		OK(setuid(1000));
		CHECK_ERRNO(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
		_exit(0);
	}
	guest_reap(p);
	s = OK(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	SUBTEST("echo by a raw socket: the request and the reply are seen");
	echo(&h, 7, 1);
	CHECK_EQ(sendto(s, &h, sizeof(h), 0, SA(lo)), sizeof(h));
	guest_checkpoint();
	CHECK_EQ(recv(s, b, sizeof(b), 0), 28);
	CHECK_EQ(ip->protocol, IPPROTO_ICMP);
	CHECK_EQ(ip->ihl, 5);
	CHECK_EQ(ntohs(ip->tot_len), 28);
	r = (struct icmphdr *)(b + 20);
	CHECK_EQ(r->type, ICMP_ECHO);
	l = sizeof(from);
	CHECK_EQ(recvfrom(s, b, sizeof(b), 0, (struct sockaddr *)&from, &l), 28);
	CHECK_EQ(r->type, ICMP_ECHOREPLY);
	CHECK_EQ(ntohs(r->un.echo.id), 7);
	CHECK_EQ(from.sin_addr.s_addr, lo.sin_addr.s_addr);
	CHECK_EQ(from.sin_port, 0);
	CHECK_EQ(csum(r, 8), 0);
	SUBTEST("ICMP_FILTER");
	uint32_t f = ~(1u << ICMP_ECHOREPLY);
	OK(setsockopt(s, SOL_RAW, ICMP_FILTER, &f, sizeof(f)));
	echo(&h, 7, 2);
	CHECK_EQ(sendto(s, &h, sizeof(h), 0, SA(lo)), sizeof(h));
	guest_checkpoint();
	CHECK_EQ(recv(s, b, sizeof(b), 0), 28);
	CHECK_EQ(r->type, ICMP_ECHOREPLY);
	CHECK_ERRNO(recv(s, b, sizeof(b), MSG_DONTWAIT), EAGAIN);
	f = 0;
	OK(setsockopt(s, SOL_RAW, ICMP_FILTER, &f, sizeof(f)));
	SUBTEST("a bad checksum is not answered");
	h.checksum ^= 0x5555;
	CHECK_EQ(sendto(s, &h, sizeof(h), 0, SA(lo)), sizeof(h));
	CHECK_EQ(recv(s, b, sizeof(b), 0), 28);
	CHECK_ERRNO(recv(s, b, sizeof(b), MSG_DONTWAIT), EAGAIN);
	SUBTEST("port unreachable");
	struct sockaddr_in dead = lo;
	u = OK(socket(AF_INET, SOCK_DGRAM, 0));
	dead.sin_port = htons(9);
	CHECK_EQ(sendto(u, "lost", 4, 0, SA(dead)), 4);
	guest_checkpoint();
	CHECK_EQ(recv(s, b, sizeof(b), 0), 20 + 8 + 20 + 8 + 4);
	CHECK_EQ(r->type, ICMP_DEST_UNREACH);
	CHECK_EQ(r->code, ICMP_PORT_UNREACH);
	CHECK(memcmp(b + 56, "lost", 4) == 0);
	close(s);
	SUBTEST("another protocol, connected; names");
	s = OK(socket(AF_INET, SOCK_RAW, 200));
	CHECK_ERRNO(send(s, "x", 1, 0), EDESTADDRREQ);
	OK(connect(s, SA(lo)));
	CHECK_EQ(send(s, "data", 4, 0), 4);
	guest_checkpoint();
	CHECK_EQ(recv(s, b, sizeof(b), 0), 24);
	CHECK(memcmp(b + 20, "data", 4) == 0);
	CHECK_EQ(ip->protocol, 200);
	SUBTEST("IP_HDRINCL");
	OK(setsockopt(s, IPPROTO_IP, IP_HDRINCL, &one, sizeof(one)));
	memset(b, 0, 24);
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 9;
	ip->protocol = 200;
	ip->saddr = htonl(0x7f000005);
	ip->daddr = lo.sin_addr.s_addr;
	memcpy(b + 20, "mine", 4);
	CHECK_EQ(send(s, b, 24, 0), 24);
	CHECK_ERRNO(send(s, b, 10, 0), EINVAL);
	CHECK_ERRNO(recv(s, b, sizeof(b), MSG_DONTWAIT), EAGAIN); /* connected to 127.0.0.1, and it came from 127.0.0.5 */
	close(s);
	SUBTEST("a raw UDP datagram reaches a UDP socket, and is seen");
	struct sockaddr_in a = lo;
	close(u);
	u = OK(socket(AF_INET, SOCK_DGRAM, 0));
	OK(bind(u, SA(a)));
	l = sizeof(a);
	OK(getsockname(u, (struct sockaddr *)&a, &l));
	s = OK(socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
	uint16_t d[6] = {htons(1234), a.sin_port, htons(12), 0};
	memcpy(d + 4, "udp!", 4);
	CHECK_EQ(sendto(s, d, 12, 0, SA(lo)), 12);
	guest_checkpoint();
	l = sizeof(from);
	CHECK_EQ(recvfrom(u, b, sizeof(b), 0, (struct sockaddr *)&from, &l), 4);
	CHECK_EQ(ntohs(from.sin_port), 1234);
	CHECK_EQ(recv(s, b, sizeof(b), 0), 32);
	close(s);
	SUBTEST("socket filter");
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8), /* after the UDP header */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'y', 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 10),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = {4, code};
	OK(setsockopt(u, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
	OK(setsockopt(u, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof(one)));
	CHECK_ERRNO(setsockopt(u, SOL_SOCKET, SO_DETACH_FILTER, &one, sizeof(one)), EPERM);
	s = OK(socket(AF_INET, SOCK_DGRAM, 0));
	guest_checkpoint();
	CHECK_EQ(sendto(s, "no", 2, 0, SA(a)), 2);
	CHECK_EQ(sendto(s, "yes", 3, 0, SA(a)), 3);
	CHECK_EQ(recv(u, b, sizeof(b), 0), 2); /* cut to 10 bytes, header included */
	CHECK(memcmp(b, "ye", 2) == 0);
	l = 0;
	OK(getsockopt(u, SOL_SOCKET, SO_GET_FILTER, NULL, &l));
	CHECK_EQ(l, 4);
	prog.len = 3;
	CHECK_ERRNO(setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), EINVAL); /* jumps out */
	CHECK_ERRNO(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &one, sizeof(one)), ENOENT);
	SUBTEST("ping sockets");
	ping_range("1 0");
	CHECK_ERRNO(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), EACCES);
	ping_range("0 1000");
	s = OK(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	echo(&h, 99, 5);
	CHECK_EQ(sendto(s, &h, sizeof(h), 0, SA(lo)), sizeof(h));
	guest_checkpoint();
	l = sizeof(from);
	CHECK_EQ(recvfrom(s, b, sizeof(b), 0, (struct sockaddr *)&from, &l), 8);
	r = (struct icmphdr *)b;
	CHECK_EQ(r->type, ICMP_ECHOREPLY);
	CHECK_EQ(ntohs(r->un.echo.sequence), 5);
	l = sizeof(a);
	OK(getsockname(s, (struct sockaddr *)&a, &l));
	CHECK_EQ(r->un.echo.id, a.sin_port);
	h.type = ICMP_TIMESTAMP;
	CHECK_ERRNO(sendto(s, &h, sizeof(h), 0, SA(lo)), EINVAL);
	CHECK_ERRNO(sendto(s, &h, 4, 0, SA(lo)), EINVAL);
	SUBTEST("ICMPv6");
	struct sockaddr_in6 lo6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct icmp6_hdr h6 = {.icmp6_type = ICMP6_ECHO_REQUEST, .icmp6_id = htons(3), .icmp6_seq = htons(4)};
	struct icmp6_filter f6;
	s = OK(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
	ICMP6_FILTER_SETBLOCKALL(&f6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &f6);
	OK(setsockopt(s, IPPROTO_ICMPV6, ICMP6_FILTER, &f6, sizeof(f6)));
	CHECK_EQ(sendto(s, &h6, sizeof(h6), 0, SA(lo6)), sizeof(h6));
	guest_checkpoint();
	CHECK_EQ(recv(s, b, sizeof(b), 0), 8);
	CHECK_EQ(b[0], ICMP6_ECHO_REPLY);
	CHECK_ERRNO(recv(s, b, sizeof(b), MSG_DONTWAIT), EAGAIN);
	close(s);
	s = OK(socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6));
	CHECK_EQ(sendto(s, &h6, sizeof(h6), 0, SA(lo6)), sizeof(h6));
	CHECK_EQ(recv(s, b, sizeof(b), 0), 8);
	CHECK_EQ(b[0], ICMP6_ECHO_REPLY);
}
