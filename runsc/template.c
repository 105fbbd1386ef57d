/* SPDX-License-Identifier: Apache-2.0 */
/* The command line's side of templates: making one. Forking from one is in sandbox.c. See template.h. */
#include "runsc/template.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd_util.h"
#include "runsc/control.h"
#include "runsc/image_dir.h"
#include "runsc/image_sign.h"
#include "runsc/isolate.h"
#include "runsc/lifecycle.h"
#include "runsc/restore_opts.h"

struct making {
	const struct globals *g;
	struct container *c;
	struct image_dir img;
	struct sentry_restore_opts restore; /* how the image is checked */
	int null_fd, log, keeper_log;
	int ctl[2], keeper_ctl[2]; /* ours, theirs */
	int listen_fd, gofer_listen_fd;
	pid_t keeper;
};

static void making_done(struct making *m)
{
	int *fds[] = {&m->null_fd, &m->log, &m->keeper_log, &m->ctl[0], &m->ctl[1], &m->keeper_ctl[0], &m->keeper_ctl[1],
		      &m->listen_fd, &m->gofer_listen_fd};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		cleanup_closep(fds[i]);
	image_dir_done(&m->img);
}

static int describe(struct container *c, struct error **err)
{
	char now[40];

	format_time_now(now);
	c->created = strdup(now);
	c->bundle = strdup("");
	c->rootfs = strdup("");
	c->version = strdup(OCI_VERSION);
	c->cgroup = strdup("");
	return c->created && c->bundle && c->rootfs && c->version && c->cgroup ? 0 : error_set(err, -ENOMEM, "template");
}

static int open_all(struct making *m, struct error **err)
{
	int on = 1, r;

	m->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (m->null_fd < 0)
		return error_set(err, -errno, "/dev/null");
	m->log = sandbox_open_log(m->g, m->c, "template", &m->c->debug_log, err);
	if (m->log < 0)
		return m->log;
	m->keeper_log = sandbox_open_log(m->g, m->c, "keeper", NULL, err);
	if (m->keeper_log < 0)
		return m->keeper_log;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, m->ctl) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, m->keeper_ctl) < 0 ||
	    setsockopt(m->ctl[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return error_set(err, -errno, "socketpair");
	r = control_listen(m->c, CONTROL_SOCK, &m->listen_fd, err);
	return r < 0 ? r : control_listen(m->c, TEMPLATE_GOFER_SOCK, &m->gofer_listen_fd, err);
}

static int spawn(struct making *m, struct error **err)
{
	char title[64], keeper_title[64];
	struct spawn keeper = {keeper_title, "keeper", NULL, -EBADF, false, m->keeper_ctl[1], m->keeper_log, m->null_fd};
	struct spawn tmpl = {title, "template", NULL, -EBADF, true, m->ctl[1], m->log, m->null_fd};
	int r;

	/* Blanks make room for the names of clones. */
	(void)snprintf(title, sizeof(title), "runsc-template: %-47.47s", m->c->id);
	(void)snprintf(keeper_title, sizeof(keeper_title), "runsc-keeper: %-49.49s", m->c->id);
	r = spawn_pair(&keeper, &tmpl, /* rootless= */ false, &m->keeper, &(pid_t){0}, err);
	cleanup_closep(&m->ctl[1]);
	cleanup_closep(&m->keeper_ctl[1]);
	m->ctl[1] = m->keeper_ctl[1] = -EBADF;
	return r;
}

static int send_setup(struct making *m, struct error **err)
{
	const struct globals *g = m->g;
	_cleanup_(json_decrefp) json_t *k = json_pack("{s:s, s:b}", "emptyDir", m->c->dir, "debug", g->debug);
	_cleanup_(json_decrefp) json_t *t =
		json_pack("{s:s, s:i, s:s, s:s, s:s, s:b, s:b}", "op", "template", "layers", (int)m->img.nr_layers, "id", m->c->id, "emptyDir", m->c->dir, "platform",
			  g->platform ? g->platform : "", "debug", g->debug, "log", g->debug || (g->debug_log && g->debug_log[0]));
	int fds[1 + IMAGE_PARTS + 2 * MANIFEST_LAYERS_MAX] = {m->listen_fd};
	int r = k && t && json_object_set_new(t, "restore", restore_opts_to_json(&m->restore)) == 0 ? 0 : -ENOMEM;
	size_t n = 1;

	for (int i = 0; i < IMAGE_PARTS; i++)
		fds[n++] = m->img.fds[i];
	for (size_t i = 0; i < m->img.nr_layers; i++) {
		fds[n++] = m->img.layers[i].index;
		fds[n++] = m->img.layers[i].pages;
	}
	if (r == 0)
		r = control_send(m->keeper_ctl[0], k, &m->gofer_listen_fd, 1);
	if (r == 0)
		r = control_send(m->ctl[0], t, fds, n);
	/* Who died has left a reason. */
	return r < 0 && r != -EPIPE && r != -ECONNRESET ? error_set(err, r, "template setup") : 0;
}

/* One answer, or why there is none. */
static int await(struct making *m, int sock, const char *who, struct error **err)
{
	_cleanup_(json_decrefp) json_t *a = NULL;
	const char *text;
	int r = control_recv(sock, &a, NULL, 0, NULL);

	if (r < 0)
		return error_msg(err, -EIO, "the %s died (its log: %s)", who, m->c->debug_log);
	text = json_string_value(json_object_get(a, "error"));
	return text ? error_msg(err, (int)json_integer_value(json_object_get(a, "code")), "%s: %s", who, text) : 0;
}

static int start(struct making *m, struct error **err)
{
	int off = 0;
	pid_t pid = 0;
	int r = spawn(m, err);

	if (r == 0)
		r = send_setup(m, err);
	if (r == 0)
		r = await(m, m->keeper_ctl[0], "keeper", err);
	if (r < 0)
		return r;
	r = control_peek_sender(m->ctl[0], &pid);
	if (r == 0)
		(void)setsockopt(m->ctl[0], SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	r = await(m, m->ctl[0], "template", err);
	if (r < 0)
		return r;
	if (proc_identify(pid, &m->c->sandbox) < 0)
		return error_msg(err, -EIO, "the template died (its log: %s)", m->c->debug_log);
	m->c->gofer.pid = m->keeper;
	m->c->status = CONTAINER_TEMPLATE;
	r = container_save(m->c, err);
	return r < 0 ? r : control_call(m->ctl[0], json_pack("{s:s}", "op", "keep"), NULL, 0, NULL, err);
}

int template_create(const struct globals *g, const char *name, const struct create_opts *o, struct error **err)
{
	bool ack = false;
	_cleanup_container_ struct container *c = NULL;
	_cleanup_(making_done) struct making m = {
		.g = g,
		.img = IMAGE_DIR_INIT,
		.null_fd = -EBADF,
		.log = -EBADF,
		.keeper_log = -EBADF,
		.ctl = {-EBADF, -EBADF},
		.keeper_ctl = {-EBADF, -EBADF},
		.listen_fd = -EBADF,
		.gofer_listen_fd = -EBADF,
	};
	int r;

	if (isolate_is_rootless(g->rootless))
		return error_msg(err, -EPERM, "--template: needs root (its clones need pid namespaces of their own)");
	if (!strcmp(g->network, "host"))
		return error_msg(err, -EINVAL, "--template: does not go with --network=host");
	r = container_new(g, name, &c, err);
	if (r < 0)
		return r;
	m.c = c;
	r = describe(c, err);
	if (r == 0)
		r = lifecycle_open_image(o, &m.img, &ack, err);
	if (r == 0 && ack)
		r = error_msg(err, -EINVAL, "--template: the sender waits for a container to run (checkpoint --ack)");
	m.restore = o->restore;
	if (r == 0)
		r = verify_take_signature(&m.img, &m.restore, err);
	if (r == 0)
		r = open_all(&m, err);
	if (r == 0)
		r = start(&m, err);
	if (r < 0) {
		/* The pid namespace, and so the template, goes with the keeper. */
		if (m.keeper > 0) {
			(void)kill(m.keeper, SIGKILL);
			(void)waitpid(m.keeper, NULL, 0);
		}
		return r;
	}
	c->fresh = false;
	return 0;
}

int template_open(const struct globals *g, const char *name, struct container **ret, struct error **err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = container_open(g, name, CONTAINER_NOLOCK, &c, err);

	if (r < 0)
		return r == -ENOENT ? error_prefix(err, "--from-template") : r;
	if (c->status != CONTAINER_TEMPLATE)
		return error_msg(err, -EINVAL, "--from-template: %s is no template: it is %s", name, container_status_name(c->status));
	*ret = TAKE_PTR(c);
	return 0;
}
