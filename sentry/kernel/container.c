/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers: creation, processes added from outside, their exit statuses.
 *
 * The init of a container, and every process exec'd into it, has no parent inside; its exit status is kept here for
 * sentry_wait(). Locks: kernel.tasks_mu guards the lists and statuses. Checkpoint: everything tagged saved in kernel.h.
 */
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/container.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "gofer/client/p9_client.h"
#include "sentry/fs/container_mounts.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/host/hostfile.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/ipc/ipc_ns.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/itimer.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/run.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/task_new.h"
#include "sentry/net/netns.h"

#define AT_FDCWD_L (-100)

/* An exec'd process: alive (tg set), or dead with its status kept. */
struct exec_wait {
	struct list node;
	pid_t pid;
	struct thread_group *tg; /* not referenced: cleared when it dies */
	bool dead;
	int status;
};

struct container *container_get(struct container *c)
{
	ref_get(&c->ref);
	return c;
}

void container_put(struct container *c)
{
	struct exec_wait *e, *tmp;

	if (!c || !ref_put(&c->ref))
		return;
	list_for_each_safe(e, tmp, &c->execs, node)
		free(e);
	nsproxy_put(c->ns);
	fs_ctx_put(c->fs);
	cgroup_put(c->cgroup);
	p9_client_put(c->gofer);
	seccomp_filter_put(c->seccomp);
	free(c->id);
	free(c->cgroups_path);
	free(c->hostname);
	free(c);
}

struct container *container_find(struct kernel *k, const char *id)
{
	struct container *c, *found = NULL;

	mutex_lock(&k->tasks_mu);
	list_for_each(c, &k->containers, node)
		if (!strcmp(c->id, id)) {
			found = container_get(c);
			break;
		}
	mutex_unlock(&k->tasks_mu);
	return found;
}

uint32_t container_nr_tasks_locked(const struct container *c)
{
	const struct thread_group *tg;
	uint32_t n = 0;

	list_for_each(tg, &c->k->groups, all_node)
		if (tg->container == c)
			n += tg->nr_tasks;
	return n;
}

int container_track_exec_locked(struct container *c, struct thread_group *tg, pid_t pid)
{
	struct exec_wait *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->pid = pid;
	e->tg = tg;
	list_add_tail(&c->execs, &e->node);
	return 0;
}

void container_process_exited_locked(struct container *c, struct thread_group *tg)
{
	struct exec_wait *e;

	if (c->init == tg) {
		c->init_exited = true;
		c->init_status = tg->exit_status;
		c->init = NULL;
	}
	list_for_each(e, &c->execs, node)
		if (e->tg == tg) {
			e->tg = NULL;
			e->dead = true;
			e->status = tg->exit_status;
		}
	cond_broadcast(&c->k->exit_cv);
}

int container_wait(struct container *c, pid_t pid, int *ret_status)
{
	struct kernel *k = c->k;
	int r = -ESRCH;

	mutex_lock(&k->tasks_mu);
	if (pid == 0) {
		while (!c->init_exited)
			cond_wait(&k->exit_cv, &k->tasks_mu);
		*ret_status = c->init_status;
		mutex_unlock(&k->tasks_mu);
		return 0;
	}
	for (;;) {
		struct exec_wait *e, *found = NULL;

		list_for_each(e, &c->execs, node)
			if (e->pid == pid)
				found = e;
		if (!found)
			break;
		if (found->dead) {
			*ret_status = found->status;
			list_del(&found->node);
			free(found);
			r = 0;
			break;
		}
		cond_wait(&k->exit_cv, &k->tasks_mu);
	}
	mutex_unlock(&k->tasks_mu);
	return r;
}

/* --- making a process --- */

static const struct linux_rlimit64 default_rlimits[LINUX_RLIM_NLIMITS] = {
	[LINUX_RLIMIT_CPU] = { LINUX_RLIM_INFINITY, LINUX_RLIM_INFINITY },
	[LINUX_RLIMIT_FSIZE] = { LINUX_RLIM_INFINITY, LINUX_RLIM_INFINITY },
	[LINUX_RLIMIT_DATA] = { LINUX_RLIM_INFINITY, LINUX_RLIM_INFINITY },
	[LINUX_RLIMIT_STACK] = { 8 << 20, LINUX_RLIM_INFINITY },
	[LINUX_RLIMIT_CORE] = { 0, LINUX_RLIM_INFINITY },
	[LINUX_RLIMIT_RSS] = { LINUX_RLIM_INFINITY, LINUX_RLIM_INFINITY },
	[LINUX_RLIMIT_NPROC] = { LINUX_RLIM_INFINITY, LINUX_RLIM_INFINITY },
	[LINUX_RLIMIT_NOFILE] = { 1024, 1 << 20 },
	[LINUX_RLIMIT_MEMLOCK] = { 8 << 20, 8 << 20 },
	[LINUX_RLIMIT_AS] = { LINUX_RLIM_INFINITY, LINUX_RLIM_INFINITY },
	[LINUX_RLIMIT_LOCKS] = { LINUX_RLIM_INFINITY, LINUX_RLIM_INFINITY },
	[LINUX_RLIMIT_SIGPENDING] = { 16384, 16384 },
	[LINUX_RLIMIT_MSGQUEUE] = { 819200, 819200 },
	[LINUX_RLIMIT_NICE] = { 0, 0 },
	[LINUX_RLIMIT_RTPRIO] = { 0, 0 },
	[LINUX_RLIMIT_RTTIME] = { LINUX_RLIM_INFINITY, LINUX_RLIM_INFINITY },
};

static int cmp_gid(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static struct cred *process_cred(const struct sentry_process *p)
{
	struct cred *c = cred_new(p->nr_groups);

	if (!c)
		return NULL;
	c->uid = c->euid = c->suid = c->fsuid = p->uid;
	c->gid = c->egid = c->sgid = c->fsgid = p->gid;
	if (p->nr_groups) {
		memcpy(c->groups, p->groups, p->nr_groups * sizeof(*c->groups));
		qsort(c->groups, c->nr_groups, sizeof(*c->groups), cmp_gid);
	}
	c->cap_bset = p->cap_bounding & LINUX_CAP_FULL;
	c->cap_perm = p->cap_permitted & LINUX_CAP_FULL;
	c->cap_eff = p->cap_effective & c->cap_perm;
	c->cap_inh = p->cap_inheritable & LINUX_CAP_FULL;
	c->cap_amb = p->cap_ambient & c->cap_perm & c->cap_inh;
	return c;
}

static int apply_rlimits(struct thread_group *tg, const struct sentry_process *p, struct error **err)
{
	memcpy(tg->rlim, default_rlimits, sizeof(tg->rlim));
	for (size_t i = 0; i < p->nr_rlimits; i++) {
		const struct sentry_rlimit *l = &p->rlimits[i];

		if (l->resource < 0 || l->resource >= LINUX_RLIM_NLIMITS || l->soft > l->hard)
			return error_msg(err, -EINVAL, "process.rlimits[%zu]: unknown resource or soft limit above hard limit", i);
		tg->rlim[l->resource] = (struct linux_rlimit64){ l->soft, l->hard };
	}
	return 0;
}

/* Standard descriptors: a terminal's slave three times, or host descriptors (one file each). */
static int install_stdio(struct task *t, struct container *c, const struct sentry_process *p, struct error **err)
{
	int r = 0;

	if (p->terminal) {
		struct file *f;

		r = console_new(c, p->stdio[0], p->rows, p->cols, &f);
		if (r < 0)
			return error_set(err, r, "cannot make the console");
		for (int i = 0; i < 3 && r >= 0; i++)
			r = fd_install_at(t, file_get(f), i, false);
		if (r >= 0)
			r = tty_set_ctty(t->tg, f);
		file_put(f);
		return r < 0 ? error_set(err, r, "cannot set the controlling terminal") : 0;
	}
	for (int i = 0; i < 3 + (int)p->nr_extra_fds; i++) {
		int fd = i < 3 ? p->stdio[i] : p->extra_fds[i - 3];
		struct file *f;

		if (fd < 0)
			continue;
		r = hostfile_new(c, fd, i, &f);
		if (r >= 0)
			r = fd_install_at(t, f, i, false);
		if (r < 0)
			return error_set(err, r, "cannot use host descriptor %d as %d", fd, i);
	}
	return 0;
}

static const char *env_get(char **env, const char *name)
{
	size_t n = strlen(name);

	for (; env && *env; env++)
		if (!strncmp(*env, name, n) && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

/* Finds the program as execvp would, but says why not. */
static int find_program(struct task *t, const struct sentry_process *p, char **ret, struct error **err)
{
	const char *name = p->exec_path ? p->exec_path : p->args[0], *path;
	int r = -ENOENT;

	if (strchr(name, '/')) {
		*ret = strdup(name);
		return *ret ? 0 : -ENOMEM;
	}
	path = env_get(p->env, "PATH");
	if (!path)
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	for (const char *s = path; *name; s++) {
		size_t n = strcspn(s, ":");
		_cleanup_free_ char *full = NULL;
		struct file *f;
		int e;

		if (asprintf(&full, "%.*s/%s", n ? (int)n : 1, n ? s : ".", name) < 0)
			return -ENOMEM;
		e = vfs_open_exec(t, AT_FDCWD_L, full, 0, &f);
		if (e == 0) {
			exec_file_done(f);
			file_put(f);
			*ret = TAKE_PTR(full);
			return 0;
		}
		if (e == -EACCES)
			r = e;
		s += n;
		if (!*s)
			break;
	}
	if (r == -EACCES)
		return error_msg(err, r, "exec: \"%s\": permission denied", name);
	return error_msg(err, r, "exec: \"%s\": executable file not found in $PATH", name);
}

static int load_program(struct task *t, const struct sentry_process *p, struct error **err)
{
	_cleanup_free_ char *path = NULL;
	struct arg_list av = { 0 }, ev = { 0 };
	int64_t r;

	if (!p->args || !p->args[0])
		return error_msg(err, -EINVAL, "process.args is empty");
	r = find_program(t, p, &path, err);
	if (r < 0)
		return (int)r;
	for (char **s = p->args; *s && r == 0; s++)
		r = arg_list_add(&av, *s);
	for (char **s = p->env; s && *s && r == 0; s++)
		r = arg_list_add(&ev, *s);
	if (r == 0)
		r = do_execve(t, AT_FDCWD_L, path, &av, &ev, 0);
	arg_list_done(&av);
	arg_list_done(&ev);
	if (r == SYS_NO_RETURN_VALUE)
		return 0;
	if (r == -ENOENT)
		return error_msg(err, (int)r, "exec: \"%s\": stat %s: no such file or directory", p->args[0], path);
	return error_set(err, (int)r, "exec: \"%s\"", path);
}

/* Gives the process its first ids, session and place in the tree. */
static int link_process(struct container *c, struct task *t, struct pid_ns *ns)
{
	struct kernel *k = c->k;
	struct thread_group *tg = t->tg;
	int r;

	mutex_lock(&k->tasks_mu);
	r = ns->dying ? -ESRCH : 0;
	if (r == 0)
		r = pid_new(k, ns, NULL, 0, &t->pid);
	if (r == 0 && c->cgroup)
		r = cgroup_fork(c->cgroup, t);
	if (r == 0) {
		tg->pid = pid_get(t->pid);
		r = session_new_locked(tg);
	}
	if (r == 0) {
		tg_add_task_locked(tg, t);
		tg_link_locked(tg, NULL, NULL, NULL, NULL);
		if (!ns->init) {
			ns->init = tg;
			tg->unkillable = true;
		}
	}
	mutex_unlock(&k->tasks_mu);
	return r;
}

static struct task *bare_process(struct container *c, const struct sentry_process *sp)
{
	struct task *t = task_alloc(c->k);
	struct path root, cwd;

	if (!t)
		return NULL;
	t->tg = tg_alloc(c->k);
	if (!t->tg || itimers_init(t->tg) < 0) {
		task_put(t);
		return NULL;
	}
	t->tg->container = c;
	t->tg->leader = t;
	t->tg->exit_signal = SIGCHLD;
	t->tg->start_time = t->start_time = ktime_mono();
	t->tg->oom_score_adj = sp->oom_score_adj;
	t->vfork_done = true;
	t->no_new_privs = sp->no_new_privs;
	t->ns = nsproxy_get(c->ns);
	t->sighand = sighand_new();
	t->files = fd_table_new();
	t->cred = process_cred(sp);
	t->cpu_mask[0] = c->k->cfg.nr_cpus >= 64 ? ~0ull : (1ull << c->k->cfg.nr_cpus) - 1;
	fs_ctx_root(c->fs, &root);
	cwd = root;
	t->fs = fs_ctx_new(&root, &cwd, sp->umask == UINT32_MAX ? 022 : sp->umask & 0777);
	path_put(&root);
	if (!t->sighand || !t->files || !t->cred || !t->fs || c->k->pops->ctx_new(c->k->plat, &t->pctx) < 0) {
		fd_table_put(t->files, NULL);
		fs_ctx_put(t->fs);
		nsproxy_put(t->ns);
		task_put(t);
		return NULL;
	}
	return t;
}

/* Every process from outside gets a session keyring of its own, called as runc calls it. */
static void begin_session(struct task *t, const struct container *c)
{
	_cleanup_free_ char *name = NULL;

	if (asprintf(&name, "_ses.%s", c->id) >= 0)
		keys_begin_session(t, name);
}

int container_add_process(struct container *c, const struct sentry_process *sp, struct pid_ns *ns, struct task **ret,
			  struct error **err)
{
	struct task *t = bare_process(c, sp);
	struct path cwd;
	int r;

	if (!t)
		return error_set(err, -ENOMEM, "cannot make a process");
	r = apply_rlimits(t->tg, sp, err);
	if (r == 0) {
		r = link_process(c, t, ns);
		if (r < 0)
			(void)error_set(err, r, "cannot add a process to container %s", c->id);
	}
	if (r < 0) {
		task_put(t);
		return r;
	}
	/* Linked: from here a failure is an exit. */
	r = namei(t, AT_FDCWD_L, sp->cwd && *sp->cwd ? sp->cwd : "/", LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &cwd);
	if (r == 0) {
		fs_ctx_set_cwd(t->fs, &cwd);
		path_put(&cwd);
	} else {
		(void)error_set(err, r, "process.cwd: chdir to \"%s\"", sp->cwd);
	}
	if (r == 0)
		r = install_stdio(t, c, sp, err);
	if (r == 0)
		r = load_program(t, sp, err);
	if (r == 0)
		begin_session(t, c);
	if (r == 0 && c->seccomp)
		seccomp_begin(t, c->seccomp);
	if (r < 0) {
		task_abort_unstarted(t, 127 << 8);
		task_put(t);
		return r;
	}
	*ret = t;
	return 0;
}

static int make_namespaces(struct container *c, const struct sentry_container *sc, struct mnt_ns *mnt)
{
	struct nsproxy *n = nsproxy_new();

	c->ns = n;
	if (!n)
		return -ENOMEM;
	n->mnt = mnt_ns_get(mnt);
	n->uts = uts_ns_new(sc->hostname ? sc->hostname : "localhost", sc->domainname ? sc->domainname : "(none)");
	c->hostname = n->uts ? strdup(n->uts->nodename) : NULL;
	n->ipc = ipc_ns_new(c->k);
	n->net = net_ns_new();
	if (n->net)
		net_ns_first(n->net, c->k->cfg.host_network);
	n->pid_for_children = pid_ns_new(c->k->root_pid_ns);
	return n->uts && c->hostname && n->ipc && n->net && n->pid_for_children ? 0 : -ENOMEM;
}

/* config.json's filter, which libseccomp has compiled. */
static int make_seccomp(struct container *c, const struct sentry_container *sc, struct error **err)
{
	struct bpf_insn *prog;

	if (!sc->seccomp)
		return 0;
	if (bpf_check(sc->seccomp, sc->seccomp_len) < 0)
		return error_msg(err, -EINVAL, "linux.seccomp: not a program that Linux would take");
	prog = calloc(sc->seccomp_len, sizeof(*prog));
	if (prog) {
		memcpy(prog, sc->seccomp, sc->seccomp_len * sizeof(*prog));
		c->seccomp = seccomp_filter_new(prog, (uint32_t)sc->seccomp_len, sc->seccomp_flags);
	}
	if (!c->seccomp) {
		free(prog);
		return error_set(err, -ENOMEM, "linux.seccomp");
	}
	return 0;
}

int container_make(struct kernel *k, const struct sentry_container *sc, struct container **ret, struct task **ret_init,
		  struct error **err)
{
	struct container *c = calloc(1, sizeof(*c));
	struct mnt_ns *mnt = NULL;
	int r;

	if (!c)
		return error_set(err, -ENOMEM, "cannot make a container");
	ref_init(&c->ref);
	list_init(&c->node);
	list_init(&c->execs);
	c->k = k;
	c->id = strdup(sc->id);
	c->cgroups_path = strdup(sc->cgroups_path ? sc->cgroups_path : "");
	c->pids_limit = sc->pids_limit;
	c->memory_limit = sc->memory_limit;
	r = c->id && c->cgroups_path ? 0 : error_set(err, -ENOMEM, "cannot make a container");
	if (r == 0 && sc->gofer_fd >= 0) {
		r = p9_client_new(sc->gofer_fd, &c->gofer);
		if (r < 0)
			(void)error_set(err, r, "gofer of container %s", sc->id);
	}
	if (r == 0) {
		c->cgroup = cgroup_new_root(sc->pids_limit, sc->memory_limit);
		r = c->cgroup ? 0 : error_set(err, -ENOMEM, "control group of container %s", sc->id);
	}
	if (r == 0 && sc->cpu_quota) {
		uint64_t period = sc->cpu_period ? sc->cpu_period : 100000;

		if (period < 1000 || period > 1000000 || sc->cpu_quota < 1000 || sc->cpu_quota > INT64_MAX / 1000000) {
			r = error_msg(err, -EINVAL, "linux.resources.cpu: quota or period is out of range");
		} else {
			mutex_lock(&k->tasks_mu);
			cgroup_cpu_set_max(c->cgroup, sc->cpu_quota, period);
			mutex_unlock(&k->tasks_mu);
		}
	}
	if (r == 0)
		r = container_mounts(k, sc, c, c->gofer, &mnt, err);
	if (r == 0)
		r = container_fs_ctx(mnt, sc->process.cwd, 022, &c->fs, err);
	if (r == 0) {
		r = make_namespaces(c, sc, mnt);
		if (r < 0)
			(void)error_set(err, r, "namespaces of container %s", sc->id);
	}
	for (size_t i = 0; r == 0 && i < sc->nr_sysctls; i++) {
		r = proc_sysctl_set(c, sc->sysctls[i].key, sc->sysctls[i].value);
		if (r < 0)
			(void)error_set(err, r, "linux.sysctl: %s=%s", sc->sysctls[i].key, sc->sysctls[i].value);
	}
	if (mnt)
		mnt_ns_put(mnt);
	if (r == 0)
		r = make_seccomp(c, sc, err);
	if (r == 0)
		r = container_add_process(c, &sc->process, c->ns->pid_for_children, ret_init, err);
	if (r < 0) {
		container_put(c);
		return r;
	}
	mutex_lock(&k->tasks_mu);
	c->init = (*ret_init)->tg;
	list_add_tail(&k->containers, &container_get(c)->node);
	mutex_unlock(&k->tasks_mu);
	*ret = c;
	return 0;
}
