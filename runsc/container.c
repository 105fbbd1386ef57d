/* SPDX-License-Identifier: Apache-2.0 */
/* The state directory. Locks: <id>/lock by flock(2), taken before state.json is read for change; no others. */
#include "runsc/container.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "base/fd_util.h"

static const char *const status_names[] = {
	[CONTAINER_CREATING] = "creating", [CONTAINER_CREATED] = "created", [CONTAINER_RUNNING] = "running",
	[CONTAINER_PAUSED] = "paused",     [CONTAINER_STOPPED] = "stopped", [CONTAINER_TEMPLATE] = "template",
};

const char *container_status_name(enum container_status s)
{
	return status_names[s];
}

static enum container_status status_from_name(const char *s)
{
	for (int i = 0; i < _CONTAINER_STATUS_MAX; i++)
		if (!strcmp(status_names[i], s))
			return (enum container_status)i;
	return _CONTAINER_STATUS_INVALID;
}

static int check_id(const char *id, struct error **err)
{
	static const char extra[] = "+-._";
	size_t n = strlen(id);

	if (n == 0 || n > 1024)
		return error_msg(err, -EINVAL, "container id: must have 1 to 1024 characters");
	for (size_t i = 0; i < n; i++) {
		char c = id[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr(extra, c)))
			return error_msg(err, -EINVAL, "container id \"%s\": only letters, digits and +-._ are allowed",
					 id);
	}
	if (!strcmp(id, ".") || !strcmp(id, ".."))
		return error_msg(err, -EINVAL, "container id \"%s\" is not allowed", id);
	return 0;
}

/* Reads state and start time; the command name may hold any character, so fields are counted from the last ')'. */
static int read_stat(pid_t pid, char *ret_state, uint64_t *ret_start)
{
	_cleanup_free_ char *text = NULL;
	char path[40], *p;
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = read_file_at(AT_FDCWD, path, 8192, &text, NULL);
	if (r < 0)
		return r;
	p = strrchr(text, ')');
	if (!p || p[1] != ' ')
		return -EINVAL;
	*ret_state = p[2];
	p += 2;
	for (int i = 3; i < 22; i++) {
		p = strchr(p, ' ');
		if (!p)
			return -EINVAL;
		p++;
	}
	*ret_start = strtoull(p, NULL, 10);
	return 0;
}

int proc_identify(pid_t pid, struct proc_id *ret)
{
	char state;
	int r = read_stat(pid, &state, &ret->start);

	if (r < 0)
		return r;
	ret->pid = pid;
	return 0;
}

int proc_alive(const struct proc_id *p)
{
	uint64_t start;
	char state;

	if (p->pid <= 0 || read_stat(p->pid, &state, &start) < 0)
		return -ESRCH;
	return start == p->start && state != 'Z' && state != 'X' ? 0 : -ESRCH;
}

void proc_kill(const struct proc_id *p)
{
	_cleanup_close_ int fd = -EBADF;
	struct pollfd pfd;

	if (p->pid <= 0)
		return;
	fd = pidfd_open(p->pid, 0);
	if (fd < 0 || proc_alive(p) < 0)
		return;
	(void)pidfd_send_signal(fd, SIGKILL, NULL, 0);
	pfd = (struct pollfd){.fd = fd, .events = POLLIN};
	(void)poll(&pfd, 1, 10000);
}

void proc_wait(const struct proc_id *p)
{
	_cleanup_close_ int fd = p->pid > 0 ? pidfd_open(p->pid, 0) : -EBADF;
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	if (fd < 0 || proc_alive(p) < 0)
		return;
	while (poll(&pfd, 1, -1) < 0 && errno == EINTR)
		;
}

static struct container *alloc_container(const struct globals *g, const char *id)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->dirfd = c->lockfd = -EBADF;
	c->id = strdup(id);
	if (!c->id || asprintf(&c->dir, "%s/%s", g->root, id) < 0)
		return container_free(c);
	return c;
}

struct container *container_free(struct container *c)
{
	if (!c)
		return NULL;
	if (c->fresh) {
		proc_kill(&c->sandbox);
		if (container_remove(c, NULL) < 0)
			c->fresh = false; /* delete --force tries again */
	}
	free(c->id);
	free(c->dir);
	free(c->bundle);
	free(c->rootfs);
	free(c->created);
	free(c->version);
	free(c->debug_log);
	free(c->cgroup);
	json_decref(c->annotations);
	cleanup_closep(&c->dirfd);
	cleanup_closep(&c->lockfd);
	free(c);
	return NULL;
}

static int lock_dir(struct container *c, int how, struct error **err)
{
	struct stat st;

	c->lockfd = openat(c->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (c->lockfd < 0)
		return errno == ENOENT ? error_msg(err, -ENOENT, "container does not exist: \"%s\"", c->id)
				       : error_set(err, -errno, "%s/lock", c->dir);
	while (flock(c->lockfd, how) < 0)
		if (errno != EINTR)
			return error_set(err, -errno, "%s/lock", c->dir);
	/* Somebody may have deleted the container while we waited. */
	if (fstat(c->lockfd, &st) < 0 || st.st_nlink == 0)
		return error_msg(err, -ENOENT, "container does not exist: \"%s\"", c->id);
	return 0;
}

/* Makes and locks <root>/<id>/, or takes over what a create left that was killed before it wrote its state. */
static int claim_dir(const struct globals *g, struct container *c, struct error **err)
{
	int r = mkdir(c->dir, 0711) < 0 ? -errno : 0;
	bool made;

	if (r == -ENOENT) {
		r = mkdir_parents(g->root, 0711);
		if (r < 0)
			return error_set(err, r, "state directory %s (choose another with --root)", g->root);
		r = mkdir(c->dir, 0711) < 0 ? -errno : 0;
	}
	if (r < 0 && r != -EEXIST)
		return error_set(err, r, "state directory %s", c->dir);
	made = r == 0;
	c->dirfd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (c->dirfd < 0) {
		r = error_set(err, -errno, "state directory %s", c->dir);
		if (made)
			(void)rmdir(c->dir); /* empty, unless another create has taken it over */
		return r;
	}
	/* Another create of this id either holds the lock or has written its state. Who has the lock of a directory that we have just made
	 * only looks at it, or is a create that has taken it over, which we see when it is done. */
	r = lock_dir(c, made ? LOCK_EX : LOCK_EX | LOCK_NB, err);
	if (r < 0 && r != -EWOULDBLOCK && r != -ENOENT) {
		if (made)
			(void)rmdir(c->dir);
		return r;
	}
	if (r < 0 && err)
		error_freep(err);
	if (r < 0 || faccessat(c->dirfd, "state.json", F_OK, 0) == 0)
		return error_msg(err, -EEXIST, "container with given ID already exists: \"%s\"", c->id);
	return 0;
}

int container_new(const struct globals *g, const char *id, struct container **ret, struct error **err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = check_id(id, err);

	if (r < 0)
		return r;
	c = alloc_container(g, id);
	if (!c)
		return error_set(err, -ENOMEM, "container %s", id);
	r = claim_dir(g, c, err);
	if (r < 0)
		return r;
	c->fresh = true;
	c->annotations = json_object();
	*ret = TAKE_PTR(c);
	return 0;
}

static int dup_member(json_t *o, const char *key, char **ret)
{
	const char *s = json_string_value(json_object_get(o, key));

	*ret = strdup(s ? s : "");
	return *ret ? 0 : -ENOMEM;
}

static void load_proc(json_t *o, const char *pid_key, const char *start_key, struct proc_id *ret)
{
	ret->pid = (pid_t)json_integer_value(json_object_get(o, pid_key));
	ret->start = (uint64_t)json_integer_value(json_object_get(o, start_key));
}

static int empty_state(struct container *c)
{
	c->status = CONTAINER_CREATING;
	c->annotations = json_object();
	c->bundle = strdup("");
	c->rootfs = strdup("");
	c->created = strdup("");
	c->version = strdup(OCI_VERSION);
	c->debug_log = strdup("");
	c->cgroup = strdup("");
	return c->cgroup ? 0 : -ENOMEM;
}

static int load_state(struct container *c, struct error **err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_(json_decrefp) json_t *o = NULL;
	size_t len;
	int r = read_file_at(c->dirfd, "state.json", 4 << 20, &text, &len);
	const char *status;
	json_t *a;

	if (r == -ENOENT) /* create is at work, or was killed */
		return empty_state(c);
	if (r < 0)
		return error_set(err, r, "%s/state.json", c->dir);
	o = json_loadb(text, len, 0, NULL);
	status = json_string_value(json_object_get(o, "status"));
	c->status = status_from_name(status ? status : "");
	if (!o || c->status < 0)
		return error_msg(err, -EINVAL, "%s/state.json is damaged (remove the container with delete --force)",
				 c->dir);
	load_proc(o, "pid", "pidStart", &c->sandbox);
	c->gofer.pid = (pid_t)json_integer_value(json_object_get(o, "goferPid"));
	a = json_object_get(o, "annotations");
	c->annotations = json_is_object(a) ? json_incref(a) : json_object();
	if (dup_member(o, "bundle", &c->bundle) < 0 || dup_member(o, "rootfs", &c->rootfs) < 0 ||
	    dup_member(o, "created", &c->created) < 0 || dup_member(o, "ociVersion", &c->version) < 0 ||
	    dup_member(o, "debugLog", &c->debug_log) < 0 || dup_member(o, "cgroup", &c->cgroup) < 0)
		return error_set(err, -ENOMEM, "container %s", c->id);
	if (proc_alive(&c->sandbox) < 0)
		c->status = CONTAINER_STOPPED;
	return 0;
}

int container_open_damaged(const struct globals *g, const char *id, struct container **ret, struct error **err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = check_id(id, err);

	if (r < 0)
		return r;
	c = alloc_container(g, id);
	if (!c || empty_state(c) < 0)
		return error_set(err, -ENOMEM, "container %s", id);
	c->dirfd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (c->dirfd < 0)
		return error_set(err, -errno, "%s", c->dir);
	r = lock_dir(c, LOCK_EX, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

int container_open(const struct globals *g, const char *id, enum container_lock lock, struct container **ret,
		   struct error **err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = check_id(id, err);

	if (r < 0)
		return r;
	c = alloc_container(g, id);
	if (!c)
		return error_set(err, -ENOMEM, "container %s", id);
	c->dirfd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (c->dirfd < 0)
		return errno == ENOENT ? error_msg(err, -ENOENT, "container does not exist: \"%s\"", id)
				       : error_set(err, -errno, "%s", c->dir);
	if (lock != CONTAINER_NOLOCK) {
		r = lock_dir(c, lock == CONTAINER_SHARED ? LOCK_SH : LOCK_EX, err);
		if (r < 0)
			return r;
	}
	r = load_state(c, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

int container_save(struct container *c, struct error **err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_(json_decrefp) json_t *o = NULL;
	int r;

	o = json_pack("{s:i, s:s, s:s, s:s, s:i, s:I, s:i, s:s, s:s, s:s, s:s, s:s, s:O}", "version", 1, "ociVersion",
		      c->version, "id", c->id, "status", status_names[c->status], "pid", (int)c->sandbox.pid,
		      "pidStart", (json_int_t)c->sandbox.start, "goferPid", (int)c->gofer.pid, "bundle", c->bundle,
		      "rootfs", c->rootfs, "created", c->created, "debugLog", c->debug_log ? c->debug_log : "",
		      "cgroup", c->cgroup ? c->cgroup : "", "annotations", c->annotations);
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	if (!text)
		return error_msg(err, -EINVAL, "%s/state.json: the state holds text that is not UTF-8", c->dir);
	r = write_file_atomic_at(c->dirfd, "state.json", 0600, text, strlen(text));
	return r < 0 ? error_set(err, r, "%s/state.json", c->dir) : 0;
}

int container_remove(struct container *c, struct error **err)
{
	int r = remove_tree_at(AT_FDCWD, c->dir);

	/* Another command may have made the lock file again between our two looks; it then sees that it is deleted. */
	for (int i = 0; r == -ENOTEMPTY && i < 100; i++)
		r = remove_tree_at(AT_FDCWD, c->dir);
	c->fresh = false;
	return r < 0 && r != -ENOENT ? error_set(err, r, "removing %s", c->dir) : 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int container_names(const struct globals *g, char ***ret, struct error **err)
{
	char **names = calloc(1, sizeof(*names));
	DIR *d = opendir(g->root);
	struct dirent *e;
	size_t n = 0;

	if (!d && errno != ENOENT) {
		free(names);
		return error_set(err, -errno, "%s", g->root);
	}
	while (d && names && (e = readdir(d))) {
		char **p;

		if (e->d_name[0] == '.' || check_id(e->d_name, NULL) < 0)
			continue;
		p = reallocarray(names, n + 2, sizeof(*names));
		if (!p)
			break;
		names = p;
		names[n] = strdup(e->d_name);
		if (!names[n])
			break;
		names[++n] = NULL;
	}
	if (d)
		(void)closedir(d);
	if (!names)
		return error_set(err, -ENOMEM, "list");
	qsort(names, n, sizeof(*names), compare_names);
	*ret = names;
	return 0;
}

json_t *container_state_json(const struct container *c, const char *status)
{
	bool dead = !strcmp(status, "stopped");
	struct stat st;
	json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:O}", "ociVersion", c->version, "id", c->id,
			      "status", status, "pid", dead ? 0 : (int)c->sandbox.pid, "bundle", c->bundle, "rootfs",
			      c->rootfs, "created", c->created, "annotations", c->annotations);

	if (!o)
		return NULL;
	/* A static binary must not load NSS modules for a name: root is the only owner whose name is certain. */
	if (fstat(c->dirfd, &st) == 0) {
		char uid[16];

		(void)snprintf(uid, sizeof(uid), "%u", st.st_uid);
		(void)json_object_set_new(o, "owner", json_string(st.st_uid == 0 ? "root" : uid));
	}
	return o;
}

int container_load_spec(const struct container *c, struct oci_spec **ret, struct error **err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = read_file_at(c->dirfd, "config.json", OCI_FILE_MAX, &text, &len);

	if (r < 0)
		return error_set(err, r, "%s/config.json", c->dir);
	return oci_spec_parse(text, len, "config.json", ret, err);
}

bool container_is_abandoned(const struct container *c)
{
	struct stat st;

	if (c->sandbox.pid <= 0 || proc_alive(&c->sandbox) == 0)
		return false;
	if (fstatat(c->dirfd, "exit.json", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	return st.st_size == 0;
}

static json_t *load_exit(const struct container *c)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	return read_file_at(c->dirfd, "exit.json", 4096, &text, &len) < 0 ? NULL : json_loadb(text, len, 0, NULL);
}

int container_exit_status(const struct container *c)
{
	_cleanup_(json_decrefp) json_t *o = load_exit(c);
	json_t *v = json_object_get(o, "status");

	return json_is_integer(v) ? (int)json_integer_value(v) : -ENODATA;
}

char *container_exit_error(const struct container *c)
{
	_cleanup_(json_decrefp) json_t *o = load_exit(c);
	const char *v = json_string_value(json_object_get(o, "error"));

	return v ? strdup(v) : NULL;
}
