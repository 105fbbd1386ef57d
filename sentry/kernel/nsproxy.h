/* SPDX-License-Identifier: Apache-2.0 */
/* The namespaces of a task, and the UTS namespace. Immutable once shared: dup, change, swap. */
#ifndef SENTRY_KERNEL_NSPROXY_H
#define SENTRY_KERNEL_NSPROXY_H

#include "base/mutex.h"
#include "sentry/kernel/task.h"

#define UTS_LEN 65

#define CLONE_NEWTIME_L 0x80ULL /* not in <sched.h> of every C library */
#define NAMESPACE_FLAGS (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWCGROUP | CLONE_NEWTIME_L)

struct uts_ns {
	struct ref ref; /* nosave: counted anew by the loader */
	struct mutex mu; /* nosave: leaf; guards the names */
	char nodename[UTS_LEN]; /* saved: 1 */
	char domainname[UTS_LEN]; /* saved: 2 */
	uint64_t ino; /* saved: 3 */
	struct user_ns *user_ns; /* saved: 4; whose capabilities rule it; NULL the initial one */
};

struct uts_ns *uts_ns_new(const char *nodename, const char *domainname);
struct uts_ns *uts_ns_dup(struct uts_ns *u);
struct uts_ns *uts_ns_get(struct uts_ns *u);
void uts_ns_put(struct uts_ns *u);

struct nsproxy *nsproxy_new(void); /* empty */
struct nsproxy *nsproxy_dup(const struct nsproxy *n); /* takes references on all members */
struct nsproxy *nsproxy_get(struct nsproxy *n);
void nsproxy_put(struct nsproxy *n);
/* The namespaces of a child of @t cloned with @flags, new ones belonging to @owner; @fs is the child's, moved into a new mount namespace. Permission is
 * the caller's to check. -ENOSPC: too many or nested too deeply. */
_must_check_ int nsproxy_for_child(struct task *t, uint64_t flags, struct user_ns *owner, struct fs_ctx *fs, struct nsproxy **ret);
/* Credentials of @t with full power in a new user namespace: -EPERM (chroot, unmapped ids), -ENOSPC. */
_must_check_ int cred_new_user_ns(struct task *t, struct cred **ret);
/* Publishes @n as the own namespaces (consumes the reference). */
void task_set_ns(struct task *t, struct nsproxy *n);

#endif
