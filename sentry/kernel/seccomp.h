/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp(2) inside the sandbox: filters on system calls that applications install for themselves or that config.json asks for.
 *
 * A task has a mode and the newest of its filters; each filter refers to the one before it, and all are asked, newest first. Filters are
 * immutable but for what belongs to their listener (user notification): the requests of tasks that wait for an answer.
 *
 * A call passes seccomp_enter() once; `sysctx.seccomp` says how far it has got, so that a freeze while it waits for a tracer or for a
 * listener comes back to the same place. A call that was let through and is dispatched again after a freeze is not asked about again.
 *
 * Locks: task.filter and task.seccomp_mode change under sighand.mu (SECCOMP_FILTER_FLAG_TSYNC changes other threads'); the own thread reads
 * them without, and a filter that was replaced lives on as an ancestor of the new one. filter.mu guards requests, next_id, listening;
 * it is a leaf but for waitq.mu and task.park_mu.
 * Checkpoint: filters with their requests, listeners; what is derived from them by seccomp_restore(). Linux: kernel/seccomp.c.
 */
#ifndef SENTRY_KERNEL_SECCOMP_H
#define SENTRY_KERNEL_SECCOMP_H

#include "base/list.h"
#include "base/mutex.h"
#include "base/ref.h"
#include "sentry/kernel/bpf_classic.h"
#include "sentry/kernel/waitq.h"

struct file;
struct kernel;
struct task;

enum { SECCOMP_L_DISABLED, SECCOMP_L_STRICT, SECCOMP_L_FILTER };

/* sysctx.seccomp */
enum seccomp_stage {
	SECCOMP_NEW, /* not asked yet */
	SECCOMP_NOTIFY, /* waits for a listener's answer: has a request in one of its filters */
	SECCOMP_TRACE, /* in the tracer's PTRACE_EVENT_SECCOMP stop */
	SECCOMP_PASSED,
	SECCOMP_STAGE_LAST = SECCOMP_PASSED,
};

#define SECCOMP_L_FLAG_TSYNC	     (1u << 0)
#define SECCOMP_L_FLAG_LOG	     (1u << 1)
#define SECCOMP_L_FLAG_SPEC_ALLOW    (1u << 2)
#define SECCOMP_L_FLAG_NEW_LISTENER  (1u << 3)
#define SECCOMP_L_FLAG_TSYNC_ESRCH   (1u << 4)
#define SECCOMP_L_FLAG_WAIT_KILLABLE (1u << 5)
#define SECCOMP_L_FLAGS_ALL	     0x3fu

#define SECCOMP_L_RET_KILL_PROCESS 0x80000000u
#define SECCOMP_L_RET_KILL_THREAD  0x00000000u
#define SECCOMP_L_RET_TRAP	   0x00030000u
#define SECCOMP_L_RET_ERRNO	   0x00050000u
#define SECCOMP_L_RET_USER_NOTIF   0x7fc00000u
#define SECCOMP_L_RET_TRACE	   0x7ff00000u
#define SECCOMP_L_RET_LOG	   0x7ffc0000u
#define SECCOMP_L_RET_ALLOW	   0x7fff0000u
#define SECCOMP_L_RET_ACTION_FULL  0xffff0000u
#define SECCOMP_L_RET_DATA	   0x0000ffffu

#define SECCOMP_NR_CACHED 512 /* system call numbers whose answer is remembered */

struct seccomp_filter {
	struct ref ref; /* nosave: counted again by state_deref() */
	struct seccomp_filter *prev; /* saved: 1; referenced */
	struct bpf_insn *prog; /* saved: 2 */
	uint32_t len; /* derived: of prog */
	bool log; /* saved: 3 */
	bool wait_killable; /* saved: 4 */
	uint32_t path_len; /* derived: Linux's count of instructions of this and all before it */
	uint64_t allow[SECCOMP_NR_CACHED / 64]; /* derived: numbers that this and all before it let through whatever the arguments */
	bool ready; /* derived: path_len and allow are valid */
	_Atomic uint32_t users; /* derived: tasks whose newest filter it is, and filters after it that have users */

	struct mutex mu; /* nosave: free when frozen */
	/* below: protected by mu */
	bool listening; /* saved: 5; its listener is open */
	uint64_t next_id; /* saved: 6 */
	struct list requests; /* saved: 7 */
	struct waitq wq; /* nosave: of the listener: tasks run their call again, epoll registers again */
};

/* A checked program as a filter, with one reference. Takes over @prog (malloc'd). NULL without memory. */
struct seccomp_filter *seccomp_filter_new(struct bpf_insn *prog, uint32_t len, uint32_t flags);
struct seccomp_filter *seccomp_filter_get(struct seccomp_filter *f);
void seccomp_filter_put(struct seccomp_filter *f);

/* Strict mode for the calling task: 0 or -EINVAL. */
int seccomp_set_strict(struct task *t);
/* Puts @f in front of @t's filters (consumes the reference on success). With @flags TSYNC on every thread of the group. 0; the id of a thread that
 * cannot be synchronised, or -ESRCH; -EINVAL in strict mode, -ENOMEM when the filters get too long, -EBUSY for a second listener. */
int seccomp_attach(struct task *t, struct seccomp_filter *f, uint32_t flags);
/* The first process of a container, or one from outside, begins with @f alone, the same for all of them. */
void seccomp_begin(struct task *t, struct seccomp_filter *f);
/* The child @c of @t begins with the same mode and filters; sighand.mu of @t held. */
void seccomp_inherit_locked(struct task *t, struct task *c);
/* @t gives its filters up; its mode remains to be seen. */
void seccomp_exit(struct task *t);

/* May the call in t->sysctx run? Own thread. false: *@ret is its result (an internal code, or SYS_NO_RETURN_VALUE when registers hold it). Does not
 * return when the answer is to die. */
bool seccomp_enter(struct task *t, int64_t *ret);

/* The answer of a listener, for seccomp_enter(): true: run the call. */
bool seccomp_ask_listener(struct task *t, struct seccomp_filter *f, const struct bpf_seccomp_data *d, int64_t *ret);
/* The filter of @t in which it has a request, or NULL. */
struct seccomp_filter *seccomp_asked(struct task *t);
/* The listener of @f, which must not have had one: a file with one reference. -ENOMEM. */
int seccomp_listener_new(struct task *t, struct seccomp_filter *f, struct file **ret);
/* Nobody is left who could ask: wakes pollers. */
void seccomp_wake_listener(struct seccomp_filter *f);
/* The filter is being freed: so are requests that no task waits for (of a hostile image). */
void seccomp_drop_requests(struct seccomp_filter *f);
/* While restoring: @t's request, if it has one, belongs to a task that waits. */
void seccomp_adopt_request(struct task *t);

/* Number of filters of @t, for /proc. Any thread. */
uint32_t seccomp_nr_filters(struct task *t);
/* For PTRACE_SECCOMP_GET_FILTER: the @n-th filter of @t, oldest first, referenced; -EINVAL: has none, -ENOENT. */
int seccomp_nth_filter(struct task *t, uint64_t n, struct seccomp_filter **ret);

/* After an image was loaded: chains are checked and what is derived is made again. -EINVAL. */
int seccomp_restore(struct kernel *k);

/* Bit mask over the actions in sysctl order, of kernel.seccomp.actions_logged. */
extern const char *const seccomp_action_names[8];

#endif
