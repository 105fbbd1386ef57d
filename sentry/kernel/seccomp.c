/* SPDX-License-Identifier: Apache-2.0 */
/* Filters on system calls: attaching, asking, acting. Contract in seccomp.h. Linux: kernel/seccomp.c. */
#include "sentry/kernel/seccomp.h"

#include <string.h>
#include <sys/syscall.h>

#include "sentry/kernel/exit.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/run.h"
#include "sentry/syscalls/syscalls.h"

#define AUDIT_ARCH_L	   0xc000003eu /* AUDIT_ARCH_X86_64 */
#define PATH_INSNS_MAX	   32768u
#define FILTER_PENALTY	   4u /* counted for each filter besides its instructions */
#define MAX_ERRNO_L	   4095u
#define SYS_SECCOMP_L	   1 /* si_code of SIGSYS */

const char *const seccomp_action_names[8] = { "kill_process", "kill_thread", "trap", "errno", "user_notif", "trace", "log", "allow" };

/* --- filters --- */

struct seccomp_filter *seccomp_filter_new(struct bpf_insn *prog, uint32_t len, uint32_t flags)
{
	struct seccomp_filter *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	ref_init(&f->ref);
	mutex_init(&f->mu, "seccomp_filter.mu");
	waitq_init(&f->wq);
	list_init(&f->requests);
	kernel_random(&f->next_id, sizeof(f->next_id));
	f->prog = prog;
	f->len = len;
	f->log = flags & SECCOMP_L_FLAG_LOG;
	f->wait_killable = flags & SECCOMP_L_FLAG_WAIT_KILLABLE;
	return f;
}

struct seccomp_filter *seccomp_filter_get(struct seccomp_filter *f)
{
	ref_get(&f->ref);
	return f;
}

void seccomp_filter_put(struct seccomp_filter *f)
{
	while (f && ref_put(&f->ref)) {
		struct seccomp_filter *prev = f->prev;

		seccomp_drop_requests(f);
		waitq_done(&f->wq);
		mutex_destroy(&f->mu);
		free(f->prog);
		free(f);
		f = prev;
	}
}

static void users_get(struct seccomp_filter *f)
{
	while (f && atomic_fetch_add(&f->users, 1) == 0)
		f = f->prev;
}

static void users_put(struct seccomp_filter *f)
{
	while (f && atomic_fetch_sub(&f->users, 1) == 1) {
		seccomp_wake_listener(f);
		f = f->prev;
	}
}

static bool is_ancestor(const struct seccomp_filter *anc, const struct seccomp_filter *f)
{
	if (!anc)
		return true;
	for (; f; f = f->prev)
		if (f == anc)
			return true;
	return false;
}

/* Fills what is derived; the filters before it have it. */
static void make_ready(struct seccomp_filter *f)
{
	uint32_t r;

	f->path_len = bpf_linux_len(f->prog, f->len) + (f->prev ? f->prev->path_len + FILTER_PENALTY : 0);
	for (int nr = 0; nr < SECCOMP_NR_CACHED; nr++)
		if (bpf_run_const(f->prog, nr, AUDIT_ARCH_L, &r) && r == SECCOMP_L_RET_ALLOW)
			f->allow[nr / 64] |= 1ull << (nr % 64);
	if (f->prev)
		for (size_t i = 0; i < ARRAY_SIZE(f->allow); i++)
			f->allow[i] &= f->prev->allow[i];
	f->ready = true;
}

/* --- attaching --- */

int seccomp_set_strict(struct task *t)
{
	struct sighand *s = sighand_lock(t);
	int r = t->seccomp_mode == SECCOMP_L_FILTER ? -EINVAL : 0;

	if (r == 0)
		__atomic_store_n(&t->seccomp_mode, SECCOMP_L_STRICT, __ATOMIC_RELEASE);
	mutex_unlock(&s->mu);
	return r;
}

/* A thread that has filters of its own: its id for the caller, else 0. */
static int unsyncable_locked(struct task *t)
{
	struct task *o;

	list_for_each(o, &t->tg->tasks, tg_node) {
		if (o == t || o->exiting || o->is_zombie || o->seccomp_mode == SECCOMP_L_DISABLED)
			continue;
		if (o->seccomp_mode != SECCOMP_L_FILTER || !is_ancestor(o->filter, t->filter))
			return MAX(pid_nr(o->pid, t), 1);
	}
	return 0;
}

static void set_filter_locked(struct task *t, struct seccomp_filter *f)
{
	struct seccomp_filter *old = t->filter;

	(void)seccomp_filter_get(f);
	users_get(f);
	__atomic_store_n(&t->filter, f, __ATOMIC_RELEASE);
	__atomic_store_n(&t->seccomp_mode, SECCOMP_L_FILTER, __ATOMIC_RELEASE);
	if (old) {
		users_put(old);
		seccomp_filter_put(old); /* not the last reference: @f has it as an ancestor */
	}
}

static void sync_threads_locked(struct task *t)
{
	struct task *o;

	list_for_each(o, &t->tg->tasks, tg_node) {
		if (o == t || o->exiting || o->is_zombie)
			continue;
		if (o->filter != t->filter)
			set_filter_locked(o, t->filter);
		if (t->no_new_privs)
			__atomic_store_n(&o->no_new_privs, true, __ATOMIC_RELAXED);
	}
}

static int attach_locked(struct task *t, struct seccomp_filter *f, uint32_t flags)
{
	int r;

	if (t->seccomp_mode == SECCOMP_L_STRICT)
		return -EINVAL;
	if (flags & SECCOMP_L_FLAG_NEW_LISTENER)
		for (struct seccomp_filter *o = t->filter; o; o = o->prev)
			if (o->listening)
				return -EBUSY;
	if (bpf_linux_len(f->prog, f->len) + (t->filter ? t->filter->path_len + FILTER_PENALTY : 0) > PATH_INSNS_MAX)
		return -ENOMEM;
	if (flags & SECCOMP_L_FLAG_TSYNC) {
		r = unsyncable_locked(t);
		if (r)
			return flags & SECCOMP_L_FLAG_TSYNC_ESRCH ? -ESRCH : r;
	}
	f->prev = t->filter ? seccomp_filter_get(t->filter) : NULL;
	make_ready(f);
	set_filter_locked(t, f);
	if (flags & SECCOMP_L_FLAG_TSYNC)
		sync_threads_locked(t);
	return 0;
}

int seccomp_attach(struct task *t, struct seccomp_filter *f, uint32_t flags)
{
	struct sighand *s = sighand_lock(t);
	int r = attach_locked(t, f, flags);

	mutex_unlock(&s->mu);
	if (r == 0)
		seccomp_filter_put(f);
	return r;
}

void seccomp_begin(struct task *t, struct seccomp_filter *f)
{
	struct sighand *s = sighand_lock(t);

	if (!f->ready)
		make_ready(f); /* by the container's first process, alone */
	set_filter_locked(t, f);
	mutex_unlock(&s->mu);
}

void seccomp_inherit_locked(struct task *t, struct task *c)
{
	if (t->filter)
		set_filter_locked(c, t->filter);
	c->seccomp_mode = t->seccomp_mode;
	c->no_new_privs = t->no_new_privs;
}

void seccomp_exit(struct task *t)
{
	struct seccomp_filter *f;
	struct sighand *s;

	if (!t->filter)
		return;
	s = sighand_lock(t);
	f = t->filter;
	t->filter = NULL;
	mutex_unlock(&s->mu);
	users_put(f);
	seccomp_filter_put(f);
}

uint32_t seccomp_nr_filters(struct task *t)
{
	struct sighand *s = t->sighand ? sighand_lock(t) : NULL;
	uint32_t n = 0;

	for (const struct seccomp_filter *f = t->filter; f; f = f->prev)
		n++;
	if (s)
		mutex_unlock(&s->mu);
	return n;
}

int seccomp_nth_filter(struct task *t, uint64_t n, struct seccomp_filter **ret)
{
	struct sighand *s = sighand_lock(t);
	struct seccomp_filter *f;
	uint64_t count = 0;
	int r = -EINVAL;

	if (t->seccomp_mode == SECCOMP_L_FILTER) {
		for (f = t->filter; f; f = f->prev)
			count++;
		r = n < count ? 0 : -ENOENT;
	}
	if (r == 0) {
		f = t->filter;
		for (count -= n; count > 1; count--)
			f = f->prev;
		*ret = seccomp_filter_get(f);
	}
	mutex_unlock(&s->mu);
	return r;
}

/* --- asking --- */

static bool always_allowed(const struct seccomp_filter *f, uint64_t nr)
{
	return nr < SECCOMP_NR_CACHED && (f->allow[nr / 64] >> (nr % 64) & 1);
}

/* The strictest answer of all, and the newest filter that gave it. */
static uint32_t ask(struct seccomp_filter *f, const struct bpf_seccomp_data *d, struct seccomp_filter **ret_match)
{
	uint32_t ret = SECCOMP_L_RET_ALLOW;

	for (; f; f = f->prev) {
		uint32_t r = bpf_run(f->prog, d);

		if ((int32_t)(r & SECCOMP_L_RET_ACTION_FULL) < (int32_t)(ret & SECCOMP_L_RET_ACTION_FULL)) {
			ret = r;
			*ret_match = f;
		}
	}
	return ret;
}

static void die(struct task *t, bool whole)
{
	struct task *o;
	struct sighand *s = sighand_lock(t);
	unsigned live = 0;

	list_for_each(o, &t->tg->tasks, tg_node)
		live += !o->exiting && !o->is_zombie;
	mutex_unlock(&s->mu);
	if (whole || live <= 1)
		task_exit_group(t, SIGSYS);
	task_exit(t, SIGSYS);
}

/* SIGSYS for the call, with the registers as they were before it. */
static void trap(struct task *t, const struct bpf_seccomp_data *d, uint32_t data)
{
	struct arch_regs *r = &t->k->pops->regs(t->pctx, true)->r;
	struct linux_siginfo si = { .si_signo = SIGSYS, .si_errno = (int32_t)data, .si_code = SYS_SECCOMP_L };

	si.sys.call_addr = d->ip;
	si.sys.syscall = d->nr;
	si.sys.arch = d->arch;
	r->rax = t->sysctx.nr;
	signal_force(t, &si);
}

static void describe(struct task *t, struct bpf_seccomp_data *d)
{
	const struct sysctx *c = &t->sysctx;

	d->nr = (int32_t)c->nr;
	d->arch = AUDIT_ARCH_L;
	/* A call that is dispatched again after a restart has its registers pulled; the trap's address is the same one. */
	d->ip = t->trap.event == PLAT_SYSCALL ? t->trap.ip : t->k->pops->regs(t->pctx, false)->r.rip;
	memcpy(d->args, c->args, sizeof(d->args));
}

static bool pass(struct task *t)
{
	if (t->sysctx.seccomp != SECCOMP_NEW)
		t->sysctx.again = false; /* what was begun before is the asking, not the call */
	t->sysctx.seccomp = SECCOMP_PASSED;
	return true;
}

/* The tracer decides: true when the call may still run (perhaps as another call), to be asked about again. */
static bool ask_tracer(struct task *t, uint32_t data, int64_t *ret)
{
	int r;

	t->sysctx.seccomp = SECCOMP_TRACE;
	r = ptrace_seccomp(t, data);
	if (r == 1)
		return true;
	*ret = r == 0 ? SYS_NO_RETURN_VALUE : r;
	return false;
}

static bool filter_call(struct task *t, int64_t *ret)
{
	struct seccomp_filter *f = __atomic_load_n(&t->filter, __ATOMIC_ACQUIRE), *match = NULL;
	bool traced = t->sysctx.seccomp == SECCOMP_TRACE;
	struct bpf_seccomp_data d;
	uint32_t r;

	if (traced && !ask_tracer(t, 0, ret))
		return false;
	if (t->sysctx.seccomp == SECCOMP_NOTIFY) {
		match = seccomp_asked(t);
		if (match)
			return seccomp_ask_listener(t, match, NULL, ret) && pass(t);
	}
again:
	if (always_allowed(f, t->sysctx.nr))
		return pass(t);
	describe(t, &d);
	r = ask(f, &d, &match);
	switch (r & SECCOMP_L_RET_ACTION_FULL) {
	case SECCOMP_L_RET_ALLOW:
	case SECCOMP_L_RET_LOG:
		return pass(t);
	case SECCOMP_L_RET_ERRNO:
		*ret = -(int64_t)MIN(r & SECCOMP_L_RET_DATA, MAX_ERRNO_L);
		return false;
	case SECCOMP_L_RET_TRAP:
		trap(t, &d, r & SECCOMP_L_RET_DATA);
		*ret = SYS_NO_RETURN_VALUE;
		return false;
	case SECCOMP_L_RET_TRACE:
		if (traced)
			return pass(t);
		if (!ask_tracer(t, r & SECCOMP_L_RET_DATA, ret))
			return false;
		traced = true;
		f = __atomic_load_n(&t->filter, __ATOMIC_ACQUIRE);
		goto again;
	case SECCOMP_L_RET_USER_NOTIF:
		t->sysctx.seccomp = SECCOMP_NOTIFY;
		return seccomp_ask_listener(t, match, &d, ret) && pass(t);
	case SECCOMP_L_RET_KILL_THREAD:
		die(t, false);
		break;
	default: /* KILL_PROCESS, and answers that mean nothing */
		die(t, true);
	}
	return false;
}

bool seccomp_enter(struct task *t, int64_t *ret)
{
	uint64_t nr = t->sysctx.nr;

	if (ptrace_suspends_seccomp(t))
		return pass(t);
	if (t->seccomp_mode == SECCOMP_L_FILTER)
		return filter_call(t, ret);
	if (nr == SYS_read || nr == SYS_write || nr == SYS_exit || nr == SYS_rt_sigreturn)
		return pass(t);
	task_exit(t, SIGKILL);
}

/* --- after a restore --- */

/* Makes the chain of @newest ready, oldest first. */
static int ready_chain(struct seccomp_filter *newest)
{
	struct seccomp_filter *f, *path[PATH_INSNS_MAX / (FILTER_PENALTY + 4)];
	size_t n = 0;

	for (f = newest; f && !f->ready; f = f->prev) {
		if (n == ARRAY_SIZE(path))
			return -EINVAL; /* too long, or a circle */
		path[n++] = f;
	}
	while (n--) {
		make_ready(path[n]);
		if (path[n]->path_len > PATH_INSNS_MAX)
			return -EINVAL;
	}
	return 0;
}

int seccomp_restore(struct kernel *k)
{
	struct thread_group *tg;
	struct container *c;
	struct task *t;

	list_for_each(c, &k->containers, node)
		if (c->seccomp && ready_chain(c->seccomp) < 0)
			return -EINVAL;
	list_for_each(tg, &k->groups, all_node)
		list_for_each(t, &tg->tasks, tg_node) {
			if (!t->filter)
				continue;
			if (ready_chain(t->filter) < 0)
				return -EINVAL;
			users_get(t->filter);
			seccomp_adopt_request(t);
		}
	return 0;
}
