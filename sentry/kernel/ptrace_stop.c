/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ptrace stops: what a tracee's own thread does. See ptrace.h for how a stop survives a freeze.
 *
 *   begin()      registers pulled; under tasks_mu and sighand.mu the stop becomes visible; the tracer is told
 *   wait_stop()  sleeps until resumed, detached or killed; -EFREEZE leaves the stop as it is
 *   the caller   acts on what the tracer left: code, mode, registers
 *
 * Linux: ptrace_stop(), ptrace_signal(), do_jobctl_trap() in kernel/signal.c; entry and exit in kernel/entry/common.c.
 */
#include <string.h>
#include <sys/wait.h>

#include "sentry/kernel/exit.h"
#include "sentry/kernel/freeze.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/run.h"

#define SYSCALL_TRAP  (SIGTRAP | 0x80)
#define MSG_ENTRY     1 /* PTRACE_EVENTMSG_SYSCALL_* */
#define MSG_EXIT      2
#define NR_RESTART    219 /* restart_syscall: how a tracer sees an ERESTARTBLOCK call go on */
#define EVENT_CODE(e) (SIGTRAP | (e) << 8)

static bool killed_locked(const struct task *t)
{
	return t->tg->group_exiting || (t->pending.set & SIGBIT(SIGKILL));
}

static void notify_info(struct task *t, struct linux_siginfo *si, int sig, int code)
{
	*si = (struct linux_siginfo){ .si_signo = sig, .si_code = code };
	si->rt.pid = pid_nr(t->pid, t);
	si->rt.uid = t->cred->uid;
}

/* Takes part in a group stop that waits for @t. True when that completes it. */
static bool participate_locked(struct task *t)
{
	struct thread_group *tg = t->tg;

	if (!t->stop_me)
		return false;
	t->stop_me = false;
	if (!tg->stop_pending || --tg->stop_pending)
		return false;
	tg->stopped = true;
	tg->stop_reported = false;
	tg->stop_code = tg->stop_sig;
	return true;
}

/* What a job control trap looks like: a group stop's, or SIGTRAP when none is in effect (seized only). */
static enum ptrace_stop trap_locked(struct task *t, int *code, struct linux_siginfo *si)
{
	int sig = t->tg->stop_sig;

	if (!t->pt->seized) {
		*code = sig ? sig : SIGSTOP;
		return PTS_GROUP;
	}
	if (!sig)
		sig = SIGTRAP;
	*code = sig | PTRACE_EVENT_STOP_L << 8;
	notify_info(t, si, sig, *code);
	t->pt->trap_notify = false;
	return PTS_EVENT_STOP;
}

/* False: no stop, because nobody traces or the task is dying or (PTS_GROUP, either job control stop) there is no reason any more. */
static bool begin(struct task *t, enum ptrace_stop kind, int code, const struct linux_siginfo *si, uint64_t msg)
{
	struct thread_group *tg = t->tg;
	struct ptrace *pt = t->pt;
	bool gstop_done = false, jobctl = kind == PTS_GROUP, ok;
	struct linux_siginfo trap_si;
	struct sighand *s;

	(void)t->k->pops->regs(t->pctx, true);
	mutex_lock(&t->k->tasks_mu);
	s = sighand_lock(t);
	ok = pt->tracer && (kind == PTS_DEATH || !killed_locked(t)) &&
	     (!jobctl || t->stop_me || pt->trap_stop || pt->trap_notify);
	if (ok) {
		if (jobctl) {
			gstop_done = participate_locked(t);
			kind = trap_locked(t, &code, &trap_si);
			si = kind == PTS_EVENT_STOP ? &trap_si : NULL;
		}
		pt->has_info = si;
		if (si)
			pt->info = *si;
		pt->message = msg;
		pt->code = code;
		pt->trap_stop = false;
		pt->listening = false;
		pt->final = tg->group_exiting;
		pt->kind = kind;
		pt->stopped = true;
	}
	mutex_unlock(&s->mu);
	if (ok) {
		ptrace_notify_tracer_locked(t, jobctl ? CLD_STOPPED : CLD_TRAPPED, code & 0x7f);
		if (gstop_done && pt->tracer->tg != tg->parent)
			signal_notify_parent(tg, CLD_STOPPED, tg->stop_sig);
	}
	mutex_unlock(&t->k->tasks_mu);
	return ok;
}

static bool over_locked(const struct task *t)
{
	const struct ptrace *pt = t->pt;

	if (pt->frozen)
		return false;
	if (!pt->stopped || (pt->listening && (pt->trap_notify || pt->trap_stop)))
		return true;
	return killed_locked(t) && !(pt->kind == PTS_DEATH && pt->final);
}

/* sighand.mu held. Returns the tracer's signal. */
static int end_locked(struct task *t)
{
	struct ptrace *pt = t->pt;
	int code = pt->code;

	pt->kind = PTS_NONE;
	pt->stopped = pt->listening = pt->has_info = false;
	pt->message = 0;
	pt->code = 0;
	signal_recalc_locked(t);
	return code;
}

void ptrace_arm(struct task *t)
{
	const struct ptrace *pt = t->pt;
	struct plat_debug d = { .control = pt->debug_control };

	memcpy(d.addr, pt->debug_addr, sizeof(d.addr));
	t->k->pops->set_step(t->pctx, pt->step);
	t->k->pops->set_debug(t->pctx, &d);
}

void ptrace_exec(struct task *t)
{
	struct ptrace *pt = task_pt(t);

	if (!pt)
		return;
	memset(pt->debug_addr, 0, sizeof(pt->debug_addr));
	pt->debug_control = pt->debug_status = 0;
	t->k->pops->set_debug(t->pctx, &(struct plat_debug){ 0 });
}

static int wait_stop(struct task *t, int *ret_code)
{
	struct sighand *s;

	atomic_store_explicit(&t->run_state, 't', memory_order_relaxed);
	for (;;) {
		s = sighand_lock(t);
		if (over_locked(t))
			break;
		mutex_unlock(&s->mu);
		mutex_lock(&t->park_mu);
		while (!t->woken && !(atomic_load(&t->work) & WORK_FREEZE))
			cond_wait(&t->park_cv, &t->park_mu);
		t->woken = false;
		mutex_unlock(&t->park_mu);
		if (atomic_load(&t->work) & WORK_FREEZE)
			return -EFREEZE;
	}
	*ret_code = end_locked(t);
	mutex_unlock(&s->mu);
	atomic_store_explicit(&t->run_state, 'R', memory_order_relaxed);
	ptrace_arm(t);
	return 0;
}

/* --- interrupted system calls --- */

/* A tracer sees the restart code as the call's result, as in Linux. */
static void show_restart(struct task *t)
{
	struct arch_regs *r = &t->k->pops->regs(t->pctx, true)->r;

	if (t->sysctx.restart) {
		r->rax = (uint64_t)-(int64_t)t->sysctx.restart;
		r->orig_rax = t->sysctx.nr;
	}
}

static void args_from_regs(struct sysctx *c, const struct arch_regs *r)
{
	const uint64_t a[6] = { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 };

	memcpy(c->args, a, sizeof(a));
}

/* The registers the tracer left decide whether a call is restarted: a debugger that calls a function in the tracee first says there
 * is none (orig_rax = -1), then puts the interrupted one back. */
static void resync_restart(struct task *t)
{
	struct sysctx *c = &t->sysctx;
	const struct arch_regs *r;
	int64_t ret;

	if (!t->pt->regs_set)
		return;
	t->pt->regs_set = false;
	r = &t->k->pops->regs(t->pctx, true)->r;
	ret = (int64_t)r->rax;
	if ((int64_t)r->orig_rax < 0 || ret > -ERESTARTSYS || ret < -ERESTARTBLOCK) {
		c->restart = 0;
		return;
	}
	if (c->restart == -ret && c->nr == r->orig_rax)
		return;
	*c = (struct sysctx){ .nr = r->orig_rax, .restart = (int)-ret };
	args_from_regs(c, r);
}

/* --- signals and job control --- */

int ptrace_signal(struct task *t, int sig, struct linux_siginfo *info)
{
	struct ptrace *pt = t->pt;
	int r, code;

	if (pt->kind != PTS_SIGNAL) {
		show_restart(t);
		pt->stop_dequeued = true;
		if (!begin(t, PTS_SIGNAL, sig, info, 0))
			return sig;
	}
	r = wait_stop(t, &code);
	if (r < 0)
		return r;
	resync_restart(t);
	*info = pt->info;
	if (!code)
		return 0;
	if (code != info->si_signo) {
		struct task *tracer;

		*info = (struct linux_siginfo){ .si_signo = code, .si_code = SI_USER };
		mutex_lock(&t->k->tasks_mu);
		tracer = pt->tracer;
		if (tracer) {
			info->rt.pid = pid_nr(tracer->tg->pid, t);
			info->rt.uid = tracer->cred->uid;
		}
		mutex_unlock(&t->k->tasks_mu);
	}
	if (t->blocked & SIGBIT(code)) {
		(void)signal_send_task(t, code, info);
		return 0;
	}
	return code;
}

bool ptrace_stop_valid_locked(const struct task *t)
{
	return !ptraced(t) || t->pt->stop_dequeued;
}

int ptrace_trap(struct task *t)
{
	struct ptrace *pt = t->pt;
	int r, code;

	if (pt->kind != PTS_GROUP && pt->kind != PTS_EVENT_STOP) {
		show_restart(t);
		if (!begin(t, PTS_GROUP, 0, NULL, 0))
			return 0;
	}
	r = wait_stop(t, &code);
	if (r == 0)
		resync_restart(t);
	return r;
}

void ptrace_handler_entered(struct task *t)
{
	struct ptrace *pt = t->pt;

	if (!ptraced(t) || !pt->step)
		return;
	t->k->pops->set_step(t->pctx, false);
	pt->handler_trap = true;
	task_set_work(t, WORK_TRACE);
}

bool ptrace_stale_step(struct task *t)
{
	if (t->trap.sig != SIGTRAP || t->trap.code == SI_KERNEL || t->trap.code == TRAP_HWBKPT || ptraced(t) || t->pt->step)
		return false;
	if ((t->k->pops->regs(t->pctx, true)->r.eflags & 0x100) != 0)
		return false; /* its own trap flag */
	t->k->pops->set_step(t->pctx, false);
	return true;
}

/* --- system calls --- */

static int syscall_code(const struct task *t)
{
	return t->pt->options & PTRACE_O_TRACESYSGOOD_L ? SYSCALL_TRAP : SIGTRAP;
}

static void inject(struct task *t, int code)
{
	if (code > 0 && code <= NSIG_MAX)
		(void)signal_send_task(t, code, NULL);
}

static bool begin_entry(struct task *t)
{
	struct sysctx *c = &t->sysctx;
	struct ptrace *pt = t->pt;
	struct arch_regs *r = &t->k->pops->regs(t->pctx, true)->r;
	struct linux_siginfo si;
	int code = syscall_code(t);

	r->rax = (uint64_t)-ENOSYS;
	/* The call is told by the low half; what the application had in the upper half is shown, too. */
	if (c->again)
		r->orig_rax = NR_RESTART;
	else if ((uint32_t)r->orig_rax != (uint32_t)c->nr)
		r->orig_rax = c->nr;
	notify_info(t, &si, SIGTRAP, code);
	pt->emulated = pt->mode == PTM_SYSEMU;
	return begin(t, PTS_ENTRY, code, &si, MSG_ENTRY);
}

/* After an entry stop: the tracer may have changed the call, or skipped it by number -1. */
static bool take_call(struct task *t)
{
	const struct arch_regs *r = &t->k->pops->regs(t->pctx, true)->r;
	struct sysctx *c = &t->sysctx;

	t->pt->regs_set = false;
	if (c->again && r->orig_rax == NR_RESTART)
		return true;
	if (c->nr != (uint64_t)(int64_t)(int32_t)r->orig_rax)
		*c = (struct sysctx){ .nr = (uint64_t)(int64_t)(int32_t)r->orig_rax };
	args_from_regs(c, r);
	return c->nr != UINT64_MAX;
}

bool ptrace_syscall_enter(struct task *t)
{
	struct sysctx *c = &t->sysctx;
	struct ptrace *pt = t->pt;
	struct sighand *s;
	bool killed;
	int code;

	if (pt->kind != PTS_ENTRY) {
		if (pt->in_syscall)
			return true;
		pt->in_syscall = true;
		if (!ptraced(t) || pt->mode == PTM_CONT || !begin_entry(t))
			return true;
	}
	if (wait_stop(t, &code) < 0) {
		c->redo = true;
		return false;
	}
	c->redo = false;
	inject(t, code);
	s = sighand_lock(t);
	killed = killed_locked(t);
	mutex_unlock(&s->mu);
	if (killed || pt->emulated) {
		pt->in_syscall = pt->emulated = pt->regs_set = false;
		return false;
	}
	if (take_call(t))
		return true;
	ptrace_syscall_exit(t, SYS_NO_RETURN_VALUE);
	return false;
}

static int finish_exit_stop(struct task *t)
{
	int code, r = wait_stop(t, &code);

	if (r < 0)
		return r;
	inject(t, code);
	resync_restart(t);
	return 0;
}

void ptrace_syscall_exit(struct task *t, int64_t ret)
{
	struct ptrace *pt = t->pt;
	struct linux_siginfo si;
	int code;

	if (ret == -EFREEZE)
		return;
	pt->in_syscall = false;
	if (!ptraced(t) || pt->mode != PTM_SYSCALL)
		return;
	show_restart(t);
	/* execve gave the task new registers; a tracer still expects to see whose end this is. */
	if (ret == SYS_NO_RETURN_VALUE && (t->sysctx.nr == 59 || t->sysctx.nr == 322))
		t->k->pops->regs(t->pctx, true)->r.orig_rax = t->sysctx.nr;
	code = syscall_code(t);
	notify_info(t, &si, SIGTRAP, code);
	if (begin(t, PTS_EXIT, code, &si, MSG_EXIT) && finish_exit_stop(t) < 0)
		task_set_work(t, WORK_TRACE);
}

int ptrace_event(struct task *t, int event, uint64_t msg)
{
	struct ptrace *pt = task_pt(t);
	struct linux_siginfo si;
	int code;

	if (!pt)
		return 0;
	if (pt->kind != PTS_EVENT) {
		if (!ptrace_event_enabled(t, event))
			return 0;
		notify_info(t, &si, SIGTRAP, EVENT_CODE(event));
		if (!begin(t, PTS_EVENT, EVENT_CODE(event), &si, msg))
			return 0;
	}
	return wait_stop(t, &code);
}

int ptrace_seccomp(struct task *t, uint32_t data)
{
	struct ptrace *pt = task_pt(t);
	struct sighand *s;
	bool killed;

	if (!pt || (pt->kind != PTS_EVENT && !ptrace_event_enabled(t, PTRACE_EVENT_SECCOMP_L)))
		return -ENOSYS;
	if (pt->kind != PTS_EVENT) {
		struct arch_regs *r = &t->k->pops->regs(t->pctx, true)->r;

		r->rax = (uint64_t)-ENOSYS;
		r->orig_rax = t->sysctx.nr;
	}
	if (ptrace_event(t, PTRACE_EVENT_SECCOMP_L, data) < 0)
		return -EFREEZE;
	s = sighand_lock(t);
	killed = killed_locked(t);
	mutex_unlock(&s->mu);
	return !killed && take_call(t);
}

int ptrace_work(struct task *t)
{
	struct ptrace *pt = task_pt(t);
	struct linux_siginfo si;
	int code, r = 0;

	atomic_fetch_and(&t->work, ~WORK_TRACE);
	if (!pt)
		return 0;
	switch (pt->kind) {
	case PTS_DEATH:
		task_exit(t, pt->exit_status);
	case PTS_EXIT:
		r = finish_exit_stop(t);
		break;
	case PTS_TRAP:
		r = wait_stop(t, &code);
		break;
	case PTS_NONE:
		ptrace_arm(t); /* a restored context does not know */
		if (!pt->handler_trap)
			break;
		pt->handler_trap = false;
		notify_info(t, &si, SIGTRAP, SIGTRAP);
		if (begin(t, PTS_TRAP, SIGTRAP, &si, 0))
			r = wait_stop(t, &code);
		break;
	default: /* who began it comes back to it */
		break;
	}
	if (r < 0)
		task_set_work(t, WORK_TRACE);
	return r;
}

/* --- death --- */

/* Somebody who cannot park waits for this task to die: the stop must not outlast the freeze. */
static bool awaited(struct task *t)
{
	return t->tg->exec_task || task_pid_ns(t)->dying;
}

void ptrace_exit_stop(struct task *t, int status)
{
	struct ptrace *pt = task_pt(t);
	struct linux_siginfo si;
	struct sighand *s;
	int code;

	if (!pt)
		return;
	if (pt->kind != PTS_DEATH) {
		if (pt->kind != PTS_NONE) { /* killed while a freeze had it out of its stop */
			s = sighand_lock(t);
			(void)end_locked(t);
			mutex_unlock(&s->mu);
		}
		if (!ptrace_event_enabled(t, PTRACE_EVENT_EXIT_L))
			return;
		s = sighand_lock(t);
		sigpending_flush(&t->pending, SIGBIT(SIGKILL)); /* this one has done its work; a new one ends the stop */
		mutex_unlock(&s->mu);
		pt->exit_status = status;
		notify_info(t, &si, SIGTRAP, EVENT_CODE(PTRACE_EVENT_EXIT_L));
		if (!begin(t, PTS_DEATH, EVENT_CODE(PTRACE_EVENT_EXIT_L), &si, (uint64_t)status))
			return;
	}
	while (wait_stop(t, &code) < 0) {
		if (awaited(t)) {
			s = sighand_lock(t);
			(void)end_locked(t);
			mutex_unlock(&s->mu);
			return;
		}
		task_park(t);
	}
}
