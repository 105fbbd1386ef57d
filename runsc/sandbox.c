/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a sandbox. Both processes are cloned first and set themselves up at the same time; they wait for their setup
 * message, so they can be put into the container's cgroup before they allocate anything or fork stubs.
 */
#include "runsc/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd_util.h"
#include "runsc/cgroup.h"
#include "runsc/control.h"
#include "runsc/gofer_main.h"
#include "runsc/isolate.h"
#include "runsc/mount_plan.h"
#include "runsc/template.h"

struct starting {
	int null_fd, sandbox_log, gofer_log;
	int ctl, gofer_ctl; /* our ends */
	int ctl_child, gofer_ctl_child;
	int p9[2]; /* sandbox, gofer */
	int listen_fd, exit_fd;
};

static void starting_done(struct starting *t)
{
	int *fds[] = {&t->null_fd,         &t->sandbox_log, &t->gofer_log, &t->ctl,       &t->gofer_ctl, &t->ctl_child,
		      &t->gofer_ctl_child, &t->p9[0],       &t->p9[1],     &t->listen_fd, &t->exit_fd};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		cleanup_closep(fds[i]);
}

int sandbox_open_log(const struct globals *g, const struct container *c, const char *who, char **ret_path, struct error **err)
{
	const char *dl = g->debug_log;
	_cleanup_free_ char *path = NULL;
	int fd, n;

	if (!dl || !dl[0]) {
		n = asprintf(&path, "%s/boot.log", c->dir);
	} else if (dl[strlen(dl) - 1] == '/') {
		fd = mkdir_parents(dl, 0755);
		if (fd < 0)
			return error_set(err, fd, "--debug-log %s", dl);
		n = asprintf(&path, "%s%s.%s.log", dl, c->id, who);
	} else {
		n = asprintf(&path, "%s", dl);
	}
	if (n < 0) {
		path = NULL;
		return error_set(err, -ENOMEM, "log");
	}
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0)
		return error_set(err, -errno, "log %s", path);
	if (ret_path) {
		free(*ret_path);
		*ret_path = TAKE_PTR(path);
	}
	return fd;
}

/* For processes that are executed; forks of a template have connections to it. */
static int open_control(struct starting *t, struct error **err)
{
	int sp[2];

	t->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (t->null_fd < 0)
		return error_set(err, -errno, "/dev/null");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		return error_set(err, -errno, "socketpair");
	t->ctl = sp[0];
	t->ctl_child = sp[1];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		return error_set(err, -errno, "socketpair");
	t->gofer_ctl = sp[0];
	t->gofer_ctl_child = sp[1];
	return 0;
}

static int open_all(const struct sandbox_start *s, struct starting *t, struct error **err)
{
	int r;

	t->sandbox_log = sandbox_open_log(s->g, s->c, "boot", &s->c->debug_log, err);
	if (t->sandbox_log < 0)
		return t->sandbox_log;
	t->gofer_log = sandbox_open_log(s->g, s->c, "gofer", NULL, err);
	if (t->gofer_log < 0)
		return t->gofer_log;
	r = s->from ? 0 : open_control(t, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, t->p9) < 0)
		return error_set(err, -errno, "socketpair");
	r = control_listen(s->c, CONTROL_SOCK, &t->listen_fd, err);
	if (r < 0)
		return r;
	t->exit_fd = openat(s->c->dirfd, "exit.json", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return t->exit_fd < 0 ? error_set(err, -errno, "%s/exit.json", s->c->dir) : 0;
}

/* A keeper has no mounts: those of a forked gofer come as descriptors. */
static int send_forked_gofer_setup(const struct sandbox_start *s, struct starting *t, json_t *exports, struct error **err)
{
	_cleanup_(json_decrefp) json_t *m = json_pack("{s:s, s:O, s:b}", "id", s->c->id, "exports", exports, "debug", s->g->debug);
	int fds[FD_SEND_MAX] = {t->p9[1], t->gofer_log};
	size_t n = 2, i;
	json_t *o;
	int r = m ? 0 : error_set(err, -ENOMEM, "gofer setup");

	json_array_foreach(exports, i, o)
	{
		const char *path = json_string_value(json_object_get(o, "path"));

		if (r == 0 && n == FD_SEND_MAX)
			r = error_msg(err, -E2BIG, "more than %d mounts of host files", FD_SEND_MAX - 2);
		if (r < 0)
			break;
		fds[n] = gofer_clone_mount(path, json_is_true(json_object_get(o, "recursive")));
		if (fds[n] < 0)
			r = error_set(err, fds[n], "gofer: %s", path);
		else
			n++;
	}
	if (r == 0) {
		r = control_send(t->gofer_ctl, m, fds, n);
		r = r < 0 && r != -EPIPE && r != -ECONNRESET ? error_set(err, r, "gofer setup") : 0;
	}
	for (i = 2; i < n; i++)
		(void)close(fds[i]);
	return r;
}

static int send_gofer_setup(const struct sandbox_start *s, struct starting *t, json_t *exports, struct error **err)
{
	_cleanup_(json_decrefp) json_t *m = json_pack("{s:s, s:O, s:b, s:s}", "id", s->c->id, "exports", exports,
						      "debug", s->g->debug, "emptyDir", s->c->dir);
	int r = m ? control_send(t->gofer_ctl, m, &t->p9[1], 1) : -ENOMEM;

	/* A gofer that died has left its reason, which the caller prefers. */
	return r < 0 && r != -EPIPE && r != -ECONNRESET ? error_set(err, r, "gofer setup") : 0;
}

/* An id may be longer than a host name. */
static int add_hostname(const struct sandbox_start *s, json_t *m)
{
	bool keep = !strcmp(s->hostname, HOSTNAME_KEEP);
	char name[65];

	(void)snprintf(name, sizeof(name), "%s", !strcmp(s->hostname, HOSTNAME_ID) ? s->c->id : s->hostname);
	return json_object_set_new(m, keep ? "keepHostname" : "hostname", keep ? json_true() : json_string(name));
}

static int send_sandbox_setup(const struct sandbox_start *s, struct starting *t, json_t *mounts, struct error **err)
{
	_cleanup_(json_decrefp) json_t *m = NULL;
	int fds[FD_SEND_MAX];
	size_t n = 0;
	int r;

	m = json_pack("{s:s, s:s, s:O, s:O, s:b, s:b, s:b, s:s, s:s, s:s, s:s, s:b}", "op",
		      s->from ? "clone" : s->image_fds ? "restore" : "create",
		      "id", s->c->id, "spec", s->spec->json, "mounts", mounts, "debug", s->g->debug, "log",
		      s->g->debug || s->g->strace || (s->g->debug_log && s->g->debug_log[0]), "strace", s->g->strace,
		      "straceCalls", s->g->strace_calls ? s->g->strace_calls : "", "straceComms",
		      s->g->strace_comms ? s->g->strace_comms : "",
		      "platform", s->g->platform ? s->g->platform : "", "emptyDir", s->c->dir, "rootless",
		      isolate_is_rootless(s->g->rootless));
	if (!m || ((s->from || s->image_fds) && json_object_set_new(m, "restore", restore_opts_to_json(s->restore)) < 0) ||
	    (s->image_fds && json_object_set_new(m, "layers", json_integer((json_int_t)s->nr_layers)) < 0) ||
	    (s->hostname && add_hostname(s, m) < 0))
		return error_set(err, -ENOMEM, "sandbox setup");
	fds[n++] = t->p9[0];
	fds[n++] = t->listen_fd;
	fds[n++] = t->exit_fd;
	for (int i = 0; i < 3; i++)
		fds[n++] = s->stdio[i];
	if (s->from)
		fds[n++] = t->sandbox_log;
	for (int i = 0; !s->from && s->image_fds && i < IMAGE_PARTS; i++)
		fds[n++] = s->image_fds[i];
	for (size_t i = 0; s->image_fds && i < s->nr_layers; i++) {
		fds[n++] = s->layers[i].index;
		fds[n++] = s->layers[i].pages;
	}
	if (!s->from && s->image_fds && s->restore->working_set != SENTRY_WORKING_SET_NONE)
		fds[n++] = s->restore->working_set_fd;
	if (s->nr_extra_fds > FD_SEND_MAX - n)
		return error_msg(err, -E2BIG, "--preserve-fds: more than %zu descriptors", FD_SEND_MAX - n);
	for (size_t i = 0; i < s->nr_extra_fds; i++)
		fds[n++] = s->extra_fds[i];
	r = control_send(t->ctl, m, fds, n);
	return r < 0 && r != -EPIPE && r != -ECONNRESET ? error_set(err, r, "sandbox setup") : 0;
}

void sandbox_describe_death(int status, char *buf, size_t n)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		(void)snprintf(buf, n,
			       "was killed by its system call filter (--debug --debug-log=FILE names the call)");
	else if (WIFSIGNALED(status))
		(void)snprintf(buf, n, "died: signal %d", WTERMSIG(status));
	else
		(void)snprintf(buf, n, "ended with status %d", WEXITSTATUS(status));
}

static void wait_briefly(pid_t pid)
{
	_cleanup_close_ int fd = pidfd_open(pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (fd >= 0)
		(void)poll(&p, 1, 1000);
}

/* The last line of the sandbox's log, which goes with the container that was not made. */
static void last_words(const struct container *c, char *buf, size_t n)
{
	_cleanup_free_ char *text = NULL;
	char *line;
	size_t len;

	buf[0] = '\0';
	if (!c->debug_log || read_file_at(AT_FDCWD, c->debug_log, 16 << 20, &text, &len) < 0)
		return;
	while (len && text[len - 1] == '\n')
		text[--len] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	/* "E 1795978542.992665 what happened" */
	if (line[0] && line[1] == ' ' && strchr(line + 2, ' '))
		line = strchr(line + 2, ' ') + 1;
	(void)snprintf(buf, n, "%s", line);
	for (char *p = buf; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
}

/* The sandbox closed its connection without an answer, or answered with an error that may be the gofer's fault. */
static int explain_failure(const struct sandbox_start *s, struct starting *t, int r, struct error **err)
{
	_cleanup_(json_decrefp) json_t *m = NULL;
	struct pollfd pfd = {.fd = t->gofer_ctl, .events = POLLIN};
	char how[120], words[300];
	int status;

	if (poll(&pfd, 1, 0) == 1 && control_recv(t->gofer_ctl, &m, NULL, 0, NULL) == 0) {
		const char *text = json_string_value(json_object_get(m, "error"));

		if (text)
			return error_msg(err, (int)json_integer_value(json_object_get(m, "code")), "%s", text);
	}
	if (r != -ECONNRESET)
		return r;
	if (s->from) { /* nobody's child here */
		proc_kill(&s->c->sandbox);
		return error_msg(err, -EIO, "container %s: the sandbox ended without an answer (its log: %s)", s->c->id,
				 s->c->debug_log);
	}
	/* It has closed its only line to us: it is dead or as good as, but how it dies is worth knowing. */
	wait_briefly(s->c->sandbox.pid);
	(void)kill(s->c->sandbox.pid, SIGKILL);
	if (waitpid(s->c->sandbox.pid, &status, 0) == s->c->sandbox.pid) {
		s->c->sandbox = (struct proc_id){0}; /* from now on the number may be another's */
		sandbox_describe_death(status, how, sizeof(how));
		last_words(s->c, words, sizeof(words));
		return error_msg(err, -EIO, "container %s: the sandbox %s%s%s", s->c->id, how, words[0] ? ": " : "", words[0] ? words : " (--debug-log=FILE keeps its log)");
	}
	return r;
}

/*
 * Which network the sandbox gets. --network=host: the namespace that config.json names by path, as an engine does that has prepared one, else
 * the caller's; an entry without path, which every default config.json has, asks for nothing. Otherwise a new, empty one.
 */
static int choose_network(const struct sandbox_start *s, struct spawn *sandbox, struct error **err)
{
	const struct oci_linux *l = &s->spec->lnx;

	if (strcmp(s->g->network, "host") != 0)
		return 0;
	sandbox->arg = BOOT_HOST_NET;
	for (size_t i = 0; i < l->nr_namespaces; i++) {
		if (strcmp(l->namespaces[i].type, "network") != 0 || !l->namespaces[i].path[0])
			continue;
		sandbox->netns = open(l->namespaces[i].path, O_RDONLY | O_CLOEXEC);
		if (sandbox->netns < 0)
			return error_set(err, -errno, "linux.namespaces: network namespace %s", l->namespaces[i].path);
	}
	return 0;
}

static int spawn_both(const struct sandbox_start *s, struct starting *t, struct error **err)
{
	char title[64], gofer_title[64];
	struct spawn sandbox = {title, "boot", NULL, -EBADF, false, t->ctl_child, t->sandbox_log, t->null_fd};
	struct spawn gofer = {gofer_title, "gofer", NULL, -EBADF, false, t->gofer_ctl_child, t->gofer_log, t->null_fd};
	pid_t pid, gofer_pid;
	int r = choose_network(s, &sandbox, err);

	if (r < 0)
		return r;

	(void)snprintf(title, sizeof(title), "runsc-sandbox: %.40s", s->c->id);
	(void)snprintf(gofer_title, sizeof(gofer_title), "runsc-gofer: %.40s", s->c->id);
	r = spawn_pair(&sandbox, &gofer, isolate_is_rootless(s->g->rootless), &pid, &gofer_pid, err);
	cleanup_closep(&sandbox.netns);
	if (r < 0)
		return r;
	s->c->gofer.pid = gofer_pid;
	r = proc_identify(pid, &s->c->sandbox);
	if (r < 0) /* nobody could find it again; the caller ends it */
		r = error_set(err, r, "/proc/%d/stat", (int)pid);
	s->c->sandbox.pid = pid;
	/* From here an end of file on our side means that the process is gone. */
	cleanup_closep(&t->ctl_child);
	t->ctl_child = -EBADF;
	cleanup_closep(&t->gofer_ctl_child);
	t->gofer_ctl_child = -EBADF;
	return r;
}

/* Forks of a template and of its keeper, which begin at the same time. */
static int fork_both(const struct sandbox_start *s, struct starting *t, struct error **err)
{
	pid_t pid = 0;
	char path[48], num[16];
	int r = control_fork_begin(s->from, CONTROL_SOCK, &t->ctl, err);

	if (r == 0)
		r = control_fork_begin(s->from, TEMPLATE_GOFER_SOCK, &t->gofer_ctl, err);
	if (r == 0)
		r = control_fork_end(t->ctl, &pid, err);
	if (r == 0 && proc_identify(pid, &s->c->sandbox) < 0)
		r = error_msg(err, -EIO, "the fork ended at once");
	if (r == 0)
		r = control_fork_end(t->gofer_ctl, &s->c->gofer.pid, err);
	if (r < 0)
		return error_prefix(err, "template %s", s->from->id);
	if (s->spec->process->has_oom) { /* a sandbox that is executed does it itself */
		(void)snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
		(void)snprintf(num, sizeof(num), "%d", s->spec->process->oom_score_adj);
		(void)!write_string_at(AT_FDCWD, path, num);
	}
	return 0;
}

/* The gofer goes with its pid namespace's init, the sandbox, or with its connection to it. */
static void reap_failed(const struct sandbox_start *s)
{
	struct container *c = s->c;

	if (s->from) {
		proc_kill(&c->sandbox);
	} else if (c->sandbox.pid > 0) {
		(void)kill(c->sandbox.pid, SIGKILL);
		(void)waitpid(c->sandbox.pid, NULL, 0);
	}
	c->sandbox = c->gofer = (struct proc_id){0};
}

static int start_and_wait(const struct sandbox_start *s, struct starting *t, json_t **ret_answer, struct error **err)
{
	_cleanup_mount_plan_ struct mount_plan plan = {0};
	_cleanup_(json_decrefp) json_t *a = NULL;
	const char *text;
	int r;

	r = mount_plan_make(s->g, s->spec, s->c->bundle, s->c->rootfs, &plan, err);
	if (r == 0)
		r = open_all(s, t, err);
	if (r == 0)
		r = s->from ? fork_both(s, t, err) : spawn_both(s, t, err);
	if (r == 0)
		r = cgroup_create(s->g, s->c, s->spec, err);
	if (r == 0)
		r = s->from ? send_forked_gofer_setup(s, t, plan.exports, err) : send_gofer_setup(s, t, plan.exports, err);
	if (r == 0)
		r = send_sandbox_setup(s, t, plan.mounts, err);
	if (r < 0)
		return r;
	/* Their ends must live only in the children, or nobody would see the other die. */
	cleanup_closep(&t->p9[0]);
	cleanup_closep(&t->p9[1]);
	cleanup_closep(&t->listen_fd);
	t->p9[0] = t->p9[1] = t->listen_fd = -EBADF;
	r = control_recv(t->ctl, &a, NULL, 0, NULL);
	if (r < 0)
		return explain_failure(s, t, r == -EPROTO ? r : -ECONNRESET, err);
	text = json_string_value(json_object_get(a, "error"));
	if (text) {
		r = error_msg(err, (int)json_integer_value(json_object_get(a, "code")), "sandbox: %s", text);
		return explain_failure(s, t, r == -ECONNRESET ? -EIO : r, err);
	}
	if (ret_answer)
		*ret_answer = TAKE_PTR(a);
	return 0;
}

int sandbox_create(const struct sandbox_start *s, int *ret_ctl, json_t **ret_answer, struct error **err)
{
	_cleanup_(starting_done) struct starting t = {-EBADF, -EBADF, -EBADF,           -EBADF, -EBADF,
						      -EBADF, -EBADF, {-EBADF, -EBADF}, -EBADF, -EBADF};
	int r = start_and_wait(s, &t, ret_answer, err);

	if (r < 0) {
		reap_failed(s);
		cgroup_remove(s->c);
		return r;
	}
	*ret_ctl = TAKE_FD(t.ctl);
	return 0;
}
