/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel object: what all tasks of one sandbox share.
 *
 * Locks: tasks_mu is the outermost lock of the task tree (task.h). freeze_mu guards the freeze state and is a leaf.
 * Checkpoint: the root of the image; it references every container and every thread group.
 */
#ifndef SENTRY_KERNEL_KERNEL_H
#define SENTRY_KERNEL_KERNEL_H

#include "base/list.h"
#include "base/mutex.h"
#include "platform/platform.h"
#include "sentry/kernel/task.h"
#include "sentry/sentry.h"

struct container {
	struct list node; /* derived: kernel.containers */
	struct ref ref; /* nosave: counted anew by the loader */
	struct kernel *k; /* nosave: the one kernel */
	char *id; /* saved; a restore gives the new one */
	struct thread_group *init; /* saved, referenced: kept after its exit for its status */
	bool started; /* saved */
	struct task *ready; /* nosave: init's leader until started, referenced */
	bool init_exited; /* saved */
	int init_status; /* saved */
	struct nsproxy *ns; /* saved: what exec'd processes join */
	char *hostname; /* saved: 12; as configured, which the application may have changed since; NULL or "": not known */
	struct fs_ctx *fs; /* saved: root of the container */
	struct p9_client *gofer; /* nosave: re-attached */
	struct list execs; /* nosave: exec'd processes whose status nobody has asked for yet (struct exec_wait) */
	struct cgroup *cgroup; /* saved: 80, referenced; root of its control groups; NULL in tests */
	uint64_t pids_limit; /* saved */
	uint64_t memory_limit; /* saved */
	char *cgroups_path; /* saved */
	struct seccomp_filter *seccomp; /* saved: 11; of every process made from outside; referenced, NULL none */
};

struct kernel {
	struct memfile *mf; /* nosave: its content is the page store */
	const struct platform_ops *pops; /* nosave: this process's */
	struct platform *plat; /* nosave: this process's */
	struct plat_caps pcaps; /* nosave: this process's */
	struct sentry_config cfg; /* nosave: this process's */

	struct mutex tasks_mu; /* nosave; see task.h for the order */
	struct list groups; /* saved: thread_group.all_node, in creation order; guarded by tasks_mu */
	struct list containers; /* saved; guarded by tasks_mu */
	struct pid_ns *root_pid_ns; /* saved */
	uint32_t nr_tasks; /* derived: counted */
	struct list kthreads; /* nosave: helper threads, by tg_node; guarded by tasks_mu; see kthread.h */
	struct list deferred; /* nosave: groups whose references are to be dropped outside tasks_mu */
	struct list deferred_tasks; /* nosave: the same for threads, by tg_node */
	struct cond exit_cv; /* nosave: with tasks_mu: a container's process exited */

	/* freeze; guarded by freeze_mu */
	struct mutex freeze_mu; /* nosave: a lock */
	struct cond freeze_cv; /* nosave: waiters run again */
	uint32_t freeze_depth; /* nosave: pause and checkpoint nest */
	uint32_t nr_parked; /* nosave: of this freeze */
	uint32_t nr_running; /* nosave: task threads that exist and have not exited */

	int64_t boot_mono; /* saved: guest monotonic when the kernel began, for uptime */
	int64_t boot_real; /* saved */
	struct tg_usage reaped; /* saved: 81; of processes that are no more; guarded by tasks_mu */
	uint64_t forks; /* saved: 82; tasks made so far; guarded by tasks_mu */
	_Atomic uint64_t next_ino; /* saved: inode numbers of anonymous objects */
	struct mappable *vdso; /* nosave: this build's vDSO, once a program needed it (vdso.c); mappings made by an older build keep theirs */
	struct restore_ctx *restore; /* nosave: while an image is loaded; checkpoint.h */
	int64_t saved_mono; /* saved: 7 mono; set by the checkpoint */
	struct image_base *base; /* nosave: the image that clean pages are compared with (checkpoint.c); guarded by sentry.ctl_mu */
	int64_t saved_real; /* saved: 8 real; set by the checkpoint */
	bool file_digest; /* nosave: the checkpoint being made wants digests of files outside */
	uint32_t generation; /* saved: 83; changes while frozen only; generation.h */
	uint8_t generation_id[16]; /* nosave: fresh at every restore */
	struct mappable *generation_page; /* saved: 84, referenced; NULL until somebody asks for it */
};

/* The kernel of this process; set once by sentry_new(). For code that has no task at hand (timer callbacks, loaders). */
extern struct kernel *the_kernel;

/* Drops a reaped group's and its leader's references later, when tasks_mu is free. tasks_mu held. */
void kernel_defer_put(struct kernel *k, struct task *leader, struct thread_group *tg);
void kernel_run_deferred(struct kernel *k);

uint32_t container_nr_tasks_locked(const struct container *c);
/* A process of @c has become a zombie: keeps its status for waiters. tasks_mu held. */
void container_process_exited_locked(struct container *c, struct thread_group *tg);

uint64_t kernel_next_ino(struct kernel *k);
/* Fresh random bytes from the host, after every restore too. Never fails. */
void kernel_random(void *buf, size_t n);

#endif
