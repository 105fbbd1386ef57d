/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer's loop: receive, decode, dispatch, reply.
 *
 * One thread at a time is the reader. It handles quick requests itself and keeps reading; for a request that may take long
 * (SLOW) it first gives the reader role to an idle thread, or a new one, up to GOFER_MAX_THREADS. So a sandbox that never does
 * slow requests has one thread, and one slow host call delays nobody.
 *
 * Tflush of a request that is being worked on is answered after that request's reply (never cancels it); of anything else, at
 * once. Received file descriptors are never accepted: there is no control buffer, so the kernel drops them.
 */
#include "gofer/server/internal.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/log.h"

enum { SLOW = 1 };

/* clang-format off */
static const struct {
	handler_fn fn;
	uint8_t flags;
} handlers[256] = {
	[P9_tversion]     = { gofer_tversion },
	[P9_tauth]        = { gofer_tauth },
	[P9_tattach]      = { gofer_tattach },
	[P9_twalk]        = { gofer_twalk },
	[P9_tclunk]       = { gofer_tclunk },
	[P9_tremove]      = { gofer_tremove },
	[P9_tlopen]       = { gofer_tlopen },
	[P9_tlcreate]     = { gofer_tlcreate },
	[P9_tread]        = { gofer_tread, SLOW },
	[P9_twrite]       = { gofer_twrite, SLOW },
	[P9_treaddir]     = { gofer_treaddir },
	[P9_tfsync]       = { gofer_tfsync, SLOW },
	[P9_tlock]        = { gofer_tlock },
	[P9_tgetlock]     = { gofer_tgetlock },
	[P9_tgetattr]     = { gofer_tgetattr },
	[P9_tsetattr]     = { gofer_tsetattr },
	[P9_tstatfs]      = { gofer_tstatfs },
	[P9_treadlink]    = { gofer_treadlink },
	[P9_tmkdir]       = { gofer_tmkdir },
	[P9_tmknod]       = { gofer_tmknod },
	[P9_tsymlink]     = { gofer_tsymlink },
	[P9_tlink]        = { gofer_tlink },
	[P9_trename]      = { gofer_trename },
	[P9_trenameat]    = { gofer_trenameat },
	[P9_tunlinkat]    = { gofer_tunlinkat },
	[P9_txattrwalk]   = { gofer_txattrwalk },
	[P9_txattrcreate] = { gofer_txattrcreate },
	[P9_twalkgetattr] = { gofer_twalkgetattr },
	[P9_topenfd]      = { gofer_topenfd },
	[P9_tucreate]     = { gofer_tucreate },
	[P9_treaddirattr] = { gofer_treaddirattr },
	[P9_tconnect]     = { gofer_tconnect },
	[P9_tbind]        = { gofer_tbind },
	[P9_tallocate]    = { gofer_tallocate, SLOW },
	[P9_tumkdir]      = { gofer_tumkdir },
	[P9_tumknod]      = { gofer_tumknod },
	[P9_tusymlink]    = { gofer_tusymlink },
	[P9_tgetxattr]    = { gofer_tgetxattr },
	[P9_tsetxattr]    = { gofer_tsetxattr },
	[P9_tlistxattr]   = { gofer_tlistxattr },
	[P9_tremovexattr] = { gofer_tremovexattr },
	[P9_tclunkn]      = { gofer_tclunkn },
	[P9_trenameat2]   = { gofer_trenameat2 },
	[P9_tsyncfs]      = { gofer_tsyncfs, SLOW },
};
/* clang-format on */

/* Receives exactly @n bytes of a stream: 1, 0 at end before the first byte, or a negative errno. */
static int recv_exact(int sock, uint8_t *p, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = recv(sock, p + got, n - got, MSG_WAITALL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			return got ? -EPROTO : 0;
		got += (size_t)r;
	}
	return 1;
}

/* Receives one message into @p[0..cap). Returns its size, 0 when the peer closed, or a negative errno. */
static int64_t recv_message(struct gofer *g, uint8_t *p, size_t cap)
{
	uint32_t size;
	ssize_t n;
	int r;

	if (!g->stream) {
		do {
			n = recv(g->sock, p, cap, MSG_TRUNC);
		} while (n < 0 && errno == EINTR);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (n < P9_HDR_SIZE || (size_t)n > cap || p9_peek_size(p) != (uint32_t)n)
			return -EPROTO;
		return n;
	}
	r = recv_exact(g->sock, p, P9_HDR_SIZE);
	if (r <= 0)
		return r;
	size = p9_peek_size(p);
	if (size < P9_HDR_SIZE || size > cap)
		return -EPROTO;
	if (size == P9_HDR_SIZE)
		return size;
	r = recv_exact(g->sock, p + P9_HDR_SIZE, size - P9_HDR_SIZE);
	return r <= 0 ? -EPROTO : (int64_t)size;
}

static int send_all(struct gofer *g, const uint8_t *p, size_t n, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl = { 0 };

	mutex_guard(&g->send_mu);
	for (size_t done = 0; done < n;) {
		struct iovec iov = { (void *)(uintptr_t)(p + done), n - done };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t r;

		if (fd >= 0 && done == 0) {
			struct cmsghdr *cm;

			mh.msg_control = ctl.buf;
			mh.msg_controllen = sizeof(ctl.buf);
			cm = CMSG_FIRSTHDR(&mh);
			cm->cmsg_level = SOL_SOCKET;
			cm->cmsg_type = SCM_RIGHTS;
			cm->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(cm), &fd, sizeof(int));
		}
		r = sendmsg(g->sock, &mh, MSG_NOSIGNAL);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		done += (size_t)r;
	}
	return 0;
}

static int reply(struct req *q)
{
	int64_t n = p9_encode(&q->r, q->out, q->cap);
	int r;

	if (n < 0) {
		/* A handler's answer did not fit the msize; the error always does. */
		q->r = (struct p9_msg){ .type = P9_rlerror, .tag = q->t.tag, .rlerror.ecode = EMSGSIZE };
		n = p9_encode(&q->r, q->out, q->cap);
		if (n < 0)
			return -EPROTO;
		if (q->send_fd >= 0)
			(void)close(TAKE_FD(q->send_fd));
	}
	r = send_all(q->g, q->out, (size_t)n, q->send_fd);
	if (q->send_fd >= 0)
		(void)close(TAKE_FD(q->send_fd));
	return r;
}

static int reply_flush(struct gofer *g, uint16_t tag)
{
	const struct p9_msg m = { .type = P9_rflush, .tag = tag };
	uint8_t buf[P9_HDR_SIZE];
	int64_t n = p9_encode(&m, buf, sizeof(buf));

	return n < 0 ? (int)n : send_all(g, buf, (size_t)n, -EBADF);
}

static void *worker_main(void *arg);

/* Called by the reader before a slow request: lets somebody else read meanwhile. */
static struct inflight *hand_over(struct gofer *g, uint16_t tag)
{
	struct inflight *fl = NULL;

	mutex_guard(&g->mu);
	for (size_t i = 0; i < ARRAY_SIZE(g->inflight); i++)
		if (!g->inflight[i].used)
			fl = &g->inflight[i];
	if (!fl)
		return NULL; /* as many slots as threads, so there is one; if not, stay the reader */
	*fl = (struct inflight){ .used = true, .tag = tag };
	g->nr_inflight++;
	g->have_reader = false;
	if (g->nr_idle) {
		cond_signal(&g->idle);
	} else if (g->nr_threads < GOFER_MAX_THREADS) {
		pthread_attr_t attr;

		if (pthread_attr_init(&attr) == 0) {
			(void)pthread_attr_setstacksize(&attr, 128 * 1024);
			if (pthread_create(&g->threads[g->nr_threads], &attr, worker_main, g) == 0)
				g->nr_threads++;
			(void)pthread_attr_destroy(&attr);
		}
	}
	return fl;
}

static int finish_slow(struct gofer *g, struct inflight *fl)
{
	uint16_t tags[GOFER_MAX_FLUSHES];
	size_t n;
	int r = 0;

	mutex_lock(&g->mu);
	n = fl->nr_flushes;
	memcpy(tags, fl->flushes, n * sizeof(tags[0]));
	fl->used = false;
	if (--g->nr_inflight == 0)
		cond_broadcast(&g->drained);
	mutex_unlock(&g->mu);
	for (size_t i = 0; i < n && r == 0; i++)
		r = reply_flush(g, tags[i]);
	return r;
}

static int flush(struct gofer *g, uint16_t tag, uint16_t oldtag)
{
	mutex_lock(&g->mu);
	for (size_t i = 0; i < ARRAY_SIZE(g->inflight); i++) {
		struct inflight *fl = &g->inflight[i];

		if (fl->used && fl->tag == oldtag && fl->nr_flushes < GOFER_MAX_FLUSHES) {
			fl->flushes[fl->nr_flushes++] = tag;
			mutex_unlock(&g->mu);
			return 0;
		}
	}
	mutex_unlock(&g->mu);
	return reply_flush(g, tag);
}

static void drain(struct gofer *g)
{
	mutex_guard(&g->mu);
	while (g->nr_inflight)
		cond_wait(&g->drained, &g->mu);
}

int gofer_tversion(struct req *q)
{
	const struct p9_tversion *t = &q->t.tversion;
	const struct p9_str *v = &t->version;
	static const char std[] = P9_VERSION_STD, ext[] = P9_VERSION_EXT;
	struct gofer *g = q->g;
	bool is_ext = v->len == sizeof(ext) - 1 && !memcmp(v->s, ext, sizeof(ext) - 1);
	/* A later extension's client gets the base protocol, as the 9P rule of trailing version parts says. */
	bool is_std = v->len >= sizeof(std) - 1 && !memcmp(v->s, std, sizeof(std) - 1) &&
		      (v->len == sizeof(std) - 1 || v->s[sizeof(std) - 1] == '.');

	/* A new session: everything of the old one is aborted. */
	drain(g);
	fid_remove_all(g);
	g->msize = 0;
	q->r.rversion.msize = t->msize;
	q->r.rversion.version = p9_mkstr("unknown");
	if (t->msize < P9_MSIZE_MIN || !is_std)
		return 0;
	g->msize = MIN(t->msize, (uint32_t)P9_MSIZE_MAX);
	g->ext = is_ext;
	q->r.rversion.msize = g->msize;
	q->r.rversion.version = p9_mkstr(is_ext ? ext : std);
	return 0;
}

/* Handles the message in q->in[0..n). Returns a negative errno when the connection is beyond use. *@slow: the reader role was
 * given away. */
static int handle(struct req *q, size_t n, bool *slow)
{
	struct gofer *g = q->g;
	struct inflight *fl = NULL;
	int r = p9_decode(q->in, n, &q->t);
	uint8_t type = q->t.type;
	int e;

	*slow = false;
	if (r < 0)
		r = r == -EBADMSG ? -EBADMSG : -EOPNOTSUPP;
	else if (type == P9_tflush)
		return flush(g, q->t.tag, q->t.tflush.oldtag);
	else if (!handlers[type].fn || (p9_type_is_ext(type) && !g->ext))
		r = -EOPNOTSUPP;
	else if (type != P9_tversion && !g->msize)
		r = -EPROTO;
	if (r == 0) {
		if (handlers[type].flags & SLOW) {
			fl = hand_over(g, q->t.tag);
			*slow = fl != NULL;
		}
		q->r.type = type + 1;
		r = handlers[type].fn(q);
	}
	q->r.tag = q->t.tag;
	if (r < 0) {
		log_debug("gofer: %s: errno %d", p9_type_name(type) ?: "unknown request", -r);
		q->r.type = P9_rlerror;
		q->r.rlerror.ecode = (uint32_t)-r;
		if (q->send_fd >= 0)
			(void)close(TAKE_FD(q->send_fd));
	}
	e = reply(q);
	if (fl) {
		int fe = finish_slow(g, fl);

		e = e < 0 ? e : fe;
	}
	return e;
}

static void stop(struct gofer *g, int err)
{
	mutex_guard(&g->mu);
	if (!g->stop)
		g->err = err;
	g->stop = true;
	g->have_reader = false;
	cond_broadcast(&g->idle);
}

/* Waits for the reader role; false when the server stops. */
static bool become_reader(struct gofer *g)
{
	mutex_guard(&g->mu);
	while (g->have_reader && !g->stop) {
		g->nr_idle++;
		cond_wait(&g->idle, &g->mu);
		g->nr_idle--;
	}
	if (g->stop)
		return false;
	g->have_reader = true;
	return true;
}

static void *worker_main(void *arg)
{
	struct gofer *g = arg;
	struct req *q = calloc(1, sizeof(*q));
	bool reader = false;

	if (!q) {
		stop(g, -ENOMEM);
		return NULL;
	}
	q->g = g;
	q->send_fd = -EBADF;
	while (reader || become_reader(g)) {
		/* The buffer of a session; a page is touched when a message is large enough to need it. */
		size_t want = g->msize ?: P9_MSIZE_MIN;
		bool slow;
		int64_t n;
		int r;

		if (q->cap != want) {
			free(q->in);
			free(q->out);
			q->in = malloc(want);
			q->out = malloc(want);
			q->cap = want;
			if (!q->in || !q->out) {
				stop(g, -ENOMEM);
				break;
			}
		}
		n = recv_message(g, q->in, q->cap);
		r = n < 0 ? (int)n : 0;
		if (n > 0)
			r = handle(q, (size_t)n, &slow);
		if (n <= 0 || r < 0) {
			/* The peer going away is the normal end, in whatever call we notice it. */
			stop(g, r == -EPIPE || r == -ECONNRESET ? 0 : r);
			break;
		}
		reader = !slow;
	}
	free(q->in);
	free(q->out);
	free(q);
	return NULL;
}

int gofer_open_proc(void)
{
	int fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct rlimit rl;

	if (fd < 0)
		return -errno;
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl); /* fewer fids at once, nothing worse */
	}
	return fd;
}

int gofer_serve(int sock, int proc_fd, const struct gofer_export *exports, size_t n)
{
	struct gofer *g;
	socklen_t len = sizeof(int);
	int type, err;

	if (getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || fchdir(proc_fd) < 0)
		return -errno;
	if (type != SOCK_SEQPACKET && type != SOCK_STREAM)
		return -EPROTOTYPE;
	(void)umask(0);
	/* A second arena would make the C library open /sys/devices/system/cpu/online, which the filter forbids; and cost memory. */
	(void)mallopt(M_ARENA_MAX, 1);
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->sock = sock;
	g->proc_fd = proc_fd;
	g->stream = type == SOCK_STREAM;
	g->exports = exports;
	g->nr_exports = n;
	g->rootless = geteuid() != 0;
	mutex_init(&g->mu, "gofer.mu");
	mutex_init(&g->send_mu, "gofer.send_mu");
	mutex_init(&g->fids_mu, "gofer.fids_mu");
	cond_init(&g->idle);
	cond_init(&g->drained);
	g->nr_threads = 1; /* threads[0] is us */
	(void)worker_main(g);
	/* Nobody starts threads any more: a thread that is inside a slow request finishes it and sees stop. */
	for (size_t i = 1;; i++) {
		pthread_t th;

		mutex_lock(&g->mu);
		if (i >= g->nr_threads) {
			mutex_unlock(&g->mu);
			break;
		}
		th = g->threads[i];
		mutex_unlock(&g->mu);
		(void)pthread_join(th, NULL);
	}
	err = g->err;
	fid_remove_all(g);
	free(g->devs);
	cond_destroy(&g->idle);
	cond_destroy(&g->drained);
	mutex_destroy(&g->mu);
	mutex_destroy(&g->send_mu);
	mutex_destroy(&g->fids_mu);
	free(g);
	return err;
}
