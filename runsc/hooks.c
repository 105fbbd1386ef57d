/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI hooks: programs of the engine's run at points of a container's life with the container's state on stdin. They run
 * on the host with our privileges, except startContainer hooks, which run inside the container as one of its processes.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/fd_util.h"
#include "runsc/control.h"
#include "runsc/lifecycle.h"

/* A memfd with the state, at offset 0: a hook that does not read its stdin cannot block us as a pipe would. */
static int state_file(const struct container *c, const char *status)
{
	_cleanup_(json_decrefp) json_t *o = container_state_json(c, status);
	_cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	_cleanup_close_ int fd = memfd_create("state.json", MFD_CLOEXEC);
	int r;

	if (!text)
		return -ENOMEM;
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, strlen(text));
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int wait_hook(pid_t pid, const struct oci_hook *h, const char *kind, struct error **err)
{
	_cleanup_close_ int pidfd = pidfd_open(pid, 0);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int status = 0;

	if (h->timeout && pidfd >= 0 && poll(&p, 1, (int)MIN(h->timeout, 2000000U) * 1000) == 0) {
		(void)kill(-pid, SIGKILL); /* with whatever it has started */
		(void)waitpid(pid, &status, 0);
		return error_msg(err, -ETIMEDOUT, "%s hook %s: did not end within %u s", kind, h->path, h->timeout);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_set(err, -errno, "%s hook %s", kind, h->path);
	if (WIFSIGNALED(status))
		return error_msg(err, -EIO, "%s hook %s: died by signal %d", kind, h->path, WTERMSIG(status));
	if (WEXITSTATUS(status))
		return error_msg(err, -EIO, "%s hook %s: exit status %d", kind, h->path, WEXITSTATUS(status));
	return 0;
}

static int run_one(const struct oci_hook *h, const char *kind, const struct container *c, const char *status,
		   struct error **err)
{
	_cleanup_close_ int in = state_file(c, status);
	char *just_path[] = {h->path, NULL};
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	pid_t pid;
	int r;

	if (in < 0)
		return error_set(err, in, "%s hook %s", kind, h->path);
	(void)posix_spawn_file_actions_init(&fa);
	(void)posix_spawn_file_actions_adddup2(&fa, in, 0);
	(void)posix_spawn_file_actions_adddup2(&fa, 2, 1); /* our stdout may be the container's */
	(void)posix_spawnattr_init(&at);
	(void)posix_spawnattr_setflags(&at, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
	r = -posix_spawn(&pid, h->path, &fa, &at, h->args && h->args[0] ? h->args : just_path, h->env);
	(void)posix_spawnattr_destroy(&at);
	(void)posix_spawn_file_actions_destroy(&fa);
	if (r < 0)
		return error_set(err, r, "%s hook %s", kind, h->path);
	return wait_hook(pid, h, kind, err);
}

int hooks_run(const struct oci_spec *spec, enum oci_hook_kind kind, const struct container *c, const char *status,
	      struct error **err)
{
	for (size_t i = 0; i < spec->hooks[kind].n; i++) {
		int r = run_one(&spec->hooks[kind].v[i], oci_hook_name(kind), c, status, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static json_t *string_array(char *const *v, const char *first)
{
	json_t *a = json_array();

	if (first)
		(void)json_array_append_new(a, json_string(first));
	for (; v && *v; v++)
		(void)json_array_append_new(a, json_string(*v));
	return a;
}

int hooks_run_inside(const struct oci_spec *spec, const struct container *c, int ctl, struct error **err)
{
	const struct oci_hooks *hooks = &spec->hooks[OCI_HOOK_START_CONTAINER];

	for (size_t i = 0; i < hooks->n; i++) {
		const struct oci_hook *h = &hooks->v[i];
		_cleanup_close_ int in = state_file(c, "created");
		_cleanup_close_ int sock = -EBADF;
		_cleanup_(json_decrefp) json_t *m = NULL;
		json_t *p, *a;
		int r, status, fds[3] = {in, 2, 2};

		if (in < 0)
			return error_set(err, in, "startContainer hook %s", h->path);
		p = json_deep_copy(json_object_get(spec->json, "process"));
		a = h->args && h->args[0] ? string_array(h->args, NULL) : string_array(NULL, h->path);
		(void)json_array_set_new(a, 0, json_string(h->path));
		(void)json_object_set_new(p, "args", a);
		(void)json_object_set_new(p, "env", string_array(h->env, NULL));
		(void)json_object_set_new(p, "cwd", json_string("/"));
		(void)json_object_set_new(p, "terminal", json_false());
		r = control_connect(c, &sock, err);
		if (r < 0) {
			json_decref(p);
			return r;
		}
		r = control_call(sock, json_pack("{s:s, s:o}", "op", "exec", "process", p), fds, 3, NULL, err);
		if (r < 0) {
			(void)error_prefix(err, "startContainer hook %s", h->path);
			return r;
		}
		r = control_recv(sock, &m, NULL, 0, NULL);
		if (r < 0)
			return error_set(err, r, "startContainer hook %s", h->path);
		status = (int)json_integer_value(json_object_get(m, "exit"));
		if (status)
			return error_msg(err, -EIO, "startContainer hook %s: wait status %#x", h->path, status);
	}
	return 0;
}
