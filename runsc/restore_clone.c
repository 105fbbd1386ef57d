/* SPDX-License-Identifier: Apache-2.0 */
/* See restore_clone.h. A worker is a fork of us that makes one container, says on a pipe why it could not, and ends. */
#include "runsc/restore_clone.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/fd_util.h"
#include "runsc/stream.h"

enum clone_state { CLONE_WAITING, CLONE_AT_WORK, CLONE_RUNNING, CLONE_FAILED };

struct clone {
	char *id;
	enum clone_state state;
	pid_t worker;
	int why; /* read end of the worker's pipe: what went wrong, empty when nothing did */
};

struct clones {
	const struct globals *g;
	const struct clone_opts *o;
	struct clone *v;
	size_t n, printed;
	char bundle[PATH_MAX];
	json_t *spec;
};

static void clones_done(struct clones *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].id);
		cleanup_closep(&s->v[i].why);
	}
	free(s->v);
	json_decref(s->spec);
}

/* --- names --- */

static int add_name(struct clones *s, char *id)
{
	if (!id)
		return -ENOMEM;
	s->v[s->n++] = (struct clone){.id = id, .why = -EBADF};
	return 0;
}

static int split_names(struct clones *s, const char *names, struct error **err)
{
	for (const char *p = names; *p; p += *p == ',') {
		size_t n = strcspn(p, ",");

		if (!n || (p[n] == ',' && !p[n + 1]))
			return error_msg(err, -EINVAL, "--clone-names %s: a name is empty", names);
		if (add_name(s, strndup(p, n)) < 0)
			return error_set(err, -ENOMEM, "--clone-names");
		p += n;
	}
	return 0;
}

static int number_names(struct clones *s, struct error **err)
{
	for (int64_t i = 1; i <= s->o->count; i++) {
		char *id;

		if (asprintf(&id, "%s-%lld", s->o->prefix, (long long)i) < 0)
			id = NULL;
		if (add_name(s, id) < 0)
			return error_set(err, -ENOMEM, "--clone");
	}
	return 0;
}

static int make_names(struct clones *s, struct error **err)
{
	const struct clone_opts *o = s->o;
	int64_t max = o->count;
	int r;

	if (o->names) {
		max = 1;
		for (const char *p = o->names; *p; p++)
			max += *p == ',';
	}
	if (max < 1 || max > CLONES_MAX || o->count == 0)
		return error_msg(err, -EINVAL, "--clone: must be 1 to %d", CLONES_MAX);
	s->v = calloc((size_t)max, sizeof(*s->v));
	if (!s->v)
		return error_set(err, -ENOMEM, "--clone");
	r = o->names ? split_names(s, o->names, err) : number_names(s, err);
	if (r == 0 && o->count != CLONES_AS_NAMED && s->n != (size_t)o->count)
		return error_msg(err, -EINVAL, "--clone %lld: --clone-names has %zu names", (long long)o->count, s->n);
	return r;
}

/* --- one clone, in its worker --- */

/* A cgroup that the bundle names is one container's. */
static int own_cgroup(json_t *spec, const char *id)
{
	json_t *lnx = json_object_get(spec, "linux");
	const char *path = json_string_value(json_object_get(lnx, "cgroupsPath"));

	if (!path || !path[0])
		return 0;
	return json_object_set_new(lnx, "cgroupsPath", json_sprintf("%s-%s", path, id));
}

static int suffixed(const char *path, char sep, const char *id, const char **ret)
{
	char *s;

	if (!path || !path[0])
		return 0;
	if (asprintf(&s, "%s%c%s", path, sep, id) < 0)
		return -ENOMEM;
	*ret = s; /* lives as long as the worker */
	return 0;
}

static int make_clone(struct clones *s, const char *id, struct error **err)
{
	_cleanup_created_ struct created x = {.ctl = -EBADF, .master = -EBADF};
	_cleanup_image_ struct image_dir img = IMAGE_DIR_INIT;
	struct create_opts o = s->o->create;
	int r = image_dir_reopen(&img, o.image, err);

	if (r < 0)
		return r;
	o.image = &img;
	o.bundle = s->bundle;
	o.spec_json = s->spec;
	if (own_cgroup(s->spec, id) < 0 || suffixed(o.pid_file, '.', id, &o.pid_file) < 0 ||
	    suffixed(o.work_path, '/', id, &o.work_path) < 0)
		return error_set(err, -ENOMEM, "restore");
	r = lifecycle_create(s->g, id, &o, &x, err);
	if (r < 0)
		return r;
	return run_created(s->g, &x, /* detach= */ true, /* keep= */ false, err);
}

static _Noreturn void worker_main(struct clones *s, const char *id, int why)
{
	struct error *err = NULL;
	const char *text;

	if (make_clone(s, id, &err) == 0)
		_exit(0);
	text = error_text(err);
	(void)!write(why, text, strlen(text));
	_exit(1);
}

/* --- all of them --- */

static int start_worker(struct clones *s, struct clone *c)
{
	pid_t parent = getpid();
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	c->worker = fork();
	if (c->worker == 0) {
		/* With us gone nobody would hear of it. What it had not committed then ends by itself. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(1);
		worker_main(s, c->id, p[1]);
	}
	(void)close(p[1]);
	if (c->worker < 0) {
		(void)close(p[0]);
		return -errno;
	}
	c->why = p[0];
	c->state = CLONE_AT_WORK;
	return 0;
}

static void failed(struct clones *s, struct clone *c, const char *why)
{
	_cleanup_error_ struct error *err = NULL;

	c->state = CLONE_FAILED;
	(void)error_msg(&err, -EIO, "clone %s: %s", c->id, why);
	report_error(s->g, "restore", err);
}

/* Those before @printed are decided and told. */
static void print_ids(struct clones *s)
{
	for (; s->printed < s->n && s->v[s->printed].state >= CLONE_RUNNING; s->printed++)
		if (s->v[s->printed].state == CLONE_RUNNING)
			(void)printf("%s\n", s->v[s->printed].id);
	(void)fflush(stdout);
}

static void worker_ended(struct clones *s, struct clone *c, int status)
{
	_cleanup_free_ char *why = NULL;
	char how[64];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		c->state = CLONE_RUNNING;
	} else if (WIFEXITED(status) && read_fd_all(c->why, 64 << 10, &why, NULL) == 0 && why[0]) {
		failed(s, c, why);
	} else {
		(void)snprintf(how, sizeof(how), "its maker was killed by signal %d",
			       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
		failed(s, c, how);
	}
	cleanup_closep(&c->why);
	c->why = -EBADF;
	print_ids(s);
}

static void reap_one(struct clones *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, 0)) < 0 && errno == EINTR)
		;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].state == CLONE_AT_WORK && (pid < 0 || s->v[i].worker == pid))
			worker_ended(s, &s->v[i], pid < 0 ? SIGKILL : status);
}

/* Starting is mostly work of the CPU, with waits for the other process of a pair in between. */
static size_t at_once(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) < 0 ? 2 : 2 * (size_t)MAX(CPU_COUNT(&set), 1);
}

static int run_workers(struct clones *s)
{
	size_t max = at_once(), busy = 0, bad = 0;

	for (size_t i = 0; i < s->n; i++) {
		int r;

		if (busy == max) {
			reap_one(s);
			busy--;
		}
		r = start_worker(s, &s->v[i]);
		if (r < 0)
			failed(s, &s->v[i], strerror(-r));
		else
			busy++;
	}
	for (; busy; busy--)
		reap_one(s);
	print_ids(s);
	for (size_t i = 0; i < s->n; i++)
		bad += s->v[i].state == CLONE_FAILED;
	return bad ? 1 : 0;
}

int restore_clones(const struct globals *g, const struct clone_opts *o, struct error **err)
{
	_cleanup_(clones_done) struct clones s = {.g = g, .o = o};
	_cleanup_image_ struct image_dir img = IMAGE_DIR_INIT;
	_cleanup_oci_spec_ struct oci_spec *spec = NULL;
	const char *bundle = o->create.bundle && o->create.bundle[0] ? o->create.bundle : ".";
	struct clone_opts mine = *o;
	bool ack = false;
	int r = make_names(&s, err);

	if (r < 0)
		return r;
	if (!realpath(bundle, s.bundle))
		return error_set(err, -errno, "bundle %s", bundle);
	r = bundle_read(s.bundle, &spec, err);
	if (r == 0 && spec->process && spec->process->terminal && !(o->create.console_socket && o->create.console_socket[0]))
		r = error_msg(err, -EINVAL, "process.terminal is set: clones need --console-socket");
	if (r == 0)
		r = path_is_stream(o->create.image_path) ?
			    stream_receive_image(&img, o->create.image_work_path, "restore", &ack, err) :
			    image_dir_open(&img, o->create.image_path, o->create.parent_path, err);
	if (r == 0 && ack)
		r = error_msg(err, -EINVAL, "--clone: the sender waits for one container to run (checkpoint --ack)");
	if (r < 0)
		return r;
	s.spec = json_incref(spec->json);
	mine.create.image = &img;
	s.o = &mine;
	return run_workers(&s);
}
