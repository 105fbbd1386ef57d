/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's connection: tags, buffers, sending, and receiving without a thread of its own.
 *
 * A caller that has sent its request waits for p9_call.done. If nobody reads the socket it becomes the reader: it receives
 * messages and hands each to its caller by tag until its own arrives, then passes the role to one sleeping caller. A lone caller thus
 * pays one sendmsg and one recvmsg.
 *
 * There is no deadlock with a full socket: a caller blocked in sendmsg implies a server blocked in sending replies, each to a
 * caller that has finished sending; one of those is the reader.
 *
 * Hostile server: a reply for an unknown tag, of a wrong type, malformed, or with an fd that was not announced kills the
 * connection; every waiting and later call returns -EIO. Silence does the same after P9_REPLY_TIMEOUT_S.
 */
#include "gofer/client/internal.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/log.h"

/* Called with mu. */
static void fail_locked(struct p9_client *c, const char *why)
{
	struct p9_call *call;

	mutex_assert_held(&c->mu);
	if (c->err)
		return;
	c->err = why;
	log_debug("9p client: %s", why);
	/* Wakes a reader in recvmsg and senders in sendmsg. */
	(void)shutdown(c->sock, SHUT_RDWR);
	list_for_each(call, &c->waiters, node)
		cond_signal(&call->wake);
	cond_broadcast(&c->tag_freed);
}

int p9_client_fail(struct p9_client *c, const char *why)
{
	mutex_guard(&c->mu);
	fail_locked(c, why);
	return -EIO;
}

void p9_client_shutdown(struct p9_client *c)
{
	(void)p9_client_fail(c, "connection was shut down");
}

const char *p9_client_error(const struct p9_client *c)
{
	return c->err;
}

static uint8_t *get_buf(struct p9_client *c)
{
	mutex_guard(&c->mu);

	return c->nr_spare ? c->spare[--c->nr_spare] : malloc(c->msize);
}

static void put_buf(struct p9_client *c, uint8_t *buf)
{
	if (!buf)
		return;
	mutex_guard(&c->mu);
	if (c->nr_spare < P9_SPARE_BUFS)
		c->spare[c->nr_spare++] = buf;
	else
		free(buf);
}

/* Takes the fds of a received message: the first is *@fd, more than one is a breach. */
static int take_fds(struct msghdr *mh, int *fd)
{
	int n = 0;

	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		size_t len = cm->cmsg_len - CMSG_LEN(0);

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < len / sizeof(int); i++) {
			int got;

			memcpy(&got, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
			if (n++ == 0)
				*fd = got;
			else
				(void)close(got);
		}
	}
	return n > 1 ? -EPROTO : 0;
}

/* One recvmsg of up to @n bytes; a donated fd goes to *@fd. Bytes, 0 at end, or a negative errno. */
static ssize_t recv_some(struct p9_client *c, uint8_t *p, size_t n, int flags, int *fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { p, n };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl.buf)
	};
	ssize_t r;

	do {
		r = recvmsg(c->sock, &mh, flags | MSG_CMSG_CLOEXEC);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return take_fds(&mh, fd) < 0 ? -EPROTO : r;
}

/* Receives one message. Returns its size, 0 at end, or a negative errno. *@fd is set when an fd came, whatever the result. */
static int64_t recv_message(struct p9_client *c, uint8_t *p, int *fd)
{
	size_t got = 0, want = P9_HDR_SIZE;
	ssize_t r;

	if (!c->stream) {
		r = recv_some(c, p, c->msize, MSG_TRUNC, fd);
		if (r <= 0)
			return r;
		return r < P9_HDR_SIZE || r > (ssize_t)c->msize || p9_peek_size(p) != (uint32_t)r ? -EPROTO : r;
	}
	while (got < want) {
		int more = -EBADF;

		r = recv_some(c, p + got, want - got, 0, &more);
		if (more >= 0) {
			if (*fd >= 0 || got) {
				(void)close(more); /* an fd belongs to a message's first byte */
				return -EPROTO;
			}
			*fd = more;
		}
		if (r <= 0)
			return r == 0 && got ? -EPROTO : r;
		got += (size_t)r;
		if (got == P9_HDR_SIZE && want == P9_HDR_SIZE) {
			want = p9_peek_size(p);
			if (want < P9_HDR_SIZE || want > c->msize)
				return -EPROTO;
		}
	}
	return (int64_t)want;
}

static int send_message(struct p9_client *c, const uint8_t *p, size_t n)
{
	size_t done = 0;
	int r = 0;

	/* A SOCK_SEQPACKET message is atomic; parts of stream messages must not interleave. */
	if (c->stream)
		mutex_lock(&c->send_mu);
	while (done < n) {
		ssize_t w = send(c->sock, p + done, n - done, MSG_NOSIGNAL);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			r = -errno;
			break;
		}
		done += (size_t)w;
	}
	if (c->stream)
		mutex_unlock(&c->send_mu);
	return r;
}

/* The reader's step: receives one message and gives it to its caller. Called with mu, which is dropped meanwhile. */
static void read_one(struct p9_client *c)
{
	_cleanup_close_ int fd = -EBADF;
	struct p9_call *call;
	uint8_t *buf;
	int64_t n;
	uint16_t tag;

	buf = c->nr_spare ? c->spare[--c->nr_spare] : malloc(c->msize);
	mutex_unlock(&c->mu);
	n = buf ? recv_message(c, buf, &fd) : -ENOMEM;
	mutex_lock(&c->mu);
	tag = n > 0 ? (uint16_t)(buf[5] | buf[6] << 8) : P9_MAX_CALLS;
	call = tag < P9_MAX_CALLS ? c->calls[tag] : NULL;
	if (n <= 0) {
		fail_locked(c, n == 0 || n == -ECONNRESET ? "gofer closed the connection"
			       : n == -EAGAIN		   ? "gofer does not answer"
			       : n == -EPROTO		   ? "gofer sent a malformed message"
							   : "cannot receive from the gofer");
	} else if (!call || call->done) {
		fail_locked(c, "gofer answered a request that was not made");
	} else {
		call->reply = TAKE_PTR(buf);
		call->reply_len = (size_t)n;
		call->fd = TAKE_FD(fd);
		call->done = true;
		cond_signal(&call->wake);
	}
	if (buf && c->nr_spare < P9_SPARE_BUFS)
		c->spare[c->nr_spare++] = TAKE_PTR(buf);
	free(buf);
}

static int wait_reply(struct p9_call *call)
{
	struct p9_client *c = call->c;

	mutex_guard(&c->mu);
	while (!call->done && !c->err) {
		if (c->have_reader) {
			list_add_tail(&c->waiters, &call->node);
			cond_wait(&call->wake, &c->mu);
			list_del(&call->node);
			continue;
		}
		c->have_reader = true;
		while (!call->done && !c->err)
			read_one(c);
		c->have_reader = false;
		break;
	}
	if (!c->have_reader && !list_empty(&c->waiters)) {
		/* Waiters whose reply is in are on the list until they run; they would pass the role on, but slower. */
		struct p9_call *w;

		list_for_each(w, &c->waiters, node)
			if (!w->done) {
				cond_signal(&w->wake);
				break;
			}
	}
	return call->done ? 0 : -EIO;
}

static int get_tag(struct p9_call *call)
{
	struct p9_client *c = call->c;

	mutex_guard(&c->mu);
	while (!c->nr_free_tags && !c->err)
		cond_wait(&c->tag_freed, &c->mu);
	if (c->err)
		return -EIO;
	call->m.tag = c->free_tags[--c->nr_free_tags];
	c->calls[call->m.tag] = call;
	return 0;
}

static void put_tag(struct p9_client *c, uint16_t tag)
{
	mutex_guard(&c->mu);
	c->calls[tag] = NULL;
	c->free_tags[c->nr_free_tags++] = tag;
	cond_signal(&c->tag_freed);
}

void p9_call_init(struct p9_call *call, struct p9_client *c, uint8_t type)
{
	call->c = c;
	call->m.type = type;
	call->reply = NULL;
	call->fd = -EBADF;
	call->done = false;
	list_init(&call->node);
}

void p9_call_done(struct p9_call *call)
{
	put_buf(call->c, call->reply);
	call->reply = NULL;
	if (call->fd >= 0)
		(void)close(TAKE_FD(call->fd));
}

/* Whether the decoded reply announces an fd. */
static bool announces_fd(const struct p9_msg *m)
{
	switch (m->type) {
	case P9_ropenfd:
		return m->ropenfd.has_fd == 1;
	case P9_rucreate:
		return m->rucreate.has_fd == 1;
	case P9_rconnect:
		return m->rconnect.has_fd == 1;
	case P9_rbind:
		return m->rbind.has_fd == 1;
	default:
		return false;
	}
}

int p9_call_run(struct p9_call *call)
{
	struct p9_client *c = call->c;
	uint8_t want = call->m.type + 1;
	uint16_t tag;
	uint8_t *buf;
	int64_t n;
	int r = get_tag(call);

	if (r < 0)
		return r;
	tag = call->m.tag;
	cond_init(&call->wake);
	buf = get_buf(c);
	n = buf ? p9_encode(&call->m, buf, c->msize) : -ENOMEM;
	r = n < 0 ? (int)n : 0;
	if (r == 0) {
		r = send_message(c, buf, (size_t)n);
		if (r < 0)
			(void)p9_client_fail(c, r == -EAGAIN ? "gofer does not read" : "gofer closed the connection");
		r = wait_reply(call);
	}
	put_buf(c, buf);
	put_tag(c, tag);
	cond_destroy(&call->wake);
	if (r < 0)
		return r;
	if (p9_decode(call->reply, call->reply_len, &call->m) < 0)
		return p9_client_fail(c, "gofer sent a malformed message");
	if (call->fd >= 0 && !announces_fd(&call->m))
		return p9_client_fail(c, "gofer sent an unexpected file descriptor");
	if (call->m.type == P9_rlerror) {
		uint32_t e = call->m.rlerror.ecode;

		return e > 0 && e < 4096 ? -(int)e : p9_client_fail(c, "gofer sent an impossible error number");
	}
	if (call->m.type != want)
		return p9_client_fail(c, "gofer answered with the wrong message");
	/* The kernel drops a donated fd when our table is full. */
	if (call->fd < 0 && announces_fd(&call->m))
		return -EMFILE;
	return 0;
}

int p9_call_simple(struct p9_call *call)
{
	int r = p9_call_run(call);

	p9_call_done(call);
	return r;
}

static int negotiate(struct p9_client *c)
{
	_cleanup_call_ struct p9_call call;
	const struct p9_rversion *v = &call.m.rversion;
	int r;

	p9_call_init(&call, c, P9_tversion);
	call.m.tversion = (struct p9_tversion){ c->msize, p9_mkstr(P9_VERSION_EXT) };
	r = p9_call_run(&call);
	if (r < 0)
		return r == -EIO ? -EIO : -EPROTONOSUPPORT;
	if (v->version.len != strlen(P9_VERSION_EXT) || memcmp(v->version.s, P9_VERSION_EXT, v->version.len))
		return -EPROTONOSUPPORT;
	if (v->msize < P9_MSIZE_MIN || v->msize > c->msize)
		return -EIO;
	/* Buffers keep their size; only what is sent shrinks. */
	c->msize = v->msize;
	return 0;
}

int p9_client_new(int sock, struct p9_client **ret)
{
	struct timeval tv = { .tv_sec = P9_REPLY_TIMEOUT_S };
	socklen_t len = sizeof(int);
	struct p9_client *c;
	int type, r;

	if (getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return -errno;
	if (type != SOCK_SEQPACKET && type != SOCK_STREAM)
		return -EPROTOTYPE;
	if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0 ||
	    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
		return -errno;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	ref_init(&c->ref);
	c->sock = sock;
	c->stream = type == SOCK_STREAM;
	c->msize = P9_MSIZE_DEFAULT;
	mutex_init(&c->mu, "p9_client.mu");
	mutex_init(&c->send_mu, "p9_client.send_mu");
	cond_init(&c->tag_freed);
	list_init(&c->waiters);
	for (uint16_t i = 0; i < P9_MAX_CALLS; i++)
		c->free_tags[c->nr_free_tags++] = (uint16_t)(P9_MAX_CALLS - 1 - i);
	r = negotiate(c);
	if (r < 0) {
		c->sock = -EBADF; /* stays the caller's */
		p9_client_put(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct p9_client *p9_client_get(struct p9_client *c)
{
	ref_get(&c->ref);
	return c;
}

void p9_client_put(struct p9_client *c)
{
	if (!c || !ref_put(&c->ref))
		return;
	if (c->sock >= 0)
		(void)close(c->sock);
	while (c->nr_spare)
		free(c->spare[--c->nr_spare]);
	free(c->free_fids);
	cond_destroy(&c->tag_freed);
	mutex_destroy(&c->mu);
	mutex_destroy(&c->send_mu);
	free(c);
}
