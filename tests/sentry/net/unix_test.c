/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX: streams, datagrams, names, backlog, descriptors in flight and their collection, a round trip of all of it. */
#include "tests/sentry/fs/fdobj_util.h"

#include "sentry/fs/eventfd.h"
#include "sentry/net/unix.h"

static struct file *sock_file(struct task *t, int type)
{
	struct sock *sk;
	struct file *f;

	assert_int_equal(sock_create(t, LINUX_AF_UNIX, type, 0, &sk), 0);
	assert_int_equal(socket_file_new(t, sk, LINUX_O_NONBLOCK, &f), 0);
	return f;
}

static void pair(struct task *t, struct net_ns *net, int type, struct file *f[2])
{
	struct unix_sock *u[2];

	assert_int_equal(unix_pair(NULL, net, type, u), 0); /* no credentials: the fake task's pid is not counted */
	assert_int_equal(socket_file_new(t, &u[0]->sk, LINUX_O_NONBLOCK, &f[0]), 0);
	assert_int_equal(socket_file_new(t, &u[1]->sk, LINUX_O_NONBLOCK, &f[1]), 0);
}

static uint32_t addr_of(const char *name, size_t n, struct linux_sockaddr_un *a)
{
	*a = (struct linux_sockaddr_un){ .sun_family = LINUX_AF_UNIX };
	memcpy(a->sun_path, name, n);
	return (uint32_t)(2 + n);
}

static int64_t send_fds(struct file *s, struct task *t, const char *data, struct file **v, uint32_t n)
{
	struct sock_msg m = { .flags = LINUX_MSG_DONTWAIT };
	struct uio u;
	int64_t r;

	uio_kernel(&u, (void *)(uintptr_t)data, strlen(data));
	m.u = &u;
	if (n) {
		m.scm.fds = malloc(sizeof(*m.scm.fds) + n * sizeof(struct file *));
		m.scm.fds->nr = n;
		for (uint32_t i = 0; i < n; i++)
			m.scm.fds->file[i] = file_get(v[i]);
	}
	r = do_sendmsg(s, t, &m);
	scm_done(&m.scm);
	return r;
}

static int64_t recv_msg(struct file *s, struct task *t, void *buf, size_t n, uint32_t flags, struct sock_msg *m)
{
	struct uio u;
	int64_t r;

	*m = (struct sock_msg){ .flags = flags | LINUX_MSG_DONTWAIT };
	uio_kernel(&u, buf, n);
	m->u = &u;
	r = do_recvmsg(s, t, m);
	m->u = NULL;
	return r;
}

static void stream(void **state)
{
	struct task *t = *state;
	struct file *f[2];
	struct sock_msg m;
	char buf[64] = { 0 };

	pair(t, NULL, LINUX_SOCK_STREAM, f);
	assert_int_equal(file_poll(f[0]), POLL_WRITE | LINUX_POLLWRBAND);
	assert_int_equal(op_read(f[0], t, buf, 8), -EAGAIN);
	assert_int_equal(op_write(f[0], t, "hello", 5), 5);
	assert_int_equal(op_write(f[0], t, "world", 5), 5);
	assert_int_equal(file_poll(f[1]) & POLL_READ, POLL_READ);
	assert_int_equal(recv_msg(f[1], t, buf, 7, LINUX_MSG_PEEK, &m), 7);
	assert_int_equal(recv_msg(f[1], t, buf, 64, 0, &m), 10);
	assert_memory_equal(buf, "helloworld", 10);
	assert_int_equal(file_sock(f[0])->ops->shutdown(file_sock(f[0]), LINUX_SHUT_WR), 0);
	assert_int_equal(op_read(f[1], t, buf, 8), 0);
	assert_int_equal(file_poll(f[1]) & (LINUX_POLLRDHUP | LINUX_POLLHUP), LINUX_POLLRDHUP);
	assert_int_equal(op_write(f[0], t, "x", 1), -EPIPE);
	assert_int_equal(op_write(f[1], t, "y", 1), 1);
	file_put(f[0]); /* with unread data: reset */
	assert_int_equal(file_poll(f[1]) & (LINUX_POLLERR | LINUX_POLLHUP), LINUX_POLLERR | LINUX_POLLHUP);
	assert_int_equal(op_read(f[1], t, buf, 8), -ECONNRESET);
	assert_int_equal(op_read(f[1], t, buf, 8), 0);
	assert_int_equal(op_write(f[1], t, "z", 1), -EPIPE);
	file_put(f[1]);
}

static void accounting(void **state)
{
	static char big[4096];
	struct task *t = *state;
	struct file *f[2];
	int n = 0;

	pair(t, NULL, LINUX_SOCK_STREAM, f);
	while (op_write(f[0], t, "x", 1) == 1)
		n++;
	assert_int_equal(n, 278); /* Linux 6.18, default buffers */
	assert_int_equal(file_poll(f[0]) & LINUX_POLLOUT, 0);
	assert_int_equal(op_read(f[1], t, big, sizeof(big)), 278);
	assert_int_equal(file_poll(f[0]) & LINUX_POLLOUT, LINUX_POLLOUT);
	for (n = 0; op_write(f[0], t, big, 4096) == 4096; n++)
		;
	assert_int_equal(n, 44);
	file_put(f[0]);
	file_put(f[1]);
	pair(t, NULL, LINUX_SOCK_DGRAM, f);
	for (n = 0; op_write(f[0], t, "x", 1) == 1; n++)
		;
	assert_int_equal(n, 278); /* connected back: only the buffer limits */
	assert_int_equal(op_read(f[1], t, big, 1), 1);
	while (op_read(f[1], t, big, 1) == 1)
		;
	for (n = 0; op_write(f[0], t, big, 4096) == 4096; n++)
		;
	assert_int_equal(n, 26);
	file_put(f[0]);
	file_put(f[1]);
}

static int cn(struct file *f, struct task *t, const struct linux_sockaddr_un *a, uint32_t n)
{
	return unix_sock_ops.connect(file_sock(f), t, a, n, true, 0);
}

static void names_and_backlog(void **state)
{
	struct task *t = *state;
	struct file *l, *c[4], *f;
	struct linux_sockaddr_un a;
	struct sock *lk, *got;
	uint8_t name[LINUX_SOCKADDR_MAX];
	uint32_t n = addr_of("/sock", 6, &a);
	char buf[8];

	l = sock_file(t, LINUX_SOCK_STREAM);
	lk = file_sock(l);
	assert_int_equal(lk->ops->listen(lk, t, 1), -EINVAL);
	assert_int_equal(lk->ops->bind(lk, t, &a, n), 0);
	assert_int_equal(lk->ops->bind(lk, t, &a, n), -EADDRINUSE);
	for (int i = 0; i < 4; i++)
		c[i] = sock_file(t, LINUX_SOCK_STREAM);
	assert_int_equal(cn(c[0], t, &a, n), -ECONNREFUSED);
	assert_int_equal(lk->ops->listen(lk, t, 1), 0);
	assert_int_equal(lk->ops->accept(lk, t, &got), -EAGAIN);
	assert_int_equal(cn(c[0], t, &a, n), 0);
	assert_int_equal(cn(c[0], t, &a, n), -EISCONN);
	assert_int_equal(cn(c[1], t, &a, n), 0);
	assert_int_equal(cn(c[2], t, &a, n), -EAGAIN);
	assert_int_equal(op_write(c[0], t, "early", 5), 5);
	assert_int_equal(file_poll(l), POLL_READ);
	assert_int_equal(lk->ops->accept(lk, t, &got), 0);
	assert_int_equal(socket_file_new(t, got, LINUX_O_NONBLOCK, &f), 0);
	assert_int_equal(op_read(f, t, buf, 8), 5);
	assert_int_equal(unix_sock_ops.getname(got, t, name, false), 8);
	assert_int_equal(unix_sock_ops.getname(got, t, name, true), 2);
	assert_int_equal(unix_sock_ops.getname(file_sock(c[0]), t, name, true), 8);
	assert_int_equal(cn(c[2], t, &a, n), 0);
	file_put(l); /* resets who waited */
	assert_int_equal(op_read(c[1], t, buf, 8), -ECONNRESET);
	assert_int_equal(cn(c[3], t, &a, n), -ECONNREFUSED);
	assert_int_equal(op_write(f, t, "ok", 2), 2);
	assert_int_equal(op_read(c[0], t, buf, 8), 2);
	for (int i = 0; i < 4; i++)
		file_put(c[i]);
	file_put(f);
}

static void abstract_dgram(void **state)
{
	struct task *t = *state;
	struct linux_sockaddr_un a;
	struct file *r, *s, *other;
	struct sock_msg m;
	uint32_t n = addr_of("\0name", 5, &a);
	char buf[8];
	int sent = 0;

	t->ns->net = net_ns_new();
	r = sock_file(t, LINUX_SOCK_DGRAM);
	s = sock_file(t, LINUX_SOCK_DGRAM);
	other = sock_file(t, LINUX_SOCK_DGRAM);
	assert_int_equal(unix_sock_ops.bind(file_sock(r), t, &a, n), 0);
	assert_int_equal(unix_sock_ops.bind(file_sock(other), t, &a, n), -EADDRINUSE);
	assert_int_equal(unix_sock_ops.bind(file_sock(s), t, &a, 2), 0); /* autobind */
	assert_int_equal(op_write(s, t, "x", 1), -ENOTCONN);
	assert_int_equal(cn(s, t, &a, n), 0);
	while (op_write(s, t, "ab", 2) == 2)
		sent++;
	assert_int_equal(sent, 11);
	assert_int_equal(file_poll(s) & LINUX_POLLOUT, 0);
	assert_int_equal(recv_msg(r, t, buf, 1, LINUX_MSG_TRUNC, &m), 2);
	assert_int_equal(m.ret_flags, LINUX_MSG_TRUNC);
	assert_int_equal(m.namelen, 8);
	assert_int_equal(file_poll(s) & LINUX_POLLOUT, LINUX_POLLOUT);
	file_put(r);
	assert_int_equal(op_write(s, t, "x", 1), -ECONNREFUSED);
	assert_int_equal(op_write(s, t, "x", 1), -ENOTCONN);
	assert_int_equal(unix_sock_ops.bind(file_sock(other), t, &a, n), 0);
	file_put(s);
	file_put(other);
	net_ns_put(t->ns->net);
	t->ns->net = NULL;
}

static void rights(void **state)
{
	struct task *t = *state;
	struct file *f[2], *e;
	struct sock_msg m;
	uint64_t one = 1, v;
	char buf[16];

	pair(t, NULL, LINUX_SOCK_STREAM, f);
	assert_int_equal(eventfd_new(t, 0, false, 0, &e), 0);
	assert_int_equal(send_fds(f[0], t, "plain", NULL, 0), 5);
	assert_int_equal(send_fds(f[0], t, "with", &e, 1), 4);
	assert_int_equal(send_fds(f[0], t, "after", NULL, 0), 5);
	assert_int_equal(op_write(e, t, &one, 8), 8);
	file_put(e);
	assert_int_equal(recv_msg(f[1], t, buf, 16, 0, &m), 9); /* ends with the message that carries descriptors */
	assert_non_null(m.scm.fds);
	assert_int_equal(m.scm.fds->nr, 1);
	assert_int_equal(op_read(m.scm.fds->file[0], t, &v, 8), 8);
	scm_done(&m.scm);
	assert_int_equal(recv_msg(f[1], t, buf, 16, 0, &m), 5);
	file_put(f[0]);
	file_put(f[1]);
}

static void cycles_are_collected(void **state)
{
	struct task *t = *state;
	struct file *f[2], *g[2], *e, *prev;

	assert_int_equal(eventfd_new(t, 0, false, 0, &e), 0);
	pair(t, NULL, LINUX_SOCK_STREAM, f);
	assert_int_equal(send_fds(f[0], t, "a", (struct file *[]){ f[0], f[1] }, 2), 1);
	assert_int_equal(send_fds(f[1], t, "b", (struct file *[]){ f[0], e }, 2), 1);
	assert_int_equal(ref_count(&e->ref), 2);
	file_put(f[0]);
	file_put(f[1]);
	/* Those puts released nothing; the next release of a unix socket collects. */
	pair(t, NULL, LINUX_SOCK_STREAM, g);
	file_put(g[0]);
	file_put(g[1]);
	assert_int_equal(ref_count(&e->ref), 1);
	/* A chain: each socket only in the next one's queue. Released one after the other, not recursively. */
	pair(t, NULL, LINUX_SOCK_STREAM, f);
	prev = f[0];
	assert_int_equal(send_fds(f[1], t, "e", &e, 1), 1);
	file_put(f[1]);
	for (int i = 0; i < 200; i++) {
		pair(t, NULL, LINUX_SOCK_STREAM, f);
		assert_int_equal(send_fds(f[1], t, "c", &prev, 1), 1);
		file_put(prev);
		file_put(f[1]);
		prev = f[0];
	}
	assert_int_equal(ref_count(&e->ref), 2);
	file_put(prev);
	assert_int_equal(ref_count(&e->ref), 1);
	file_put(e);
}

static void survives(void **state)
{
	struct task *t = *state;
	struct net_ns *net = net_ns_new();
	struct file *f[2], *in[6], *out[6], *e;
	struct linux_sockaddr_un a;
	struct sock *sk, *got;
	struct sock_msg m;
	uint64_t v;
	char buf[64] = { 0 };
	uint32_t n = addr_of("\0restored", 9, &a);

	pair(NULL, net, LINUX_SOCK_STREAM, f);
	in[0] = f[0];
	in[1] = f[1];
	assert_int_equal(eventfd_new(NULL, 7, false, 0, &e), 0);
	assert_int_equal(op_write(f[0], NULL, "data", 4), 4);
	assert_int_equal(op_read(f[1], NULL, buf, 1), 1);
	/* In flight: an eventfd, and the sender's own end. */
	assert_int_equal(send_fds(f[0], NULL, "fds", (struct file *[]){ e, f[0] }, 2), 3);
	file_put(e);
	sk = &unix_new(net, LINUX_SOCK_STREAM)->sk;
	assert_int_equal(socket_file_new(NULL, sk, LINUX_O_NONBLOCK, &in[2]), 0);
	assert_int_equal(unix_sock_ops.bind(sk, NULL, &a, n), 0);
	assert_int_equal(unix_sock_ops.listen(sk, NULL, 5), 0);
	sk = &unix_new(net, LINUX_SOCK_STREAM)->sk;
	assert_int_equal(socket_file_new(NULL, sk, LINUX_O_NONBLOCK, &in[3]), 0);
	assert_int_equal(unix_sock_ops.connect(sk, NULL, &a, n, true, 0), 0);
	assert_int_equal(op_write(in[3], NULL, "queued", 6), 6);
	pair(NULL, net, LINUX_SOCK_DGRAM, &in[4]);
	assert_int_equal(op_write(in[4], NULL, "one", 3), 3);
	assert_int_equal(op_write(in[4], NULL, "", 0), 0);
	round_trip(in, out, 6);
	assert_int_equal(recv_msg(out[1], t, buf, 64, 0, &m), 6);
	assert_memory_equal(buf, "atafds", 6);
	assert_int_equal(m.scm.fds->nr, 2);
	assert_ptr_equal(m.scm.fds->file[1], out[0]);
	assert_int_equal(op_read(m.scm.fds->file[0], t, &v, 8), 8);
	assert_int_equal(v, 7);
	scm_done(&m.scm);
	assert_int_equal(op_write(out[1], t, "back", 4), 4);
	assert_int_equal(op_read(out[0], t, buf, 64), 4);
	sk = file_sock(out[2]);
	assert_int_equal(sk->ops->accept(sk, t, &got), 0);
	assert_int_equal(socket_file_new(t, got, LINUX_O_NONBLOCK, &e), 0);
	assert_int_equal(op_read(e, t, buf, 64), 6);
	file_put(e);
	assert_int_equal(op_read(out[3], t, buf, 64), 0);
	/* The restored name is taken in the restored namespace. */
	sk = &unix_new(file_sock(out[2])->net, LINUX_SOCK_STREAM)->sk;
	assert_int_equal(unix_sock_ops.bind(sk, NULL, &a, n), -EADDRINUSE);
	sock_put(sk);
	assert_int_equal(op_read(out[5], t, buf, 64), 3);
	assert_int_equal(op_read(out[5], t, buf, 64), 0);
	assert_int_equal(op_read(out[5], t, buf, 64), -EAGAIN);
	for (int i = 0; i < 6; i++) {
		file_put(out[i]);
		file_put(in[i]);
	}
	net_ns_put(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(stream, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(accounting, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(names_and_backlog, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(abstract_dgram, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(rights, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(cycles_are_collected, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(survives, task_setup, task_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
