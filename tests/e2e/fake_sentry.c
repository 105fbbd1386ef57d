/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test double for sentry/: runs the container's processes natively on the host, with the host's root. It lets the
 * command line, the control protocol and the life cycle be tested without a kernel of ours. Linked only into
 * build/runsc-fake.
 *
 * A helper is forked before the sandbox gives up its privileges (by a constructor, in the `boot` process only) and does
 * what the sandbox may not: fork, exec, kill. Each process has a supervisor that waits for a byte, runs the command and
 * writes the wait status to a socket.
 */
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd_util.h"
#include "base/mutex.h"
#include "gofer/client/p9_client.h"
#include "runsc/cli.h"
#include "runsc/control.h"
#include "sentry/sentry.h"

#define MAX_PROCS 1024

static int helper = -1;

struct sentry {
	struct mutex lock; /* the helper's socket and procs[] */
	struct cond changed;
	struct {
		pid_t pid;
		int fd; /* status socket */
		bool waiting, done;
		int status;
	} procs[MAX_PROCS]; /* [0] is init */
	size_t n;
};

/* --- the helper --- */

static char **to_strv(json_t *a)
{
	size_t n = json_array_size(a);
	char **v = calloc(n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = strdup(json_string_value(json_array_get(a, i)));
	return v;
}

static _Noreturn void supervise(json_t *m, int *fds, size_t nr_fds, int sock)
{
	int status, gate[2];
	char c;
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC) < 0)
		_exit(1);
	pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < nr_fds; i++)
			fds[i] = fcntl(fds[i], F_DUPFD, 300);
		if (read(gate[0], &c, 1) != 1)
			_exit(1);
		for (size_t i = 0; i < nr_fds; i++)
			(void)dup2(fds[i], (int)i);
		(void)close_range((unsigned int)nr_fds, ~0U, 0);
		(void)setsid();
		if (chdir(json_string_value(json_object_get(m, "cwd"))) < 0)
			_exit(126);
		environ = to_strv(json_object_get(m, "env"));
		(void)execvp(json_string_value(json_array_get(json_object_get(m, "args"), 0)),
			     to_strv(json_object_get(m, "args")));
		_exit(127);
	}
	for (size_t i = 0; i < nr_fds; i++)
		(void)close(fds[i]);
	(void)prctl(PR_SET_NAME, "fake-super");
	if (write(sock, &pid, sizeof(pid)) != sizeof(pid) || read(sock, &c, 1) != 1 || write(gate[1], &c, 1) != 1)
		_exit(1);
	(void)waitpid(pid, &status, 0);
	(void)!write(sock, &status, sizeof(status));
	_exit(0);
}

static _Noreturn void help(int sock)
{
	(void)signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fds[FD_SEND_MAX], sp[2], r = 0;
		size_t n = 0;
		json_t *m;

		if (control_recv(sock, &m, fds, FD_SEND_MAX, &n) < 0)
			_exit(0);
		if (json_object_get(m, "args")) {
			if (socketpair(AF_UNIX, SOCK_STREAM, 0, sp) < 0)
				_exit(1);
			if (fork() == 0) {
				(void)signal(SIGCHLD, SIG_DFL);
				(void)close(sock);
				(void)close(sp[0]);
				supervise(m, fds, n, sp[1]);
			}
			(void)close(sp[1]);
			if (send_with_fds(sock, "p", 1, &sp[0], 1) < 0)
				_exit(1);
			(void)close(sp[0]);
		} else {
			r = kill((pid_t)json_integer_value(json_object_get(m, "pid")),
				 (int)json_integer_value(json_object_get(m, "sig"))) < 0
				    ? -errno
				    : 0;
			if (write_all(sock, &r, sizeof(r)) < 0)
				_exit(1);
		}
		for (size_t i = 0; i < n; i++)
			(void)close(fds[i]);
		json_decref(m);
	}
}

__attribute__((constructor)) static void fork_helper(int argc, char **argv)
{
	int sp[2];
	char c;

	if (argc < 2 || strcmp(argv[1], "boot") != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		return;
	if (fork() == 0) {
		(void)close(sp[0]);
		(void)close(3);             /* the creator's connection */
		(void)unshare(CLONE_NEWNS); /* or the sandbox's pivot_root would take our root along */
		(void)!write(sp[1], "r", 1);
		help(sp[1]);
	}
	(void)close(sp[1]);
	(void)!read(sp[0], &c, 1);
	helper = sp[0];
}

/* --- sentry.h --- */

int sentry_new(const struct sentry_config *cfg, struct sentry **ret, struct error **err)
{
	struct sentry *s = calloc(1, sizeof(*s));

	if (cfg->platform && !strcmp(cfg->platform, "broken"))
		return error_msg(err, -ENODEV, "platform \"broken\" cannot start here");
	mutex_init(&s->lock, "fake.lock");
	cond_init(&s->changed);
	*ret = s;
	return 0;
}

int sentry_new_template(const struct sentry_config *cfg, struct sentry **ret, struct error **err)
{
	return error_msg(err, -ENOSYS, "templates need our kernel");
}

int sentry_load_template(struct sentry *s, const struct sentry_image_fds *fds, const struct sentry_restore_opts *verify, struct error **err)
{
	return error_msg(err, -ENOSYS, "templates need our kernel");
}

int sentry_own_clone(struct sentry *s, const struct sentry_config *cfg, struct error **err)
{
	return error_msg(err, -ENOSYS, "templates need our kernel");
}

static json_t *from_strv(char *const *v)
{
	json_t *a = json_array();

	for (; *v; v++)
		(void)json_array_append_new(a, json_string(*v));
	return a;
}

static int spawn(struct sentry *s, const struct sentry_process *p, struct error **err)
{
	json_t *m = json_pack("{s:o, s:o, s:s}", "args", from_strv(p->args), "env", from_strv(p->env), "cwd", p->cwd);
	int fds[FD_SEND_MAX], st = -1;
	size_t n = 3, got = 0;
	char c;

	memcpy(fds, p->stdio, sizeof(p->stdio));
	for (size_t i = 0; i < p->nr_extra_fds; i++)
		fds[n++] = p->extra_fds[i];
	mutex_guard(&s->lock);
	if (s->n == MAX_PROCS)
		return error_msg(err, -EAGAIN, "fake: too many processes");
	if (control_send(helper, m, fds, n) < 0 || recv_with_fds(helper, &c, 1, &st, 1, &got) != 1 || got != 1 ||
	    read_exact(st, &s->procs[s->n].pid, sizeof(pid_t)) < 0)
		return error_msg(err, -EIO, "fake: helper");
	json_decref(m);
	/* On success they are ours; stdio may be one descriptor three times. */
	for (size_t i = 0; i < n; i++)
		if (i == 0 || fds[i] != fds[i - 1])
			(void)close(fds[i]);
	s->procs[s->n].fd = st;
	return (int)s->n++;
}

/* The gofer is not used to run anything, but it must be there, serve every mount and donate descriptors. */
static int try_gofer(const struct sentry_container *c, struct error **err)
{
	struct p9_client *p9 = NULL;
	struct p9_attr attr;
	uint32_t fid, etc, passwd;
	char buf[16];
	int r = p9_client_new(c->gofer_fd, &p9), fd;

	if (r < 0)
		return error_set(err, r, "gofer");
	for (size_t i = 0; i < c->nr_mounts && r == 0; i++) {
		if (c->mounts[i].kind != SENTRY_MOUNT_GOFER)
			continue;
		r = p9_attach(p9, c->mounts[i].aname, &fid, &attr);
		if (r < 0)
			return error_set(err, r, "attach %s: %s", c->mounts[i].aname, p9_client_error(p9));
		if (i == 0 && p9_lookup(p9, fid, "etc", &etc, &attr) == 0 &&
		    p9_lookup(p9, etc, "passwd", &passwd, &attr) == 0) {
			fd = p9_openfd(p9, passwd, O_RDONLY);
			if (fd < 0 || pread(fd, buf, sizeof(buf), 0) <= 0)
				return error_set(err, fd < 0 ? fd : -EIO, "gofer: etc/passwd");
			(void)close(fd);
		}
	}
	return r;
}

int sentry_create_container(struct sentry *s, const struct sentry_container *c, struct error **err)
{
	int r = try_gofer(c, err);

	if (r == 0)
		r = spawn(s, &c->process, err);
	return r < 0 ? r : 0;
}

int sentry_start(struct sentry *s, const char *id, struct error **err)
{
	return write(s->procs[0].fd, "g", 1) == 1 ? 0 : error_msg(err, -ESRCH, "fake: init is gone");
}

int sentry_exec(struct sentry *s, const char *id, const struct sentry_process *p, pid_t *ret_pid, struct error **err)
{
	int i = spawn(s, p, err);

	if (i < 0)
		return i;
	*ret_pid = s->procs[i].pid;
	return write(s->procs[i].fd, "g", 1) == 1 ? 0 : error_msg(err, -ESRCH, "fake: gone");
}

static int find(struct sentry *s, pid_t pid)
{
	for (size_t i = 0; i < s->n; i++)
		if (pid == 0 || s->procs[i].pid == pid)
			return (int)i;
	return -ESRCH;
}

int sentry_wait(struct sentry *s, const char *id, pid_t pid, int *ret_status, struct error **err)
{
	int i;

	mutex_lock(&s->lock);
	i = find(s, pid);
	if (i < 0) {
		mutex_unlock(&s->lock);
		return error_msg(err, -ESRCH, "no such process");
	}
	while (s->procs[i].waiting)
		cond_wait(&s->changed, &s->lock);
	if (!s->procs[i].done) {
		s->procs[i].waiting = true;
		mutex_unlock(&s->lock);
		if (read_exact(s->procs[i].fd, &s->procs[i].status, sizeof(int)) < 0)
			s->procs[i].status = SIGKILL;
		mutex_lock(&s->lock);
		s->procs[i].waiting = false;
		s->procs[i].done = true;
		cond_broadcast(&s->changed);
	}
	*ret_status = s->procs[i].status;
	mutex_unlock(&s->lock);
	return 0;
}

int sentry_kill(struct sentry *s, const char *id, pid_t pid, bool all, int sig, struct error **err)
{
	json_t *m;
	int i, r = -ESRCH;

	mutex_guard(&s->lock);
	i = find(s, pid);
	if (i < 0 || s->procs[i].done)
		return error_msg(err, -ESRCH, "no such process");
	m = json_pack("{s:i, s:i}", "pid", all ? -1 : (int)s->procs[i].pid, "sig", sig);
	if (control_send(helper, m, NULL, 0) < 0 || read_exact(helper, &r, sizeof(r)) < 0)
		r = -ESRCH;
	json_decref(m);
	return r < 0 ? error_set(err, r, "kill") : 0;
}

int sentry_set_winsize(struct sentry *s, const char *id, pid_t pid, uint16_t rows, uint16_t cols)
{
	return 0;
}

int sentry_pause(struct sentry *s, struct error **err)
{
	return sentry_kill(s, "", 0, false, SIGSTOP, err);
}

int sentry_resume(struct sentry *s, struct error **err)
{
	return sentry_kill(s, "", 0, false, SIGCONT, err);
}

int sentry_destroy_container(struct sentry *s, const char *id, struct error **err)
{
	for (size_t i = 1; i < s->n; i++)
		(void)sentry_kill(s, id, s->procs[i].pid, false, SIGKILL, NULL);
	return 0;
}

char *sentry_ps_json(struct sentry *s, const char *id)
{
	return strdup("[{\"pid\":1,\"ppid\":0,\"uid\":0,\"tty\":\"?\",\"start\":\"00:00\",\"time\":\"00:00:00\","
		      "\"cmd\":\"init\"}]");
}

char *sentry_stats_json(struct sentry *s, const char *id)
{
	return strdup("{\"cpu\":{\"usage\":{\"total\":5}},\"memory\":{\"usage\":{\"usage\":1}},\"pids\":{\"current\":1}}");
}

char *sentry_debug_json(struct sentry *s, const struct sentry_debug_opts *opts)
{
	return strdup("{\"fake\":true}");
}

int sentry_checkpoint(struct sentry *s, const struct sentry_image_fds *fds, const struct sentry_ckpt_opts *o,
		      struct sentry_ckpt_stats *ret, struct error **err)
{
	const int all[] = {fds->manifest, fds->kernel, fds->index, fds->pages};
	char text[64];

	if (sentry_pause(s, err) < 0)
		return -ESRCH;
	(void)snprintf(text, sizeof(text), "fake image of pid %d at %p\n", (int)s->procs[0].pid, (void *)s);
	for (size_t i = 0; i < 4; i++)
		if (write_all(all[i], text, strlen(text)) < 0)
			return error_msg(err, -EIO, "fake: image");
	ret->pages_total = 7;
	if (o->leave_running)
		(void)sentry_resume(s, NULL);
	return 0;
}

int sentry_check_needs(int fd_manifest, struct error **err)
{
	return error_set(err, -ENOSYS, "the fake Sentry restores nothing");
}

int sentry_restore(struct sentry *s, const struct sentry_image_fds *fds, const struct sentry_container *c,
		   const struct sentry_restore_opts *o, struct sentry_ckpt_stats *ret, struct error **err)
{
	char text[64] = "";

	if (read(fds->kernel, text, sizeof(text) - 1) < 4 || strncmp(text, "fake", 4) != 0)
		return error_msg(err, -EINVAL, "fake: not an image");
	return sentry_create_container(s, c, err);
}

int cmd_image(struct globals *g, int argc, char **argv, struct error **err)
{
	return error_msg(err, -ENOTSUP, "the fake Sentry knows no images");
}

/* Images of the fake have no pages. */
void sentry_working_set_end(struct sentry *s)
{
}
