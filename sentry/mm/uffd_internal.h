/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of userfaultfd share: the context with its faults and events. Contract and locks in uffd.h. */
#ifndef SENTRY_MM_UFFD_INTERNAL_H
#define SENTRY_MM_UFFD_INTERNAL_H

#include "sentry/mm/mm_internal.h"

/* A fault whose task sleeps, or did when a freeze came: then it will come back and look for it. */
struct uffd_fault {
	struct list node; /* derived: uffd_ctx.faults */
	uint64_t page; /* saved: 1; what the fault is known by, with tid */
	uint64_t addr; /* saved: 2; what the message says */
	uint64_t flags; /* saved: 3; LINUX_UFFD_PAGEFAULT_* */
	int32_t tid; /* saved: 4; of the faulting task, in the root pid namespace */
	int32_t ptid; /* saved: 5; in its own, for UFFD_FEATURE_THREAD_ID */
	bool read; /* saved: 6; the message was given out */
	bool done; /* nosave: woken: the entry lives only until its task has seen that */
	struct task *task; /* nosave: sleeps; NULL: came to a freeze */
};

/* A message about a change of the address space. */
struct uffd_event {
	struct list node; /* derived: uffd_ctx.events */
	struct uffd_ctx *ctx; /* derived: the context that holds it; referenced until it is queued */
	struct uffd_msg msg; /* saved: 1 event, 2 arg */
	struct uffd_ctx *child; /* saved: 3; referenced; of a fork */
	bool done; /* nosave: read, or there is nobody to read it */
	struct task *task; /* nosave: waits; NULL: nobody does, whoever takes it from the queue frees it */
	struct uffd_event *next; /* nosave: chain of uffd_events */
};

struct uffd_ctx {
	struct ref ref; /* nosave: counted again by state_deref() */
	struct mm *mm; /* saved: 1; referenced, immutable */
	uint32_t flags; /* saved: 2; LINUX_UFFD_USER_MODE_ONLY; immutable */
	struct waitq wq; /* nosave: readers and pollers register again */
	struct mutex mu; /* nosave: free when frozen; guards below */
	bool ready; /* saved: 3; the handshake was made */
	bool released; /* saved: 4; its file is closed */
	uint32_t features; /* saved: 5 */
	struct list faults; /* saved: 6; struct uffd_fault, oldest first */
	struct list events; /* saved: 7; struct uffd_event, oldest first */
	uint32_t changing; /* derived: events queued; and changes that will queue one */
};

/* The VMA flags and the write protection go; mm.lock held for writing. The VMA's reference is put by the caller. */
void uffd_vma_clear(struct mm *mm, struct vma *v);
/* Is the object's page at @page of @v there? 1, 0, or -EFAULT beyond its end. */
int uffd_object_has(struct vma *v, uint64_t page);

#endif
