/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ptrace(2) between the sandbox's own tasks.
 *
 * A task that was ever traced has a struct ptrace for the rest of its life; it is traced while `tracer` is set. A ptrace stop is a sleep
 * of the tracee's own thread with its registers pulled, so that the tracer may read and edit them. No stop keeps anything on the host
 * stack: when a freeze comes, the sleep ends with -EFREEZE, `kind` stays, and the code that began the stop comes back to it:
 *
 *   SIGNAL, GROUP, EVENT_STOP   signal_get()
 *   ENTRY, EVENT                the system call is dispatched again (sysctx.redo)
 *   EXIT, TRAP, DEATH           WORK_TRACE, ptrace_work()
 *
 * Locks: the relation (tracer, node, task.ptraced) changes with tasks_mu and the tracee's sighand.mu held, so that either is enough to
 * look. Everything about stops is guarded by the tracee's sighand.mu. `frozen` keeps the tracee in its stop while a request works on it.
 * Checkpoint: all of it, in the task's record. Linux: kernel/ptrace.c, kernel/signal.c.
 */
#ifndef SENTRY_KERNEL_PTRACE_H
#define SENTRY_KERNEL_PTRACE_H

#include "sentry/kernel/task.h"

#define PTRACE_EVENT_FORK_L       1
#define PTRACE_EVENT_VFORK_L      2
#define PTRACE_EVENT_CLONE_L      3
#define PTRACE_EVENT_EXEC_L       4
#define PTRACE_EVENT_VFORK_DONE_L 5
#define PTRACE_EVENT_EXIT_L       6
#define PTRACE_EVENT_SECCOMP_L    7
#define PTRACE_EVENT_STOP_L       128

/* Options; the option of event N is bit N. */
#define PTRACE_O_TRACESYSGOOD_L     0x1u
#define PTRACE_O_EXITKILL_L         (1u << 20)
#define PTRACE_O_SUSPEND_SECCOMP_L  (1u << 21)
#define PTRACE_O_ALL                (0xffu | PTRACE_O_EXITKILL_L | PTRACE_O_SUSPEND_SECCOMP_L)

enum ptrace_mode { PTM_CONT, PTM_SYSCALL, PTM_SYSEMU };

enum ptrace_stop {
	PTS_NONE,
	PTS_SIGNAL, /* before a signal is delivered */
	PTS_GROUP, /* in a group stop, attached the old way */
	PTS_EVENT_STOP, /* PTRACE_EVENT_STOP of a seized task: group stop, interrupt, attach */
	PTS_ENTRY, /* before a system call */
	PTS_EXIT, /* after one */
	PTS_EVENT, /* inside one: fork, exec, ... */
	PTS_TRAP, /* at the first instruction of a handler that was entered while single-stepping */
	PTS_DEATH, /* PTRACE_EVENT_EXIT */
	PTS_LAST = PTS_DEATH,
};

struct ptrace {
	struct task *self; /* derived: whose */
	struct task *tracer; /* saved: 1; not counted: a tracer detaches before it is gone */
	struct list node; /* derived: tracer->ptraced */
	uint32_t options; /* saved: 2 */
	bool seized; /* saved: 3 */
	enum ptrace_mode mode; /* saved: 4; which system call stops; set by the request that resumed */
	bool step; /* saved: 5; single-step */

	enum ptrace_stop kind; /* saved: 6; the stop the own thread is in or, in a freeze, must come back to */
	bool stopped; /* saved: 7; not resumed yet */
	int code; /* saved: 8; as Linux's exit_code: what wait() reports (0 once it has), then what the tracer injects */
	bool listening; /* saved: 9; PTRACE_LISTEN */
	bool trap_stop, trap_notify; /* saved: 10, 11; JOBCTL_TRAP_STOP, JOBCTL_TRAP_NOTIFY */
	bool stop_dequeued; /* saved: 12; no SIGCONT has come since the current stop signal was taken */
	bool has_info; /* saved: 13; PTRACE_GETSIGINFO has an answer */
	struct linux_siginfo info; /* saved: 14 */
	uint64_t message; /* saved: 15; PTRACE_GETEVENTMSG */
	bool in_syscall; /* saved: 16; the entry of the running call is over: a re-run does not stop again */
	bool emulated; /* saved: 17; the call will not run (PTRACE_SYSEMU) */
	bool handler_trap; /* saved: 18; a TRAP stop is due */
	int exit_status; /* saved: 19; DEATH: the status to die with */
	bool final; /* saved: 20; DEATH: the group was exiting before, no signal ends the stop */
	bool regs_set; /* saved: 21; the tracer wrote registers: whether a call restarts is decided by them */
	uint64_t debug_addr[PLAT_DEBUG_REGS]; /* saved: 22; DR0-3 */
	uint64_t debug_control; /* saved: 23; DR7 */
	uint64_t debug_status; /* saved: 24; DR6, less the bits that are always set */
	bool frozen; /* nosave: a request is working; it ends before its task parks */
};

static inline struct ptrace *task_pt(const struct task *t)
{
	return __atomic_load_n(&t->pt, __ATOMIC_ACQUIRE);
}

static inline struct task *ptrace_tracer(const struct task *t)
{
	const struct ptrace *pt = task_pt(t);

	return pt ? __atomic_load_n(&pt->tracer, __ATOMIC_RELAXED) : NULL;
}

static inline bool ptraced(const struct task *t)
{
	return ptrace_tracer(t);
}

static inline bool ptrace_event_enabled(const struct task *t, int event)
{
	return ptraced(t) && (task_pt(t)->options & (1u << event));
}

/* --- relation --- */

/* Makes sure @t has its struct. -ENOMEM. Any thread. */
_must_check_ int ptrace_prepare(struct task *t);
/* @t (prepared) becomes @tracer's tracee; tasks_mu and sighand.mu of @t held. */
void ptrace_link_locked(struct task *t, struct task *tracer, bool seized, uint32_t options);
/* The relation ends; a stopped tracee goes on, into the group stop if one is in effect. tasks_mu held. Idempotent. */
void ptrace_unlink_locked(struct task *t);
/* As a detach by the tracer or its death: a zombie that waited for its tracer goes on to its parent. tasks_mu held. */
void ptrace_detach_locked(struct task *t);
/* @t dies: its tracees are let go or killed. tasks_mu held. */
void ptrace_exit_tracer_locked(struct task *t);
/* @c is being cloned by the traced @t: attaches it to the same tracer when @event (0 none) is reported or CLONE_PTRACE is given.
 * tasks_mu and sighand.mu of the child held; @c is prepared. */
void ptrace_inherit_locked(struct task *t, struct task *c);
/* A group stop or SIGCONT concerns the seized @t: it traps (again). sighand.mu held. */
void ptrace_trap_notify_locked(struct task *t);
/* The tracer of @t has no right to see it gain privileges. */
bool ptrace_blocks_setid(struct task *t);
/* The tid of @t as its tracer knows it, 0 without one. */
uint64_t ptrace_own_tid(struct task *t);
/* Tells the tracer by SIGCHLD (unless it does not care) and its waiting threads. tasks_mu held. */
void ptrace_notify_tracer_locked(struct task *t, int why, int status);

/* --- stops; own thread, no lock held. -EFREEZE: park and come back --- */

/* Offers @sig to the tracer: the signal to go on with (*@info changed with it), 0 for none, or -EFREEZE. */
int ptrace_signal(struct task *t, int sig, struct linux_siginfo *info);
/* Group stop, interrupt: 0 or -EFREEZE. */
int ptrace_trap(struct task *t);
/* May the call in t->sysctx be dispatched? false: it is not to run now (frozen, dying) or at all (emulated, skipped). */
bool ptrace_syscall_enter(struct task *t);
/* After finish_syscall(); @ret is what the call returned. */
void ptrace_syscall_exit(struct task *t, int64_t ret);
/* An event of the running call, if it is traced: 0 or -EFREEZE; called again by the re-run then. */
int ptrace_event(struct task *t, int event, uint64_t msg);
/* PTRACE_EVENT_SECCOMP of the call in t->sysctx, which the tracer may change. 1: run it; 0: skip it, the registers hold its result; -ENOSYS: no
 * tracer wants to know; -EFREEZE: called again by the re-run. */
int ptrace_seccomp(struct task *t, uint32_t data);
/* PTRACE_O_SUSPEND_SECCOMP is in effect. */
static inline bool ptrace_suspends_seccomp(const struct task *t)
{
	return ptraced(t) && (task_pt(t)->options & PTRACE_O_SUSPEND_SECCOMP_L);
}
/* PTRACE_EVENT_EXIT, at the beginning of task_exit(). Parks in place. */
void ptrace_exit_stop(struct task *t, int status);
/* WORK_TRACE: continues an EXIT or TRAP stop. 0 or -EFREEZE. */
int ptrace_work(struct task *t);
/* A handler's frame was pushed. */
void ptrace_handler_entered(struct task *t);
/* True for a step trap that nobody asks for any more (its tracer died): dropped. */
bool ptrace_stale_step(struct task *t);
/* May a stop signal that was just taken still stop the group? sighand.mu held. */
bool ptrace_stop_valid_locked(const struct task *t);

/* The own thread's next switch has the debug registers and steps that its tracer wanted last. */
void ptrace_arm(struct task *t);
/* The program is another: debug registers are cleared. Own thread, or one that does not run yet. */
void ptrace_exec(struct task *t);

/* --- registers of a stopped tracee, for requests (ptrace_regs.c) --- */
int ptrace_peek_user(struct task *c, uint64_t off, uint64_t *ret);
int ptrace_poke_user(struct task *c, uint64_t off, uint64_t val);
/* @type NT_*: bytes [0, *@len) of the register set to or from @buf; *@len is cut to its size. */
int ptrace_get_regset(struct task *c, uint32_t type, void *buf, size_t *len);
int ptrace_set_regset(struct task *c, uint32_t type, const void *buf, size_t *len);

#define NT_PRSTATUS_L   1u
#define NT_PRFPREG_L    2u
#define NT_X86_XSTATE_L 0x202u

#endif
