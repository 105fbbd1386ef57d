// SPDX-License-Identifier: Apache-2.0
/* AF_NETLINK sockets: ports, unicast, groups, overrun, options, credentials; queued messages over a checkpoint. */
#include "nl.h"

static int raw(int protocol)
{
	return OK(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
}

static unsigned port_of(int s)
{
	struct sockaddr_nl a;
	socklen_t len = sizeof(a);

	OK(getsockname(s, (struct sockaddr *)&a, &len));
	CHECK_EQ(len, sizeof(a));
	CHECK_EQ(a.nl_family, AF_NETLINK);
	return a.nl_pid;
}

static int bind_nl(int s, unsigned pid, unsigned groups)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_pid = pid, .nl_groups = groups };

	return bind(s, (struct sockaddr *)&a, sizeof(a));
}

static ssize_t send_nl(int s, const void *data, size_t n, unsigned pid, unsigned groups, int flags)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_pid = pid, .nl_groups = groups };

	return sendto(s, data, n, flags, (struct sockaddr *)&a, sizeof(a));
}

static void creation(void)
{
	SUBTEST("socket");
	CHECK_ERRNO(socket(AF_NETLINK, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
	CHECK_ERRNO(socket(AF_NETLINK, SOCK_RAW, -1), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_NETLINK, SOCK_RAW, 32), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_NETLINK, SOCK_RAW, 1), EPROTONOSUPPORT);
	CHECK_ERRNO(socketpair(AF_NETLINK, SOCK_RAW, 0, (int[2]){ 0 }), EOPNOTSUPP);
}

static void ports(void)
{
	int a = raw(NETLINK_ROUTE), b = raw(NETLINK_ROUTE), u = raw(NETLINK_USERSOCK);

	SUBTEST("ports");
	CHECK_EQ(port_of(a), 0);
	OK(bind_nl(a, 0, 0));
	CHECK_EQ(port_of(a), (unsigned)getpid());
	OK(bind_nl(b, 0, 0));
	CHECK((int)port_of(b) < 0);
	CHECK_ERRNO(bind_nl(b, 7, 0), EINVAL);
	CHECK_ERRNO(bind_nl(b, 0, 0), EINVAL);
	OK(bind_nl(b, port_of(b), 1));
	OK(bind_nl(u, (unsigned)getpid(), 0)); /* each protocol has its own ports */
	close(u);
	u = raw(NETLINK_ROUTE);
	CHECK_ERRNO(bind_nl(u, (unsigned)getpid(), 0), EADDRINUSE);
	close(a);
	OK(bind_nl(u, (unsigned)getpid(), 0)); /* free at once */
	CHECK_ERRNO(send(u, "", 0, 0), ENODATA);
	CHECK_ERRNO(send_nl(u, "x", 1, 77, 0, 0), ECONNREFUSED);
	CHECK_ERRNO(sendto(u, "x", 1, 0, (struct sockaddr *)&(struct sockaddr_nl){ 0 }, 4), EINVAL);
	CHECK_ERRNO(listen(u, 1), EOPNOTSUPP);
	close(u);
	close(b);
}

static void check_creds(struct msghdr *mh, int want_group)
{
	bool creds = false, info = false;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
			const struct ucred *u = (const void *)CMSG_DATA(c);

			CHECK_EQ(u->pid, getpid());
			CHECK_EQ(u->uid, getuid());
			creds = true;
		} else if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_PKTINFO) {
			CHECK_EQ(*(const int *)CMSG_DATA(c), want_group);
			info = true;
		}
	}
	CHECK(creds && info);
}

static void unicast(void)
{
	int a = raw(NETLINK_USERSOCK), b = raw(NETLINK_USERSOCK), one = 1;
	struct sockaddr_nl from;
	char buf[100], ctl[200];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr mh = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl,
			     .msg_controllen = sizeof(ctl) };

	SUBTEST("between sockets");
	OK(bind_nl(a, 1001, 0));
	OK(bind_nl(b, 1002, 2));
	CHECK_ERRNO(send_nl(a, "x", 1, 0, 0, 0), ECONNREFUSED); /* no kernel there */
	nl_opt(b, NETLINK_PKTINFO, 1);
	OK(setsockopt(b, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)));
	CHECK_EQ(send_nl(a, "hello", 5, 1002, 0, 0), 5);
	CHECK_ERRNO(send_nl(a, "group", 5, 0, 2, 0), ECONNREFUSED); /* by the kernel; the group has it */
	guest_checkpoint();
	CHECK_EQ(recvmsg(b, &mh, 0), 5);
	CHECK(!memcmp(buf, "hello", 5));
	CHECK_EQ(from.nl_pid, 1001);
	CHECK_EQ(from.nl_groups, 0);
	check_creds(&mh, 0);
	mh.msg_controllen = sizeof(ctl);
	iov.iov_len = 2;
	CHECK_EQ(recvmsg(b, &mh, MSG_TRUNC), 5);
	CHECK(mh.msg_flags & MSG_TRUNC);
	CHECK_EQ(from.nl_groups, 2);
	check_creds(&mh, 2);
	CHECK_ERRNO(recv(b, buf, 1, MSG_DONTWAIT), EAGAIN);
	close(b);
	CHECK_ERRNO(send_nl(a, "x", 1, 1002, 0, 0), ECONNREFUSED);
	close(a);
}

static void *late_reader(void *arg)
{
	char buf[4096];
	int s = (int)(intptr_t)arg;
	long n = 0;

	usleep(100000);
	while (recv(s, buf, sizeof(buf), 0) != 1)
		n++;
	return (void *)n;
}

static void full(void)
{
	int a = raw(NETLINK_USERSOCK), b = raw(NETLINK_USERSOCK), small = 4096;
	char data[1000] = { 0 };
	pthread_t th;
	void *got;
	long n = 0;

	SUBTEST("a full receiver");
	OK(bind_nl(a, 0, 0));
	OK(bind_nl(b, 1002, 0));
	OK(setsockopt(b, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	while (send_nl(a, data, sizeof(data), 1002, 0, MSG_DONTWAIT) == sizeof(data))
		n++;
	CHECK_EQ(errno, EAGAIN);
	CHECK(n > 2 && n < 20);
	th = guest_thread(late_reader, (void *)(intptr_t)b);
	for (int i = 0; i < 20; i++) /* waits */
		CHECK_EQ(send_nl(a, data, sizeof(data), 1002, 0, 0), (ssize_t)sizeof(data));
	CHECK_EQ(send_nl(a, data, 1, 1002, 0, 0), 1);
	pthread_join(th, &got);
	CHECK_EQ((long)got, n + 20);
	close(a);
	close(b);
}

/* Groups: what does not fit is lost, and the receiver hears of it once. */
static void overrun(void)
{
	int a = raw(NETLINK_USERSOCK), b = raw(NETLINK_USERSOCK), small = 4096, v = 0;
	char data[1000] = { 0 }, buf[4096];
	struct pollfd p = { .fd = b, .events = POLLIN };
	socklen_t len = sizeof(v);
	ssize_t n;

	SUBTEST("overrun");
	OK(bind_nl(a, 0, 0));
	OK(bind_nl(b, 1002, 1));
	OK(setsockopt(b, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	for (int i = 0; i < 30; i++)
		CHECK_ERRNO(send_nl(a, data, sizeof(data), 0, 1, 0), ECONNREFUSED);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN | POLLERR);
	guest_checkpoint();
	CHECK_ERRNO(recv(b, buf, sizeof(buf), MSG_DONTWAIT), ENOBUFS);
	while ((n = recv(b, buf, sizeof(buf), MSG_DONTWAIT)) == sizeof(data))
		v++;
	CHECK_EQ(n, -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK(v > 2 && v < 20);
	CHECK_ERRNO(send_nl(a, data, sizeof(data), 0, 1, 0), ECONNREFUSED); /* read empty: open again */
	CHECK_EQ(recv(b, buf, sizeof(buf), MSG_DONTWAIT), (ssize_t)sizeof(data));
	nl_opt(b, NETLINK_NO_ENOBUFS, 1);
	for (int i = 0; i < 30; i++)
		CHECK_ERRNO(send_nl(a, data, sizeof(data), 0, 1, 0), ECONNREFUSED);
	OK(getsockopt(b, SOL_SOCKET, SO_ERROR, &v, &len));
	CHECK_EQ(v, 0);
	close(a);
	close(b);
}

static void options(void)
{
	int s = raw(NETLINK_ROUTE), v = 5;
	unsigned list[8];
	socklen_t len = sizeof(v);

	SUBTEST("options");
	OK(getsockopt(s, SOL_NETLINK, NETLINK_EXT_ACK, &v, &len));
	CHECK_EQ(v, 0);
	nl_opt(s, NETLINK_EXT_ACK, 1);
	OK(getsockopt(s, SOL_NETLINK, NETLINK_EXT_ACK, &v, &len));
	CHECK_EQ(v, 1);
	len = 2;
	CHECK_ERRNO(getsockopt(s, SOL_NETLINK, NETLINK_EXT_ACK, &v, &len), EINVAL);
	CHECK_ERRNO(setsockopt(s, SOL_NETLINK, 99, &v, sizeof(v)), ENOPROTOOPT);
	CHECK_ERRNO(setsockopt(s, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &(int){ 0 }, sizeof(v)), EINVAL);
	CHECK_ERRNO(setsockopt(s, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &(int){ 1000 }, sizeof(v)), EINVAL);
	nl_opt(s, NETLINK_ADD_MEMBERSHIP, 1);
	nl_opt(s, NETLINK_ADD_MEMBERSHIP, 33);
	guest_checkpoint();
	len = sizeof(list);
	OK(getsockopt(s, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, list, &len));
	CHECK(len >= 8);
	CHECK_EQ(list[0], 1);
	CHECK_EQ(list[1], 1);
	nl_opt(s, NETLINK_DROP_MEMBERSHIP, 33);
	len = sizeof(list);
	OK(getsockopt(s, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, list, &len));
	CHECK_EQ(list[1], 0);
	close(s);
}

/* A dump that is half read goes on after a checkpoint; a second one must wait for its end. */
static void dumps(void)
{
	int s = nl_open(NETLINK_ROUTE);
	struct ifaddrmsg i = { 0 };
	static char buf[NL_BUF];
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
	struct nl_req r;

	SUBTEST("dump");
	nl_begin(&r, RTM_GETLINK, NLM_F_DUMP, &(struct ifinfomsg){ 0 }, sizeof(struct ifinfomsg));
	nl_send(s, &r);
	(void)nl_recv(s, buf);
	CHECK_EQ(h->nlmsg_type, RTM_NEWLINK);
	guest_checkpoint();
	(void)nl_recv(s, buf);
	CHECK_EQ(h->nlmsg_type, NLMSG_DONE);
	nl_begin(&r, RTM_GETADDR, 0, &i, sizeof(i));
	CHECK_EQ(nl_dump(s, &r, NULL, NULL), 0);
	close(s);
}

static void *wait_note(void *arg)
{
	static char buf[NL_BUF];
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;

	(void)nl_recv((int)(intptr_t)arg, buf);
	CHECK_EQ(h->nlmsg_type, RTM_NEWLINK);
	return NULL;
}

/* A reader blocked over the checkpoint hears of what happens after it. */
static void blocked(void)
{
	struct ifinfomsg i = { .ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	int s = nl_open(NETLINK_ROUTE), m = nl_open(NETLINK_ROUTE);
	struct nl_req r;
	pthread_t th;

	SUBTEST("blocked in recv");
	nl_opt(m, NETLINK_ADD_MEMBERSHIP, RTNLGRP_LINK);
	th = guest_thread(wait_note, (void *)(intptr_t)m);
	usleep(20000);
	guest_checkpoint();
	nl_begin(&r, RTM_NEWLINK, 0, &i, sizeof(i));
	CHECK_EQ(nl_ack(s, &r), 0);
	pthread_join(th, NULL);
}

void guest_test(void)
{
	OK(unshare(CLONE_NEWNET));
	creation();
	ports();
	unicast();
	full();
	overrun();
	options();
	dumps();
	blocked();
}
