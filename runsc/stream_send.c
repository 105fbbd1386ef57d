/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sending side of streams: standard output gets what the sandbox writes into pipes, cut into chunks, and the manifest
 * last, which the sandbox writes into a memory file. The sandbox is told that it may end when the end mark is out (and,
 * with --ack, confirmed).
 *
 * Rounds: the container runs while all of its memory is sent, then what has changed since, again and again, until that is
 * little. Each round is an image of its own, the parent of the next, of which only the pages are sent. The last round
 * stops the container.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "runsc/control.h"
#include "runsc/stream.h"

#define CHUNK     ((size_t)256 << 10) /* stays in the CPU's cache between the pipe, the checksum and standard output */
#define PIPE_SIZE (1 << 20)
#define WARN_NS   (10 * 1000000000LL)

struct sender {
	struct container *c;
	const struct ckpt_opts *o;
	int ctl;
	int pipes[IMAGE_PARTS]; /* our ends, not blocking; the manifest is no pipe */
	int manifest;           /* memory file */
	struct stream_pos pos;
	struct stream_progress progress;
	uint64_t written; /* to standard output */
	int64_t begun, moved; /* the stream; when the reader took something, last */
	char hash[MANIFEST_HASH + 1]; /* of the round before, if there was one */
	bool last;  /* round */
	bool ended; /* the sandbox was told to end */
	bool gone;  /* it, or its container, ended by itself */
	bool frozen, warned;
	char what[40]; /* for progress */
	unsigned char *buf; /* a chunk's header and bytes */
};

static const enum stream_part part_of[IMAGE_PARTS] = {STREAM_MANIFEST, STREAM_KERNEL, STREAM_INDEX, STREAM_PAGES};

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

int stream_check_output(bool ack, struct error **err)
{
	struct stat in, out;

	if (fstat(STDOUT_FILENO, &out) < 0)
		return error_set(err, -errno, "--image-path -: standard output");
	if (isatty(STDOUT_FILENO))
		return error_msg(err, -EINVAL, "--image-path -: standard output is a terminal; send it into a pipe or file");
	if (ack && !S_ISSOCK(out.st_mode) &&
	    (fstat(STDIN_FILENO, &in) < 0 || (!S_ISFIFO(in.st_mode) && !S_ISSOCK(in.st_mode))))
		return error_msg(err, -EINVAL, "--ack: there is nobody to hear from: standard output is no socket and standard input "
					       "no pipe or socket");
	return 0;
}

/* --- output --- */

/*
 * The reader takes nothing: says so once, and gives up in time. The container is stopped for it, or costs more and more
 * memory, for what it changes must be kept as it was.
 */
static int check_stall(struct sender *s, struct error **err)
{
	int64_t idle = stream_now() - s->moved;

	if (s->o->timeout && idle > s->o->timeout * 1000000000LL)
		return error_msg(err, -ETIMEDOUT, "the reader of the stream has taken nothing for %lld s after %llu bytes",
				 (long long)s->o->timeout, (unsigned long long)s->written);
	if (idle > WARN_NS && !s->warned) {
		stream_progress_end(&s->progress);
		fprintf(stderr, "runsc: checkpoint: the reader of the stream takes nothing%s\n",
			s->frozen ? "; the container is stopped meanwhile" : "; the container runs meanwhile");
		s->warned = true;
	}
	return 0;
}

static int out_write(struct sender *s, const unsigned char *p, size_t n, struct error **err)
{
	s->moved = stream_now();
	while (n) {
		struct pollfd pfd = {.fd = STDOUT_FILENO, .events = POLLOUT};
		ssize_t w = stream_check_signal(err);

		if (w == 0)
			w = check_stall(s, err);
		if (w < 0)
			return (int)w;
		w = write(STDOUT_FILENO, p, n);
		if (w > 0) {
			p += w;
			n -= (size_t)w;
			s->written += (uint64_t)w;
			s->moved = stream_now();
			s->warned = false;
			stream_progress_step(&s->progress, s->written, s->what);
		} else if (w < 0 && errno == EAGAIN) {
			(void)poll(&pfd, 1, -1); /* until the next tick, at most */
		} else if (w == 0 || errno != EINTR) {
			return error_set(err, w ? -errno : -ENOSPC, "standard output, after %llu bytes", (unsigned long long)s->written);
		}
	}
	return 0;
}

/* One chunk, whose bytes are in s->buf behind the room for its header. */
static int out_chunk(struct sender *s, enum stream_part part, size_t n, struct error **err)
{
	unsigned char *body = s->buf + STREAM_CHUNK_HEADER;

	stream_put_chunk(&s->pos, part, body, n, s->buf);
	return out_write(s, s->buf, STREAM_CHUNK_HEADER + n, err);
}

/* --- from the sandbox --- */

/* Moves one piece of part @i; 1, or 0 when there is nothing at the moment. */
static int move_some(struct sender *s, int i, struct error **err)
{
	unsigned char *body = s->buf + STREAM_CHUNK_HEADER;
	ssize_t n;
	int r;

	if (s->pipes[i] < 0)
		return 0;
	n = read(s->pipes[i], body, CHUNK);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : error_set(err, -errno, "pipe from the sandbox");
	if (n == 0) {
		cleanup_closep(&s->pipes[i]);
		s->pipes[i] = -EBADF;
		return 0;
	}
	r = out_chunk(s, part_of[i], (size_t)n, err);
	return r < 0 ? r : 1;
}

/* What the sandbox had written when it answered is in the pipes: empties them. */
static int move_rest(struct sender *s, struct error **err)
{
	for (int i = 0; i < IMAGE_PARTS; i++) {
		int r;

		while ((r = move_some(s, i, err)) > 0)
			;
		if (r < 0)
			return r;
	}
	return 0;
}

/* Until the sandbox has something to say. */
static int relay(struct sender *s, struct error **err)
{
	for (;;) {
		struct pollfd p[IMAGE_PARTS + 1];
		int r = stream_check_signal(err);

		if (r < 0)
			return r;
		for (int i = 0; i < IMAGE_PARTS; i++)
			p[i] = (struct pollfd){.fd = s->pipes[i], .events = POLLIN};
		p[IMAGE_PARTS] = (struct pollfd){.fd = s->ctl, .events = POLLIN};
		r = poll(p, IMAGE_PARTS + 1, -1);
		if (r < 0 && errno != EINTR)
			return error_set(err, -errno, "poll");
		if (r <= 0)
			continue;
		if (p[IMAGE_PARTS].revents)
			return 0;
		for (int i = 0; i < IMAGE_PARTS; i++) {
			r = p[i].revents ? move_some(s, i, err) : 0;
			if (r < 0)
				return r;
		}
	}
}

static void close_pipes(struct sender *s)
{
	for (int i = 0; i < IMAGE_PARTS; i++) {
		cleanup_closep(&s->pipes[i]);
		s->pipes[i] = -EBADF;
	}
}

/* What the sandbox writes part @i into. */
static int open_sink(struct sender *s, int i)
{
	int p[2];

	if (i == IMAGE_KERNEL && !s->last) {
		p[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
		return p[1] < 0 ? -errno : p[1];
	}
	if (i == IMAGE_MANIFEST) {
		cleanup_closep(&s->manifest);
		s->manifest = memfd_create("manifest", MFD_CLOEXEC);
		return s->manifest < 0 ? -errno : fcntl(s->manifest, F_DUPFD_CLOEXEC, 0);
	}
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	s->pipes[i] = p[0];
	(void)fcntl(p[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(p[0], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one serves, too */
	return p[1];
}

static int request(struct sender *s, json_t *req, struct error **err)
{
	_cleanup_(json_decrefp) json_t *q = req;
	int theirs[IMAGE_PARTS], n = 0, r = q ? 0 : -ENOMEM;

	for (; r >= 0 && n < IMAGE_PARTS; n += r >= 0)
		r = theirs[n] = open_sink(s, n);
	if (r >= 0)
		r = control_send(s->ctl, q, theirs, IMAGE_PARTS);
	while (n)
		(void)close(theirs[--n]);
	s->gone = r == -EPIPE || r == -ECONNRESET;
	return r < 0 ? error_set(err, r, "request to the sandbox") : 0;
}

/* The sandbox's answer. After a failure of ours (@failed) it is waited for only to know that the container goes on. */
static int take_answer(struct sender *s, bool failed, json_t **ret, struct error **err)
{
	_cleanup_(json_decrefp) json_t *a = NULL;
	struct pollfd p = {.fd = s->ctl, .events = POLLIN};
	const char *text;
	int r;

	if (failed) {
		int64_t end = stream_now() + WARN_NS;

		while (poll(&p, 1, 1000) <= 0 && stream_now() < end)
			;
		return 0;
	}
	r = control_recv(s->ctl, &a, NULL, 0, NULL);
	s->gone = r == -ECONNRESET || r == -EPIPE;
	if (r < 0)
		return error_set(err, r, "control connection to the sandbox");
	text = json_string_value(json_object_get(a, "error"));
	if (text) {
		r = (int)json_integer_value(json_object_get(a, "code"));
		s->gone = r == -ECONNRESET;
		return error_msg(err, r < 0 ? r : -EIO, "%s", text);
	}
	*ret = TAKE_PTR(a);
	return 0;
}

/* Of the rounds before the last only the pages are kept. */
static json_t *round_request(const struct sender *s)
{
	struct ckpt_opts o = *s->o;

	o.file_digest = s->last && o.file_digest;
	return checkpoint_request(&o, !s->last || o.leave_running, s->hash);
}

/* One checkpoint of the sandbox, and everything that it writes but the manifest. */
static int run_round(struct sender *s, json_t **answer, struct error **err)
{
	int r = request(s, round_request(s), err);

	if (r < 0)
		return r;
	r = relay(s, err);
	if (r == 0) {
		r = take_answer(s, false, answer, err);
	} else {
		close_pipes(s); /* the sandbox's next write fails */
		(void)take_answer(s, true, NULL, NULL);
	}
	if (r == 0)
		r = move_rest(s, err);
	close_pipes(s);
	return r;
}

/* What the sandbox has written, as a part of the stream. */
static int send_manifest(struct sender *s, enum stream_part part, struct error **err)
{
	off_t at = 0;
	ssize_t n;
	int r;

	while ((n = pread(s->manifest, s->buf + STREAM_CHUNK_HEADER, CHUNK, at)) > 0) {
		r = out_chunk(s, part, (size_t)n, err);
		if (r < 0)
			return r;
		at += n;
	}
	return n < 0 ? error_set(err, -errno, "manifest") : 0;
}

/* --- rounds while the container runs --- */

/* Other verbs work on the container meanwhile. */
static int take_lock(struct sender *s, struct error **err)
{
	int r = 0;

	while (r == 0 && flock(s->c->lockfd, LOCK_EX) < 0)
		r = errno == EINTR ? stream_check_signal(err) : error_set(err, -errno, "lock of container %s", s->c->id);
	return r;
}

/*
 * Is what changes during a round as long as the last one little enough to be sent within --downtime? Or does it get no
 * less from round to round, so that further ones are a waste?
 */
static bool rounds_are_over(const struct sender *s, uint64_t bytes, uint64_t before)
{
	double seconds = (double)(stream_now() - s->begun) / 1e9;
	double limit = (double)s->written / seconds * (double)s->o->downtime / 1e3;

	return (double)bytes <= limit || (before && bytes > before / 4 * 3);
}

static int64_t max_rounds(const struct ckpt_opts *o)
{
	struct stat st;

	if (o->leave_running)
		return 0; /* it is not stopped anyway */
	if (o->rounds >= 0)
		return o->rounds;
	return fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) ? 0 : STREAM_ROUNDS;
}

static int send_rounds(struct sender *s, struct error **err)
{
	uint64_t bytes = 0, before = 0;
	int64_t n = max_rounds(s->o);
	int r = 0;

	if (n)
		(void)flock(s->c->lockfd, LOCK_UN);
	for (int64_t i = 0; i < n; i++) {
		_cleanup_(json_decrefp) json_t *answer = NULL;
		uint64_t at = s->written;

		(void)snprintf(s->what, sizeof(s->what), "round %lld: sent", (long long)i + 1);
		r = run_round(s, &answer, err);
		if (r == 0)
			r = manifest_hash(s->manifest, s->hash) < 0 ? error_msg(err, -EIO, "manifest") : 0;
		if (r == 0 && i == 0)
			r = send_manifest(s, STREAM_NEEDS, err); /* a machine that cannot restore it says so now */
		if (r < 0)
			return r;
		stream_next_round(&s->pos);
		before = i > 1 ? bytes : 0; /* the second round is the first of its kind */
		bytes = s->written - at;
		if (rounds_are_over(s, bytes, before))
			break;
	}
	return n ? take_lock(s, err) : 0;
}

/* --- the end --- */

static int send_manifest_and_end(struct sender *s, struct error **err)
{
	unsigned char end[STREAM_END_SIZE];
	int r = send_manifest(s, STREAM_MANIFEST, err);

	if (r < 0)
		return r;
	stream_put_end(&s->pos, end);
	return out_write(s, end, sizeof(end), err);
}

/* A file must be on the disk before the container ends; a pipe or socket has no such thing. */
static int sync_output(struct error **err)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && fsync(STDOUT_FILENO) < 0)
		return error_set(err, -errno, "standard output");
	return 0;
}

static int await_ack(struct sender *s, struct error **err)
{
	int fd = is_socket(STDOUT_FILENO) ? STDOUT_FILENO : STDIN_FILENO;
	unsigned char got[sizeof(stream_ack)];
	size_t n = 0;

	s->moved = stream_now();
	s->warned = true; /* restoring takes its time */
	while (n < sizeof(got)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t r = stream_check_signal(err);

		if (r == 0)
			r = check_stall(s, err);
		if (r < 0)
			return error_prefix(err, "waiting for the receiver's acknowledgement");
		if (poll(&p, 1, -1) <= 0)
			continue;
		r = read(fd, got + n, sizeof(got) - n);
		if (r == 0)
			return error_msg(err, -ECONNRESET, "the receiver closed the connection without saying that the container runs there");
		if (r < 0 && errno != EINTR && errno != EAGAIN)
			return error_set(err, -errno, "waiting for the receiver's acknowledgement");
		n += r > 0 ? (size_t)r : 0;
	}
	if (memcmp(got, stream_ack, sizeof(got)) != 0)
		return error_msg(err, -EPROTO, "what came back is no acknowledgement of runsc restore");
	return 0;
}

static int commit(struct sender *s, struct error **err)
{
	_cleanup_(json_decrefp) json_t *m = json_pack("{s:s}", "op", "commit");
	int r = m ? control_send(s->ctl, m, NULL, 0) : -ENOMEM;

	s->ended = true; /* or nobody knows */
	if (r < 0)
		return error_set(err, r, "ending container %s after its checkpoint", s->c->id);
	proc_wait(&s->c->sandbox);
	return 0;
}

/* For people: what it cost. */
static void report(const struct sender *s, json_t *answer, int64_t stopped)
{
	double seconds = (double)(stream_now() - s->begun) / 1e9;

	if (s->o->leave_running)
		stopped = json_integer_value(json_object_get(answer, "pausedUs")) * 1000;
	if (s->o->print_stats || isatty(STDERR_FILENO))
		fprintf(stderr, "%s: %.1f MiB in %u round%s, %.1f s, stopped for %.1f ms\n", s->c->id, (double)s->written / (1 << 20),
			s->pos.round + 1, s->pos.round ? "s" : "", seconds, (double)stopped / 1e6);
	if (s->o->work_path && s->o->work_path[0])
		image_write_dump_logs(s->o->work_path, NULL, answer);
}

static int send_stream(struct sender *s, struct error **err)
{
	_cleanup_(json_decrefp) json_t *answer = NULL;
	unsigned char header[STREAM_HEADER];
	int64_t stopped;
	int r;

	s->begun = stream_now();
	stream_put_header(&s->pos, s->o->ack ? STREAM_FLAG_ACK : 0, header);
	r = out_write(s, header, sizeof(header), err);
	if (r == 0)
		r = send_rounds(s, err);
	if (r < 0)
		return r;
	(void)snprintf(s->what, sizeof(s->what), "sent");
	s->last = true;
	s->frozen = !s->o->leave_running;
	stopped = stream_now();
	r = run_round(s, &answer, err);
	if (r == 0)
		r = send_manifest_and_end(s, err);
	if (r == 0)
		r = sync_output(err);
	if (r == 0 && s->o->ack)
		r = await_ack(s, err);
	if (r < 0)
		return r;
	stopped = stream_now() - stopped;
	if (!s->o->leave_running)
		r = commit(s, err);
	stream_progress_end(&s->progress);
	if (r == 0)
		report(s, answer, stopped);
	return r;
}

/* Says with every failure what has become of the container. */
static int failed(const struct sender *s, struct error **err)
{
	if (s->ended)
		return (*err)->code;
	if (s->gone) {
		error_freep(err);
		return error_msg(err, -ESRCH, "container %s ended before its checkpoint was complete", s->c->id);
	}
	return error_prefix(err, "container %s goes on running", s->c->id);
}

int stream_checkpoint(struct container *c, const struct ckpt_opts *o, struct error **err)
{
	struct sender s = {.c = c,
			   .o = o,
			   .ctl = -EBADF,
			   .pipes = {-EBADF, -EBADF, -EBADF, -EBADF},
			   .manifest = -EBADF,
			   .progress = {.verb = "checkpoint"}};
	_cleanup_guard_ struct stream_guard guard = {0};
	_cleanup_close_ int ctl = -EBADF;
	int r = control_connect(c, &ctl, err);

	if (r < 0)
		return r;
	s.ctl = ctl;
	s.buf = malloc(STREAM_CHUNK_HEADER + CHUNK);
	if (!s.buf)
		return error_set(err, -ENOMEM, "checkpoint");
	stream_guard_begin(&guard);
	r = send_stream(&s, err);
	stream_progress_end(&s.progress);
	if (r < 0)
		r = failed(&s, err);
	cleanup_closep(&s.manifest);
	free(s.buf);
	return r;
}
