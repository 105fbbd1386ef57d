/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runsc exec: one more process in a running container. In the foreground we relay and return its status; with --detach
 * a proxy process stays behind whose pid goes to the pid file: signals sent to it go to the process, its exit status is
 * the process's, and killing it (even with SIGKILL) kills the process, because the sandbox sees its connection close.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/fd_util.h"
#include "runsc/control.h"
#include "runsc/foreground.h"
#include "runsc/lifecycle.h"

struct exec_opts {
	const char *process, *user, *cwd, *pid_file, *console_socket;
	struct flag_list env, caps, gids;
	bool tty, detach, no_new_privs, ignore_paused;
	int64_t preserve_fds;
};

/* --- the process to run, as OCI JSON --- */

static int load_process_file(const char *path, json_t **ret, struct error **err)
{
	_cleanup_free_ char *text = NULL;
	json_error_t je;
	size_t len;
	int r = !strcmp(path, "-") ? read_fd_all(0, OCI_FILE_MAX, &text, &len)
				   : read_file_at(AT_FDCWD, path, OCI_FILE_MAX, &text, &len);

	if (r < 0)
		return error_set(err, r, "--process %s", path);
	*ret = json_loadb(text, len, 0, &je);
	if (!*ret)
		return error_msg(err, -EINVAL, "--process %s: line %d: %s", path, je.line, je.text);
	return json_is_object(*ret) ? 0 : error_msg(err, -EINVAL, "--process %s: must be an object", path);
}

static void inherit(json_t *p, json_t *from, const char *key)
{
	json_t *v = json_object_get(from, key);

	if (v && !json_object_get(p, key))
		(void)json_object_set_new(p, key, json_deep_copy(v));
}

static int set_user(json_t *p, const struct exec_opts *o, struct error **err)
{
	json_t *user = json_object_get(p, "user");
	unsigned int uid, gid;
	int n = 0;

	if (!user) {
		user = json_object();
		(void)json_object_set_new(p, "user", user);
	}
	if (o->user) {
		int k = sscanf(o->user, "%u%n:%u%n", &uid, &n, &gid, &n);

		if (k < 1 || o->user[n])
			return error_msg(err, -EINVAL, "--user: \"%s\" is not UID or UID:GID", o->user);
		(void)json_object_set_new(user, "uid", json_integer(uid));
		if (k == 2)
			(void)json_object_set_new(user, "gid", json_integer(gid));
		/* The groups belong to the user of config.json. */
		(void)json_object_del(user, "additionalGids");
	}
	if (o->gids.n) {
		json_t *a = json_array();

		(void)json_object_set_new(user, "additionalGids", a);
		for (size_t i = 0; i < o->gids.n; i++)
			(void)json_array_append_new(a, json_integer(strtol(o->gids.v[i], NULL, 10)));
	}
	return 0;
}

static int add_caps(json_t *p, const struct exec_opts *o, struct error **err)
{
	static const char *const sets[] = {"bounding", "effective", "permitted", "inheritable"};
	json_t *caps = json_object_get(p, "capabilities");

	if (!o->caps.n)
		return 0;
	if (!caps) {
		caps = json_object();
		(void)json_object_set_new(p, "capabilities", caps);
	}
	for (size_t i = 0; i < o->caps.n; i++) {
		int cap = oci_cap_number(o->caps.v[i]);

		if (cap < 0)
			return error_msg(err, -EINVAL, "--cap: \"%s\" is not a capability", o->caps.v[i]);
		for (size_t k = 0; k < ARRAY_SIZE(sets); k++) {
			json_t *a = json_object_get(caps, sets[k]);

			if (!a) {
				a = json_array();
				(void)json_object_set_new(caps, sets[k], a);
			}
			(void)json_array_append_new(a, json_string(oci_cap_name((unsigned int)cap)));
		}
	}
	return 0;
}

static int process_from_flags(const struct exec_opts *o, json_t *init, char **args, json_t **ret, struct error **err)
{
	json_t *p = json_deep_copy(init), *a = json_array(), *env;
	int r;

	*ret = p;
	for (; *args; args++)
		if (json_array_append_new(a, json_string(*args)) < 0) {
			json_decref(a);
			return error_msg(err, -EILSEQ, "an argument is not UTF-8");
		}
	(void)json_object_set_new(p, "args", a);
	(void)json_object_set_new(p, "terminal", json_boolean(o->tty));
	(void)json_object_del(p, "consoleSize");
	if (o->cwd)
		(void)json_object_set_new(p, "cwd", json_string(o->cwd));
	if (o->no_new_privs)
		(void)json_object_set_new(p, "noNewPrivileges", json_true());
	env = json_object_get(p, "env");
	if (!env) {
		env = json_array();
		(void)json_object_set_new(p, "env", env);
	}
	for (size_t i = 0; i < o->env.n; i++)
		(void)json_array_append_new(env, json_string(o->env.v[i]));
	r = set_user(p, o, err);
	return r < 0 ? r : add_caps(p, o, err);
}

static int build_process(const struct exec_opts *o, const struct container *c, char **args, json_t **ret, bool *ret_tty,
			 struct error **err)
{
	_cleanup_oci_spec_ struct oci_spec *spec = NULL;
	struct oci_process *parsed;
	struct arena a = {0};
	json_t *init;
	int r = container_load_spec(c, &spec, err);

	if (r < 0)
		return r;
	init = json_object_get(spec->json, "process");
	if (o->process) {
		r = load_process_file(o->process, ret, err);
		if (r < 0)
			return r;
		inherit(*ret, init, "capabilities");
		inherit(*ret, init, "rlimits");
		if (o->tty)
			(void)json_object_set_new(*ret, "terminal", json_true());
	} else {
		r = process_from_flags(o, init, args, ret, err);
		if (r < 0)
			return r;
	}
	process_add_home(*ret, c->rootfs);
	r = oci_process_from_json(*ret, o->process ? "process" : "exec", &a, &parsed, err);
	if (r == 0 && (!parsed->args || !parsed->args[0]))
		r = error_msg(err, -EINVAL,
			      "there is no command to run (usage: runsc exec [flags] ID COMMAND [ARG...])");
	if (r == 0)
		*ret_tty = parsed->terminal;
	arena_done(&a);
	return r;
}

/* --- waiting for it --- */

static int read_exit(int sock)
{
	_cleanup_(json_decrefp) json_t *m = NULL;
	json_t *v;
	int status;

	if (control_recv(sock, &m, NULL, 0, NULL) < 0)
		return -ECONNRESET;
	v = json_object_get(m, "exit");
	if (!json_is_integer(v))
		return -EPROTO;
	status = (int)json_integer_value(v);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void send_winsize(const struct container *c, pid_t pid, int tty)
{
	struct winsize ws;

	if (ioctl(tty, TIOCGWINSZ, &ws) == 0 &&
	    control_once(c,
			 json_pack("{s:s, s:i, s:i, s:i}", "op", "winsize", "pid", (int)pid, "rows", (int)ws.ws_row,
				   "cols", (int)ws.ws_col),
			 NULL, NULL) < 0)
		return; /* it has ended */
}

/* The detached proxy. @slave: the process's host terminal, to learn window sizes from; -1: none. */
static _Noreturn void proxy(const struct container *c, int sock, pid_t pid, int slave, int ready)
{
	struct signalfd_siginfo si;
	sigset_t all;
	int sigfd, code;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)setsid();
	if (slave >= 0)
		(void)ioctl(slave, TIOCSCTTY, 0);
	sigfd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	/* The process's output must not be kept open by us. */
	for (int i = 0; i < 3; i++) {
		int nul = open("/dev/null", O_RDWR | O_CLOEXEC);

		if (nul >= 0 && nul != i) {
			(void)dup2(nul, i);
			(void)close(nul);
		}
	}
	(void)prctl(PR_SET_NAME, "runsc-exec");
	(void)close(ready);
	for (;;) {
		struct pollfd p[2] = {{.fd = sock, .events = POLLIN}, {.fd = sigfd, .events = POLLIN}};

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		while (read(sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
			if (si.ssi_signo == SIGWINCH)
				send_winsize(c, pid, slave);
			else if (si.ssi_signo != SIGCHLD &&
				 control_once(c,
					      json_pack("{s:s, s:i, s:i}", "op", "kill", "signal", (int)si.ssi_signo,
							"pid", (int)pid),
					      NULL, NULL) < 0)
				continue; /* it has ended: its status is on the way */
		}
		if (p[0].revents)
			break;
	}
	code = read_exit(sock);
	_exit(code < 0 ? 128 + SIGKILL : code);
}

static int detach(struct container *c, const struct exec_opts *o, int sock, pid_t pid, int slave, struct error **err)
{
	int ready[2], r;
	pid_t child;
	char dummy;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return error_set(err, -errno, "exec");
	child = fork();
	if (child < 0)
		return error_set(err, -errno, "exec: proxy process");
	if (child == 0) {
		(void)close(ready[0]);
		/* Only what the proxy uses stays open: sock, slave, the state directory, ready. */
		for (int fd = 3; fd < 1024; fd++)
			if (fd != sock && fd != slave && fd != c->dirfd && fd != ready[1])
				(void)close(fd);
		proxy(c, sock, pid, slave, ready[1]);
	}
	(void)close(ready[1]);
	/* Signals must not hit a proxy that does not forward them yet. */
	while (read(ready[0], &dummy, 1) < 0 && errno == EINTR)
		;
	(void)close(ready[0]);
	r = write_pid_file(o->pid_file, child, err);
	if (r < 0)
		(void)kill(child, SIGKILL);
	return r;
}

static int wait_foreground(struct container *c, int sock, pid_t pid, int master, int sigfd, struct error **err)
{
	struct tty_relay relay;
	bool tty = master >= 0;
	int code;

	if (tty)
		tty_relay_start(&relay, master);
	foreground_loop(sock, sigfd, c, pid, tty ? &relay : NULL);
	if (tty) {
		tty_relay_drain(&relay);
		tty_relay_stop(&relay);
	}
	code = read_exit(sock);
	if (code < 0)
		return error_msg(err, -EIO, "container %s: the sandbox died (its log: %s)", c->id, c->debug_log);
	return code;
}

static int run_exec(const struct globals *g, struct container *c, const struct exec_opts *o, json_t *process, bool tty,
		    struct error **err)
{
	_cleanup_close_ int sock = -EBADF;
	_cleanup_close_ int master = -EBADF;
	_cleanup_close_ int slave = -EBADF;
	_cleanup_close_ int sigfd = -EBADF;
	_cleanup_(json_decrefp) json_t *answer = NULL;
	_cleanup_free_ int *extra = NULL;
	bool to_socket = o->console_socket && o->console_socket[0];
	int fds[FD_SEND_MAX] = {0, 1, 2};
	size_t nr = 3, nr_extra;
	pid_t pid;
	int r;

	if (tty && o->detach && !to_socket)
		return error_msg(err, -EINVAL, "a detached process with a terminal needs --console-socket");
	r = collect_preserved_fds(o->preserve_fds, &extra, &nr_extra, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < nr_extra && nr < FD_SEND_MAX; i++)
		fds[nr++] = extra[i];
	r = control_connect(c, &sock, err);
	if (r == 0 && tty) {
		r = tty_open_pair(0, 0, &master, &slave, err);
		fds[0] = fds[1] = fds[2] = slave;
		if (r == 0 && to_socket)
			r = tty_send_master(o->console_socket, master, err);
	}
	if (r == 0 && !o->detach)
		sigfd = foreground_signals();
	if (r == 0)
		r = control_call(sock, json_pack("{s:s, s:O}", "op", "exec", "process", process), fds, nr, &answer,
				 err);
	if (r < 0)
		return r;
	pid = (pid_t)json_integer_value(json_object_get(answer, "pid"));
	/* The container may be frozen, checkpointed or deleted while the process runs. */
	cleanup_closep(&c->lockfd);
	c->lockfd = -EBADF;
	if (o->detach) {
		cleanup_closep(&master);
		master = -EBADF;
		return detach(c, o, sock, pid, slave, err);
	}
	r = write_pid_file(o->pid_file, getpid(), err);
	if (r < 0)
		return r;
	/* The slave must live only in the sandbox, or the end of output would never be seen. */
	cleanup_closep(&slave);
	slave = -EBADF;
	return wait_foreground(c, sock, pid, to_socket ? -1 : master, sigfd, err);
}

int cmd_exec(struct globals *g, int argc, char **argv, struct error **err)
{
	struct exec_opts o = {0};
	const struct flag flags[] = {
		{"process", 'p', FLAG_STR, &o.process, "FILE", "the whole process as OCI JSON"},
		{"detach", 'd', FLAG_BOOL, &o.detach, NULL, "do not wait; a proxy process stays"},
		{"tty", 't', FLAG_BOOL, &o.tty, NULL, "give it a terminal"},
		{"user", 'u', FLAG_STR, &o.user, "UID[:GID]", "run as"},
		{"additional-gids", 'g', FLAG_LIST, &o.gids, "GID", "supplementary group"},
		{"cwd", 0, FLAG_STR, &o.cwd, "DIR", "working directory"},
		{"env", 'e', FLAG_LIST, &o.env, "NAME=value", "add to the environment"},
		{"cap", 'c', FLAG_LIST, &o.caps, "CAP", "add a capability"},
		{"no-new-privs", 0, FLAG_BOOL, &o.no_new_privs, NULL, "set no_new_privs"},
		{"pid-file", 0, FLAG_STR, &o.pid_file, "FILE", "gets the pid whose exit status is the process's"},
		{"console-socket", 0, FLAG_STR, &o.console_socket, "SOCK", "receives the terminal's master"},
		{"preserve-fds", 0, FLAG_INT, &o.preserve_fds, "N", "pass descriptors 3..3+N-1"},
		{"ignore-paused", 0, FLAG_BOOL, &o.ignore_paused, NULL, "also in a paused container"},
		{"process-label", 0, FLAG_NOP_STR, NULL, NULL, "no effect: no LSM inside the sandbox"},
		{"apparmor", 0, FLAG_NOP_STR, NULL, NULL, "no effect: no LSM inside the sandbox"},
		{"cgroup", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"pidfd-socket", 0, FLAG_NOP_STR, NULL, NULL, "accepted, not used"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_container_ struct container *c = NULL;
	_cleanup_(json_decrefp) json_t *process = NULL;
	bool tty = false;
	int r = cmd_parse("exec", flags, FLAGS_BEFORE_COMMAND, 1, SIZE_MAX, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	r = container_open(g, rest.args[0], CONTAINER_SHARED, &c, err);
	if (r < 0)
		return r;
	if (c->status == CONTAINER_STOPPED || c->status == CONTAINER_CREATING)
		return error_msg(err, -ESRCH, "container not running: \"%s\" is %s", c->id,
				 container_status_name(c->status));
	if (c->status == CONTAINER_PAUSED && !o.ignore_paused)
		return error_msg(err, -EBUSY, "container %s is paused (resume it, or use --ignore-paused)", c->id);
	r = build_process(&o, c, rest.args + 1, &process, &tty, err);
	if (r == 0)
		r = run_exec(g, c, &o, process, tty, err);
	flag_list_done(&o.env);
	flag_list_done(&o.caps);
	flag_list_done(&o.gids);
	return r;
}
