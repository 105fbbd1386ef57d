/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile peers: a client that sends anything to our server, a server that answers anything to our client. Neither crashes, hangs, or
 * leaks a file descriptor. */
#include "tests/gofer/raw.h"

#include <dirent.h>
#include <pthread.h>

static struct p9_msg m;
static uint64_t seed = 42;
static uint32_t rnd(void)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33);
}

static size_t count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* ---- hostile client ---- */

static void server_survives_bad_frames(void **state)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM };
	static const uint32_t sizes[] = { 0, 1, 6, 7, 8, 4097, 0x7fffffff, 0xffffffff };

	for (size_t t = 0; t < ARRAY_SIZE(types); t++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			struct fix *f = fix_new(types[t], false);
			uint8_t msg[64] = { 0 };

			f->expect_failure = true;
			put32(msg, sizes[i]);
			msg[4] = P9_tversion;
			(void)send(f->sock, msg, 1 + rnd() % sizeof(msg), MSG_NOSIGNAL);
			(void)shutdown(f->sock, SHUT_WR);
			while (recv(f->sock, raw_in, sizeof(raw_in), 0) > 0)
				;
			fix_free(f); /* waits for a normal end */
		}
}

static void server_survives_random_messages(void **state)
{
	for (int round = 0; round < 6; round++) {
		struct fix *f = fix_new(SOCK_SEQPACKET, false);
		int s = f->sock;
		char dir[16];

		f->expect_failure = true;
		assert_int_equal(RPC(s, .type = P9_tversion, .tversion = { 65536, S(P9_VERSION_EXT) }), 0);
		assert_int_equal(RPC(s, .type = P9_tattach, .tattach = { 0, P9_NOFID, S("u"), S("root"), 0 }), 0);
		for (int i = 0; i < 4000; i++) {
			static const char *const names[] = { "a", "b", "c", "..", "", "x/y", "single" };
			size_t n = P9_HDR_SIZE + rnd() % 60;
			uint8_t msg[128];

			/* Bytes that look like small fids, counts and short names, so that much of it decodes. */
			for (size_t k = 0; k < n; k++)
				msg[k] = rnd() % 4 ? 0 : (uint8_t)(rnd() % 4);
			for (size_t k = 11; k + 12 < n; k += 9) {
				const char *name = names[rnd() % ARRAY_SIZE(names)];

				if (rnd() % 3)
					continue;
				msg[k] = (uint8_t)strlen(name);
				msg[k + 1] = 0;
				memcpy(msg + k + 2, name, strlen(name));
			}
			put32(msg, (uint32_t)n);
			msg[4] = (uint8_t)rnd();
			if (msg[4] == P9_tversion)
				continue;
			assert_int_equal(send(s, msg, n, MSG_NOSIGNAL), n);
			assert_true(raw_recv(s, &m));
		}
		/* Well-formed with random contents: every type against good and bad fids. */
		for (int type = 0; type < 256; type += 2) {
			if (!p9_type_name((uint8_t)type) || type == P9_tversion)
				continue;
			for (uint32_t fid = 0; fid < 3; fid++) {
				memset(&m, 0, sizeof(m));
				m.type = (uint8_t)type;
				m.tag = 9;
				memcpy(&m.tclunk, &fid, sizeof(fid)); /* the first field of nearly all requests */
				raw_send(s, &m);
				assert_true(raw_recv(s, &m));
				assert_int_equal(m.tag, 9);
			}
		}
		assert_int_equal(RPC(s, .type = P9_tversion, .tversion = { 65536, S(P9_VERSION_EXT) }), 0);
		(void)snprintf(dir, sizeof(dir), "%d", round);
		fix_free(f);
	}
}

static void server_drops_sent_fds(void **state)
{
	struct fix *f = fix_new(SOCK_SEQPACKET, false);
	int p[2];
	char c;

	assert_int_equal(pipe(p), 0);
	for (int i = 0; i < 10; i++) {
		union {
			char buf[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} ctl = { 0 };
		uint8_t msg[] = { 7, 0, 0, 0, P9_tclunk, 1, 0 };
		struct iovec iov = { msg, sizeof(msg) };
		struct msghdr mh = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl.buf)
		};
		struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);

		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &p[1], sizeof(int));
		assert_int_equal(sendmsg(f->sock, &mh, 0), sizeof(msg));
		assert_true(raw_recv(f->sock, &m));
	}
	/* The server is alive, yet the pipe has no writer left but us: end of file as soon as we close. */
	(void)close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 0);
	(void)close(p[0]);
	fix_free(f);
}

static void fid_table_is_bounded_by_fds(void **state)
{
	struct fix *f = fix_new(SOCK_SEQPACKET, true);
	uint32_t fids[600];
	struct p9_attr a;
	size_t n;

	/* Clones share one host fd. */
	for (n = 0; n < ARRAY_SIZE(fids); n++)
		assert_int_equal(p9_clone(f->c, f->root, &fids[n]), 0);
	for (n = 0; n < ARRAY_SIZE(fids); n++)
		p9_clunk_later(f->c, fids[n]);
	p9_clunk_flush(f->c);
	assert_int_equal(p9_getattr(f->c, f->root, &a), 0);
	fix_free(f);
}

/* ---- hostile server ---- */

enum answer {
	ANSWER_CLOSE,
	ANSWER_OLD_VERSION,
	ANSWER_WRONG_TAG,
	ANSWER_WRONG_TYPE,
	ANSWER_TRUNCATED,
	ANSWER_BAD_SIZE,
	ANSWER_UNASKED_FD,
	ANSWER_MANY_FDS,
	ANSWER_BAD_ATTR,
	ANSWER_BAD_ERRNO,
	ANSWER_TOO_MUCH_DATA,
	ANSWER_BAD_NAME,
	ANSWER_DIR_GARBAGE,
	ANSWER_LONG_WALK,
	ANSWER_RANDOM,
	NR_ANSWERS,
};

struct evil {
	int sock;
	enum answer how;
};

static void send_with_fds(int sock, const void *p, size_t n, int nr)
{
	union {
		char buf[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} ctl = { 0 };
	struct iovec iov = { (void *)(uintptr_t)p, n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf,
			     .msg_controllen = CMSG_SPACE((size_t)nr * sizeof(int)) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN((size_t)nr * sizeof(int));
	for (int i = 0; i < nr; i++)
		memcpy(CMSG_DATA(cm) + (size_t)i * sizeof(int), &sock, sizeof(int));
	(void)sendmsg(sock, &mh, MSG_NOSIGNAL);
}

static void *evil_server(void *arg)
{
	struct evil *e = arg;
	struct p9_msg *q = calloc(2, sizeof(*q)), *r = q + 1;
	uint8_t *buf = calloc(1, 65536), *in = calloc(1, 65536 * 2);
	uint8_t garbage[512];
	ssize_t got;

	while ((got = recv(e->sock, in, 65536 * 2, 0)) > 0) {
		int64_t n;

		if (p9_decode(in, (size_t)got, q) < 0)
			break;
		memset(r, 0, sizeof(*r));
		r->tag = q->tag;
		r->type = q->type + 1;
		if (q->type == P9_tversion) {
			r->rversion = (struct p9_rversion){ q->tversion.msize, q->tversion.version };
			if (e->how == ANSWER_OLD_VERSION)
				r->rversion.version = p9_mkstr("9P2000.L");
			n = p9_encode(r, buf, 65536);
			(void)send(e->sock, buf, (size_t)n, MSG_NOSIGNAL);
			continue;
		}
		/* Plausible by default; then spoilt. */
		if (q->type == P9_tgetattr)
			r->rgetattr.attr.mode = S_IFREG;
		if (q->type == P9_twalkgetattr) {
			r->rwalkgetattr.attrs.n = 1;
			r->rwalkgetattr.attrs.v[0].mode = S_IFREG;
		}
		for (size_t i = 0; i < sizeof(garbage); i++)
			garbage[i] = (uint8_t)rnd();
		switch (e->how) {
		case ANSWER_CLOSE:
			goto out;
		case ANSWER_WRONG_TAG:
			r->tag = 200;
			break;
		case ANSWER_WRONG_TYPE:
			r->type = P9_rclunk;
			break;
		case ANSWER_BAD_ATTR:
			if (q->type == P9_tgetattr)
				r->rgetattr.attr.mtime_nsec = 1000000000;
			if (q->type == P9_twalkgetattr)
				r->rwalkgetattr.attrs.v[0].mode = 0;
			break;
		case ANSWER_BAD_ERRNO:
			r->type = P9_rlerror;
			r->rlerror.ecode = 0xfffffff0;
			break;
		case ANSWER_TOO_MUCH_DATA:
			r->type = q->type + 1;
			if (q->type == P9_tread)
				r->rread.data = (struct p9_data){ garbage, 500 };
			if (q->type == P9_tgetxattr)
				r->rgetxattr = (struct p9_rgetxattr){ 500, { garbage, 500 } };
			break;
		case ANSWER_DIR_GARBAGE:
			if (q->type == P9_treaddirattr)
				r->rreaddirattr.data = (struct p9_data){ garbage, 400 };
			break;
		case ANSWER_LONG_WALK:
			if (q->type == P9_twalkgetattr)
				r->rwalkgetattr.attrs.n = 3;
			break;
		default:
			break;
		}
		n = p9_encode(r, buf, 65536);
		if (e->how == ANSWER_BAD_NAME && q->type == P9_treaddirattr) {
			struct p9_dirent_wire d = { .name = p9_mkstr("../../etc/passwd") };
			struct p9_buf b = { .p = garbage, .len = sizeof(garbage) };

			(void)p9_put_dirent(&b, &d, true);
			r->rreaddirattr.data = (struct p9_data){ garbage, (uint32_t)b.pos };
			n = p9_encode(r, buf, 65536);
		}
		if (n < 0)
			break;
		switch (e->how) {
		case ANSWER_TRUNCATED:
			put32(buf, (uint32_t)--n);
			(void)send(e->sock, buf, (size_t)n, MSG_NOSIGNAL);
			break;
		case ANSWER_BAD_SIZE:
			put32(buf, 0x7fffffff);
			(void)send(e->sock, buf, (size_t)n, MSG_NOSIGNAL);
			break;
		case ANSWER_UNASKED_FD:
			send_with_fds(e->sock, buf, (size_t)n, 1);
			break;
		case ANSWER_MANY_FDS:
			send_with_fds(e->sock, buf, (size_t)n, 4);
			break;
		case ANSWER_RANDOM:
			(void)send(e->sock, garbage, 1 + rnd() % sizeof(garbage), MSG_NOSIGNAL);
			break;
		default:
			(void)send(e->sock, buf, (size_t)n, MSG_NOSIGNAL);
			break;
		}
	}
out:
	(void)close(e->sock);
	free(in);
	free(buf);
	free(q);
	return NULL;
}

static int ignore_entry(void *arg, const struct p9_dirent *d)
{
	return 0;
}

static void client_survives(int type, enum answer how)
{
	struct p9_client *c = NULL;
	struct p9_walked w[2];
	struct evil e = { .how = how };
	struct p9_attr a;
	pthread_t th;
	char buf[100];
	uint32_t fid = 0;
	int sv[2], r, err;

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sv), 0);
	e.sock = sv[1];
	assert_int_equal(pthread_create(&th, NULL, evil_server, &e), 0);
	r = p9_client_new(sv[0], &c);
	if (how == ANSWER_OLD_VERSION) {
		assert_int_equal(r, -EPROTONOSUPPORT);
		(void)close(sv[0]);
	} else {
		assert_int_equal(r, 0);
		(void)p9_read(c, 0, buf, sizeof(buf), 0);
		(void)p9_getxattr(c, 0, "user.a", buf, sizeof(buf));
		(void)p9_readdir(c, 0, 0, ignore_entry, NULL);
		(void)p9_walk(c, 0, (const char *[]){ "a", "b" }, 2, true, w, &err);
		(void)p9_lookup(c, 0, "a", &fid, &a);
		r = p9_openfd(c, 0, O_RDONLY);
		assert_true(r < 0);
		(void)p9_getattr(c, 0, &a);
		(void)p9_attach(c, "root", &fid, &a);
		/* Whatever was wrong, it has been noticed by now and everything fails at once. */
		assert_int_equal(p9_getattr(c, 0, &a), -EIO);
		assert_non_null(p9_client_error(c));
		p9_clunk(c, 0);
		p9_client_put(c);
	}
	assert_int_equal(pthread_join(th, NULL), 0);
}

static void client_survives_hostile_servers(void **state)
{
	size_t before = count_fds();

	for (int how = 0; how < NR_ANSWERS; how++) {
		client_survives(SOCK_SEQPACKET, (enum answer)how);
		if (how != ANSWER_BAD_SIZE)
			client_survives(SOCK_STREAM, (enum answer)how);
	}
	assert_int_equal(count_fds(), before);
}

struct waiter {
	struct p9_client *c;
	int r;
};

static void *wait_for_attr(void *arg)
{
	struct waiter *w = arg;
	struct p9_attr a;

	w->r = p9_getattr(w->c, 0, &a);
	return NULL;
}

/* Nobody hangs when the gofer dies or the client is shut down with calls in progress. */
static void death_wakes_everybody(void **state)
{
	for (int round = 0; round < 2; round++) {
		struct p9_client *c = NULL;
		struct waiter w[8];
		pthread_t th[8];
		int sv[2];
		pid_t pid;

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
		pid = fork();
		if (pid == 0) {
			/* Answers the version, then is silent. */
			(void)close(sv[0]);
			if (!raw_recv(sv[1], &m))
				_exit(1);
			m.type = P9_rversion;
			raw_send(sv[1], &m);
			pause();
			_exit(0);
		}
		(void)close(sv[1]);
		assert_int_equal(p9_client_new(sv[0], &c), 0);
		for (size_t i = 0; i < ARRAY_SIZE(th); i++) {
			w[i] = (struct waiter){ c, 0 };
			assert_int_equal(pthread_create(&th[i], NULL, wait_for_attr, &w[i]), 0);
		}
		(void)usleep(20000);
		if (round)
			(void)kill(pid, SIGKILL);
		else
			p9_client_shutdown(c);
		for (size_t i = 0; i < ARRAY_SIZE(th); i++) {
			assert_int_equal(pthread_join(th[i], NULL), 0);
			assert_int_equal(w[i].r, -EIO);
		}
		p9_client_put(c);
		(void)kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_survives_bad_frames),
		cmocka_unit_test(server_survives_random_messages),
		cmocka_unit_test(server_drops_sent_fds),
		cmocka_unit_test(fid_table_is_bounded_by_fds),
		cmocka_unit_test(client_survives_hostile_servers),
		cmocka_unit_test(death_wakes_everybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
