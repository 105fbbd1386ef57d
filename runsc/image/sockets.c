/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets and pipes of an image, and what they hold. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "runsc/image/image.h"
#include "schemas/file.pb-c.h"
#include "schemas/hostinet.pb-c.h"
#include "schemas/inet.pb-c.h"
#include "schemas/netlink.pb-c.h"
#include "schemas/pipe.pb-c.h"
#include "schemas/socket.pb-c.h"
#include "schemas/unix_socket.pb-c.h"

struct sock_view {
	const char *family, *type, *state;
	struct strbuf local, peer;
	uint64_t queued, messages, backlog, peer_id;
};

static void view_done(struct sock_view *v)
{
	strbuf_done(&v->local);
	strbuf_done(&v->peer);
}

static const char *tcp_state(uint32_t state)
{
	static const char *const names[] = {"?",	"established", "syn-sent",   "syn-recv", "fin-wait-1", "fin-wait-2",
					    "time-wait", "close",	"close-wait", "last-ack", "listening",	 "closing"};

	return state < ARRAY_SIZE(names) ? names[state] : "?";
}

static const char *type_name(uint32_t type)
{
	switch (type) {
	case SOCK_STREAM:
		return "stream";
	case SOCK_DGRAM:
		return "dgram";
	case SOCK_RAW:
		return "raw";
	case SOCK_SEQPACKET:
		return "seqpacket";
	default:
		return "?";
	}
}

static void inet_name(const Sentry__InetAddr *a, struct strbuf *b)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	char text[INET6_ADDRSTRLEN] = "?";

	if (!a || a->ip.len != 16)
		return;
	if (!memcmp(a->ip.data, mapped, 12))
		(void)inet_ntop(AF_INET, a->ip.data + 12, text, sizeof(text));
	else
		(void)inet_ntop(AF_INET6, a->ip.data, text, sizeof(text));
	strbuf_addf(b, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, a->port);
}

static void view_inet(const Sentry__SockBase *sb, const Sentry__InetSock *s, struct sock_view *v)
{
	v->family = sb->family == AF_INET6 ? "inet6" : "inet";
	v->type = sb->type == SOCK_STREAM ? "tcp" : sb->type == SOCK_DGRAM ? "udp" : type_name(sb->type);
	v->state = sb->type == SOCK_STREAM ? tcp_state(s->state) : s->state == 1 ? "connected" : "unconnected";
	inet_name(s->laddr, &v->local);
	if (s->conn)
		inet_name(s->raddr, &v->peer);
	for (size_t i = 0; i < s->n_queue; i++)
		v->queued += s->queue[i]->data.len;
	v->messages = s->n_queue;
	v->backlog = s->n_backlog;
	v->peer_id = s->peer;
}

static void view_unix(const Sentry__SockBase *sb, const Sentry__UnixSock *s, struct sock_view *v)
{
	static const char *const states[] = {"unconnected", "listening", "connected"};

	v->family = "unix";
	v->state = s->state < ARRAY_SIZE(states) ? states[s->state] : "?";
	if (s->name.len && !s->name.data[0]) {
		strbuf_addc(&v->local, '@');
		strbuf_add(&v->local, s->name.data + 1, s->name.len - 1);
	} else if (s->name.len) {
		strbuf_add(&v->local, s->name.data, strnlen((const char *)s->name.data, s->name.len));
	}
	for (size_t i = 0; i < s->n_queue; i++)
		v->queued += s->queue[i]->data.len;
	v->messages = s->n_queue;
	v->backlog = s->n_backlog;
	v->peer_id = s->peer;
}

static void view_netlink(const Sentry__NetlinkSock *s, struct sock_view *v)
{
	v->family = "netlink";
	v->state = s->portid ? "bound" : "unbound";
	if (s->portid)
		strbuf_addf(&v->local, "%u", s->portid);
	for (size_t i = 0; i < s->n_queue2; i++)
		v->queued += s->queue2[i]->data.len;
	v->messages = s->n_queue2;
}

static void view_host(const Sentry__SockBase *sb, const Sentry__HostSock *s, struct sock_view *v)
{
	static const char *const states[] = {"open", "connecting", "connected", "listening", "ended"};

	v->family = sb->family == AF_INET6 ? "inet6 (host)" : "inet (host)";
	v->state = s->state < ARRAY_SIZE(states) ? states[s->state] : "?";
}

static bool view(struct image *im, uint64_t id, struct sock_view *v)
{
	const struct catalog_record *rec = catalog_at(im->cat, id);
	const Sentry__SockBase *sb = IMAGE_PART(im, id, sock_base, SockBase);
	const void *m = catalog_msg(im->cat, id, NULL);

	*v = (struct sock_view){.family = "?", .type = "?", .state = "?"};
	if (!rec || !sb || !m)
		return false;
	v->type = type_name(sb->type);
	switch (rec->type_id) {
	case STATE_ID_inet_sock:
		view_inet(sb, m, v);
		return true;
	case STATE_ID_unix_sock:
		view_unix(sb, m, v);
		return true;
	case STATE_ID_netlink_sock:
		view_netlink(m, v);
		return true;
	case STATE_ID_host_sock:
		view_host(sb, m, v);
		return true;
	default:
		return false;
	}
}

void socket_describe(struct image *im, uint64_t sock, struct strbuf *b)
{
	_cleanup_(view_done) struct sock_view v;

	(void)view(im, sock, &v);
	strbuf_addf(b, "socket:[%llu] %s %s %s", (unsigned long long)sock, v.family, v.type, v.state);
	if (v.local.len) {
		strbuf_addc(b, ' ');
		strbuf_add(b, v.local.data, v.local.len);
	}
	if (v.peer.len) {
		strbuf_adds(b, " -> ");
		strbuf_add(b, v.peer.data, v.peer.len);
	}
}

json_t *socket_list(struct image *im)
{
	json_t *list = json_array();

	for (uint64_t id = 1; id <= catalog_count(im->cat); id++) {
		_cleanup_(view_done) struct sock_view v;
		json_t *o;

		if (!view(im, id, &v))
			continue;
		o = json_pack("{s:I, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:I}", "sock", (json_int_t)id, "family", v.family,
			      "type", v.type, "state", v.state, "local", text_json_buf(&v.local), "peer",
			      text_json_buf(&v.peer), "queued_bytes", (json_int_t)v.queued, "queued_messages",
			      (json_int_t)v.messages, "backlog", (json_int_t)v.backlog);
		if (v.peer_id && o)
			(void)json_object_set_new(o, "peer_sock", json_integer((json_int_t)v.peer_id));
		(void)json_array_append_new(list, o);
	}
	return list;
}

/* Open ends of every pipe, by object id. */
struct ends {
	uint32_t readers, writers;
};

static struct ends *count_ends(struct image *im)
{
	struct ends *v = calloc(catalog_count(im->cat) + 1, sizeof(*v));

	if (!v)
		return NULL;
	image_each(im, id, pipe_end) {
		const Sentry__PipeEnd *e = IMAGE_GET(im, id, pipe_end, PipeEnd);
		uint32_t access = e && e->file_base ? e->file_base->flags & 3 : 3;

		if (!e || e->pipe > catalog_count(im->cat))
			continue;
		v[e->pipe].readers += access == 0 || access == 2;
		v[e->pipe].writers += access == 1 || access == 2;
	}
	return v;
}

json_t *pipe_list(struct image *im)
{
	_cleanup_free_ struct ends *ends = count_ends(im);
	json_t *list = json_array();

	image_each(im, id, pipe) {
		const Sentry__Pipe *p = IMAGE_GET(im, id, pipe, Pipe);
		json_int_t bytes = 0;

		if (!p || !ends)
			continue;
		for (size_t i = 0; i < p->n_slots; i++)
			bytes += (json_int_t)p->slots[i]->data.len;
		(void)json_array_append_new(list, json_pack("{s:I, s:s, s:I, s:I, s:I, s:I}", "pipe", (json_int_t)id, "kind",
							    p->anon ? "pipe" : "fifo", "bytes", bytes, "capacity",
							    (json_int_t)p->nr_slots * (json_int_t)PAGE_SIZE, "readers",
							    (json_int_t)ends[id].readers, "writers",
							    (json_int_t)ends[id].writers));
	}
	return list;
}
