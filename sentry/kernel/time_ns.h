/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time namespaces: offsets of CLOCK_MONOTONIC and CLOCK_BOOTTIME. NULL is the initial one, without offsets.
 *
 * Offsets are set through /proc/pid/timens_offsets until the first task has entered. Locks: time_ns.mu (leaf) for the setting; what
 * is frozen is read without. The kernel keeps its own time everywhere: system calls add and take off the offset at their edge.
 * Checkpoint: all of it. Linux: kernel/time/namespace.c.
 */
#ifndef SENTRY_KERNEL_TIME_NS_H
#define SENTRY_KERNEL_TIME_NS_H

#include "base/mutex.h"
#include "base/ref.h"
#include "sentry/kernel/user_ns.h"

struct strbuf;

struct time_ns {
	struct ref ref; /* nosave: counted again by state_deref() */
	uint64_t ino; /* saved: 1 */
	struct user_ns *user_ns; /* saved: 2; referenced, NULL the initial one */
	struct mutex mu; /* nosave: free when frozen */
	int64_t monotonic, boottime; /* saved: 3, 4; ns; under mu until frozen */
	bool frozen; /* saved: 5; under mu */
};

/* One that belongs to @owner with the offsets of @old. Or NULL. */
struct time_ns *time_ns_new(struct time_ns *old, struct user_ns *owner);
struct time_ns *time_ns_get(struct time_ns *ns); /* NULL is fine in these three */
void time_ns_put(struct time_ns *ns);
void time_ns_enter(struct time_ns *ns); /* somebody runs in it: offsets are fixed now */

/* What @t's clock @clockid is ahead of the kernel's, in ns: 0 for clocks without offset. */
int64_t task_clock_offset(const struct task *t, int clockid);
/* A moment >= 0 on @t's clock as one on the kernel's: 0 when it lies before the kernel's time, at most TIME_FOREVER. */
int64_t task_clock_to_kernel(const struct task *t, int clockid, int64_t when);

void time_ns_show_offsets(struct time_ns *ns, struct strbuf *b);
/* Lines "<clock> <seconds> <nanoseconds>", by @c: bytes used, -EINVAL, -EPERM, -EACCES once frozen, -ERANGE. */
int64_t time_ns_write_offsets(struct time_ns *ns, const struct cred *c, char *text, size_t n);

#endif
