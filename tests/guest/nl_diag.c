// SPDX-License-Identifier: Apache-2.0
/* NETLINK_SOCK_DIAG and the tables of /proc/net: sockets of this namespace are found with their states, also after a checkpoint. */
#include "nl.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

static unsigned long inode_of(int fd)
{
	struct stat st;

	OK(fstat(fd, &st));
	return st.st_ino;
}

struct want {
	unsigned long ino;
	int found, all;
	struct inet_diag_msg msg;
	struct unix_diag_msg un;
	unsigned peer;
	bool info;
};

static void inet_one(const struct nlmsghdr *h, void *arg)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	struct want *w = arg;

	w->all++;
	if (m->idiag_inode != w->ino)
		return;
	w->found++;
	w->msg = *m;
	w->info = nl_find(h, sizeof(*m), INET_DIAG_INFO) != NULL;
}

static struct want inet_find(int s, int protocol, unsigned states, int fd, const void *prog, size_t n)
{
	struct inet_diag_req_v2 q = { .sdiag_family = AF_INET, .sdiag_protocol = (unsigned char)protocol, .idiag_states = states,
				      .idiag_ext = 1 << (INET_DIAG_INFO - 1) };
	struct want w = { .ino = inode_of(fd) };
	struct nl_req r;

	nl_begin(&r, SOCK_DIAG_BY_FAMILY, 0, &q, sizeof(q));
	if (prog)
		nl_attr(&r, INET_DIAG_REQ_BYTECODE, prog, n);
	CHECK_EQ(nl_dump(s, &r, inet_one, &w), 0);
	return w;
}

static int bad_program(int s, const void *prog, size_t n)
{
	struct inet_diag_req_v2 q = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0u };
	struct nl_req r;

	nl_begin(&r, SOCK_DIAG_BY_FAMILY, 0, &q, sizeof(q));
	nl_attr(&r, INET_DIAG_REQ_BYTECODE, prog, n);
	return nl_dump(s, &r, NULL, NULL);
}

static void unix_one(const struct nlmsghdr *h, void *arg)
{
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	const unsigned *peer = nl_find(h, sizeof(*m), UNIX_DIAG_PEER);
	struct want *w = arg;

	if (m->udiag_ino != w->ino)
		return;
	w->found++;
	w->un = *m;
	w->peer = peer ? *peer : 0;
}

static struct want unix_find(int s, int fd)
{
	struct unix_diag_req q = { .sdiag_family = AF_UNIX, .udiag_states = ~0u, .udiag_show = UDIAG_SHOW_PEER | UDIAG_SHOW_NAME };
	struct want w = { .ino = inode_of(fd) };
	struct nl_req r;

	nl_begin(&r, SOCK_DIAG_BY_FAMILY, 0, &q, sizeof(q));
	CHECK_EQ(nl_dump(s, &r, unix_one, &w), 0);
	return w;
}

/* Does the file have a line with this inode? */
static bool listed(const char *file, unsigned long ino)
{
	static char text[1 << 16];
	char want[32];
	int fd = OK(open(file, O_RDONLY | O_CLOEXEC));
	ssize_t n = OK(read(fd, text, sizeof(text) - 1));

	close(fd);
	text[n] = 0;
	snprintf(want, sizeof(want), " %lu", ino);
	for (const char *p = text; (p = strstr(p, want)); p++)
		if (p[strlen(want)] == ' ' || p[strlen(want)] == '\n')
			return true;
	return false;
}

static void check(int s, int l, int c, int u, int x, int pair[2], int port)
{
	const struct { struct inet_diag_bc_op op, arg; } eq = { { INET_DIAG_BC_S_EQ, sizeof(eq), sizeof(eq) + 4 }, { 0, 0, (unsigned short)port } };
	struct want w = inet_find(s, IPPROTO_TCP, ~0u, l, NULL, 0);

	SUBTEST("tcp");
	CHECK_EQ(w.found, 1);
	CHECK_EQ(w.msg.idiag_state, 10);
	CHECK_EQ(ntohs(w.msg.id.idiag_sport), port);
	CHECK_EQ(ntohl(w.msg.id.idiag_src[0]), INADDR_LOOPBACK);
	CHECK_EQ(w.msg.idiag_wqueue, 5);
	CHECK(w.info);
	CHECK_EQ(inet_find(s, IPPROTO_TCP, 1 << 1, l, NULL, 0).found, 0);
	w = inet_find(s, IPPROTO_TCP, 1 << 1, c, NULL, 0);
	CHECK_EQ(w.found, 1);
	CHECK_EQ(w.msg.idiag_state, 1);
	CHECK_EQ(w.msg.idiag_rqueue, 3);
	CHECK_EQ(ntohs(w.msg.id.idiag_sport), port);
	CHECK(listed("/proc/net/tcp", inode_of(l)) && listed("/proc/net/tcp", inode_of(c)));

	SUBTEST("programs");
	w = inet_find(s, IPPROTO_TCP, ~0u, l, &eq, sizeof(eq));
	CHECK_EQ(w.found, 1);
	CHECK_EQ(w.all, 2); /* the listener and what it accepted */
	CHECK_EQ(bad_program(s, &(struct inet_diag_bc_op){ 99, 4, 8 }, 4), EINVAL);
	CHECK_EQ(bad_program(s, &(struct inet_diag_bc_op){ INET_DIAG_BC_S_GE, 4, 8 }, 4), EINVAL);
	CHECK_EQ(bad_program(s, &(struct inet_diag_bc_op){ INET_DIAG_BC_NOP, 200, 4 }, 4), EINVAL);

	SUBTEST("udp");
	w = inet_find(s, IPPROTO_UDP, ~0u, u, NULL, 0);
	CHECK_EQ(w.found, 1);
	CHECK_EQ(w.msg.idiag_state, 7);
	CHECK(listed("/proc/net/udp", inode_of(u)));

	SUBTEST("unix");
	w = unix_find(s, x);
	CHECK_EQ(w.found, 1);
	CHECK_EQ(w.un.udiag_state, 10);
	w = unix_find(s, pair[0]);
	CHECK_EQ(w.found, 1);
	CHECK_EQ(w.un.udiag_state, 1);
	CHECK_EQ(w.peer, inode_of(pair[1]));
	CHECK(listed("/proc/net/unix", inode_of(x)) && listed("/proc/net/unix", inode_of(pair[0])));
	CHECK(listed("/proc/net/netlink", inode_of(s)));
}

void guest_test(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un n = { .sun_family = AF_UNIX, .sun_path = "\0nl_diag" };
	socklen_t len = sizeof(a);
	int s, l, c, k, u, x, pair[2];

	guest_lo_up();
	s = nl_open(NETLINK_SOCK_DIAG);
	l = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(bind(l, (struct sockaddr *)&a, sizeof(a)));
	OK(listen(l, 5));
	OK(getsockname(l, (struct sockaddr *)&a, &len));
	k = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(connect(k, (struct sockaddr *)&a, len));
	c = OK(accept(l, NULL, NULL));
	CHECK_EQ(send(k, "abc", 3, 0), 3);
	u = OK(socket(AF_INET, SOCK_DGRAM, 0));
	OK(bind(u, (struct sockaddr *)&(struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = a.sin_addr }, sizeof(a)));
	x = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(bind(x, (struct sockaddr *)&n, sizeof(sa_family_t) + 8));
	OK(listen(x, 2));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	check(s, l, c, u, x, pair, ntohs(a.sin_port));
	guest_checkpoint();
	check(s, l, c, u, x, pair, ntohs(a.sin_port));
}
