/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks (threads), thread groups (processes), process groups, sessions, pids.
 *
 * A task is run by one pthread, from task_start() to its exit. Fields marked "own" are written only by that thread; others may
 * read them when the task is parked (frozen, stopped) or where a reader tolerates change.
 *
 * Lock order (outermost first):
 *   kernel.tasks_mu      the tree: parents, children, pids, pgrps, sessions, tg.tasks, exit states
 *     sighand.mu         see signal.h
 *       waitq.mu
 *         task.park_mu   the blocking word of a task
 *   task.alloc_mu        pointers that other threads may read: mm, files, fs, cred, nsproxy (leaf but for ref counts)
 *
 * Checkpoint: every field tagged saved. Tasks are parked at task_park() when saved: either about to return to the application, or
 * with `sysctx.redo` set, which dispatches the interrupted system call again.
 */
#ifndef SENTRY_KERNEL_TASK_H
#define SENTRY_KERNEL_TASK_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/htab.h"
#include "base/list.h"
#include "base/mutex.h"
#include "base/ref.h"
#include "platform/platform.h"
#include "sentry/abi/restart.h"
#include "sentry/abi/rlimit.h"
#include "sentry/abi/types.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/time.h"
#include "sentry/kernel/user_dispatch.h"
#include "sentry/kernel/waitq.h"
#include "sentry/mm/mempolicy.h"
#include "sentry/mm/mm.h"

struct cgroup;
struct container;
struct cgroup_ns;
struct fd_table;
struct core_dump;
struct fs_ctx; /* root, cwd, umask: sentry/fs/fs_ctx.h */
struct kernel;
struct key;
struct mnt_ns;
struct ipc_ns;
struct net_ns;
struct uts_ns;
struct pid_ns;
struct user_ns;
struct ptrace;
struct seccomp_filter;
struct time_ns;
struct tty;
struct uring_task;

#define PID_LEVELS 8

/* An id: a task's, and through it a group's, process group's or session's. Lives as long as any of them uses it. */
struct pid {
	struct ref ref; /* nosave: counted anew by the loader */
	uint32_t level; /* derived: levels - 1 */
	struct {
		struct pid_ns *ns; /* saved */
		int32_t nr; /* saved */
	} n[PID_LEVELS];
	struct task *task; /* derived; guarded by tasks_mu: the task with this tid, or NULL */
	struct thread_group *tg; /* derived: the group with this tgid (until reaped) */
	struct pgrp *pgrp; /* derived: back pointer */
	struct session *session; /* derived: back pointer */
	bool load_numbered; /* nosave: while loading: the numbers are still in the tables */
	struct waitq exit_wq; /* nosave: pidfd pollers; woken when the group leader's group has exited */
};

struct pid_ns {
	struct ref ref; /* nosave: counted anew by the loader */
	struct pid_ns *parent; /* saved */
	uint32_t level; /* derived: depth of the parents */
	int32_t last; /* saved: last nr given out; guarded by tasks_mu */
	struct htab pids; /* derived: nr -> struct pid; guarded by tasks_mu */
	struct thread_group *init; /* saved: reaper; guarded by tasks_mu */
	bool dying; /* saved: init has exited */
	uint64_t ino; /* saved */
	struct user_ns *user_ns; /* saved: 6; whose capabilities rule it; referenced, NULL the initial one */
};

struct session {
	struct ref ref; /* nosave: counted anew by the loader */
	struct pid *id; /* saved */
	struct thread_group *leader; /* saved; NULL after its exit; guarded by tasks_mu */
	struct tty *ctty; /* saved: controlling terminal, referenced; guarded by tasks_mu */
	int32_t autogroup_nice; /* saved: 80; /proc/pid/autogroup */
	struct list pgrps; /* derived: linked by after_load */
};

struct pgrp {
	struct ref ref; /* nosave: one per member group, plus holders (tty foreground) */
	struct pid *id; /* saved */
	struct session *session; /* saved, referenced */
	struct list node; /* derived: session->pgrps */
	struct list members; /* derived: thread_group.pgrp_node */
};

enum tg_state { TG_RUNNING, TG_STOPPED, TG_ZOMBIE, TG_REAPED };

struct linux_rlimit64 {
	uint64_t cur, max;
};


struct tg_usage {
	int64_t utime, stime; /* ns */
	int64_t minflt, majflt, inblock, oublock, nvcsw, nivcsw, maxrss_kb;
	int64_t rchar, wchar, syscr, syscw; /* /proc/pid/io: bytes and calls of reading and writing */
};

struct thread_group {
	struct ref ref; /* nosave: counted anew by the loader */
	struct kernel *k; /* nosave: the one kernel */
	struct container *container; /* saved: which container's process this is */
	struct pid *pid; /* saved: tgid */
	struct task *leader; /* saved */
	struct list tasks; /* saved: task.tg_node; guarded by tasks_mu and sighand.mu (both to change) */
	uint32_t nr_tasks; /* derived: counted */
	struct list all_node; /* derived: kernel.groups; then kernel.deferred */
	struct task *deferred_leader; /* nosave: see kernel_defer_put() */

	/* the tree; guarded by tasks_mu */
	struct thread_group *parent; /* saved: NULL for the first process of a container, and exec'd ones */
	struct task *parent_task; /* saved: thread that forked it, for PDEATHSIG and __WNOTHREAD; NULL when gone */
	struct list children; /* derived: child_node */
	struct list child_node; /* derived: linked by after_load */
	struct pgrp *pgrp; /* saved, referenced */
	struct list pgrp_node; /* derived: linked by after_load */
	struct session *session; /* saved, referenced */
	struct waitq child_wq; /* nosave: wait4() callers */
	int exit_signal; /* saved */
	enum tg_state state; /* saved */
	int exit_status; /* saved: wait(2) status once zombie */
	bool did_exec; /* saved: for setpgid's EACCES */
	bool is_subreaper; /* saved */
	bool has_child_subreaper; /* saved */

	/* signals; guarded by sighand.mu of its tasks */
	struct sigpending pending; /* saved: shared queue */
	bool group_exiting; /* saved: exit_group or fatal signal under way */
	int group_exit_code; /* saved: wait status to report */
	struct core_dump *core; /* nosave: a checkpoint ends a dump that is under way; guarded by sighand->mu */
	struct task *exec_task; /* nosave: thread in execve waiting for the others to die (a freeze waits for it) */
	uint32_t stop_pending; /* saved: tasks that must still stop for a group stop */
	int stop_sig; /* saved: signal of the current group stop, 0 none */
	bool stopped; /* saved: every task has stopped */
	bool cont_waitable; /* saved: a continue that waitid(WCONTINUED) has not collected */
	bool cont_notify; /* saved: the parent must still be told CLD_CONTINUED */
	bool unkillable; /* saved: init of a pid namespace: default actions do not apply to signals from inside */
	bool stop_reported; /* saved: the current stop was collected by wait() */
	int stop_code; /* saved */

	/* limits and accounting; guarded by limits_mu */
	struct mutex limits_mu; /* nosave: a lock */
	struct linux_rlimit64 rlim[LINUX_RLIM_NLIMITS]; /* saved: 26 rlimits */
	struct tg_usage self; /* saved: 27; dead threads' */
	struct tg_usage children_usage; /* saved: 28 children; reaped children's */
	int64_t start_time; /* saved: guest monotonic */
	int32_t oom_score_adj; /* saved */

	/* timers owned by sentry/kernel/itimer.c and posix_timer.c */
	struct itimers *itimers; /* saved */
	struct posix_timers *posix_timers; /* saved */
	bool membarrier; /* saved: registered for the private expedited form */
	struct key *process_keyring; /* saved: 34; referenced, NULL none; guarded by keys_mu */
};

/* Why a task must leave the application or its wait. Bits of task.work. */
#define WORK_SIGNAL (1u << 0) /* an unblocked signal is pending, or a group stop, or a kill */
#define WORK_FREEZE (1u << 1)
#define WORK_TRACE  (1u << 2) /* ptrace_work() has something to do; set on the own edge only */
#define WORK_CGROUP (1u << 3) /* its control group is frozen, over its quota, or out of memory: cgroup_edge() */

/* What survives of a system call that a freeze (or a restart) interrupted, so that the re-run continues instead of beginning again. */
struct sysctx {
	bool redo; /* saved: the call below was interrupted by a freeze; dispatch it again */
	int restart; /* saved: ERESTART* code waiting for the signal decision, 0 none */
	bool again; /* saved: this dispatch is a re-run (set while redo is dispatched, or on restart after a signal without handler) */
	uint64_t nr, args[6]; /* saved */
	bool has_deadline; /* saved */
	int64_t deadline; /* saved: absolute guest-monotonic (or clock of the call) deadline computed by the first run */
	uint64_t progress; /* saved: bytes already moved by a partially done transfer */
	uint64_t val[4]; /* saved: free for the call (vfork's child, sigsuspend's stage, ...) */
	uint32_t seccomp; /* saved: enum seccomp_stage: how far the filters have got with it */
};

/*
 * What was fetched for a system call before it runs: io_uring reads path names when a request is submitted and finds files in tables of its own,
 * while the call may run later and on another thread. Handlers see neither: copy_in_path() and copy_in_string() take a name from here when the
 * address is the same, fd_get() the file when the number is.
 */
#define TASK_GIVEN_FDS	 2
#define TASK_GIVEN_NAMES 2
#define GIVEN_FD(i)	 (-1000 - (i)) /* a number no application call gets past fd_get() with */
struct task_given {
	struct file *file[TASK_GIVEN_FDS]; /* stands for descriptor GIVEN_FD(i); NULL: none */
	gaddr_t addr[TASK_GIVEN_NAMES]; /* where the application has the name */
	const char *name[TASK_GIVEN_NAMES]; /* NULL: none */
};

enum ns_kind { NS_MNT, NS_UTS, NS_IPC, NS_NET, NS_PID, NS_USER, NS_CGROUP, NS_TIME };

struct nsproxy {
	struct ref ref; /* nosave; immutable, copy to change */
	struct mnt_ns *mnt; /* saved */
	struct uts_ns *uts; /* saved */
	struct ipc_ns *ipc; /* saved */
	struct net_ns *net; /* saved */
	struct pid_ns *pid_for_children; /* saved */
	struct cgroup_ns *cgroup; /* saved; NULL: the initial one, as with the next two */
	struct time_ns *time, *time_for_children; /* saved */
};

struct task {
	struct ref ref; /* nosave: counted anew by the loader */
	struct kernel *k; /* nosave: the one kernel */
	struct pid *pid; /* saved: tid */
	struct thread_group *tg; /* saved */
	struct list tg_node; /* derived: linked by after_load */
	pthread_t thread; /* nosave: made anew */

	/* execution; own */
	struct plat_ctx *pctx; /* saved: 3 regs; and 4 fpu */
	struct plat_trap trap; /* nosave: of the last switch */
	struct sysctx sysctx; /* saved */

	/* shared resources; pointer changes by the own thread under alloc_mu */
	struct mutex alloc_mu; /* nosave: a lock */
	struct mm *mm; /* saved; NULL after exit */
	struct fd_table *files; /* saved */
	struct fs_ctx *fs; /* saved */
	struct cred *cred; /* saved */
	struct nsproxy *ns; /* saved */
	struct sighand *sighand; /* saved */
	char comm[16]; /* saved */

	/* signals; guarded by sighand->mu */
	struct sigpending pending; /* saved */
	sigset64_t blocked; /* saved */
	sigset64_t real_blocked; /* nosave: 0 outside a running sigtimedwait */
	sigset64_t saved_mask; /* saved: mask to restore when restore_mask */
	bool restore_mask; /* saved */
	struct sigaltstack altstack; /* saved: 17 altstack_sp; own */
	bool stop_me; /* saved: must take part in the current group stop */
	bool stopped; /* saved: is in a group stop */
	int pdeathsig; /* saved */

	/* blocking */
	_Atomic uint32_t work; /* derived: WORK_* */
	struct mutex park_mu; /* nosave: a lock */
	struct cond park_cv; /* nosave: waiters run again */
	bool woken; /* nosave; guarded by park_mu */
	bool parked; /* nosave: at the freeze point; guarded by kernel.freeze_mu */
	_Atomic bool in_call; /* nosave: sysctx says which; for /proc and debug */
	const uint64_t *_Atomic block_frame; /* nosave: frame of the own thread that sleeps, NULL when awake; for debug */
	const uint64_t *_Atomic stack_top; /* nosave: frame of the task loop */
	_Atomic char run_state; /* nosave: 'R' 'S' 'T' 't' 'D' for /proc */

	/* ptrace(2) inside the sandbox: ptrace.h */
	struct ptrace *pt; /* saved: 60 ptrace; NULL: never traced; set once, freed with the task */
	struct list ptraced; /* derived: tracees' pt->node; guarded by tasks_mu */

	/* seccomp(2): seccomp.h. Written under sighand->mu, perhaps by another thread; read by the own thread without */
	uint32_t seccomp_mode; /* saved: 61 */
	struct seccomp_filter *filter; /* saved: 62; the newest, referenced */
	bool no_new_privs; /* saved: 63; set by the own thread or with its filters */

	/* keyctl(2): keys.h; guarded by keys_mu */
	struct key *session_keyring, *thread_keyring; /* saved: 64, 65; referenced, NULL none */
	int32_t reqkey_keyring; /* saved: 66; KEYCTL_SET_REQKEY_KEYRING; own */

	struct user_dispatch dispatch; /* saved: 80; own */

	/* io_uring: sentry/fs/uring */
	bool kthread; /* nosave: a helper thread of the kernel (kthread.h), which is never saved */
	struct uring_task *uring; /* saved: 70 ring_fds; its registered rings; NULL: never used any; set once, freed at exit */
	const struct task_given *given; /* nosave: own; set only while a call runs that somebody prepared */

	/* exit */
	_Atomic bool futex_gone; /* derived: of is_zombie; owns no futex any more */
	bool exiting; /* saved */
	bool is_zombie; /* saved: leader that exited before its threads, or a dead group's leader */
	int exit_code; /* saved */
	uint64_t clear_child_tid; /* saved */
	uint64_t robust_list; /* saved */
	struct list pi_owned; /* nosave: unused */
	struct futex_set *futex_parked; /* nosave: a futex wait that stays queued over a freeze; rebuilt by futex_restore() */
	struct task *vfork_parent_wait; /* nosave: see vfork in clone.c; re-established by the parent's re-run */
	struct waitq vfork_wq; /* nosave: woken when this task releases its mm (exec or exit) */
	bool vfork_done; /* saved */

	/* control groups: cgroup.h; guarded by tasks_mu */
	struct cgroup *cgroup; /* saved: 86, referenced; NULL when reaped, and in tests */
	bool cg_loaded; /* nosave: cgroup is the loader's reference, not a member's yet */
	bool cg_frozen; /* derived: stands still for a freeze; it comes back to that */
	int64_t cg_user, cg_system; /* saved: 87, 88; CPU time when it came to its group */
	uint64_t cg_cpus[2]; /* derived: cpuset that was applied last */
	_Atomic uint32_t mem_owner; /* derived: account that pays for its memory */
	bool mem_over; /* nosave: an account came to its limit; own; the next allocation says so again */

	/* misc; own unless said */
	uint64_t rseq_addr; /* saved */
	uint32_t rseq_len, rseq_sig; /* saved */
	uint32_t personality; /* saved */
	struct mempolicy mpol; /* saved: 91 */
	uint8_t mce_kill; /* saved: 92; PR_MCE_KILL_* set: 1 LATE + 1, 2 EARLY + 1; 0 DEFAULT */
	bool refault; /* nosave: within one system call: a freeze ended a copy's wait for userfaultfd, see finish_syscall() */
	bool undumpable; /* saved: PR_SET_DUMPABLE 0, or credentials changed since exec */
	int32_t nice; /* saved */
	int32_t sched_policy, sched_prio; /* saved */
	uint16_t ioprio; /* saved: class << 13 | level; 0 none */
	uint64_t cpu_mask[2]; /* saved */
	uint64_t timer_slack; /* saved */
	int64_t utime, stime; /* saved: ns */
	int64_t cpu_seen; /* nosave: of both at the last expiry of a CPU timer of the group, guarded by itimers.mu; without it one signal may go to another thread */
	int64_t start_time; /* saved */
	int64_t minflt, majflt, nvcsw, nivcsw; /* saved: 42 counts */
	int64_t rchar, wchar, syscr, syscw; /* saved: 89 io */
	int64_t maxrss_kb; /* nosave: of memory that exec or exit gave back; the mm keeps the peak of the present one */
};

/* The task this pthread runs, or NULL (control and timer threads). */
extern __thread struct task *current_task;

/* --- references and access --- */
struct task *task_get(struct task *t);
void task_put(struct task *t);
struct thread_group *tg_get(struct thread_group *tg);
void tg_put(struct thread_group *tg);
struct pid *pid_get(struct pid *p);
void pid_put(struct pid *p);
struct pgrp *pgrp_get(struct pgrp *p);
void pgrp_put(struct pgrp *p);
struct session *session_get(struct session *s);
void session_put(struct session *s);
/* The id of @p as seen in @ns, 0 when it is not visible there; NULL gives 0. */
int32_t pid_nr_ns(const struct pid *p, const struct pid_ns *ns);
/* As seen by @t (the namespace of its own pid). */
int32_t pid_nr(const struct pid *p, const struct task *viewer);
struct pid_ns *task_pid_ns(const struct task *t);
/* Looks up by number in @ns; returns a reference or NULL. */
struct task *task_find(struct kernel *k, struct pid_ns *ns, int32_t tid);
struct thread_group *tg_find(struct kernel *k, struct pid_ns *ns, int32_t tgid);
struct pgrp *pgrp_find(struct kernel *k, struct pid_ns *ns, int32_t pgid);
/* References to another task's resources, or NULL when it has exited. */
struct mm *task_mm_get(struct task *t);
struct fd_table *task_files_get(struct task *t);
struct fs_ctx *task_fs_get(struct task *t);
struct cred *task_cred_get(struct task *t);
struct nsproxy *task_ns_get(struct task *t);
/* Publishes @c as the own credentials (consumes the reference). Own thread only. */
void task_set_cred(struct task *t, struct cred *c);
bool task_capable(struct task *t, int cap); /* over the whole kernel; own thread. Others: user_ns.h */
uint64_t task_rlimit(const struct task *t, int resource); /* soft limit */
/* May @t inspect @target like ptrace (Linux PTRACE_MODE_READ/ATTACH)? 0 or -EPERM. */
int task_ptrace_may_access(struct task *t, struct task *target, bool attach);

/* --- copying, for the calling task --- */
_must_check_ int copy_in(struct task *t, void *dst, gaddr_t src, size_t n);
_must_check_ int copy_out(struct task *t, gaddr_t dst, const void *src, size_t n);
/* An extensible struct (clone3, openat2): @have bytes of @dst from @usize bytes in application memory; short ones are zero-extended, a
 * longer one must be zero beyond (-E2BIG). */
_must_check_ int copy_in_struct(struct task *t, void *dst, size_t have, gaddr_t src, size_t usize);
/* A path argument: malloc'd, at most PATH_MAX (4096) with NUL; -ENAMETOOLONG, -EFAULT, -ENOMEM. Empty is allowed here. */
_must_check_ int copy_in_path(struct task *t, gaddr_t src, char **ret);
/* A string of at most @max bytes without NUL, malloc'd. */
_must_check_ int copy_in_string(struct task *t, gaddr_t src, size_t max, char **ret);
_must_check_ int copy_in_timespec(struct task *t, gaddr_t src, int64_t *ret_ns); /* -EINVAL when out of range */
_must_check_ int copy_out_timespec(struct task *t, gaddr_t dst, int64_t ns);

/* --- blocking (own thread; call with no lock held) --- */

/* Clears an old wake-up; call after registering waiters and before testing the condition the first time. */
void task_block_prepare(struct task *t);
/* Sleeps until a registered waiter fires (0), @deadline (absolute guest CLOCK_MONOTONIC; -ETIMEDOUT), a signal, stop or kill that must be
 * acted on (-ERESTARTSYS), or a freeze (-EFREEZE: return it unchanged from the system call; keep deadline, progress and val in t->sysctx).
 * Wakes may be spurious: test again and call again. Consumes the wake-up. */
_must_check_ int task_block(struct task *t, int64_t deadline);
/* The same, but only a fatal signal interrupts (-ERESTARTSYS); other signals wait (Linux TASK_KILLABLE). */
_must_check_ int task_block_killable(struct task *t, int64_t deadline);
/* For a task that is dying already: only an event (0) or a freeze (-EFREEZE) ends it. */
_must_check_ int task_block_dying(struct task *t);
/* Sleeps until task_wake(), a kill, or new work. For a task that stands still on its edge. */
void task_stand(struct task *t);
/* Wakes @t out of task_block() with 0. Any thread, any lock. */
void task_wake(struct task *t);
/* The absolute deadline of a relative timeout: computed on the first run of the system call and remembered over freezes and
 * restarts. @rel_ns < 0: TIME_FOREVER. */
int64_t task_deadline(struct task *t, int64_t rel_ns);
/* Waits on one queue until @ready(arg) returns something other than 0 and -EAGAIN (both: not yet), which is returned; or as
 * task_block(). */
int64_t task_wait_on(struct task *t, struct waitq *q, uint32_t mask, int64_t deadline, int64_t (*ready)(void *arg), void *arg);

/* Ensures work is noticed: sets bits and gets the task out of the application or its wait. Any thread. */
void task_set_work(struct task *t, uint32_t bits);

#endif
