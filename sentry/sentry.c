/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Sentry's entry points for its process. See sentry.h.
 *
 * Locks: ckpt_mu (one checkpoint at a time) > ctl_mu > all others. ctl_mu serialises everything that makes containers or processes,
 * pauses, saves; not what a checkpoint writes behind a container that runs on. Waiting for exits and signalling take no ctl_mu, so
 * that they work while a checkpoint is written.
 */
#include "sentry/sentry.h"

#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "base/log.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/working_set.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/generation.h"
#include "sentry/kernel/klog.h"
#include "sentry/kernel/checkpoint.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/freeze.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/run.h"
#include "sentry/loader/loader.h"
#include "sentry/mm/safecopy.h"
#include "sentry/net/host/host.h"
#include "sentry/sentry_internal.h"
#include "sentry/syscalls/strace/strace.h"

/* Bytes of freed application memory that are kept for the next process that wants some; an idle sandbox holds no more. */
#define KEEP_FREED (16ULL << 20)

static size_t host_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (size_t)MAX(CPU_COUNT(&set), 1);
}

static uint64_t host_memory(void)
{
	struct sysinfo si;

	if (sysinfo(&si) < 0)
		return 2ull << 30;
	return (uint64_t)si.totalram * si.mem_unit;
}

static void kernel_configure(struct kernel *k, const struct sentry_config *cfg)
{
	k->cfg = *cfg;
	if (!k->cfg.nr_cpus)
		k->cfg.nr_cpus = host_cpus();
	if (!k->cfg.total_memory)
		k->cfg.total_memory = host_memory();
}

static struct kernel *kernel_new(const struct sentry_config *cfg)
{
	struct kernel *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	kernel_configure(k, cfg);
	mutex_init(&k->tasks_mu, "kernel.tasks_mu");
	mutex_init(&k->freeze_mu, "kernel.freeze_mu");
	cond_init(&k->exit_cv);
	cond_init(&k->freeze_cv);
	list_init(&k->groups);
	list_init(&k->containers);
	list_init(&k->kthreads);
	list_init(&k->deferred);
	list_init(&k->deferred_tasks);
	k->next_ino = 4026531840u; /* where Linux's namespace inode numbers begin */
	k->boot_mono = ktime_mono();
	klog_boot(k);
	k->boot_real = ktime_real();
	generation_init(k);
	the_kernel = k;
	return k;
}

/* What belongs to one sandbox: its platform, the host's network, what its command line asked for. */
static int own_process(struct kernel *k, const struct sentry_config *cfg, struct error **err)
{
	int r;

	if (cfg->strace) {
		r = strace_setup(cfg->strace_calls, cfg->strace_comms);
		if (r < 0)
			return error_msg(err, r, "--strace-syscalls: \"%s\": unknown system call or class", cfg->strace_calls);
	}
	r = k->pops->start ? k->pops->start(k->plat, err) : 0;
	if (r < 0)
		return error_prefix(err, "platform %s", k->pops->name);
	return host_net_init(cfg, err);
}

int sentry_new_template(const struct sentry_config *cfg, struct sentry **ret, struct error **err)
{
	struct sentry *s = calloc(1, sizeof(*s));
	struct kernel *k = s ? kernel_new(cfg) : NULL;
	int r;

	if (!k)
		return error_set(err, -ENOMEM, "cannot make the kernel");
	mutex_init(&s->ckpt_mu, "sentry.ckpt_mu");
	mutex_init(&s->ctl_mu, "sentry.ctl_mu");
	/* A fixed number of arenas: else the second thread would open /sys to count CPUs, which the filter kills; and less memory. */
	(void)mallopt(M_ARENA_MAX, 2);
	/* To give memory back, malloc would read a file in /proc, which the filter forbids: large blocks go back by munmap anyway. */
	(void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
	s->k = k;
	k->pops = platform_find(cfg->platform, err);
	if (!k->pops)
		return -ENOSYS;
	r = k->pops->new(&k->plat, err);
	if (r < 0)
		return error_prefix(err, "platform %s", k->pops->name);
	k->pops->caps(k->plat, &k->pcaps);
	cgroup_mem_init();
	memfile_set_damage_hook(cfg->on_damage ? cfg->on_damage : abort);
	r = memfile_new(&k->mf);
	if (r < 0)
		return error_set(err, r, "cannot make the memory file");
	memfile_keep_freed(k->mf, KEEP_FREED);
	k->root_pid_ns = pid_ns_new(NULL);
	if (!k->root_pid_ns)
		return error_set(err, -ENOMEM, "cannot make the kernel");
	*ret = s;
	return 0;
}

int sentry_new(const struct sentry_config *cfg, struct sentry **ret, struct error **err)
{
	struct sentry *s = NULL;
	int r = sentry_new_template(cfg, &s, err);

	if (r == 0)
		r = own_process(s->k, cfg, err);
	if (r == 0)
		*ret = s;
	return r;
}

int sentry_load_template(struct sentry *s, const struct sentry_image_fds *fds, const struct sentry_restore_opts *verify, struct error **err)
{
	mutex_guard(&s->ctl_mu);
	/* Frozen from before the first object exists until sentry_start(). */
	kernel_freeze(s->k);
	return checkpoint_begin_load(s->k, fds, verify, &s->loading, err);
}

int sentry_own_clone(struct sentry *s, const struct sentry_config *cfg, struct error **err)
{
	int r;

	mutex_guard(&s->ctl_mu);
	kernel_configure(s->k, cfg);
	generation_init(s->k); /* the template's is all clones' */
	r = memfile_renew(s->k->mf);
	if (r < 0)
		return error_set(err, r, "cannot make the memory file");
	return own_process(s->k, cfg, err);
}

int sentry_create_container(struct sentry *s, const struct sentry_container *sc, struct error **err)
{
	struct container *c;
	struct task *t;
	int r;

	mutex_guard(&s->ctl_mu);
	c = container_find(s->k, sc->id);
	if (c) {
		container_put(c);
		return error_msg(err, -EEXIST, "container with given ID already exists: %s", sc->id);
	}
	r = container_make(s->k, sc, &c, &t, err);
	if (r < 0)
		return r;
	c->ready = t;
	container_put(c);
	return 0;
}

static int no_container(const char *id, struct error **err)
{
	return error_msg(err, -ENOENT, "container %s does not exist in this sandbox", id);
}

int sentry_start(struct sentry *s, const char *id, struct error **err)
{
	struct container *c;
	int r = 0;

	mutex_guard(&s->ctl_mu);
	c = container_find(s->k, id);
	if (!c)
		return no_container(id, err);
	if (s->restored) {
		/* Loaded tasks run their threads already, parked. */
		s->restored = false;
		c->started = true;
		kernel_thaw(s->k);
	} else if (c->started || !c->ready) {
		r = error_msg(err, -EINVAL, "container %s is already started", id);
	} else {
		c->started = true;
		r = task_start(c->ready);
		if (r < 0)
			(void)error_set(err, r, "cannot start the init process of %s", id);
		task_put(c->ready);
		c->ready = NULL;
	}
	container_put(c);
	return r;
}

int sentry_exec(struct sentry *s, const char *id, const struct sentry_process *p, pid_t *ret_pid, struct error **err)
{
	struct container *c;
	struct task *t;
	int r;

	mutex_guard(&s->ctl_mu);
	c = container_find(s->k, id);
	if (!c)
		return no_container(id, err);
	/* Also in a created container: its startContainer hooks. */
	if (c->init_exited) {
		container_put(c);
		return error_msg(err, -ESRCH, "container not running: %s", id);
	}
	r = container_add_process(c, p, c->ns->pid_for_children, &t, err);
	if (r == 0) {
		*ret_pid = pid_nr_ns(t->pid, c->ns->pid_for_children);
		mutex_lock(&s->k->tasks_mu);
		r = container_track_exec_locked(c, t->tg, *ret_pid);
		mutex_unlock(&s->k->tasks_mu);
		if (r == 0)
			r = task_start(t);
		if (r < 0) {
			task_abort_unstarted(t, SIGKILL);
			(void)error_set(err, r, "cannot start the process");
		}
		task_put(t);
	}
	container_put(c);
	return r;
}

int sentry_wait(struct sentry *s, const char *id, pid_t pid, int *ret_status, struct error **err)
{
	struct container *c = container_find(s->k, id);
	int r;

	if (!c)
		return no_container(id, err);
	r = container_wait(c, pid, ret_status);
	container_put(c);
	return r < 0 ? error_msg(err, r, "no such process: %d", pid) : 0;
}

static int kill_all(struct container *c, int sig)
{
	struct thread_group *tg;
	int r = -ESRCH;

	mutex_lock(&c->k->tasks_mu);
	list_for_each(tg, &c->k->groups, all_node)
		if (tg->container == c && tg->state < TG_ZOMBIE) {
			if (sig == SIGKILL)
				signal_kill_group(tg, SIGKILL);
			else
				(void)signal_send_group(tg, sig, NULL);
			r = 0;
		}
	mutex_unlock(&c->k->tasks_mu);
	return r;
}

int sentry_kill(struct sentry *s, const char *id, pid_t pid, bool all, int sig, struct error **err)
{
	struct container *c = container_find(s->k, id);
	struct thread_group *tg = NULL;
	struct linux_siginfo si = { .si_signo = sig, .si_code = SI_USER };
	int r = 0;

	if (!c)
		return no_container(id, err);
	if (sig < 0 || sig > NSIG_MAX) {
		container_put(c);
		return error_msg(err, -EINVAL, "unknown signal %d", sig);
	}
	if (c->ready && !c->started && (sig == SIGKILL || sig == SIGTERM)) {
		/* Created, never started: its init has no thread to take the signal. */
		struct task *t = TAKE_PTR(c->ready);

		task_abort_unstarted(t, sig);
		task_put(t);
	} else if (all) {
		r = kill_all(c, sig);
	} else {
		mutex_lock(&s->k->tasks_mu);
		if (pid == 0) {
			tg = c->init ? tg_get(c->init) : NULL;
		} else {
			struct pid *p = pid_find_locked(c->ns->pid_for_children, pid);

			tg = p && p->tg ? tg_get(p->tg) : NULL;
		}
		mutex_unlock(&s->k->tasks_mu);
		r = tg ? 0 : -ESRCH;
		if (tg && sig == SIGKILL)
			signal_kill_group(tg, SIGKILL);
		else if (tg)
			r = signal_send_group(tg, sig, &si);
		tg_put(tg);
	}
	container_put(c);
	return r == -ESRCH ? error_msg(err, r, "no such process") : r < 0 ? error_set(err, r, "kill") : 0;
}

int sentry_set_winsize(struct sentry *s, const char *id, pid_t pid, uint16_t rows, uint16_t cols)
{
	struct container *c = container_find(s->k, id);
	struct thread_group *tg = NULL;
	int r = -ESRCH;

	if (!c)
		return -ENOENT;
	mutex_lock(&s->k->tasks_mu);
	if (pid == 0) {
		tg = c->init ? tg_get(c->init) : NULL;
	} else {
		struct pid *p = pid_find_locked(c->ns->pid_for_children, pid);

		tg = p && p->tg ? tg_get(p->tg) : NULL;
	}
	mutex_unlock(&s->k->tasks_mu);
	if (tg)
		r = tty_set_winsize(tg, rows, cols);
	tg_put(tg);
	container_put(c);
	return r;
}

int sentry_pause(struct sentry *s, struct error **err)
{
	mutex_guard(&s->ctl_mu);
	if (!s->paused)
		kernel_freeze(s->k);
	s->paused = true;
	return 0;
}

int sentry_resume(struct sentry *s, struct error **err)
{
	mutex_guard(&s->ctl_mu);
	if (s->paused)
		kernel_thaw(s->k);
	s->paused = false;
	return 0;
}

int sentry_destroy_container(struct sentry *s, const char *id, struct error **err)
{
	struct container *c;

	mutex_guard(&s->ctl_mu);
	c = container_find(s->k, id);
	if (!c)
		return no_container(id, err);
	(void)kill_all(c, SIGKILL);
	mutex_lock(&s->k->tasks_mu);
	while (container_nr_tasks_locked(c) && c->started)
		cond_wait(&s->k->exit_cv, &s->k->tasks_mu);
	list_del(&c->node);
	mutex_unlock(&s->k->tasks_mu);
	container_put(c); /* the list's */
	container_put(c);
	return 0;
}

/* An init that ended while we were freezing: its process is about to end, and an image without an init cannot go on. */
static int check_alive(struct kernel *k, struct error **err)
{
	struct container *c;
	int r = 0;

	mutex_lock(&k->tasks_mu);
	list_for_each(c, &k->containers, node)
		if (c->init_exited)
			r = error_msg(err, -ECONNRESET, "container %s has ended", c->id);
	mutex_unlock(&k->tasks_mu);
	return r;
}

/* The kernel stands still no longer than it takes to see what there is to save. */
static int checkpoint_running(struct sentry *s, const struct sentry_image_fds *fds, const struct sentry_ckpt_opts *o,
			      struct sentry_ckpt_stats *st, struct error **err)
{
	int64_t t0 = ktime_mono();
	struct saver *saver;
	int r;

	mutex_lock(&s->ctl_mu);
	if (!s->paused)
		checkpoint_expect(s->k, o);
	t0 = ktime_mono();
	kernel_freeze(s->k);
	st->freeze_us = (uint64_t)(ktime_mono() - t0) / 1000;
	r = check_alive(s->k, err);
	if (r == 0)
		r = checkpoint_begin(s->k, o, &saver, err);
	kernel_thaw(s->k);
	mutex_unlock(&s->ctl_mu);
	st->paused_us = (uint64_t)(ktime_mono() - t0) / 1000;
	return r == 0 ? checkpoint_finish(saver, fds, st, err) : r;
}

static int checkpoint_frozen(struct sentry *s, const struct sentry_image_fds *fds, const struct sentry_ckpt_opts *o,
			     struct sentry_ckpt_stats *st, struct error **err)
{
	int64_t t0 = ktime_mono();
	int r;

	mutex_guard(&s->ctl_mu);
	kernel_freeze(s->k);
	st->freeze_us = (uint64_t)(ktime_mono() - t0) / 1000;
	r = check_alive(s->k, err);
	if (r == 0)
		r = checkpoint_save(s->k, fds, o, st, err);
	/* Pausing and saving both freeze: what stays is one of the two. An image that cannot be committed is undone by resume. */
	if (r < 0 || s->paused)
		kernel_thaw(s->k);
	else
		s->paused = true;
	return r;
}

int sentry_checkpoint(struct sentry *s, const struct sentry_image_fds *fds, const struct sentry_ckpt_opts *o,
		      struct sentry_ckpt_stats *ret, struct error **err)
{
	struct sentry_ckpt_stats st = { 0 };
	int64_t t0 = ktime_mono();
	int r;

	mutex_guard(&s->ckpt_mu);
	r = o->leave_running ? checkpoint_running(s, fds, o, &st, err) : checkpoint_frozen(s, fds, o, &st, err);
	st.total_us = (uint64_t)(ktime_mono() - t0) / 1000;
	if (r == 0)
		*ret = st;
	return r;
}

int sentry_restore(struct sentry *s, const struct sentry_image_fds *fds, const struct sentry_container *sc,
		   const struct sentry_restore_opts *o, struct sentry_ckpt_stats *ret, struct error **err)
{
	struct sentry_ckpt_stats st = { 0 };
	int64_t t0 = ktime_mono() - ktime_offset(); /* the host's: ours is about to jump */
	int r;

	r = s->loading ? 0 : sentry_load_template(s, fds, o, err);
	if (r < 0)
		return r;
	mutex_guard(&s->ctl_mu);
	r = checkpoint_load(s->k, TAKE_PTR(s->loading), sc, o, &st, err);
	if (r < 0)
		return r;
	s->restored = true;
	if (o->working_set == SENTRY_WORKING_SET_RECORD)
		r = working_set_record(s->k, o->working_set_fd, o->working_set_secs, &s->recorder);
	else if (o->working_set == SENTRY_WORKING_SET_PREFETCH)
		working_set_prefetch(s->k, o->working_set_fd);
	if (r < 0)
		return error_set(err, r, "cannot record the working set");
	if (o->background)
		memfile_load_behind(s->k->mf);
	st.total_us = (uint64_t)(ktime_mono() - ktime_offset() - t0) / 1000;
	*ret = st;
	return 0;
}

void sentry_working_set_end(struct sentry *s)
{
	working_set_record_end(s->recorder);
}
