/* SPDX-License-Identifier: Apache-2.0 */
/*
 * userfaultfd(2): faults of registered mappings that another thread resolves.
 *
 * A context (uffd_ctx) belongs to one address space. Mappings registered with it hold it (vma.uffd, VMA_UFFD flags); so does the open
 * file (sentry/fs/userfaultfd.c), whose end undoes the registrations. In a registered mapping a page is there exactly when a pma covers
 * it: windows are not filled ahead.
 *
 * A fault is queued under mm.lock, so that a COPY made between lock and sleep is not missed; the task then sleeps outside of any mm
 * lock until a WAKE covers the address. An application's own fault that is interrupted (signal, freeze) goes back to the loop and
 * happens again. An access of the Sentry sleeps where it is, perhaps with an object's lock held, as in Linux; only a kill
 * or a freeze ends that, and after a freeze the system call is dispatched again.
 *
 * Locks: mm.lock > uffd_ctx.mu > waitq.mu, task.park_mu.
 * Checkpoint: context, queued events, and the faults known to the reader: a task that faults again after a thaw finds its fault
 * already reported and tells nobody twice. Linux: fs/userfaultfd.c, mm/userfaultfd.c.
 */
#ifndef SENTRY_MM_UFFD_H
#define SENTRY_MM_UFFD_H

#include "base/cleanup.h"
#include "base/util.h"
#include "sentry/kernel/waitq.h"

struct mm;
struct plat_ctx;
struct task;
struct uffd_ctx;
struct vma;
struct vma_spec;

#define LINUX_UFFD_FEATURE_PAGEFAULT_FLAG_WP (1u << 0)
#define LINUX_UFFD_FEATURE_EVENT_FORK        (1u << 1)
#define LINUX_UFFD_FEATURE_EVENT_REMAP       (1u << 2)
#define LINUX_UFFD_FEATURE_EVENT_REMOVE      (1u << 3)
#define LINUX_UFFD_FEATURE_MISSING_SHMEM     (1u << 5)
#define LINUX_UFFD_FEATURE_EVENT_UNMAP       (1u << 6)
#define LINUX_UFFD_FEATURE_SIGBUS            (1u << 7)
#define LINUX_UFFD_FEATURE_THREAD_ID         (1u << 8)
#define LINUX_UFFD_FEATURE_MINOR_SHMEM       (1u << 10)
#define LINUX_UFFD_FEATURE_EXACT_ADDRESS     (1u << 11)
/* As a 6.1 kernel without hugetlbfs and without CONFIG_PTE_MARKER_UFFD_WP. */
#define UFFD_FEATURES 0xdefu

#define LINUX_UFFD_EVENT_PAGEFAULT 0x12
#define LINUX_UFFD_EVENT_FORK      0x13
#define LINUX_UFFD_EVENT_REMAP     0x14
#define LINUX_UFFD_EVENT_REMOVE    0x15
#define LINUX_UFFD_EVENT_UNMAP     0x16
#define LINUX_UFFD_PAGEFAULT_WRITE 1u
#define LINUX_UFFD_PAGEFAULT_WP    2u
#define LINUX_UFFD_PAGEFAULT_MINOR 4u
#define LINUX_UFFD_USER_MODE_ONLY  1u
#define LINUX_UFFD_MODE_MISSING    1u /* of UFFDIO_REGISTER */
#define LINUX_UFFD_MODE_WP         2u
#define LINUX_UFFD_MODE_MINOR      4u

/* struct uffd_msg */
struct uffd_msg {
	uint8_t event;
	uint8_t reserved1;
	uint16_t reserved2;
	uint32_t reserved3;
	uint64_t arg[3]; /* pagefault: flags, address, ptid; fork: fd; remap: from, to, len; remove, unmap: start, end */
};

/* pma_resolve() and its like: the fault was queued; call uffd_sleep() without mm.lock. */
#define EUSERFAULT 1001

/* --- contexts --- */
_must_check_ int uffd_ctx_new(struct mm *mm, uint32_t flags, struct uffd_ctx **ret);
struct uffd_ctx *uffd_ctx_get(struct uffd_ctx *c); /* NULL is fine, for both */
void uffd_ctx_put(struct uffd_ctx *c);
struct mm *uffd_mm(const struct uffd_ctx *c);
/* Features after the handshake, or -EINVAL before it. */
int64_t uffd_features(struct uffd_ctx *c);
/* The handshake; -EINVAL when it was made already. */
_must_check_ int uffd_set_features(struct uffd_ctx *c, uint32_t features);
/* The file is closed: registrations end, sleepers go on. */
void uffd_release(struct uffd_ctx *c);
struct waitq *uffd_pollq(struct uffd_ctx *c);
bool uffd_readable(struct uffd_ctx *c);
/* The next message: 1, or 0 when there is none. A fork's brings the child's context (referenced). */
int uffd_next(struct uffd_ctx *c, struct uffd_msg *ret, struct uffd_ctx **ret_child);
void uffd_count(struct uffd_ctx *c, uint32_t *ret_pending, uint32_t *ret_total);
extern const struct state_type uffd_ctx_state_type;

/* --- what the reader does; ranges were checked --- */
/* @mode: LINUX_UFFD_MODE_*, not 0. -EINVAL, -EPERM, -EBUSY, -ENOMEM. */
_must_check_ int uffd_register(struct uffd_ctx *c, uint64_t start, uint64_t len, uint32_t mode);
_must_check_ int uffd_unregister(struct uffd_ctx *c, uint64_t start, uint64_t len);
void uffd_wake(struct uffd_ctx *c, uint64_t start, uint64_t len);
enum uffd_fill { UFFD_COPY, UFFD_ZERO, UFFD_CONTINUE };
/* Bytes done (> 0) or an error; -EAGAIN while the address space is being rearranged. @src: in @t's memory, for COPY. @wp: write-protected. */
int64_t uffd_fill(struct uffd_ctx *c, struct task *t, enum uffd_fill how, uint64_t start, uint64_t len, uint64_t src, bool wp);
_must_check_ int uffd_writeprotect(struct uffd_ctx *c, uint64_t start, uint64_t len, bool on);
bool uffd_changing(struct uffd_ctx *c);

/* --- what faults do --- */
/* Has @v's context something to say about an access to @page? 0: no. -EUSERFAULT: queued for the calling task, uffd_sleep() next.
 * -EFAULT: the access fails (SIGBUS). mm.lock held for writing. */
int uffd_fault(struct mm *mm, struct vma *v, uint64_t addr, bool write, bool user);
/* Sleeps until the fault that this thread has queued is resolved: 0: try again. @user false, the Sentry's own access: also -EFAULT. */
int uffd_sleep(bool user);

/* --- what changes of an address space do. Each has a part under mm.lock, and one after it that waits for the reader --- */
struct uffd_event;
struct uffd_events {
	struct uffd_event *first;
};
/* [start, end) is about to be unmapped. */
void uffd_unmapping(struct mm *mm, uint64_t start, uint64_t end, struct uffd_events *ev);
/* @s will be the new place of what @v has at @from; without the feature it is not registered. */
void uffd_remapping(struct vma *v, struct vma_spec *s, uint64_t from, uint64_t to, uint64_t len, struct uffd_events *ev);
/* Gives @s, the child's copy of @v, its context, or none. -ENOMEM. */
_must_check_ int uffd_forked(struct vma *v, struct mm *child, struct vma_spec *s, struct uffd_events *ev);
/* Queues the events and waits until they have been read. mm.lock not held. */
void uffd_tell(struct uffd_events *ev);
void uffd_discard(struct uffd_events *ev); /* when the change did not happen */
/* MADV_DONTNEED and the like of [start, end): told and waited for before it happens. */
void uffd_removing(struct mm *mm, uint64_t start, uint64_t end);

#endif
