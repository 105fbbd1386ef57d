/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generation: which life of an image this is. It changes with every restore, and with nothing else: not when a checkpoint leaves its container
 * running. So two containers restored from one image never have the same, nor has one of them that of the container it was made from.
 *
 * Programs learn of it in these ways, and in none they did not ask for:
 *   /proc/sys/kernel/random/generation_id   128 random bits; poll (POLLPRI | POLLERR until read again), epoll, inotify (IN_MODIFY)
 *   /dev/sysgenid                           a counter to read, poll for, or look at in a mapped page (sentry/fs/dev/sysgenid.c)
 *   NETLINK_KOBJECT_UEVENT                  "change" with NEW_VMGENID=1, as Linux's vmgenid driver sends it
 *
 * Checkpoint: the counter and its page. The id is never saved: it is made by whoever loads.
 */
#ifndef SENTRY_KERNEL_GENERATION_H
#define SENTRY_KERNEL_GENERATION_H

#include "base/cleanup.h"
#include "base/util.h"

#define GENERATION_ID_SIZE 16

struct kernel;
struct mappable;
struct pseudo_watch;

/* A kernel begins: a fresh id, the first count. */
void generation_init(struct kernel *k);
/* What tells its changes. */
struct pseudo_watch *generation_watch(void);
/* The page that has the count as its first word (host byte order), made when first asked for; borrowed, lives as long as the kernel. */
_must_check_ int generation_page(struct kernel *k, struct mappable **ret);
/* A restore is complete but for letting its tasks run: counts, and tells everybody who asked. The kernel is frozen. */
_must_check_ int generation_restored(struct kernel *k);

#endif
