/* SPDX-License-Identifier: Apache-2.0 */
/* TCP and UDP on loopback: connections, resets, refusals, and a round trip of pairs, a listener with waiting ones, and datagrams. */
#include "tests/sentry/fs/fdobj_util.h"

#include "sentry/net/inet_diag.h"
#include "sentry/net/netdev/netdev.h"

static struct net_ns *net;

static struct file *mk(int family, int type)
{
	struct file *f;

	assert_int_equal(socket_file_new(NULL, &inet_new(net, family, type)->sk, LINUX_O_NONBLOCK, &f), 0);
	return f;
}

static uint32_t lo4(uint16_t port, uint8_t a[16])
{
	memset(a, 0, 16);
	a[0] = LINUX_AF_INET;
	a[2] = (uint8_t)(port >> 8);
	a[3] = (uint8_t)port;
	a[4] = 127;
	a[7] = 1;
	return 16;
}

static int do_bind(struct file *f, uint16_t port)
{
	uint8_t a[16];

	return inet_bind(file_sock(f), NULL, a, lo4(port, a));
}

static int cn(struct file *f, uint16_t port)
{
	uint8_t a[16];

	return file_sock(f)->ops->connect(file_sock(f), NULL, a, lo4(port, a), true, 0);
}

static int acc(struct file *l, struct file **ret)
{
	struct sock *got;
	int r = file_sock(l)->ops->accept(file_sock(l), NULL, &got);

	return r ? r : socket_file_new(NULL, got, LINUX_O_NONBLOCK, ret);
}

static void pair(struct file *f[2], uint16_t port)
{
	struct file *l = mk(LINUX_AF_INET, LINUX_SOCK_STREAM);

	assert_int_equal(do_bind(l, port), 0);
	assert_int_equal(tcp_sock_ops.listen(file_sock(l), NULL, 5), 0);
	f[0] = mk(LINUX_AF_INET, LINUX_SOCK_STREAM);
	assert_int_equal(cn(f[0], port), -EINPROGRESS);
	assert_int_equal(cn(f[0], port), 0);
	assert_int_equal(cn(f[0], port), -EISCONN);
	assert_int_equal(acc(l, &f[1]), 0);
	file_put(l);
}

static void tcp(void **state)
{
	struct file *f[2], *c;
	char buf[64];

	pair(f, 5000);
	assert_int_equal(op_write(f[0], NULL, "hello", 5), 5);
	assert_int_equal(op_write(f[0], NULL, "world", 5), 5);
	assert_int_equal(op_read(f[1], NULL, buf, 7), 7);
	assert_int_equal(op_read(f[1], NULL, buf, 7), 3);
	assert_int_equal(op_read(f[1], NULL, buf, 7), -EAGAIN);
	assert_int_equal(tcp_sock_ops.shutdown(file_sock(f[0]), LINUX_SHUT_WR), 0);
	assert_int_equal(op_read(f[1], NULL, buf, 7), 0);
	assert_int_equal(op_write(f[0], NULL, "x", 1), -EPIPE);
	assert_int_equal(op_write(f[1], NULL, "back", 4), 4);
	assert_int_equal(op_read(f[0], NULL, buf, 7), 4);
	file_put(f[0]);
	assert_int_equal(op_write(f[1], NULL, "void", 4), 4);
	assert_int_equal(op_write(f[1], NULL, "void", 4), -EPIPE);
	file_put(f[1]);
	pair(f, 5000);
	assert_int_equal(op_write(f[0], NULL, "unread", 6), 6);
	file_put(f[1]);
	assert_int_equal(file_poll(f[0]) & (LINUX_POLLERR | LINUX_POLLHUP), LINUX_POLLERR | LINUX_POLLHUP);
	assert_int_equal(op_read(f[0], NULL, buf, 7), -ECONNRESET);
	assert_int_equal(op_read(f[0], NULL, buf, 7), 0);
	file_put(f[0]);
	c = mk(LINUX_AF_INET, LINUX_SOCK_STREAM);
	assert_int_equal(cn(c, 5000), -EINPROGRESS);
	assert_int_equal(inet_take_error(file_sock(c)), ECONNREFUSED);
	assert_int_equal(cn(c, 5000), -ECONNABORTED);
	file_put(c);
}

static void udp(void **state)
{
	struct file *a = mk(LINUX_AF_INET, LINUX_SOCK_DGRAM), *b = mk(LINUX_AF_INET6, LINUX_SOCK_DGRAM);
	uint8_t any6[28] = { LINUX_AF_INET6, 0, 0x17, 0x70 };
	char buf[8];

	assert_int_equal(inet_bind(file_sock(b), NULL, any6, 28), 0);
	assert_int_equal(do_bind(a, 6000), -EADDRINUSE);
	assert_int_equal(op_write(a, NULL, "x", 1), -EDESTADDRREQ);
	assert_int_equal(cn(a, 6001), 0);
	assert_int_equal(op_write(a, NULL, "x", 1), 1);
	assert_int_equal(op_read(a, NULL, buf, 8), -ECONNREFUSED);
	assert_int_equal(cn(a, 6000), 0);
	assert_int_equal(op_write(a, NULL, "datagram", 8), 8);
	assert_int_equal(op_read(b, NULL, buf, 4), 4);
	assert_int_equal(op_read(b, NULL, buf, 4), -EAGAIN);
	file_put(a);
	file_put(b);
}

static void survives(void **state)
{
	struct file *in[8], *out[8], *f;
	char buf[16];

	pair(in, 7000);
	assert_int_equal(op_write(in[0], NULL, "right", 5), 5);
	assert_int_equal(op_write(in[1], NULL, "left!", 5), 5);
	assert_int_equal(op_read(in[0], NULL, buf, 1), 1);
	in[2] = mk(LINUX_AF_INET, LINUX_SOCK_STREAM);
	assert_int_equal(do_bind(in[2], 7001), 0);
	assert_int_equal(tcp_sock_ops.listen(file_sock(in[2]), NULL, 0), 0);
	in[3] = mk(LINUX_AF_INET, LINUX_SOCK_STREAM);
	in[4] = mk(LINUX_AF_INET, LINUX_SOCK_STREAM);
	assert_int_equal(cn(in[3], 7001), -EINPROGRESS);
	assert_int_equal(cn(in[3], 7001), 0);
	assert_int_equal(cn(in[4], 7001), -EINPROGRESS);
	assert_int_equal(cn(in[4], 7001), -EALREADY); /* no room */
	assert_int_equal(op_write(in[3], NULL, "early", 5), 5);
	in[5] = mk(LINUX_AF_INET, LINUX_SOCK_DGRAM);
	in[6] = mk(LINUX_AF_INET, LINUX_SOCK_DGRAM);
	assert_int_equal(do_bind(in[5], 7002), 0);
	assert_int_equal(cn(in[6], 7002), 0);
	assert_int_equal(op_write(in[6], NULL, "one", 3), 3);
	assert_int_equal(op_write(in[6], NULL, "", 0), 0);
	round_trip(in, out, 7);
	assert_int_equal(op_read(out[1], NULL, buf, 16), 5);
	assert_memory_equal(buf, "right", 5);
	assert_int_equal(op_read(out[0], NULL, buf, 16), 4);
	assert_memory_equal(buf, "eft!", 4);
	assert_int_equal(cn(out[4], 7001), -EALREADY);
	assert_int_equal(acc(out[2], &f), 0);
	assert_int_equal(op_read(f, NULL, buf, 16), 5);
	file_put(f);
	assert_int_equal(cn(out[4], 7001), 0);
	assert_int_equal(op_write(out[4], NULL, "late", 4), 4);
	file_put(out[2]); /* resets who waits */
	assert_int_equal(op_read(out[4], NULL, buf, 16), -ECONNRESET);
	assert_int_equal(op_read(out[3], NULL, buf, 16), 0);
	assert_int_equal(op_read(out[5], NULL, buf, 16), 3);
	assert_int_equal(op_read(out[5], NULL, buf, 16), 0);
	assert_int_equal(op_read(out[5], NULL, buf, 16), -EAGAIN);
	for (int i = 0; i < 7; i++) {
		file_put(in[i]);
		if (i != 2)
			file_put(out[i]);
	}
}

static int64_t send_flags(struct file *f, const char *s, uint32_t flags)
{
	struct uio u;
	struct sock_msg m = { .u = &u, .flags = flags, .nonblock = true };

	uio_kernel(&u, (void *)(uintptr_t)s, strlen(s));
	return file_sock(f)->ops->sendmsg(file_sock(f), NULL, &m);
}

static int64_t recv_flags(struct file *f, char *buf, size_t n, uint32_t flags)
{
	struct uio u;
	struct sock_msg m = { .u = &u, .flags = flags, .nonblock = true };
	int64_t r;

	uio_kernel(&u, buf, n);
	r = file_sock(f)->ops->recvmsg(file_sock(f), NULL, &m);
	sock_msg_done(&m);
	return r;
}

struct states {
	unsigned of[16];
};

static bool count_state(void *arg, const struct inet_diag_info *i)
{
	((struct states *)arg)->of[i->state]++;
	return true;
}

static struct states states_of(struct net_ns *ns)
{
	struct states s = { { 0 } };

	inet_diag_each(ns, LINUX_SOCK_STREAM, 0, count_state, &s);
	return s;
}

/* Urgent data, FIN_WAIT2 of an orphan, TIME_WAIT, errors in the queue and a corked datagram, before and after. */
static void leftovers(void **state)
{
	struct file *in[3], *out[3], *f[2];
	struct net_ns *loaded;
	char buf[16];

	pair(f, 7100);
	file_put(f[1]);
	assert_int_equal(states_of(net).of[INET_FIN_WAIT2], 1);
	file_put(f[0]);
	assert_int_equal(states_of(net).of[INET_FIN_WAIT2], 0);
	assert_int_equal(states_of(net).of[INET_TIME_WAIT], 1);
	pair(in, 7101);
	assert_int_equal(send_flags(in[0], "abU", LINUX_MSG_OOB), 3);
	assert_int_equal(send_flags(in[0], "cd", 0), 2);
	in[2] = mk(LINUX_AF_INET, LINUX_SOCK_DGRAM);
	inet_opt_set(inet_of(file_sock(in[2])), SOL_IP_, 11, 1); /* IP_RECVERR */
	assert_int_equal(cn(in[2], 7102), 0);
	assert_int_equal(op_write(in[2], NULL, "lost", 4), 4);
	assert_int_equal(inet_take_error(file_sock(in[2])), ECONNREFUSED);
	assert_int_equal(send_flags(in[2], "cork", LINUX_MSG_MORE), 4);
	round_trip(in, out, 3);
	loaded = file_sock(out[0])->net;
	assert_ptr_not_equal(loaded, net);
	assert_int_equal(states_of(loaded).of[INET_TIME_WAIT], 1);
	assert_int_equal(states_of(loaded).of[INET_ESTABLISHED], 2);
	assert_int_equal(file_poll(out[1]) & LINUX_POLLPRI, LINUX_POLLPRI);
	assert_int_equal(op_read(out[1], NULL, buf, 16), 2);
	assert_int_equal(recv_flags(out[1], buf, 1, LINUX_MSG_OOB), 1);
	assert_int_equal(buf[0], 'U');
	assert_int_equal(op_read(out[1], NULL, buf, 16), 2);
	assert_memory_equal(buf, "cd", 2);
	assert_int_equal(recv_flags(out[2], buf, 16, LINUX_MSG_ERRQUEUE), 4);
	assert_memory_equal(buf, "lost", 4);
	assert_int_equal(recv_flags(out[2], buf, 16, LINUX_MSG_ERRQUEUE), -EAGAIN);
	assert_non_null(inet_of(file_sock(out[2]))->cork);
	for (int i = 0; i < 3; i++) {
		file_put(in[i]);
		file_put(out[i]);
	}
}

static int setup(void **state)
{
	net = net_ns_new();
	net_cfg_lo_up(net->cfg);
	return 0;
}

static int teardown(void **state)
{
	net_ns_put(net);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tcp, setup, teardown),
		cmocka_unit_test_setup_teardown(udp, setup, teardown),
		cmocka_unit_test_setup_teardown(survives, setup, teardown),
		cmocka_unit_test_setup_teardown(leftovers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
