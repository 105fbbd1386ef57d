/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's side of the control protocol. One thread accepts; each connection has a thread that reads requests one
 * after the other. `exec` adds a thread that waits for the process, so that the connection can meanwhile carry signals
 * and window sizes for it, and so that closing the connection early kills it.
 *
 * The peers are the command line, run by whoever may enter the state directory; still, no message may crash us: every
 * member is checked, and surplus descriptors are closed.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd_util.h"
#include "base/log.h"
#include "runsc/boot.h"
#include "runsc/control.h"

#define CONN_STACK (512 << 10)

struct conn {
	struct boot *b;
	int fd;
	bool creator; /* the connection the sandbox was made with */

	struct mutex lock; /* writes to fd, and the fields below */
	struct cond done;  /* an exec's waiter has ended */
	bool told;         /* an init waiter has its answer */
	bool wants_end;    /* `wait` was asked for */
	pid_t exec_pid;    /* 0: no exec on this connection */
	bool exec_running;
};

struct request {
	struct conn *c;
	json_t *msg;
	int *fds;
	size_t nr_fds;
};

static void conn_send(struct conn *c, json_t *msg)
{
	mutex_guard(&c->lock);
	control_reply(c->fd, msg);
}

static int start_thread(void *(*fn)(void *), void *arg)
{
	pthread_attr_t at;
	pthread_t th;
	int r;

	(void)pthread_attr_init(&at);
	(void)pthread_attr_setstacksize(&at, CONN_STACK);
	(void)pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&th, &at, fn, arg);
	(void)pthread_attr_destroy(&at);
	return -r;
}

static void answering(struct boot *b, int delta)
{
	mutex_guard(&b->lock);
	b->answering += (unsigned int)delta;
	cond_broadcast(&b->changed);
}

static json_int_t req_int(const struct request *q, const char *key)
{
	return json_integer_value(json_object_get(q->msg, key));
}

static bool req_bool(const struct request *q, const char *key)
{
	return json_is_true(json_object_get(q->msg, key));
}

/* --- operations: each returns 0 and maybe an answer, or a negative errno with an error --- */

/*
 * From now on we outlive our creator. The mark in exit.json tells later commands that the container really existed: a state directory
 * without it, whose sandbox is gone, is what a killed command left, and its name is free. See container_is_abandoned().
 */
static int keep(struct boot *b, struct error **err)
{
	static const char mark[] = "{}\n";

	if (pwrite(b->exit_fd, mark, sizeof(mark) - 1, 0) != (ssize_t)sizeof(mark) - 1)
		return error_set(err, -errno, "exit.json");
	mutex_guard(&b->lock);
	b->kept = true;
	return 0;
}

static int op_keep(struct request *q, json_t **ret, struct error **err)
{
	return keep(q->c->b, err);
}

/* With "keep": both in one step, so that a command killed at any moment leaves a running container or none. */
static int op_start(struct request *q, json_t **ret, struct error **err)
{
	struct boot *b = q->c->b;
	int r = req_bool(q, "keep") ? keep(b, err) : 0;

	if (r < 0)
		return r;
	mutex_guard(&b->freezing);
	r = sentry_start(b->sentry, b->id, err);
	if (r < 0 && req_bool(q, "keep")) {
		mutex_guard(&b->lock);
		b->kept = false;
	}
	return r;
}

static int op_kill(struct request *q, json_t **ret, struct error **err)
{
	json_int_t sig = req_int(q, "signal"), pid = req_int(q, "pid");
	int r;

	if (sig < 0 || sig > 64 || pid < 0 || pid > INT32_MAX)
		return error_msg(err, -EINVAL, "signal %lld to process %lld", (long long)sig, (long long)pid);
	r = sentry_kill(q->c->b->sentry, q->c->b->id, (pid_t)pid, req_bool(q, "all"), (int)sig, err);
	if (r == -ESRCH)
		return error_msg(err, r, "process already finished: no such process");
	return r;
}

static int op_winsize(struct request *q, json_t **ret, struct error **err)
{
	struct boot *b = q->c->b;

	return sentry_set_winsize(b->sentry, b->id, (pid_t)req_int(q, "pid"), (uint16_t)req_int(q, "rows"),
				  (uint16_t)req_int(q, "cols"));
}

static int op_pause(struct request *q, json_t **ret, struct error **err)
{
	struct boot *b = q->c->b;
	int r;

	mutex_guard(&b->freezing);
	r = sentry_pause(b->sentry, err);
	b->paused = r == 0 || b->paused;
	return r;
}

static int op_resume(struct request *q, json_t **ret, struct error **err)
{
	struct boot *b = q->c->b;
	int r;

	mutex_guard(&b->freezing);
	r = sentry_resume(b->sentry, err);
	b->paused = r < 0 && b->paused;
	return r;
}

/* A JSON text of the Sentry's as the member "value". */
static int wrap_json(char *text, json_t **ret, struct error **err)
{
	_cleanup_free_ char *t = text;
	json_t *v = t ? json_loads(t, JSON_DECODE_ANY, NULL) : NULL;

	if (!v)
		return error_msg(err, -ENOMEM, "the sandbox could not describe itself");
	*ret = json_pack("{s:b, s:o}", "ok", 1, "value", v);
	return *ret ? 0 : error_set(err, -ENOMEM, "answer");
}

static int op_ps(struct request *q, json_t **ret, struct error **err)
{
	return wrap_json(sentry_ps_json(q->c->b->sentry, q->c->b->id), ret, err);
}

static int op_stats(struct request *q, json_t **ret, struct error **err)
{
	return wrap_json(sentry_stats_json(q->c->b->sentry, q->c->b->id), ret, err);
}

static int op_debug(struct request *q, json_t **ret, struct error **err)
{
	const struct sentry_debug_opts o = {.stacks = req_bool(q, "stacks"), .counts = req_bool(q, "counts")};

	return wrap_json(sentry_debug_json(q->c->b->sentry, &o), ret, err);
}

/*
 * The answer to a checkpoint that ends the container leaves it frozen: the command line then makes the image durable
 * and sends "commit", on which we exit. If it disappears before that, the container goes on: whatever image it had made
 * durable is complete, and nothing was lost.
 */
static int await_commit(struct conn *c, json_t *answer)
{
	_cleanup_(json_decrefp) json_t *m = NULL;
	const char *op;

	conn_send(c, answer);
	if (control_recv(c->fd, &m, NULL, 0, NULL) < 0)
		return -ECONNRESET;
	op = json_string_value(json_object_get(m, "op"));
	return op && !strcmp(op, "commit") ? 0 : -ECANCELED;
}

static int op_checkpoint(struct request *q, json_t **ret, struct error **err)
{
	struct sentry_ckpt_opts o = {.leave_running = req_bool(q, "leaveRunning"),
				     .compression_level = (int)req_int(q, "compression"),
				     .file_digest = req_bool(q, "fileDigest"),
				     .digests = req_bool(q, "digests"),
				     .parent = json_string_value(json_object_get(q->msg, "parent"))};
	struct sentry_ckpt_stats st = {0};
	struct sentry_image_fds fds;
	struct boot *b = q->c->b;
	json_t *a;
	int r;

	if (q->nr_fds != IMAGE_PARTS)
		return error_msg(err, -EPROTO, "checkpoint: descriptors are missing");
	fds = (struct sentry_image_fds){.manifest = q->fds[IMAGE_MANIFEST],
					.kernel = q->fds[IMAGE_KERNEL],
					.index = q->fds[IMAGE_INDEX],
					.pages = q->fds[IMAGE_PAGES]};
	/* A killed command line has given up the container's lock, but its checkpoint may still be at work. */
	mutex_guard(&b->freezing);
	r = sentry_checkpoint(b->sentry, &fds, &o, &st, err);
	if (r < 0)
		return r;
	a = json_pack("{s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "ok", 1, "incremental", st.pages_inherited != 0,
		      "pagesInherited", (json_int_t)st.pages_inherited, "pausedUs", (json_int_t)st.paused_us, "freezeUs", (json_int_t)st.freeze_us,
		      "saveUs", (json_int_t)st.save_us, "writeUs", (json_int_t)st.write_us, "totalUs",
		      (json_int_t)st.total_us, "pagesTotal", (json_int_t)st.pages_total, "pagesWritten",
		      (json_int_t)st.pages_written, "objects", (json_int_t)st.objects, "bytes", (json_int_t)st.bytes);
	if (o.leave_running) {
		*ret = a;
		return 0;
	}
	if (await_commit(q->c, a) == 0) {
		char line[] = "{\"status\":9}\n";

		if (pwrite(b->exit_fd, line, sizeof(line) - 1, 0) < 0)
			log_error("exit.json: %s", strerror(errno));
		answering(b, -1); /* our own request is the one that ends us */
		sentry_working_set_end(b->sentry);
		control_server_announce_end(b, SIGKILL);
		_exit(128 + SIGKILL); /* what engines expect of a container that CRIU dumped */
	}
	log_info("the checkpoint was not committed; going on");
	if (!b->paused)
		(void)sentry_resume(b->sentry, NULL);
	return -ECONNRESET; /* nobody is there to be answered */
}

static void *exec_waiter(void *arg)
{
	struct conn *c = arg; /* ours until exec_running is false: then conn_end() may free it */
	struct boot *b = c->b;
	int status = 0;
	json_t *m;

	if (sentry_wait(b->sentry, b->id, c->exec_pid, &status, NULL) < 0)
		status = SIGKILL;
	m = json_pack("{s:i}", "exit", status);
	mutex_lock(&c->lock);
	control_reply(c->fd, m);
	c->exec_running = false;
	cond_signal(&c->done);
	mutex_unlock(&c->lock);
	answering(b, -1);
	return NULL;
}

static int op_exec(struct request *q, json_t **ret, struct error **err)
{
	struct arena a = {0};
	struct oci_process *p = NULL;
	struct sentry_process sp;
	struct conn *c = q->c;
	pid_t pid = 0;
	int r;

	if (q->nr_fds < 3)
		return error_msg(err, -EPROTO, "exec: descriptors are missing");
	if (c->exec_pid)
		return error_msg(err, -EBUSY, "exec: this connection has a process already");
	r = oci_process_from_json(json_object_get(q->msg, "process"), "process", &a, &p, err);
	if (r == 0 && (!p->args || !p->args[0]))
		r = error_msg(err, -EINVAL, "process.args: is missing");
	if (r == 0)
		r = boot_process_fill(&a, p, q->fds, q->fds + 3, q->nr_fds - 3, &sp, err);
	if (r == 0)
		r = sentry_exec(c->b->sentry, c->b->id, &sp, &pid, err);
	arena_done(&a);
	if (r < 0)
		return r;
	q->nr_fds = 0; /* the Sentry owns them now */
	*ret = json_pack("{s:b, s:i}", "ok", 1, "pid", (int)pid);
	c->exec_pid = pid;
	c->exec_running = true;
	return 0;
}

static int op_wait(struct request *q, json_t **ret, struct error **err)
{
	q->c->wants_end = true;
	return 0;
}

/* --- connections --- */

static const struct op {
	const char *name;
	int (*run)(struct request *q, json_t **ret, struct error **err);
} ops[] = {
	{"keep", op_keep}, {"start", op_start},     {"exec", op_exec},   {"wait", op_wait},
	{"kill", op_kill}, {"winsize", op_winsize}, {"pause", op_pause}, {"resume", op_resume},
	{"ps", op_ps},     {"stats", op_stats},     {"debug", op_debug}, {"checkpoint", op_checkpoint},
};

static int handle(struct request *q)
{
	const char *name = json_string_value(json_object_get(q->msg, "op"));
	_cleanup_error_ struct error *err = NULL;
	const struct op *op = NULL;
	struct conn *c = q->c;
	bool had_exec = c->exec_pid;
	json_t *answer = NULL;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (name && !strcmp(ops[i].name, name))
			op = &ops[i];
	r = op ? op->run(q, &answer, &err) : error_msg(&err, -ENOSYS, "unknown control request");
	if (r == -ECONNRESET && !err)
		return r;
	if (r < 0) {
		if (!err)
			(void)error_set(&err, r, "%s", name);
		mutex_guard(&c->lock);
		control_reply_error(c->fd, err);
		return 0;
	}
	conn_send(c, answer);
	if (c->exec_pid && !had_exec) {
		answering(c->b, 1);
		if (start_thread(exec_waiter, c) < 0) {
			(void)sentry_kill(c->b->sentry, c->b->id, c->exec_pid, false, SIGKILL, NULL);
			c->exec_running = false;
			answering(c->b, -1);
			return -ECONNRESET;
		}
	}
	return 0;
}

/* Sleeps until init has ended, then tells the peer. The peer's own end is noticed when it is told. */
static void wait_and_tell(struct conn *c)
{
	struct boot *b = c->b;
	int status;

	answering(b, 1);
	mutex_lock(&b->lock);
	while (!b->ended)
		cond_wait(&b->changed, &b->lock);
	status = b->status;
	mutex_unlock(&b->lock);
	conn_send(c, json_pack("{s:i}", "exit", status));
	answering(b, -1);
}

static void conn_end(struct conn *c)
{
	struct boot *b = c->b;

	mutex_lock(&c->lock);
	if (c->exec_running) {
		mutex_unlock(&c->lock);
		(void)sentry_kill(b->sentry, b->id, c->exec_pid, false, SIGKILL, NULL);
		mutex_lock(&c->lock);
	}
	while (c->exec_running)
		cond_wait(&c->done, &c->lock);
	mutex_unlock(&c->lock);
	if (c->creator) {
		bool kept;

		mutex_lock(&b->lock);
		kept = b->kept;
		mutex_unlock(&b->lock);
		if (!kept)
			_exit(1); /* create was killed or failed later on: nobody knows of us */
	}
	(void)close(c->fd);
	mutex_destroy(&c->lock);
	cond_destroy(&c->done);
	free(c);
}

static void *conn_thread(void *arg)
{
	struct conn *c = arg;
	int r = 0;

	while (r == 0) {
		int fds[FD_SEND_MAX];
		struct request q = {.c = c, .fds = fds};

		r = control_recv(c->fd, &q.msg, fds, FD_SEND_MAX, &q.nr_fds);
		if (r < 0)
			break;
		/* `start` must be answered even if init ends at once. */
		answering(c->b, 1);
		r = handle(&q);
		answering(c->b, -1);
		for (size_t i = 0; i < q.nr_fds; i++)
			(void)close(fds[i]);
		json_decref(q.msg);
		if (r == 0 && c->wants_end) {
			wait_and_tell(c);
			break;
		}
	}
	conn_end(c);
	return NULL;
}

static int serve(struct boot *b, int fd, bool creator)
{
	struct conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		(void)close(fd);
		return -ENOMEM;
	}
	c->b = b;
	c->fd = fd;
	c->creator = creator;
	mutex_init(&c->lock, "conn.lock");
	cond_init(&c->done);
	r = start_thread(conn_thread, c);
	if (r < 0) {
		(void)close(fd);
		free(c);
	}
	return r;
}

struct acceptor {
	struct boot *b;
	int fd;
};

static void *accept_thread(void *arg)
{
	struct acceptor *a = arg;

	for (;;) {
		int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && (errno == EBADF || errno == EINVAL || errno == ENOTSOCK))
			return NULL;
		if (fd >= 0 && serve(a->b, fd, false) < 0)
			log_error("control: no thread for a connection");
	}
}

int control_server_start(struct boot *b, int ctl, int listen_fd, struct error **err)
{
	static struct acceptor a;
	int r;

	a = (struct acceptor){b, listen_fd};
	r = serve(b, ctl, true);
	if (r == 0)
		r = start_thread(accept_thread, &a);
	return r < 0 ? error_set(err, r, "control threads") : 0;
}

void control_server_announce_end(struct boot *b, int status)
{
	struct timespec ts;
	int64_t deadline;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	deadline = (ts.tv_sec + 2) * 1000000000LL + ts.tv_nsec;
	mutex_lock(&b->lock);
	b->ended = true;
	b->status = status;
	cond_broadcast(&b->changed);
	while (b->answering && cond_timedwait(&b->changed, &b->lock, deadline) == 0)
		;
	mutex_unlock(&b->lock);
}
