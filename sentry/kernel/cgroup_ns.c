/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroup namespaces. Contract in cgroup_ns.h. */
#include "sentry/kernel/cgroup_ns.h"

#include <string.h>

#include "schemas/nsproxy.pb-c.h"
#include "sentry/kernel/kernel.h"
#include "state/state.h"

static void *cgroup_ns_alloc(void)
{
	struct cgroup_ns *ns = calloc(1, sizeof(*ns));

	if (ns)
		ref_init(&ns->ref);
	return ns;
}

struct cgroup_ns *cgroup_ns_new(const struct cgroup_ns *old, struct user_ns *owner)
{
	struct cgroup_ns *ns = cgroup_ns_alloc();

	if (!ns)
		return NULL;
	ns->ino = kernel_next_ino(the_kernel);
	ns->user_ns = user_ns_get(owner);
	ns->root = strdup(old ? old->root : "/");
	if (!ns->root) {
		cgroup_ns_put(ns);
		return NULL;
	}
	return ns;
}

struct cgroup_ns *cgroup_ns_get(struct cgroup_ns *ns)
{
	if (ns)
		ref_get(&ns->ref);
	return ns;
}

void cgroup_ns_put(struct cgroup_ns *ns)
{
	if (!ns || !ref_put(&ns->ref))
		return;
	user_ns_put(ns->user_ns);
	free(ns->root);
	free(ns);
}

/* --- state --- */

static int cgroup_ns_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct cgroup_ns *ns = obj;
	Sentry__CgroupNs *m = msg;

	m->ino = ns->ino;
	m->user_ns = state_ref(w, &user_ns_state_type, ns->user_ns);
	m->root = state_strdup(w, ns->root);
	return 0;
}

static int cgroup_ns_load(struct state_reader *r, void *obj, const void *msg)
{
	struct cgroup_ns *ns = obj;
	const Sentry__CgroupNs *m = msg;
	int e = state_check(r, m->root[0] == '/' && strlen(m->root) < 4096, "the root of a cgroup namespace is no path");

	if (e < 0)
		return e;
	ns->ino = m->ino;
	ns->root = strdup(m->root);
	return ns->root ? state_deref(r, m->user_ns, &user_ns_state_type, (void **)&ns->user_ns) : -ENOMEM;
}

static void cgroup_ns_get_state(void *obj)
{
	(void)cgroup_ns_get(obj);
}

static void cgroup_ns_put_state(void *obj)
{
	cgroup_ns_put(obj);
}

const struct state_type cgroup_ns_state_type = {
	.id = STATE_ID_cgroup_ns,
	.name = "cgroup_ns",
	.desc = &sentry__cgroup_ns__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = cgroup_ns_alloc,
	.save = cgroup_ns_save,
	.load = cgroup_ns_load,
	.get = cgroup_ns_get_state,
	.put = cgroup_ns_put_state,
};
