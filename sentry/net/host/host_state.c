/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host sockets over a checkpoint. The host's socket stays behind with the old sandbox; a restore makes a new one with the same options:
 *
 *   listener, bound socket     bound to the same address again; a taken port fails the restore with one line. Pending connections are lost.
 *   datagram or raw socket     bound, where it had a port of its own choice or got one (then another when it is taken); connected again.
 *   connecting stream          connects again
 *   connected stream           ends as if the peer had gone: ECONNRESET once, then end of file, EPIPE for writers, POLLHUP (HOST_GONE)
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "schemas/hostinet.pb-c.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/host/host.h"
#include "state/state.h"

static void save_name(struct state_writer *w, const struct host_name *n, ProtobufCBinaryData *ret)
{
	ret->data = state_zalloc(w, 1, sizeof(n->addr));
	ret->len = n->len;
	memcpy(ret->data, n->addr, n->len);
}

/* What a stream will be after a restore: the host may have ended a connection that we believe in. */
static enum host_state state_to_save(struct host_sock *h)
{
	if (h->state == HOST_GONE || h->sk.type != LINUX_SOCK_STREAM)
		return h->state;
	switch (host_tcp_state(h)) {
	case TCP_LISTEN:
		return HOST_LISTEN;
	case TCP_SYN_SENT:
		return HOST_CONNECTING;
	case TCP_CLOSE:
		return h->state == HOST_CONNECTED || h->state == HOST_CONNECTING ? HOST_GONE : HOST_OPEN;
	default:
		return HOST_GONE;
	}
}

static int host_sock_save(struct state_writer *w, const void *obj, void *msg)
{
	struct host_sock *h = (struct host_sock *)(uintptr_t)obj;
	struct host_name local, peer;
	Sentry__HostSock *m = msg;
	const struct host_opt *o;

	m->sock_base = state_new_msg(w, &sentry__sock_base__descriptor);
	host_names(h, &local, &peer);
	m->state = state_to_save(h);
	m->bound = h->bound;
	m->backlog = h->backlog;
	m->shutdown = h->shutdown;
	m->err = h->state == HOST_GONE ? h->err : m->state == HOST_GONE ? ECONNRESET : 0;
	save_name(w, &local, &m->laddr);
	save_name(w, &peer, &m->raddr);
	m->opts = state_zalloc(w, h->nr_opts, sizeof(*m->opts));
	list_for_each(o, &h->opts, node) {
		Sentry__HostOpt *om = state_new_msg(w, &sentry__host_opt__descriptor);

		om->level = o->level;
		om->opt = o->opt;
		om->value.data = (uint8_t *)(uintptr_t)o->value;
		om->value.len = o->len;
		m->opts[m->n_opts++] = om;
	}
	m->uid = h->uid;
	return sock_save_base(w, &h->sk, m->sock_base);
}

static int load_name(struct state_reader *r, const struct host_sock *h, const ProtobufCBinaryData *b, struct host_name *ret)
{
	size_t want = h->sk.family == LINUX_AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	uint16_t family = 0;
	int err;

	if (b->len >= sizeof(family))
		memcpy(&family, b->data, sizeof(family));
	err = state_check(r, !b->len || (b->len == want && family == h->sk.family), "address of a host socket");
	if (err || !b->len)
		return err;
	memcpy(ret->addr, b->data, b->len);
	ret->len = (uint32_t)b->len;
	return 0;
}

static int load_opts(struct state_reader *r, struct host_sock *h, const Sentry__HostSock *m)
{
	int err = state_check(r, m->n_opts <= HOST_MAX_OPTS, "too many options");

	for (size_t i = 0; !err && i < m->n_opts; i++) {
		const Sentry__HostOpt *om = m->opts[i];
		struct host_opt *o;

		err = state_check(r, om->value.len <= HOST_OPT_MAX && host_opt_known(om->level, om->opt), "option of a host socket");
		if (err)
			break;
		o = calloc(1, sizeof(*o));
		if (!o)
			return -ENOMEM;
		o->level = om->level;
		o->opt = om->opt;
		o->len = (uint32_t)om->value.len;
		if (o->len)
			memcpy(o->value, om->value.data, o->len);
		list_add_tail(&h->opts, &o->node);
		h->nr_opts++;
	}
	return err;
}

static int host_sock_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__HostSock *m = msg;
	struct host_sock *h = obj;
	int err = state_check(r, m->sock_base && m->state <= HOST_GONE && m->state != HOST_CONNECTED && m->shutdown <= 3 && m->err >= 0 && m->err < 4096, "host socket");

	if (!err)
		err = sock_load_base(r, &h->sk, &host_sock_ops, m->sock_base);
	if (!err)
		err = state_check(r, h->sk.net && (h->sk.family == LINUX_AF_INET || h->sk.family == LINUX_AF_INET6) && h->sk.protocol < 256 &&
					     (h->sk.type == LINUX_SOCK_STREAM || h->sk.type == LINUX_SOCK_DGRAM || h->sk.type == LINUX_SOCK_RAW),
				  "kind of a host socket");
	if (!err)
		err = state_check(r, m->state == HOST_OPEN || h->sk.type == LINUX_SOCK_STREAM, "state of a host socket");
	if (!err)
		err = load_name(r, h, &m->laddr, &h->laddr);
	if (!err)
		err = load_name(r, h, &m->raddr, &h->raddr);
	if (!err)
		err = load_opts(r, h, m);
	if (err)
		return err;
	h->state = (enum host_state)m->state;
	h->bound = m->bound;
	h->backlog = m->backlog;
	h->shutdown = m->shutdown;
	h->err = m->err;
	h->uid = m->uid;
	return 0;
}

static void text_of(const struct host_name *n, char *buf, size_t size)
{
	const uint8_t *p = n->addr;
	unsigned port = (unsigned)(p[2] << 8 | p[3]);

	if (n->len == sizeof(struct sockaddr_in))
		(void)snprintf(buf, size, "%u.%u.%u.%u:%u", p[4], p[5], p[6], p[7], port);
	else if (!memcmp(p + 8, (const uint8_t[16]){ 0 }, 16))
		(void)snprintf(buf, size, "[::]:%u", port);
	else
		(void)snprintf(buf, size, "[%x:%x:%x:%x:%x:%x:%x:%x]:%u", p[8] << 8 | p[9], p[10] << 8 | p[11], p[12] << 8 | p[13],
			       p[14] << 8 | p[15], p[16] << 8 | p[17], p[18] << 8 | p[19], p[20] << 8 | p[21], p[22] << 8 | p[23], port);
}

static int cannot(struct state_reader *r, const struct host_name *n, const char *what, int e)
{
	char name[80], why[160];

	text_of(n, name, sizeof(name));
	(void)snprintf(why, sizeof(why), "host network: cannot %s %s again: %s", what, name, strerror(e));
	return state_check(r, false, why);
}

/* The old sandbox's connections may still linger on the port: with SO_REUSEADDR an address in use by none but them can be had, by bind() and by
 * listen(). It stays set; the application sees its own value (sock_opts.reuseaddr). */
static int bind_again(struct state_reader *r, struct host_sock *h)
{
	bool stream = h->sk.type == LINUX_SOCK_STREAM, port = h->sk.type != LINUX_SOCK_RAW && (h->laddr.addr[2] || h->laddr.addr[3]);
	bool any = !memcmp(h->laddr.addr + (h->sk.family == LINUX_AF_INET ? 4 : 8), (const uint8_t[16]){ 0 }, h->sk.family == LINUX_AF_INET ? 4 : 16);
	int one = 1, e;

	if (!h->laddr.len || (!h->bound && !port) || (!port && any))
		return 0;
	if (stream)
		(void)setsockopt(h->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	e = bind(h->fd, (const void *)h->laddr.addr, h->laddr.len) < 0 ? errno : 0;
	/* A port that nobody asked for may be another one. */
	return e && (h->bound || h->state == HOST_LISTEN) ? cannot(r, &h->laddr, "bind", e) : 0;
}

static void set_options(struct host_sock *h)
{
	struct host_opt *o;

	list_for_each(o, &h->opts, node)
		(void)setsockopt(h->fd, o->level, o->opt, o->value, o->len); /* was accepted once; a device may be gone */
}

static int host_sock_after_load(struct state_reader *r, void *obj)
{
	struct host_sock *h = obj;
	int err = state_check(r, host_net_on() && h->sk.net->host, "the image has sockets of the host: restore it with --network=host");

	if (err)
		return err;
	h->fd = host_open(h->sk.family, h->sk.type, h->sk.protocol);
	if (h->fd < 0)
		return cannot(r, &h->laddr, "make the socket of", -h->fd);
	host_sock_watch_init(h);
	set_options(h);
	if (h->state == HOST_GONE)
		return 0;
	err = bind_again(r, h);
	if (err)
		return err;
	if (h->state == HOST_LISTEN && listen(h->fd, h->backlog) < 0)
		return cannot(r, &h->laddr, "listen on", errno);
	if (h->raddr.len && connect(h->fd, (const void *)h->raddr.addr, h->raddr.len) < 0 && errno != EINPROGRESS &&
	    h->sk.type == LINUX_SOCK_STREAM) {
		h->err = errno;
		h->state = HOST_GONE;
		return 0;
	}
	if (h->shutdown && h->sk.type != LINUX_SOCK_STREAM)
		(void)shutdown(h->fd, (int)h->shutdown - 1);
	return 0;
}

const struct state_type host_sock_state_type = {
	.id = STATE_ID_host_sock,
	.name = "host_sock",
	.desc = &sentry__host_sock__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = host_sock_alloc,
	.save = host_sock_save,
	.load = host_sock_load,
	.after_load = host_sock_after_load,
	.get = sock_state_get,
	.put = sock_state_put,
};
