/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User namespaces: ids mapped, and what a capability is good for.
 *
 * The kernel knows ids of the initial namespace only ("kernel ids"): credentials, inodes and messages hold those. System calls
 * translate at their edge with the caller's namespace. The initial namespace is NULL everywhere: it maps every id to itself and exists as
 * long as the kernel. Each of the other namespaces (mnt, uts, ...) has the user namespace it was made in as `user_ns`; a capability counts for
 * an object when it is held in the object's user namespace, or in a namespace above it, or when the user made the namespace.
 *
 * Locks: user_ns.mu (leaf) guards the writing of maps, which are written once: a map whose `nr` is not 0 does not change any more, so readers
 * need no lock. Checkpoint: all of it. Linux: kernel/user_namespace.c, security/commoncap.c.
 */
#ifndef SENTRY_KERNEL_USER_NS_H
#define SENTRY_KERNEL_USER_NS_H

#include "base/mutex.h"
#include "base/ref.h"
#include "sentry/kernel/cred.h"

struct strbuf;

#define USER_NS_MAX_LEVEL   32
#define USER_NS_MAX_EXTENTS 340
#define NO_ID		    UINT32_MAX
#define OVERFLOW_ID	    65534u

enum id_kind { ID_UID, ID_GID, ID_PROJID, ID_KINDS };

/* What sysctl user.max_* bounds, for each namespace and user. */
enum ns_limit { LIMIT_USER_NS, LIMIT_PID_NS, LIMIT_UTS_NS, LIMIT_IPC_NS, LIMIT_NET_NS, LIMIT_MNT_NS, LIMIT_CGROUP_NS, LIMIT_TIME_NS, NR_NS_LIMITS };

struct id_extent {
	uint32_t first, lower, count; /* ids inside; kernel ids */
};

struct id_map {
	uint32_t nr; /* 0: not written yet */
	struct id_extent *e;
};

struct user_ns {
	struct ref ref; /* nosave: counted again by state_deref() */
	struct user_ns *parent; /* saved: 1; referenced, NULL the initial one */
	uint32_t level; /* derived: of the parents; at least 1 */
	uint32_t owner, group; /* saved: 2, 3 */
	struct mutex mu; /* nosave: free when frozen */
	struct id_map map[ID_KINDS]; /* saved: 4 uid_map, and 5 gid_map and 6 projid_map; written once under mu */
	bool setgroups_denied; /* saved: 7; under mu until gid_map is written */
	bool parent_setfcap; /* saved: 8 */
	uint64_t ino; /* saved: 9 */
	uint32_t limits[NR_NS_LIMITS]; /* saved: 10 */
};

/* A child of the namespace of @c, made by @c: -ENOSPC when nested too deeply, -EPERM when its ids are not mapped, -ENOMEM. */
_must_check_ int user_ns_new(const struct cred *c, struct user_ns **ret);
struct user_ns *user_ns_get(struct user_ns *ns); /* NULL is fine in both */
void user_ns_put(struct user_ns *ns);
uint64_t user_ns_ino(const struct user_ns *ns);
static inline struct user_ns *user_ns_parent(const struct user_ns *ns)
{
	return ns ? ns->parent : NULL;
}
/* Is @ns @anc or below it? */
bool user_ns_below(const struct user_ns *ns, const struct user_ns *anc);

/* An id of @ns as kernel id, and back: NO_ID when it has none; _show: OVERFLOW_ID then. */
uint32_t user_ns_in(const struct user_ns *ns, enum id_kind k, uint32_t id);
uint32_t user_ns_out(const struct user_ns *ns, enum id_kind k, uint32_t kid);
uint32_t user_ns_show(const struct user_ns *ns, enum id_kind k, uint32_t kid);
bool user_ns_may_setgroups(const struct user_ns *ns);

/* Does @c have @cap over things of @ns? */
bool cred_ns_capable(const struct cred *c, const struct user_ns *ns, int cap);
/* In its own namespace. */
static inline bool cred_capable_here(const struct cred *c, int cap)
{
	return c->cap_eff >> cap & 1;
}
/* Over a file of @uid, @gid: held here, and the ids are mapped here. */
bool cred_capable_over(const struct cred *c, uint32_t uid, uint32_t gid, int cap);
/* Makes @c (private) what the first process of the new namespace @ns has; takes a reference. */
void cred_enter_user_ns(struct cred *c, struct user_ns *ns);

/* The same for tasks; the calling thread's own. */
bool task_ns_capable(struct task *t, const struct user_ns *ns, int cap);
bool task_capable_here(struct task *t, int cap);
uint32_t task_id_in(const struct task *t, enum id_kind k, uint32_t id); /* NO_ID stays, and stands for ids without mapping */
uint32_t task_id_show(const struct task *t, enum id_kind k, uint32_t kid);

/* Text of /proc/pid/uid_map and its like of @ns, as @c sees it; and its one writing by @c: bytes used, -EPERM, -EINVAL, -ENOMEM. */
void user_ns_show_map(struct user_ns *ns, enum id_kind k, const struct cred *c, struct strbuf *b);
int64_t user_ns_write_map(struct user_ns *ns, enum id_kind k, const struct cred *c, char *text, size_t n);
/* /proc/pid/setgroups: "allow", "deny". */
int64_t user_ns_write_setgroups(struct user_ns *ns, const struct cred *c, const char *text, size_t n);

/* May one more namespace of kind @what be made by somebody in @ns? The limit 0 forbids it; DEVIATION: others are not counted. */
bool user_ns_limit_ok(const struct user_ns *ns, enum ns_limit what);
uint32_t user_ns_limit(const struct user_ns *ns, enum ns_limit what);
void user_ns_set_limit(struct user_ns *ns, enum ns_limit what, uint32_t v);

#endif
