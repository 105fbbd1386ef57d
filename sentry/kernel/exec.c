/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve: a new program in an old task.
 *
 * The new address space is built completely before the point of no return; until then any failure leaves the caller as it was. Then
 * the other threads are killed (the caller takes the leader's place and id), shared tables are unshared, and the rest cannot fail.
 * A freeze during the wait for other threads is postponed: they die without parking. Linux: fs/exec.c.
 */
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/exec.h"

#include <string.h>
#include <sys/stat.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/uring/uring.h"
#include "sentry/kernel/exec_cred.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/freeze.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/run.h"
#include "sentry/syscalls/syscalls.h"

#define MAX_ARG_STRLEN_L (128u << 10)
#define MAX_ARG_STRINGS  0x7fffffffu
#define MAX_INTERP       4
#define AT_FDCWD_L       (-100)

void arg_list_done(struct arg_list *l)
{
	strbuf_done(&l->bytes);
	l->n = 0;
}

int arg_list_add(struct arg_list *l, const char *s)
{
	strbuf_add(&l->bytes, s, strlen(s) + 1);
	l->n++;
	return strbuf_error(&l->bytes);
}

static void arg_list_donep(struct arg_list *l)
{
	arg_list_done(l);
}

/* An array of string pointers in application memory. @room: bytes still allowed for strings and pointers together. */
static int copy_in_args(struct task *t, gaddr_t addr, struct arg_list *l, uint64_t *room)
{
	if (!addr.v)
		return 0;
	for (;;) {
		_cleanup_free_ char *s = NULL;
		uint64_t p, len;
		int r = copy_in(t, &p, addr, sizeof(p));

		if (r < 0)
			return r;
		if (!p)
			return 0;
		r = copy_in_string(t, GADDR(p), MAX_ARG_STRLEN_L - 1, &s);
		if (r < 0)
			return r == -ENAMETOOLONG ? -E2BIG : r;
		len = strlen(s) + 1 + sizeof(p);
		if (len > *room)
			return -E2BIG;
		*room -= len;
		r = arg_list_add(l, s);
		if (r < 0)
			return r;
		addr = gaddr_add(addr, sizeof(p));
		if (signal_pending(t) && t->tg->group_exiting)
			return -EINTR;
	}
}

/* --- killing the other threads --- */

static bool alone_locked(struct task *t)
{
	struct task *o;

	list_for_each(o, &t->tg->tasks, tg_node)
		if (o != t && !o->is_zombie)
			return false;
	return true;
}

static void kill_others_locked(struct task *t)
{
	struct task *o;

	list_for_each(o, &t->tg->tasks, tg_node)
		if (o != t && !o->is_zombie) {
			o->pending.set |= SIGBIT(SIGKILL);
			task_set_work(o, WORK_SIGNAL);
			task_wake(o);
		}
}

/* Takes over the leader's id, so that the process keeps its pid. tasks_mu and sighand->mu held. */
static struct task *become_leader_locked(struct task *t)
{
	struct task *old = t->tg->leader;
	struct pid *tmp = t->pid;

	if (old == t)
		return NULL;
	t->pid = old->pid;
	old->pid = tmp;
	t->pid->task = t;
	old->pid->task = NULL;
	pid_release_nr_locked(old->pid);
	t->tg->leader = t;
	list_del(&old->tg_node);
	t->tg->nr_tasks--;
	t->k->nr_tasks--;
	cgroup_release(old);
	t->exit_code = 0;
	return old;
}

static int de_thread(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct kernel *k = t->k;
	struct sighand *s;
	struct task *old = NULL;

	s = sighand_lock(t);
	if (tg->group_exiting || tg->exec_task) {
		mutex_unlock(&s->mu);
		return -EAGAIN; /* a fatal signal is on its way to us */
	}
	tg->exec_task = t;
	kill_others_locked(t);
	mutex_unlock(&s->mu);
	freeze_recheck(k);
	for (;;) {
		bool alone, fatal;

		mutex_lock(&k->tasks_mu);
		s = sighand_lock(t);
		alone = alone_locked(t);
		fatal = tg->group_exiting;
		if (alone && !fatal) {
			old = become_leader_locked(t);
			tg->exec_task = NULL;
		} else if (fatal) {
			tg->exec_task = NULL;
		}
		mutex_unlock(&s->mu);
		if (old)
			ptrace_unlink_locked(old);
		mutex_unlock(&k->tasks_mu);
		if (fatal)
			return -EAGAIN;
		if (alone)
			break;
		mutex_lock(&t->park_mu);
		while (!t->woken)
			cond_wait(&t->park_cv, &t->park_mu);
		t->woken = false;
		mutex_unlock(&t->park_mu);
	}
	if (old)
		task_put(old); /* the group's reference of the former leader */
	return 0;
}

static int unshare_tables(struct task *t)
{
	if (ref_count(&t->sighand->ref) > 1) {
		struct sighand *n = sighand_dup(t->sighand), *old = t->sighand;
		struct kernel *k = t->k;

		if (!n)
			return -ENOMEM;
		n->prev = old;
		mutex_lock(&k->tasks_mu);
		mutex_lock(&old->mu);
		__atomic_store_n(&t->sighand, n, __ATOMIC_RELEASE);
		mutex_unlock(&old->mu);
		mutex_unlock(&k->tasks_mu);
	}
	if (fd_table_shared(t->files)) {
		struct fd_table *n = fd_table_dup(t->files), *old;

		if (!n)
			return -ENOMEM;
		mutex_lock(&t->alloc_mu);
		old = t->files;
		t->files = n;
		mutex_unlock(&t->alloc_mu);
		fd_table_put(old, t);
	}
	return 0;
}

static void reset_context(struct task *t, const struct load_result *lr)
{
	struct arch_state *st = t->k->pops->regs(t->pctx, true);
	struct arch_regs *r = &st->r;

	*r = (struct arch_regs){ .rip = lr->entry, .rsp = lr->sp, .eflags = 0x202, .orig_rax = UINT64_MAX, .cs = r->cs, .ss = r->ss };
	st->fpu.size = 0;
}

static void set_comm(struct task *t, const char *path)
{
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	memset(t->comm, 0, sizeof(t->comm));
	memcpy(t->comm, base, MIN(strlen(base), sizeof(t->comm) - 1));
}

static void install(struct task *t, struct load_req *q, struct cred *c, const char *path, const struct load_result *lr)
{
	struct mm *mm = q->mm;

	set_comm(t, path);
	uring_task_exit(t, false, false);
	if (t->mm && current_task == t)
		mm_take_as(mm, t->mm, t->pctx);
	task_release_mm(t);
	mutex_lock(&t->alloc_mu);
	t->mm = mm;
	mutex_unlock(&t->alloc_mu);
	if (current_task == t)
		mm_bind_thread(mm, t->pctx);
	mm_set_exe_file(mm, q->file);
	if (q->secure || c->euid != t->cred->euid || c->egid != t->cred->egid || c->fsuid != t->cred->fsuid || c->fsgid != t->cred->fsgid)
		t->pdeathsig = 0;
	task_set_cred(t, c);
	sighand_reset_handlers(t->sighand);
	t->altstack = (struct sigaltstack){ 0 };
	t->robust_list = 0;
	t->dispatch = (struct user_dispatch){ 0 };
	t->clear_child_tid = 0;
	t->rseq_addr = 0;
	t->rseq_len = t->rseq_sig = 0;
	t->tg->did_exec = true;
	t->tg->exit_signal = SIGCHLD;
	fd_table_close_on_exec(t->files, t);
	posix_timers_exit(t->tg);
	ptrace_exec(t);
	keys_exec(t);
	reset_context(t, lr);
}

/* Follows "#!" lines: on success q->file is an ELF candidate and q->argv the arguments with interpreters in front. */
static int resolve_scripts(struct task *t, struct load_req *q, struct arg_list *argv, struct file **file, bool via_fd)
{
	for (int depth = 0;; depth++) {
		_cleanup_free_ char *interp = NULL, *arg = NULL;
		_cleanup_(arg_list_donep) struct arg_list n = { 0 };
		struct file *f;
		size_t skip;
		int r = script_parse(*file, t, &interp, &arg);

		if (r <= 0)
			return r;
		if (via_fd)
			return -ENOENT; /* the descriptor closes on exec: the interpreter could not open it */
		if (depth == MAX_INTERP)
			return -ELOOP;
		r = arg_list_add(&n, interp);
		if (r == 0 && arg)
			r = arg_list_add(&n, arg);
		if (r == 0)
			r = arg_list_add(&n, q->execfn);
		if (r < 0)
			return r;
		skip = argv->n ? strlen(argv->bytes.data) + 1 : 0; /* argv[0] is replaced by the script's path */
		if (skip)
			strbuf_add(&n.bytes, argv->bytes.data + skip, argv->bytes.len - skip);
		n.n += argv->n ? argv->n - 1 : 0;
		if (strbuf_error(&n.bytes) < 0)
			return -ENOMEM;
		arg_list_done(argv);
		*argv = n;
		n = (struct arg_list){ 0 };
		r = vfs_open_exec(t, AT_FDCWD_L, interp, 0, &f);
		if (r < 0)
			return r;
		exec_file_done(*file);
		file_put(*file);
		*file = f;
		free((char *)(uintptr_t)q->execfn);
		q->execfn = TAKE_PTR(interp);
	}
}

static int exec_built(struct task *t, struct load_req *q, const char *path)
{
	struct load_result lr;
	struct cred *c = NULL;
	bool undumpable = false;
	int r = mm_new(t->k, &q->mm);

	if (r == 0 && t->mm)
		mm_set_thp_disabled(q->mm, mm_thp_disabled(t->mm));

	if (r < 0)
		return r;
	mm_user_get(q->mm);
	mm_pick_layout(q->mm, task_rlimit(t, LINUX_RLIMIT_STACK), !(t->personality & 0x0040000 /* ADDR_NO_RANDOMIZE */));
	r = exec_cred(t, q->file, &c, &q->secure, &undumpable);
	if (r == 0) {
		q->cred = c;
		r = elf_load(q, &lr);
	}
	t->sysctx.val[1] = ptraced(t) ? ptrace_own_tid(t) : 0;
	if (r == 0 && t->tg->nr_tasks > 1)
		r = de_thread(t);
	if (r == 0)
		r = unshare_tables(t);
	if (r < 0) {
		cred_put(c);
		mm_user_put(q->mm);
		mm_put(q->mm);
		return r;
	}
	install(t, q, c, path, &lr);
	t->undumpable = undumpable;
	return 0;
}

int64_t do_execve(struct task *t, int dfd, const char *path, struct arg_list *argv, struct arg_list *envp, int atflags)
{
	struct load_req q = { .t = t, .argv = argv, .envp = envp };
	struct file *file = NULL;
	bool by_fd = (atflags & 0x1000) && !*path, cloexec = false;
	char *execfn = NULL;
	int r = vfs_open_exec(t, dfd, path, (uint32_t)atflags, &file);

	if (r < 0)
		return r;
	/* Linux: a relative name under a descriptor is shown as /dev/fd/N/name, an empty one as /dev/fd/N. */
	if (dfd != AT_FDCWD_L && path[0] != '/') {
		struct strbuf b = STRBUF_INIT;

		strbuf_addf(&b, *path ? "/dev/fd/%d/%s" : "/dev/fd/%d", dfd, path);
		execfn = strbuf_take(&b);
		cloexec = fd_get_cloexec(t, dfd) == 1;
	} else {
		execfn = strdup(path);
	}
	q.execfn = execfn;
	if (!execfn)
		r = -ENOMEM;
	if (r == 0 && argv->n == 0)
		r = arg_list_add(argv, "");
	if (r == 0)
		r = resolve_scripts(t, &q, argv, &file, cloexec);
	q.file = file;
	if (r == 0)
		r = exec_built(t, &q, by_fd && execfn ? execfn : path);
	exec_file_done(file);
	file_put(file);
	free((char *)(uintptr_t)q.execfn);
	return r < 0 ? r : SYS_NO_RETURN_VALUE;
}

#define EXEC_DONE 1 /* sysctx.val[0]: the new program is there; val[1] is the former thread id as the tracer knows it */

/* What a tracer sees of it: an event stop, or the old way's SIGTRAP. */
static int64_t report_exec(struct task *t)
{
	t->sysctx.val[0] = EXEC_DONE;
	if (ptraced(t) && !task_pt(t)->seized && !ptrace_event_enabled(t, PTRACE_EVENT_EXEC_L) && !t->sysctx.again) {
		struct linux_siginfo si;

		siginfo_user(&si, SIGTRAP, t, SI_USER);
		(void)signal_send_task(t, SIGTRAP, &si);
	}
	return ptrace_event(t, PTRACE_EVENT_EXEC_L, t->sysctx.val[1]) < 0 ? -EFREEZE : SYS_NO_RETURN_VALUE;
}

static int64_t execve_user(struct task *t, int dfd, gaddr_t path, gaddr_t argv, gaddr_t envp, int atflags)
{
	_cleanup_(arg_list_donep) struct arg_list av = { 0 }, ev = { 0 };
	_cleanup_free_ char *name = NULL;
	uint64_t room = MIN(task_rlimit(t, LINUX_RLIMIT_STACK) / 4, (uint64_t)6 << 20);
	int64_t r;

	if (t->sysctx.again && t->sysctx.val[0] == EXEC_DONE)
		return report_exec(t);
	room = MAX(room, (uint64_t)128 << 10);
	r = copy_in_path(t, path, &name);
	if (r == 0 && !*name && !(atflags & 0x1000))
		r = -ENOENT;
	if (r == 0)
		r = copy_in_args(t, argv, &av, &room);
	if (r == 0)
		r = copy_in_args(t, envp, &ev, &room);
	if (r < 0)
		return r;
	r = do_execve(t, dfd, name, &av, &ev, atflags);
	return r == SYS_NO_RETURN_VALUE ? report_exec(t) : r;
}

int64_t sys_execve(struct task *t, const struct sys_args *a)
{
	return execve_user(t, AT_FDCWD_L, ARG_ADDR(a, 0), ARG_ADDR(a, 1), ARG_ADDR(a, 2), 0);
}

int64_t sys_execveat(struct task *t, const struct sys_args *a)
{
	int flags = ARG_INT(a, 4), r;
	char *name = NULL;

	r = copy_in_path(t, ARG_ADDR(a, 1), &name);
	free(name);
	if (r < 0)
		return r;
	if (flags & ~(0x1000 /* AT_EMPTY_PATH */ | 0x100 /* AT_SYMLINK_NOFOLLOW */))
		return -EINVAL;
	return execve_user(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_ADDR(a, 2), ARG_ADDR(a, 3), flags);
}
