/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading what ptrace(2) knows of a task. The struct and its invariants are in ptrace.h. */
#include "sentry/kernel/ptrace_state.h"

#include <string.h>

#include "sentry/kernel/kernel.h"

Sentry__Ptrace *ptrace_save(struct state_writer *w, const struct task *t)
{
	const struct ptrace *pt = task_pt(t);
	Sentry__Ptrace *m;

	if (!pt)
		return NULL;
	m = state_zalloc(w, 1, sizeof(*m));
	sentry__ptrace__init(m);
	m->tracer = state_ref(w, &task_state_type, pt->tracer);
	m->options = pt->options;
	m->seized = pt->seized;
	m->mode = pt->mode;
	m->step = pt->step;
	m->kind = pt->kind;
	m->stopped = pt->stopped;
	m->code = pt->code;
	m->listening = pt->listening;
	m->trap_stop = pt->trap_stop;
	m->trap_notify = pt->trap_notify;
	m->stop_dequeued = pt->stop_dequeued;
	m->has_info = pt->has_info;
	m->info.len = sizeof(pt->info);
	m->info.data = state_zalloc(w, 1, sizeof(pt->info));
	memcpy(m->info.data, &pt->info, sizeof(pt->info));
	m->message = pt->message;
	m->in_syscall = pt->in_syscall;
	m->emulated = pt->emulated;
	m->handler_trap = pt->handler_trap;
	m->exit_status = pt->exit_status;
	m->final = pt->final;
	m->regs_set = pt->regs_set;
	m->n_debug_addr = PLAT_DEBUG_REGS;
	m->debug_addr = state_zalloc(w, PLAT_DEBUG_REGS, sizeof(*m->debug_addr));
	memcpy(m->debug_addr, pt->debug_addr, sizeof(pt->debug_addr));
	m->debug_control = pt->debug_control;
	m->debug_status = pt->debug_status;
	return m;
}

static uint64_t max_addr(const struct task *t)
{
	struct plat_caps caps;

	t->k->pops->caps(t->k->plat, &caps);
	return caps.max_addr;
}

static int check(struct state_reader *r, const struct task *t, const struct ptrace *pt, const Sentry__Ptrace *m)
{
	bool in_call = m->kind == PTS_ENTRY || m->kind == PTS_EVENT;
	int e = state_check(r, m->mode <= PTM_SYSEMU && m->kind <= PTS_LAST && (m->options & ~PTRACE_O_ALL) == 0,
			    "unknown ptrace stop or mode");

	if (e == 0)
		e = state_check(r, pt->tracer != t && (!m->stopped || (pt->tracer && m->kind != PTS_NONE)),
				"a ptrace stop without a tracer");
	if (e == 0)
		e = state_check(r, !in_call || t->sysctx.redo, "a stop in a system call that is not running");
	/* A code that is delivered as a signal must be one. */
	if (e == 0)
		e = state_check(r, m->code >= 0 && (m->code <= NSIG_MAX || (m->stopped && m->kind != PTS_SIGNAL)),
				"a ptrace stop's signal is out of range");
	if (e == 0)
		e = state_check(r, m->n_debug_addr == 0 || m->n_debug_addr == PLAT_DEBUG_REGS, "wrong number of debug registers");
	/* The platform's own pages are nobody's business; the host checks the rest. */
	for (size_t i = 0; e == 0 && i < m->n_debug_addr; i++)
		e = state_check(r, m->debug_addr[i] < max_addr(t), "a debug register points out of the address space");
	return e;
}

int ptrace_load(struct state_reader *r, struct task *t, const Sentry__Ptrace *m)
{
	struct ptrace *pt;
	int e;

	if (!m)
		return 0;
	e = ptrace_prepare(t);
	if (e < 0)
		return e;
	pt = t->pt;
	e = state_check(r, m->info.len == sizeof(pt->info), "siginfo has the wrong size");
	if (e < 0)
		return e;
	memcpy(&pt->info, m->info.data, sizeof(pt->info));
	e = state_deref(r, m->tracer, &task_state_type, (void **)&pt->tracer);
	if (e < 0)
		return e;
	task_put(pt->tracer); /* not counted, as at run time */
	e = check(r, t, pt, m);
	if (e < 0)
		return e;
	pt->options = m->options;
	pt->seized = m->seized;
	pt->mode = m->mode;
	pt->step = m->step;
	pt->kind = m->kind;
	pt->stopped = m->stopped;
	pt->code = m->code;
	pt->listening = m->listening;
	pt->trap_stop = m->trap_stop;
	pt->trap_notify = m->trap_notify;
	pt->stop_dequeued = m->stop_dequeued;
	pt->has_info = m->has_info;
	pt->message = m->message;
	pt->in_syscall = m->in_syscall;
	pt->emulated = m->emulated;
	pt->handler_trap = m->handler_trap;
	pt->exit_status = m->exit_status;
	pt->final = m->final;
	pt->regs_set = m->regs_set;
	if (m->n_debug_addr)
		memcpy(pt->debug_addr, m->debug_addr, sizeof(pt->debug_addr));
	pt->debug_control = m->debug_control;
	pt->debug_status = m->debug_status;
	return 0;
}

int ptrace_after_load(struct state_reader *r, struct task *t)
{
	struct ptrace *pt = t->pt;
	int e;

	if (!pt || !pt->tracer)
		return 0;
	e = state_check(r, !pt->tracer->is_zombie && pt->tracer->tg != t->tg, "a dead tracer, or one in the same group");
	if (e == 0)
		list_add_tail(&pt->tracer->ptraced, &pt->node);
	return e;
}
