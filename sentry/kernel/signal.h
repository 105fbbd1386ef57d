/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals: dispositions, queues, generation and delivery.
 *
 * Locks: sighand.mu guards the actions, the shared and private pending queues, blocked masks and group-stop state of every
 * task that uses the sighand. It is taken under kernel.tasks_mu and above waitq.mu. Sending takes it itself.
 * Checkpoint: actions, masks, queues (with their siginfo) and alternate stacks are saved. Linux: kernel/signal.c.
 */
#ifndef SENTRY_KERNEL_SIGNAL_H
#define SENTRY_KERNEL_SIGNAL_H

#include <signal.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "base/mutex.h"
#include "base/ref.h"
#include "sentry/abi/types.h"
#include "sentry/kernel/waitq.h"

#define NSIG_MAX 64
#define SIG_RTMIN 32 /* the kernel's, not libc's */

struct cred;
struct file;
struct pgrp;
struct task;
struct thread_group;

/* siginfo as delivered: exactly Linux's 128-byte layout, so copying out is memcpy. */
struct linux_siginfo {
	int32_t si_signo, si_errno, si_code, _pad0;
	union {
		uint8_t bytes[112];
		struct { int32_t pid; uint32_t uid; uint64_t value; } rt; /* kill, sigqueue */
		struct { int32_t tid, overrun; uint64_t value; int32_t sys_private; } timer;
		struct { int32_t pid; uint32_t uid; int32_t status, _pad; int64_t utime, stime; } chld;
		struct { uint64_t addr; int16_t addr_lsb, _p1; int32_t _p2; uint64_t lower, upper; } fault;
		struct { int64_t band; int32_t fd; } poll;
		struct { uint64_t call_addr; int32_t syscall; uint32_t arch; } sys;
	};
};
_Static_assert(sizeof(struct linux_siginfo) == 128, "siginfo layout");

/* struct kernel_sigaction of rt_sigaction(2). */
struct linux_sigaction {
	uint64_t handler, flags, restorer;
	sigset64_t mask;
};

struct sigqueue {
	struct list node;
	struct linux_siginfo info;
	void *timer; /* the POSIX timer whose preallocated entry this is, else NULL; such entries are never freed by dequeue */
};

struct sigpending {
	sigset64_t set;
	struct list queue; /* struct sigqueue, oldest first */
	uint32_t count; /* entries, for RLIMIT_SIGPENDING */
};

struct sighand {
	struct ref ref; /* nosave: counted anew by the loader */
	struct mutex mu; /* nosave: a lock */
	struct linux_sigaction action[NSIG_MAX]; /* saved; guarded by mu */
	struct waitq signalfd_wq; /* nosave: signalfd files; woken with POLLIN whenever a signal is queued to a user of this sighand */
	struct sighand *prev; /* nosave: what exec replaced; kept so that a racing sender may still lock it */
};

struct sigaltstack {
	uint64_t sp, size;
	uint32_t flags;
};

#define SI_FROMKERNEL_CODE SI_KERNEL

/* Fill helpers. */
void siginfo_kernel(struct linux_siginfo *si, int sig); /* SI_KERNEL */
void siginfo_user(struct linux_siginfo *si, int sig, struct task *sender, int code); /* pid/uid of sender */

/* Queues a signal to one task / to a thread group / to every group of a process group. @si NULL: SI_KERNEL. Wakes who must act.
 * No permission checks. -EAGAIN only for real-time signals over RLIMIT_SIGPENDING with si_code != SI_USER-like. */
int signal_send_task(struct task *t, int sig, const struct linux_siginfo *si);
int signal_send_group(struct thread_group *tg, int sig, const struct linux_siginfo *si);
/* A signal of the kernel to the group, for its task @first if that does not block it. tasks_mu held. */
void signal_send_group_first(struct thread_group *tg, struct task *first, int sig);
int signal_send_pgrp(struct pgrp *pg, int sig, const struct linux_siginfo *si);
/* A synchronous fault: unblocks and resets to default if blocked or ignored, so that it cannot be missed. */
void signal_force(struct task *t, const struct linux_siginfo *si);
/* Queues a preallocated entry (POSIX timers): 0 queued, 1 already pending (caller counts an overrun), to group or task. */
int signal_send_prealloc(struct thread_group *tg, struct task *t, struct sigqueue *q);

/* May @t send @sig to @target (Linux: check_kill_permission)? 0, -EPERM. */
int signal_permission(struct task *t, struct thread_group *target, int sig);

/* True when a signal would be delivered to @t now (unblocked, pending). */
bool signal_pending(struct task *t);
sigset64_t signal_pending_set(struct task *t); /* private | shared */
/* Dequeues one signal of @set for @t (signalfd, sigtimedwait): its number or 0. */
int signal_dequeue(struct task *t, sigset64_t set, struct linux_siginfo *ret);
/* Sets the blocked mask (SIGKILL/SIGSTOP removed) and recomputes. */
void signal_set_blocked(struct task *t, sigset64_t set);
/* A temporary mask for ppoll/pselect/sigsuspend/epoll_pwait: the old one comes back after the call, or in the handler's frame.
 * A re-run call (sysctx.redo) keeps the first saved mask. */
void signal_set_temp_mask(struct task *t, sigset64_t set);
/* Copies a sigset argument in: checks the size argument. */
_must_check_ int copy_in_sigset(struct task *t, gaddr_t addr, uint64_t size, sigset64_t *ret);

/* --- for the task loop, exit and exec --- */

/* The handler to run for the next signal of @t: its number with *@ka and *@info filled, or 0. Takes part in group stops, applies default
 * actions, and does not return when the task must die. -EFREEZE: in a ptrace stop that a freeze interrupts; park and call again. */
int signal_get(struct task *t, struct linux_sigaction *ka, struct linux_siginfo *info);
/* Locks t->sighand->mu even if exec replaces it meanwhile; returns it. */
struct sighand *sighand_lock(struct task *t);
struct sighand *sighand_new(void);
struct sighand *sighand_dup(struct sighand *s);
/* Resets handlers to default as execve does. */
void sighand_reset_handlers(struct sighand *s);
/* Recomputes WORK_SIGNAL; sighand->mu held. */
void signal_recalc_locked(struct task *t);
void sigpending_init(struct sigpending *p);
void sigpending_flush(struct sigpending *p, sigset64_t set);
/* Begins the end of the whole group with wait status @status (Linux do_group_exit without the own exit). */
void signal_kill_group(struct thread_group *tg, int status);
/* Tells the parent of @tg: CLD_* @why with @status; tasks_mu held. */
void signal_notify_parent(struct thread_group *tg, int why, int status);
/* Sends the SIGCHLD @si to @to, unless its disposition says no to stops and continues, and wakes its waiting threads. tasks_mu held. */
void signal_send_chld_locked(struct thread_group *to, const struct linux_siginfo *si);
bool sig_is_default_ignore(int sig);

/* Implemented by posix_timer.c: a timer's queue entry was taken; fills the overrun. sighand->mu held. */
void posix_timer_delivered(struct sigqueue *q, struct linux_siginfo *si);

struct sighand *sighand_get(struct sighand *s);
void sighand_put(struct sighand *s);

#endif
