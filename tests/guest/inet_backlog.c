// SPDX-License-Identifier: Apache-2.0
/* Connects that find the backlog full: waiting, going on, timing out; SO_REUSEPORT groups with a program; over checkpoints. */
#include "guest.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define SA(a) (struct sockaddr *)&(a), sizeof(a)
#ifndef SO_ATTACH_REUSEPORT_CBPF
#define SO_ATTACH_REUSEPORT_CBPF 51
#endif

static struct sockaddr_in name(int s)
{
	struct sockaddr_in a;
	socklen_t l = sizeof(a);

	OK(getsockname(s, (struct sockaddr *)&a, &l));
	return a;
}

static int so_error(int s)
{
	int v = -1;
	socklen_t l = sizeof(v);

	OK(getsockopt(s, SOL_SOCKET, SO_ERROR, &v, &l));
	return v;
}

static int state(int s)
{
	struct tcp_info ti = {0};
	socklen_t l = sizeof(ti);

	OK(getsockopt(s, IPPROTO_TCP, TCP_INFO, &ti, &l));
	return ti.tcpi_state;
}

void guest_test(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int s, c, w, x, one = 1, g[3];
	struct timeval tv = {0, 300000};
	pid_t p;
	char b[8];

	guest_lo_up();
	SUBTEST("one more than the backlog is accepted, then connects wait");
	s = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(bind(s, SA(a)));
	OK(listen(s, 0));
	a = name(s);
	c = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(connect(c, SA(a)));
	w = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	CHECK_ERRNO(connect(w, SA(a)), EINPROGRESS);
	CHECK_ERRNO(connect(w, SA(a)), EALREADY);
	CHECK_EQ(state(w), TCP_SYN_SENT);
	struct pollfd pf = {w, POLLIN | POLLOUT, 0};
	CHECK_EQ(poll(&pf, 1, 0), 0);
	guest_checkpoint();
	CHECK_EQ(state(w), TCP_SYN_SENT);
	CHECK_ERRNO(getpeername(w, (struct sockaddr *)&a, &(socklen_t){sizeof(a)}), ENOTCONN);
	SUBTEST("SO_SNDTIMEO ends a blocking connect");
	x = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(setsockopt(x, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
	CHECK_ERRNO(connect(x, SA(a)), EINPROGRESS);
	close(x);
	SUBTEST("a blocked connect goes on when there is room");
	CHILD (p) {
		int y = OK(socket(AF_INET, SOCK_STREAM, 0));

		OK(connect(y, SA(a)));
		CHECK_EQ(send(y, "made it", 7, 0), 7);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	/* Which of the waiting ones comes first is not ours to say; only one sends. */
	struct pollfd pfs[5] = {{s, POLLIN, 0}};
	for (int n = 1, seen = 0; !seen;) {
		CHECK(poll(pfs, (nfds_t)n, 20000) > 0);
		for (int i = 1; i < n; i++)
			seen |= (pfs[i].revents & POLLIN) && recv(pfs[i].fd, b, sizeof(b), 0) == 7;
		if (!seen && pfs[0].revents) {
			CHECK(n < 5);
			pfs[n++] = (struct pollfd){OK(accept(s, NULL, NULL)), POLLIN, 0};
		}
		for (int i = 1; seen && i < n; i++)
			close(pfs[i].fd);
	}
	guest_reap(p);
	close(w);
	close(c);
	close(s);
	SUBTEST("no answer: ETIMEDOUT");
	a = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	s = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(bind(s, SA(a)));
	OK(listen(s, 0));
	a = name(s);
	c = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(connect(c, SA(a)));
	w = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	OK(setsockopt(w, IPPROTO_TCP, TCP_SYNCNT, &one, sizeof(one)));
	CHECK_ERRNO(connect(w, SA(a)), EINPROGRESS);
	guest_checkpoint();
	pf = (struct pollfd){w, POLLOUT, 0};
	CHECK_EQ(poll(&pf, 1, 60000), 1);
	CHECK_EQ(pf.revents, POLLOUT | POLLERR | POLLHUP);
	CHECK_EQ(so_error(w), ETIMEDOUT);
	close(w);
	SUBTEST("a listener that stops resets who waits");
	w = OK(socket(AF_INET, SOCK_STREAM, 0));
	CHILD (p) {
		close(s);
		CHECK_ERRNO(connect(w, SA(a)), ECONNREFUSED);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	close(s);
	guest_reap(p);
	CHECK_ERRNO(recv(c, b, 1, 0), ECONNRESET);
	SUBTEST("a reuseport group with a program");
	struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, '0'), BPF_STMT(BPF_RET | BPF_A, 0)};
	struct sock_fprog prog = {3, code};
	a.sin_port = 0;
	for (int i = 0; i < 3; i++) {
		g[i] = OK(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
		OK(setsockopt(g[i], SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)));
		OK(bind(g[i], SA(a)));
		a = name(g[i]);
	}
	OK(setsockopt(g[1], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog)));
	x = OK(socket(AF_INET, SOCK_DGRAM, 0));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++) {
			b[0] = (char)('0' + i);
			CHECK_EQ(sendto(x, b, 1, 0, SA(a)), 1);
		}
		guest_checkpoint();
		for (int i = 0; i < 3; i++) {
			CHECK_EQ(recv(g[i], b, sizeof(b), 0), 1);
			CHECK_EQ(b[0], '0' + i);
			CHECK_ERRNO(recv(g[i], b, sizeof(b), 0), EAGAIN);
		}
	}
}
