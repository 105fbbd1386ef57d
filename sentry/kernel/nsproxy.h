/* SPDX-License-Identifier: Apache-2.0 */
/* The namespaces of a task, and the UTS namespace. Immutable once shared: dup, change, swap. */
#ifndef SENTRY_KERNEL_NSPROXY_H
#define SENTRY_KERNEL_NSPROXY_H

#include "base/mutex.h"
#include "sentry/kernel/task.h"

#define UTS_LEN 65

struct uts_ns {
	struct ref ref; /* nosave: counted anew by the loader */
	struct mutex mu; /* nosave: leaf; guards the names */
	char nodename[UTS_LEN]; /* saved: 1 */
	char domainname[UTS_LEN]; /* saved: 2 */
	uint64_t ino; /* saved: 3 */
};

struct uts_ns *uts_ns_new(const char *nodename, const char *domainname);
struct uts_ns *uts_ns_dup(struct uts_ns *u);
struct uts_ns *uts_ns_get(struct uts_ns *u);
void uts_ns_put(struct uts_ns *u);

struct nsproxy *nsproxy_new(void); /* empty */
struct nsproxy *nsproxy_dup(const struct nsproxy *n); /* takes references on all members */
struct nsproxy *nsproxy_get(struct nsproxy *n);
void nsproxy_put(struct nsproxy *n);
/* Publishes @n as the own namespaces (consumes the reference). */
void task_set_ns(struct task *t, struct nsproxy *n);

#endif
