/* SPDX-License-Identifier: Apache-2.0 */
/* See lifecycle.h. The container's lock is held throughout. */
#include "runsc/lifecycle.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd_util.h"
#include "runsc/cgroup.h"
#include "runsc/control.h"
#include "runsc/image_dir.h"
#include "runsc/image_sign.h"
#include "runsc/stream.h"
#include "runsc/template.h"
#include "runsc/tty.h"

void created_done(struct created *x)
{
	cleanup_closep(&x->ctl);
	cleanup_closep(&x->master);
	x->ctl = x->master = -EBADF;
	x->c = container_free(x->c);
	x->spec = oci_spec_free(x->spec);
}

int write_pid_file(const char *path, pid_t pid, struct error **err)
{
	char num[16];
	int r;

	if (!path || !path[0])
		return 0;
	(void)snprintf(num, sizeof(num), "%d", (int)pid);
	r = write_file_atomic_at(AT_FDCWD, path, 0644, num, strlen(num));
	return r < 0 ? error_set(err, r, "--pid-file %s", path) : 0;
}

int collect_preserved_fds(int64_t preserve, int **ret, size_t *ret_n, struct error **err)
{
	const char *listen = getenv("LISTEN_FDS");
	int64_t n = preserve, extra = 0;
	int *v;

	if (listen)
		extra = strtol(listen, NULL, 10);
	if (preserve < 0 || preserve > FD_SEND_MAX || extra < 0 || extra > FD_SEND_MAX)
		return error_msg(err, -EINVAL, "--preserve-fds: %lld is out of range", (long long)preserve);
	n += extra;
	v = calloc((size_t)n + 1, sizeof(*v));
	if (!v)
		return error_set(err, -ENOMEM, "--preserve-fds");
	for (int i = 0; i < n; i++) {
		v[i] = 3 + i;
		if (fcntl(v[i], F_GETFD) < 0) {
			free(v);
			return error_set(err, -errno, "--preserve-fds: descriptor %d", 3 + i);
		}
	}
	*ret = v;
	*ret_n = (size_t)n;
	return 0;
}

/* --- environment --- */

static bool env_has(json_t *env, const char *prefix)
{
	json_t *e;
	size_t i;

	json_array_foreach(env, i, e)
	{
		const char *s = json_string_value(e);

		if (s && !strncmp(s, prefix, strlen(prefix)))
			return true;
	}
	return false;
}

/* The passwd file is the container's: opened inside the root, bounded, only read. */
static char *home_of(const char *rootfs, uint32_t uid)
{
	_cleanup_close_ int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *text = NULL;
	char *line, *save = NULL;

	if (root < 0)
		return NULL;
	fd = open_in_root(root, "etc/passwd", O_RDONLY | O_NONBLOCK);
	if (fd < 0 || read_fd_all(fd, 1 << 20, &text, NULL) < 0)
		return NULL;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *f[7], *p = line;
		int n = 0;

		while (n < 7 && p) {
			f[n++] = p;
			p = strchr(p, ':');
			if (p)
				*p++ = '\0';
		}
		if (n >= 6 && strtoul(f[2], NULL, 10) == uid && f[2][0])
			return strdup(f[5]);
	}
	return NULL;
}

void process_add_home(json_t *process, const char *rootfs)
{
	json_t *env = json_object_get(process, "env");
	json_t *uid = json_object_get(json_object_get(process, "user"), "uid");
	_cleanup_free_ char *home = NULL;

	if (!json_is_array(env)) {
		env = json_array();
		(void)json_object_set_new(process, "env", env);
	}
	if (env_has(env, "HOME="))
		return;
	home = home_of(rootfs, (uint32_t)json_integer_value(uid));
	(void)json_array_append_new(env, json_sprintf("HOME=%s", home && home[0] ? home : "/"));
}

static void add_listen_env(json_t *process)
{
	const char *fds = getenv("LISTEN_FDS");
	json_t *env = json_object_get(process, "env");

	if (!fds || !fds[0])
		return;
	(void)json_array_append_new(env, json_sprintf("LISTEN_FDS=%s", fds));
	(void)json_array_append_new(env, json_string("LISTEN_PID=1"));
}

/* --- create --- */

int bundle_read(const char *bundle, struct oci_spec **ret, struct error **err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (asprintf(&path, "%s/config.json", bundle) < 0) {
		path = NULL;
		return error_set(err, -ENOMEM, "bundle");
	}
	r = read_file_at(AT_FDCWD, path, OCI_FILE_MAX, &text, &len);
	if (r < 0)
		return error_set(err, r, "%s", path);
	return oci_spec_parse(text, len, "config.json", ret, err);
}

static int load_bundle(struct container *c, const struct create_opts *o, struct oci_spec **ret, struct error **err)
{
	char real[PATH_MAX];
	int r;

	if (!realpath(o->bundle && o->bundle[0] ? o->bundle : ".", real))
		return error_set(err, -errno, "bundle %s", o->bundle ? o->bundle : ".");
	c->bundle = strdup(real);
	if (!c->bundle)
		return error_set(err, -ENOMEM, "bundle");
	if (o->spec_json)
		r = oci_spec_from_json(o->spec_json, "config", ret, err);
	else
		r = bundle_read(real, ret, err);
	if (r < 0)
		return r;
	if (!(*ret)->process || !(*ret)->process->args || !(*ret)->process->args[0])
		return error_msg(err, -EINVAL, "config.json: process.args: is missing or empty");
	if ((*ret)->root_path[0] == '/')
		c->rootfs = strdup((*ret)->root_path);
	else if (asprintf(&c->rootfs, "%s/%s", real, (*ret)->root_path) < 0)
		c->rootfs = NULL;
	return c->rootfs ? 0 : error_set(err, -ENOMEM, "root.path");
}

/* Environment additions are made in the JSON, which is what the sandbox parses and what is stored. */
static int finish_spec(struct container *c, struct oci_spec **spec, struct error **err)
{
	_cleanup_(json_decrefp) json_t *json = json_incref((*spec)->json);
	_cleanup_free_ char *text = NULL;
	json_t *p = json_object_get(json, "process"), *a;
	int r;

	process_add_home(p, c->rootfs);
	add_listen_env(p);
	*spec = oci_spec_free(*spec);
	r = oci_spec_from_json(json, "config.json", spec, err);
	if (r < 0)
		return r;
	a = json_object_get(json, "annotations");
	json_decref(c->annotations);
	c->annotations = json_is_object(a) ? json_incref(a) : json_object();
	c->version = strdup((*spec)->version);
	text = json_dumps(json, JSON_COMPACT);
	if (!text || !c->version)
		return error_set(err, -ENOMEM, "config.json");
	r = write_file_atomic_at(c->dirfd, "config.json", 0600, text, strlen(text));
	return r < 0 ? error_set(err, r, "%s/config.json", c->dir) : 0;
}

/* stdio[] is borrowed from 0..2 or is the slave in all three places. */
static int open_terminal(const struct create_opts *o, const struct oci_process *p, int *stdio, int *slave, int *master,
			 struct error **err)
{
	int r;

	for (int i = 0; i < 3; i++)
		stdio[i] = i;
	if (!p->terminal) {
		if (o->console_socket && o->console_socket[0])
			return error_msg(err, -EINVAL,
					 "--console-socket: the container has no terminal (process.terminal)");
		return 0;
	}
	if (!o->relay && !(o->console_socket && o->console_socket[0]))
		return error_msg(err, -EINVAL, "process.terminal is set: a detached container needs --console-socket");
	r = tty_open_pair(p->rows, p->cols, master, slave, err);
	if (r < 0)
		return r;
	stdio[0] = stdio[1] = stdio[2] = *slave;
	if (!o->console_socket || !o->console_socket[0])
		return 0;
	r = tty_send_master(o->console_socket, *master, err);
	cleanup_closep(master);
	*master = -EBADF;
	return r;
}

int lifecycle_open_image(const struct create_opts *o, struct image_dir *img, bool *ret_ack, struct error **err)
{
	return path_is_stream(o->image_path) ? stream_receive_image(img, o->image_work_path, "restore", ret_ack, err) :
					       image_dir_open(img, o->image_path, o->parent_path, err);
}

/* Standard input of a container without a terminal, if it is not to be ours. */
static int open_stdin(const struct create_opts *o, int *ret, struct error **err)
{
	if (!o->stdin_path || !o->stdin_path[0])
		return 0;
	*ret = open(o->stdin_path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return *ret < 0 ? error_set(err, -errno, "--stdin %s", o->stdin_path) : 0;
}

static int start_sandbox(const struct globals *g, const struct create_opts *o, struct created *x, json_t **answer,
			 struct error **err)
{
	_cleanup_free_ int *extra = NULL;
	_cleanup_close_ int slave = -EBADF, in = -EBADF;
	_cleanup_image_ struct image_dir img = IMAGE_DIR_INIT;
	_cleanup_container_ struct container *from = NULL;
	struct sentry_restore_opts restore = o->restore;
	struct sandbox_start s = {.g = g, .c = x->c, .spec = x->spec, .restore = &restore, .hostname = o->hostname};
	int r;

	r = open_stdin(o, &in, err);
	if (r == 0 && o->from_template)
		r = template_open(g, o->from_template, &from, err);
	else if (r == 0 && o->image_path && !o->image)
		r = lifecycle_open_image(o, &img, &x->ack, err);
	if (r < 0)
		return r;
	s.from = from;
	if (o->image_path && !from) {
		const struct image_dir *d = o->image ? o->image : &img;

		r = verify_take_signature(d, &restore, err);
		if (r == 0 && restore.working_set == SENTRY_WORKING_SET_RECORD)
			r = image_dir_record_working_set(&img, err);
		if (r < 0)
			return r;
		if (d->working_set >= 0 && restore.working_set == SENTRY_WORKING_SET_NONE)
			restore.working_set = SENTRY_WORKING_SET_PREFETCH;
		restore.working_set_fd = d->working_set;
		s.image_fds = d->fds;
		s.layers = d->layers;
		s.nr_layers = d->nr_layers;
	}
	r = collect_preserved_fds(o->preserve_fds, &extra, &s.nr_extra_fds, err);
	if (r < 0)
		return r;
	s.extra_fds = extra;
	r = open_terminal(o, x->spec->process, s.stdio, &slave, &x->master, err);
	if (r < 0)
		return r;
	if (in >= 0 && !x->spec->process->terminal)
		s.stdio[0] = in;
	return sandbox_create(&s, &x->ctl, answer, err);
}

static int run_create_hooks(struct created *x, struct error **err)
{
	int r = hooks_run(x->spec, OCI_HOOK_PRESTART, x->c, "creating", err);

	if (r == 0)
		r = hooks_run(x->spec, OCI_HOOK_CREATE_RUNTIME, x->c, "creating", err);
	if (r == 0)
		r = hooks_run(x->spec, OCI_HOOK_CREATE_CONTAINER, x->c, "creating", err);
	return r;
}

static int create_steps(const struct globals *g, const struct create_opts *o, struct created *x, json_t **answer,
			struct error **err)
{
	char now[40];
	int r;

	format_time_now(now);
	x->c->created = strdup(now);
	r = load_bundle(x->c, o, &x->spec, err);
	if (r == 0)
		r = finish_spec(x->c, &x->spec, err);
	if (r == 0)
		r = start_sandbox(g, o, x, answer, err);
	if (r == 0)
		r = run_create_hooks(x, err);
	if (r < 0)
		return r;
	/* Recorded before the sandbox may outlive us: if we are killed in between it ends, and is seen to have stopped.
	 */
	x->c->status = CONTAINER_CREATED;
	r = container_save(x->c, err);
	if (r == 0)
		r = write_pid_file(o->pid_file, x->c->sandbox.pid, err);
	x->throw_away = o->throw_away;
	x->keep_at_start = o->keep_at_start && !o->throw_away;
	if (r == 0 && !x->throw_away && !x->keep_at_start)
		r = control_call(x->ctl, json_pack("{s:s}", "op", "keep"), NULL, 0, NULL, err);
	return r;
}

/* Undoes what a killed command did under this name; true when there was something. */
static bool remove_abandoned(const struct globals *g, const char *id)
{
	_cleanup_container_ struct container *seen = NULL;
	_cleanup_container_ struct container *c = NULL;

	/* Looked at without the lock first: a container that lives is not waited for. */
	if (container_open(g, id, CONTAINER_NOLOCK, &seen, NULL) < 0 || !container_is_abandoned(seen))
		return false;
	return container_open(g, id, CONTAINER_EXCLUSIVE, &c, NULL) == 0 && container_is_abandoned(c) &&
	       lifecycle_delete(g, c, true, NULL) == 0;
}

int lifecycle_create(const struct globals *g, const char *id, const struct create_opts *o, struct created *ret,
		     struct error **err)
{
	_cleanup_created_ struct created x = {.ctl = -EBADF, .master = -EBADF};
	_cleanup_(json_decrefp) json_t *answer = NULL;
	int r;

	r = container_new(g, id, &x.c, err);
	if (r == -EEXIST && remove_abandoned(g, id)) {
		error_freep(err);
		r = container_new(g, id, &x.c, err);
	}
	if (r < 0)
		return r;
	r = create_steps(g, o, &x, &answer, err);
	if (r < 0) {
		if (x.spec && x.c->sandbox.pid > 0) {
			proc_kill(&x.c->sandbox);
			cgroup_remove(x.c);
			(void)!hooks_run(x.spec, OCI_HOOK_POSTSTOP, x.c, "stopped", NULL);
		}
		return r;
	}
	x.c->fresh = false;
	restore_report_warnings(g, json_object_get(answer, "warnings"));
	if (o->work_path && o->work_path[0])
		image_write_restore_logs(o->work_path, answer);
	*ret = x;
	x = (struct created){.ctl = -EBADF, .master = -EBADF};
	return 0;
}

/* --- start, delete --- */

int lifecycle_start(const struct globals *g, struct container *c, const struct oci_spec *spec, int ctl, bool keep,
		    struct error **err)
{
	_cleanup_error_ struct error *ignored = NULL;
	_cleanup_close_ int own = -EBADF;
	int r;

	if (ctl < 0) {
		r = control_connect(c, &own, err);
		if (r < 0)
			return r;
		ctl = own;
	}
	r = hooks_run_inside(spec, c, ctl, err);
	if (r < 0)
		return r;
	/* Stored first: whoever sees the first instruction's effects also sees `running`. */
	c->status = CONTAINER_RUNNING;
	r = container_save(c, err);
	if (r == 0)
		r = control_call(ctl, json_pack("{s:s, s:b}", "op", "start", "keep", keep), NULL, 0, NULL, err);
	if (r < 0)
		return r;
	if (hooks_run(spec, OCI_HOOK_POSTSTART, c, "running", &ignored) < 0)
		report_warning(g, "%s", error_text(ignored));
	return 0;
}

int lifecycle_delete(const struct globals *g, struct container *c, bool force, struct error **err)
{
	_cleanup_oci_spec_ struct oci_spec *spec = NULL;
	_cleanup_error_ struct error *ignored = NULL;
	int r;

	if (c->status != CONTAINER_STOPPED && c->status != CONTAINER_CREATED && c->status != CONTAINER_CREATING &&
	    c->status != CONTAINER_TEMPLATE && !force)
		return error_msg(err, -EBUSY, "container %s is not stopped: it is %s (kill it first, or use --force)",
				 c->id, container_status_name(c->status));
	proc_kill(&c->sandbox);
	cgroup_remove(c);
	if (container_load_spec(c, &spec, NULL) == 0 && hooks_run(spec, OCI_HOOK_POSTSTOP, c, "stopped", &ignored) < 0)
		report_warning(g, "%s", error_text(ignored));
	r = container_remove(c, err);
	return r;
}
