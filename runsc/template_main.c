/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `runsc template`: a Sentry that has loaded an image as far as the image alone goes, and then does nothing but fork. See template.h for
 * the processes around it.
 *
 * It is confined like a sandbox before it reads the first byte of the image, and reads no byte of a connection: each one is
 * given to a fork, which becomes pid 1 of a pid namespace of its own, gives up what a sandbox does not have, and reads the setup
 * message. From sentry_own_clone() on it is a sandbox like any other. No thread exists before the fork.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/fd_util.h"
#include "base/log.h"
#include "runsc/boot.h"
#include "runsc/control.h"
#include "runsc/isolate.h"
#include "runsc/restore_opts.h"
#include "runsc/template.h"

struct template {
	struct boot b; /* what each fork begins with */
	struct seccomp_prog filter; /* of each fork */
	int listen_fd;
	bool kept;
	pid_t *tid; /* where the C library keeps the thread's number */
	char *title;
	size_t title_room;
};

/* --- a clone --- */

static int clone_up(struct template *t, struct setup *s, struct error **err)
{
	struct sentry_config cfg = {0};
	int r = isolate_drop_clone(err);

	if (r == 0)
		r = setup_read(s, err);
	if (r == 0 && !s->clone)
		r = error_msg(err, -EPROTO, "setup message: not a clone's");
	if (r == 0 && dup2(s->fds[FIXED_FDS], 2) < 0)
		r = error_set(err, -errno, "log");
	if (r < 0)
		return r;
	(void)close(s->fds[FIXED_FDS]);
	r = boot_take_setup(&t->b, s, err);
	if (r < 0)
		return r;
	(void)snprintf(t->title, t->title_room, "runsc-sandbox: %.40s", t->b.id);
	r = setup_config(s, &cfg, err);
	if (r == 0)
		r = sentry_own_clone(t->b.sentry, &cfg, err);
	if (r == 0)
		r = seccomp_install_prog(&t->filter, err);
	return r < 0 ? r : boot_finish(&t->b, s, err);
}

/* Everybody but `restore --from-template` is told what this is. */
static void greet(void)
{
	_cleanup_(json_decrefp) json_t *m = NULL;
	_cleanup_error_ struct error *err = NULL;
	const char *op;

	if (control_recv(CTL_FD, &m, NULL, 0, NULL) < 0)
		_exit(1);
	op = json_string_value(json_object_get(m, "op"));
	if (!op || strcmp(op, "hello") != 0) {
		(void)error_msg(&err, -EINVAL, "this is a template: only restore --from-template and delete work on it");
		control_reply_error(CTL_FD, err);
		_exit(1);
	}
	control_reply(CTL_FD, NULL);
}

static _Noreturn void clone_main(struct template *t, int conn)
{
	static struct setup s;
	struct error *e = NULL;

	/* The template's own connection goes away with this, if it was still there. */
	if (conn != CTL_FD) {
		if (dup2(conn, CTL_FD) < 0)
			_exit(1);
		(void)close(conn);
	}
	(void)close(t->listen_fd);
	(void)prctl(PR_SET_NAME, "runsc-sandbox");
	memset(t->title, 0, t->title_room);
	greet();
	if (clone_up(t, &s, &e) < 0)
		boot_fail(e);
	boot_serve(&t->b);
}

/* --- the template --- */

/* fork(), but into a new pid namespace and as a child of the keeper. The C library's idea of the thread's number follows. */
static void make_clone(struct template *t, int conn)
{
	long pid = syscall(SYS_clone, (unsigned long)CLONE_FLAGS_CLONE, 0, NULL, t->tid, 0);

	if (pid == 0)
		clone_main(t, conn);
	if (pid < 0) {
		_cleanup_error_ struct error *err = NULL;
		_cleanup_(json_decrefp) json_t *m = NULL;

		(void)error_set(&err, -errno, "the template cannot fork");
		log_error("%s", error_text(err));
		if (control_recv(conn, &m, NULL, 0, NULL) == 0)
			control_reply_error(conn, err);
	}
	(void)close(conn);
}

/* The creator's connection: `keep`, or its end. Before the first, the second is ours. */
static bool creator_alive(struct template *t)
{
	_cleanup_(json_decrefp) json_t *m = NULL;
	const char *op;

	if (control_recv(CTL_FD, &m, NULL, 0, NULL) < 0) {
		if (!t->kept)
			_exit(1);
		(void)close(CTL_FD);
		return false;
	}
	op = json_string_value(json_object_get(m, "op"));
	if (op && !strcmp(op, "keep"))
		t->kept = true;
	control_reply(CTL_FD, NULL);
	return true;
}

static _Noreturn void serve(struct template *t)
{
	struct pollfd p[] = {{.fd = t->listen_fd, .events = POLLIN}, {.fd = CTL_FD, .events = POLLIN}};

	for (;;) {
		if (poll(p, ARRAY_SIZE(p), -1) < 0)
			continue; /* EINTR */
		if (p[1].revents && !creator_alive(t))
			p[1].fd = -1;
		if (p[0].revents) {
			int conn = accept4(t->listen_fd, NULL, NULL, SOCK_CLOEXEC);

			if (conn >= 0)
				make_clone(t, conn);
		}
	}
}

static size_t nr_open(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int load_image(struct template *t, const struct setup *s, struct error **err)
{
	struct sentry_image_fds img;
	struct sentry_restore_opts o = {0};
	size_t n = setup_image(s, s->fds + 1, &img), before = nr_open();
	int r = restore_opts_from_json(json_object_get(s->msg, "restore"), &o, err);

	if (r == 0)
		r = sentry_load_template(t->b.sentry, &img, &o, err);

	/* Page files are read by offset. A descriptor of any object would be one file for all clones: its type must load late. */
	if (r == 0 && nr_open() != before + 1 + s->nr_layers)
		r = error_msg(err, -EINVAL, "an object of the image was given a descriptor before there was a container");
	for (size_t i = 0; i < n; i++)
		(void)close(s->fds[1 + i]);
	return r;
}

static int template_up(struct template *t, struct setup *s, struct error **err)
{
	struct sentry_config cfg = {0};
	int r = isolate_unshare(/* host_net= */ false, err);

	if (r == 0)
		r = setup_receive(s, 1, err);
	if (r < 0)
		return r;
	(void)setsid();
	setup_log(s);
	t->listen_fd = s->fds[0];
	if (prctl(PR_GET_TID_ADDRESS, &t->tid) < 0)
		return error_set(err, -errno, "a template needs a host kernel with PR_GET_TID_ADDRESS (CONFIG_CHECKPOINT_RESTORE)");
	isolate_raise_limits();
	r = isolate_empty_root(setup_str(s, "emptyDir"), err);
	if (r == 0)
		r = isolate_drop_template(err);
	if (r == 0)
		r = setup_config(s, &cfg, err);
	if (r == 0)
		r = sentry_new_template(&cfg, &t->b.sentry, err);
	if (r == 0)
		r = seccomp_build_sentry(setup_bool(s, "debug"), &t->filter, err);
	if (r == 0)
		r = seccomp_install_template(setup_bool(s, "debug"), err);
	return r < 0 ? r : load_image(t, s, err);
}

int cmd_template(struct globals *g, int argc, char **argv, struct error **err)
{
	static struct template t = {.b = BOOT_INIT, .listen_fd = -EBADF};
	struct error *e = NULL;
	struct setup s = {0};

	/* What ps(1) shows: the same bytes for each clone, so long names are cut. */
	t.title = program_invocation_name;
	t.title_room = strlen(t.title);
	boot_begin(&t.b, "runsc-template");
	if (template_up(&t, &s, &e) < 0)
		boot_fail(e);
	control_reply(CTL_FD, NULL);
	json_decref(s.msg);
	serve(&t);
}
