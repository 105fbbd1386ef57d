/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `runsc keeper`: pid 1 of the pid namespace that a template and its clones live in, and where the clones' gofers come from. See
 * template.h.
 *
 * It has a gofer's capabilities and system calls, and reads no byte of anything but the ends of its children: each connection to it is
 * given to a fork, which becomes a gofer for the mounts that come as descriptors in its setup message. When the template is gone it
 * takes no more connections; when the last child is gone, too, it ends. It must not end before, since a pid namespace goes with its
 * pid 1.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/crash.h"
#include "base/fd_util.h"
#include "base/log.h"
#include "gofer/server/seccomp.h"
#include "runsc/cli.h"
#include "runsc/control.h"
#include "runsc/gofer_main.h"
#include "runsc/isolate.h"
#include "runsc/template.h"

#define TEMPLATE_PID 2 /* the first process of a pid namespace after its pid 1 */

struct keeper {
	int listen_fd, sig_fd, proc_fd;
	struct seccomp_prog filter; /* of each gofer */
	char *title;
	size_t title_room;
};

/* --- a gofer --- */

#define GOFER_FIXED_FDS 2 /* 9P, log */

static int take_exports(json_t *list, const int *fds, size_t nr_fds, struct gofer_export **ret, size_t *ret_n, struct error **err)
{
	size_t n = json_array_size(list);
	struct gofer_export *e;

	if (nr_fds != n)
		return error_msg(err, -EPROTO, "gofer: %zu descriptors for %zu exports", nr_fds, n);
	e = calloc(n ? n : 1, sizeof(*e));
	for (size_t i = 0; e && i < n; i++) {
		json_t *o = json_array_get(list, i);
		const char *aname = json_string_value(json_object_get(o, "aname"));

		e[i] = (struct gofer_export){aname ? aname : "", fds[i], gofer_export_flags(o)};
	}
	if (!e)
		return error_set(err, -ENOMEM, "gofer");
	*ret = e;
	*ret_n = n;
	return 0;
}

static int gofer_up(struct keeper *k, int *ret_sock, int *ret_proc, struct gofer_export **ret_e, size_t *ret_n,
		    struct error **err)
{
	json_t *m = NULL; /* lives as long as the process: export names point into it */
	int fds[FD_SEND_MAX];
	const char *id;
	size_t n = 0;
	int r = control_recv(CTL_FD, &m, fds, FD_SEND_MAX, &n);

	if (r < 0 || n < GOFER_FIXED_FDS)
		return error_set(err, r < 0 ? r : -EPROTO, "gofer: setup message");
	(void)setsid();
	if (dup2(fds[1], 2) < 0)
		return error_set(err, -errno, "log");
	(void)close(fds[1]);
	log_init(2, json_is_true(json_object_get(m, "debug")) ? LOG_LVL_DEBUG : LOG_LVL_ERROR);
	r = take_exports(json_object_get(m, "exports"), fds + GOFER_FIXED_FDS, n - GOFER_FIXED_FDS, ret_e, ret_n, err);
	if (r < 0)
		return r;
	/* Ours, not the keeper's. */
	*ret_proc = openat(k->proc_fd, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_proc < 0)
		return error_set(err, -errno, "gofer: /proc/self/fd");
	(void)close(k->proc_fd);
	*ret_sock = fds[0];
	id = json_string_value(json_object_get(m, "id"));
	(void)snprintf(k->title, k->title_room, "runsc-gofer: %.40s", id ? id : "");
	return seccomp_install_prog(&k->filter, err);
}

static _Noreturn void gofer_main(struct keeper *k, int conn)
{
	struct gofer_export *exports = NULL;
	_cleanup_(json_decrefp) json_t *hello = NULL;
	struct error *e = NULL;
	int sock = -EBADF, proc = -EBADF;
	sigset_t none;
	size_t n = 0;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_NAME, "runsc-gofer");
	memset(k->title, 0, k->title_room);
	(void)close(k->listen_fd);
	(void)close(k->sig_fd);
	if (dup2(conn, CTL_FD) < 0)
		_exit(1);
	(void)close(conn);
	if (control_recv(CTL_FD, &hello, NULL, 0, NULL) < 0)
		_exit(1);
	control_reply(CTL_FD, NULL);
	if (gofer_up(k, &sock, &proc, &exports, &n, &e) < 0) {
		log_error("%s", error_text(e));
		control_reply_error(CTL_FD, e);
		_exit(1);
	}
	gofer_run(sock, proc, exports, n);
}

/* --- the keeper --- */

static void make_gofer(struct keeper *k)
{
	int conn = accept4(k->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	pid_t pid = conn < 0 ? -1 : fork();

	if (pid == 0)
		gofer_main(k, conn);
	if (conn >= 0)
		(void)close(conn); /* without a fork the peer sees its end */
}

static void reap(struct keeper *k)
{
	struct signalfd_siginfo si;
	pid_t pid;

	while (read(k->sig_fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		;
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		if (pid != TEMPLATE_PID || k->listen_fd < 0)
			continue;
		(void)close(k->listen_fd);
		k->listen_fd = -EBADF;
	}
	if (pid < 0 && errno == ECHILD)
		_exit(0);
}

static _Noreturn void serve(struct keeper *k)
{
	reap(k); /* before the signal was watched */
	for (;;) {
		struct pollfd p[] = {{.fd = k->listen_fd, .events = POLLIN}, {.fd = k->sig_fd, .events = POLLIN}};

		if (poll(p, ARRAY_SIZE(p), -1) < 0)
			continue; /* EINTR */
		if (p[0].revents)
			make_gofer(k);
		if (p[1].revents)
			reap(k);
	}
}

static int watch_children(struct keeper *k, struct error **err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	k->sig_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return k->sig_fd < 0 ? error_set(err, -errno, "signalfd") : 0;
}

static int confine(struct keeper *k, const char *empty, bool trap, struct error **err)
{
	_cleanup_free_ int *nrs = gofer_syscall_list();
	int r;

	if (!nrs)
		return error_set(err, -ENOMEM, "keeper");
	r = isolate_empty_root(empty, err);
	if (r == 0)
		r = isolate_keep_caps(gofer_caps, err);
	if (r == 0)
		r = seccomp_build_list(nrs, nr_gofer_syscalls, trap, &k->filter, err);
	return r < 0 ? r : seccomp_install_keeper(nrs, nr_gofer_syscalls, trap, err);
}

static int keeper_up(struct keeper *k, struct error **err)
{
	_cleanup_(json_decrefp) json_t *m = NULL;
	const char *empty;
	size_t n = 0;
	int r = isolate_unshare(/* host_net= */ false, err);

	if (r == 0)
		r = watch_children(k, err);
	if (r < 0)
		return r;
	r = control_recv(CTL_FD, &m, &k->listen_fd, 1, &n);
	empty = json_string_value(json_object_get(m, "emptyDir"));
	if (r < 0 || n != 1 || !empty)
		return error_set(err, r < 0 ? r : -EPROTO, "keeper: setup message");
	(void)setsid();
	log_init(2, json_is_true(json_object_get(m, "debug")) ? LOG_LVL_DEBUG : LOG_LVL_ERROR);
	isolate_raise_limits();
	k->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (k->proc_fd < 0)
		return error_set(err, -errno, "keeper: /proc");
	return confine(k, empty, json_is_true(json_object_get(m, "debug")), err);
}

int cmd_keeper(struct globals *g, int argc, char **argv, struct error **err)
{
	static struct keeper k = {-EBADF, -EBADF, -EBADF};
	struct error *e = NULL;

	(void)prctl(PR_SET_NAME, "runsc-keeper");
	(void)signal(SIGPIPE, SIG_IGN);
	crash_init();
	k.title = program_invocation_name;
	k.title_room = strlen(k.title);
	if (keeper_up(&k, &e) < 0) {
		log_error("%s", error_text(e));
		control_reply_error(CTL_FD, e);
		_exit(1);
	}
	control_reply(CTL_FD, NULL);
	serve(&k);
}
