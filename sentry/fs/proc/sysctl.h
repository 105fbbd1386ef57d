/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/sys. Most values are plain numbers of the whole sandbox that other parts may ask for; names of hosts belong to the uts namespace.
 */
#ifndef SENTRY_FS_PROC_SYSCTL_H
#define SENTRY_FS_PROC_SYSCTL_H

#include "base/cleanup.h"
#include "base/util.h"

struct container;

/* OCI linux.sysctl: key "net.core.somaxconn" or "net/core/somaxconn". -ENOENT, -EINVAL, -EACCES (read-only). */
_must_check_ int proc_sysctl_set(struct container *c, const char *key, const char *value);
/* A number by its path ("net/core/somaxconn"), or @dflt when there is none. */
uint64_t proc_sysctl_get(const char *path, uint64_t dflt);
uint64_t proc_sysctl_get_nth(const char *path, int i, uint64_t dflt); /* the value at place @i of a row, from 0 */
/* The same for callers in a hurry: the row of the literal @path is searched for once. */
#define PROC_SYSCTL(path, i, dflt)                                     \
	({                                                             \
		static _Atomic(const void *) slot_;                    \
		proc_sysctl_cached(&slot_, path, i, (uint64_t)(dflt)); \
	})
uint64_t proc_sysctl_cached(_Atomic(const void *) *slot, const char *path, int i, uint64_t dflt);

void proc_core_pattern(char *buf, size_t size); /* kernel.core_pattern */

/* For the image: rows that are not at their defaults. The kernel is frozen. */
void proc_sysctl_each_changed(void (*fn)(void *arg, const char *path, const char *text), void *arg);

#endif
