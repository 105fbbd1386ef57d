/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials: an immutable, reference-counted value. A change makes a new one and swaps the task's pointer; readers on the task's
 * own thread need no lock, others take a reference with task_cred_get().
 */
#ifndef SENTRY_KERNEL_CRED_H
#define SENTRY_KERNEL_CRED_H

#include "base/cleanup.h"
#include "base/ref.h"

struct task;
struct landlock_domain;
struct user_ns;

#define LINUX_CAP_CHOWN            0
#define LINUX_CAP_DAC_OVERRIDE     1
#define LINUX_CAP_DAC_READ_SEARCH  2
#define LINUX_CAP_FOWNER           3
#define LINUX_CAP_FSETID           4
#define LINUX_CAP_KILL             5
#define LINUX_CAP_SETGID           6
#define LINUX_CAP_SETUID           7
#define LINUX_CAP_SETPCAP          8
#define LINUX_CAP_LINUX_IMMUTABLE  9
#define LINUX_CAP_NET_BIND_SERVICE 10
#define LINUX_CAP_NET_BROADCAST    11
#define LINUX_CAP_NET_ADMIN        12
#define LINUX_CAP_NET_RAW          13
#define LINUX_CAP_IPC_LOCK         14
#define LINUX_CAP_IPC_OWNER        15
#define LINUX_CAP_SYS_MODULE       16
#define LINUX_CAP_SYS_RAWIO        17
#define LINUX_CAP_SYS_CHROOT       18
#define LINUX_CAP_SYS_PTRACE       19
#define LINUX_CAP_SYS_PACCT        20
#define LINUX_CAP_SYS_ADMIN        21
#define LINUX_CAP_SYS_BOOT         22
#define LINUX_CAP_SYS_NICE         23
#define LINUX_CAP_SYS_RESOURCE     24
#define LINUX_CAP_SYS_TIME         25
#define LINUX_CAP_SYS_TTY_CONFIG   26
#define LINUX_CAP_MKNOD            27
#define LINUX_CAP_LEASE            28
#define LINUX_CAP_AUDIT_WRITE      29
#define LINUX_CAP_AUDIT_CONTROL    30
#define LINUX_CAP_SETFCAP          31
#define LINUX_CAP_SYSLOG           34
#define LINUX_CAP_CHECKPOINT_RESTORE 40
#define LINUX_CAP_LAST             40
#define LINUX_CAP_FULL             ((1ULL << (LINUX_CAP_LAST + 1)) - 1)

struct cred {
	struct ref ref; /* nosave: counted anew by the loader */
	uint32_t uid, euid, suid, fsuid; /* saved: 1 ids */
	uint32_t gid, egid, sgid, fsgid; /* saved: 1 ids */
	uint64_t cap_inh, cap_perm, cap_eff, cap_bset, cap_amb; /* saved: 2 caps */
	uint32_t securebits; /* saved: 3 */
	struct user_ns *user_ns; /* saved: 6; referenced; NULL the initial one. Ids are kernel ids, capabilities count there: user_ns.h */
	struct landlock_domain *domain; /* saved: 7; referenced; NULL: not restricted by landlock(7) */
	bool old_no_new_privs; /* nosave: of an old image, taken over by the tasks as they are loaded */
	size_t nr_groups; /* saved: 5 groups */
	uint32_t *groups; /* saved: 5 */
};

struct cred *cred_new(size_t nr_groups); /* zeroed, or NULL */
struct cred *cred_dup(const struct cred *c); /* a private copy to edit before it is published */
struct cred *cred_dup_groups(const struct cred *c, size_t nr_groups); /* the same with room for other groups, zeroed */
struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c);
static inline void cred_putp(struct cred **c)
{
	if (*c)
		cred_put(*c);
}
#define _cleanup_cred_ _cleanup_(cred_putp)

/* Held in the initial user namespace: power over the whole kernel. */
bool cred_has_cap(const struct cred *c, int cap);
bool cred_in_group(const struct cred *c, uint32_t gid); /* fsgid or supplementary */

#endif
