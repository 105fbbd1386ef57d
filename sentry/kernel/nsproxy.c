/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces of a task; the UTS namespace object. Linux: kernel/nsproxy.c, kernel/utsname.c. */
#include "sentry/kernel/nsproxy.h"

#include <stdio.h>
#include <string.h>

#include "schemas/nsproxy.pb-c.h"
#include "sentry/fs/mount.h"
#include "sentry/ipc/ipc_ns.h"
#include "sentry/kernel/cgroup_ns.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/time_ns.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/net/netns.h"
#include "state/state.h"

struct uts_ns *uts_ns_new(const char *nodename, const char *domainname)
{
	struct uts_ns *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	ref_init(&u->ref);
	mutex_init(&u->mu, "uts_ns.mu");
	u->ino = kernel_next_ino(the_kernel);
	(void)snprintf(u->nodename, sizeof(u->nodename), "%s", nodename);
	(void)snprintf(u->domainname, sizeof(u->domainname), "%s", domainname);
	return u;
}

struct uts_ns *uts_ns_dup(struct uts_ns *u)
{
	char node[UTS_LEN], domain[UTS_LEN];

	mutex_lock(&u->mu);
	memcpy(node, u->nodename, sizeof(node));
	memcpy(domain, u->domainname, sizeof(domain));
	mutex_unlock(&u->mu);
	return uts_ns_new(node, domain);
}

struct uts_ns *uts_ns_get(struct uts_ns *u)
{
	ref_get(&u->ref);
	return u;
}

void uts_ns_put(struct uts_ns *u)
{
	if (!u || !ref_put(&u->ref))
		return;
	mutex_destroy(&u->mu);
	user_ns_put(u->user_ns);
	free(u);
}

struct nsproxy *nsproxy_new(void)
{
	struct nsproxy *n = calloc(1, sizeof(*n));

	if (n)
		ref_init(&n->ref);
	return n;
}

struct nsproxy *nsproxy_dup(const struct nsproxy *o)
{
	struct nsproxy *n = nsproxy_new();

	if (!n)
		return NULL;
	n->mnt = o->mnt ? mnt_ns_get(o->mnt) : NULL;
	n->uts = o->uts ? uts_ns_get(o->uts) : NULL;
	n->ipc = o->ipc ? ipc_ns_get(o->ipc) : NULL;
	n->net = o->net ? net_ns_get(o->net) : NULL;
	n->pid_for_children = o->pid_for_children ? pid_ns_get(o->pid_for_children) : NULL;
	n->cgroup = cgroup_ns_get(o->cgroup);
	n->time = time_ns_get(o->time);
	n->time_for_children = time_ns_get(o->time_for_children);
	return n;
}

struct nsproxy *nsproxy_get(struct nsproxy *n)
{
	ref_get(&n->ref);
	return n;
}

void nsproxy_put(struct nsproxy *n)
{
	if (!n || !ref_put(&n->ref))
		return;
	if (n->mnt)
		mnt_ns_put(n->mnt);
	uts_ns_put(n->uts);
	if (n->ipc)
		ipc_ns_put(n->ipc);
	if (n->net)
		net_ns_put(n->net);
	pid_ns_put(n->pid_for_children);
	cgroup_ns_put(n->cgroup);
	time_ns_put(n->time);
	time_ns_put(n->time_for_children);
	free(n);
}

void task_set_ns(struct task *t, struct nsproxy *n)
{
	struct nsproxy *old;

	mutex_lock(&t->alloc_mu);
	old = t->ns;
	t->ns = n;
	mutex_unlock(&t->alloc_mu);
	nsproxy_put(old);
}

/* --- state --- */

static void *uts_alloc(void)
{
	struct uts_ns *u = calloc(1, sizeof(*u));

	if (u) {
		ref_init(&u->ref);
		mutex_init(&u->mu, "uts_ns.mu");
	}
	return u;
}

static int uts_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct uts_ns *u = obj;
	Sentry__UtsNs *m = msg;

	m->nodename = state_strdup(w, u->nodename);
	m->domainname = state_strdup(w, u->domainname);
	m->ino = u->ino;
	m->user_ns = state_ref(w, &user_ns_state_type, u->user_ns);
	return 0;
}

static int uts_load(struct state_reader *r, void *obj, const void *msg)
{
	struct uts_ns *u = obj;
	const Sentry__UtsNs *m = msg;
	int e = state_check(r, strlen(m->nodename) < UTS_LEN && strlen(m->domainname) < UTS_LEN, "name too long");

	if (e < 0)
		return e;
	(void)snprintf(u->nodename, sizeof(u->nodename), "%s", m->nodename);
	(void)snprintf(u->domainname, sizeof(u->domainname), "%s", m->domainname);
	u->ino = m->ino;
	return state_deref(r, m->user_ns, &user_ns_state_type, (void **)&u->user_ns);
}

static void uts_get_state(void *obj)
{
	(void)uts_ns_get(obj);
}

static void uts_put_state(void *obj)
{
	uts_ns_put(obj);
}

const struct state_type uts_ns_state_type = {
	.id = STATE_ID_uts_ns,
	.name = "uts_ns",
	.desc = &sentry__uts_ns__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = uts_alloc,
	.save = uts_save,
	.load = uts_load,
	.get = uts_get_state,
	.put = uts_put_state,
};

static void *nsproxy_alloc(void)
{
	return nsproxy_new();
}

static int nsproxy_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct nsproxy *n = obj;
	Sentry__Nsproxy *m = msg;

	m->mnt = state_ref(w, &mnt_ns_state_type, n->mnt);
	m->uts = state_ref(w, &uts_ns_state_type, n->uts);
	m->ipc = state_ref(w, &ipc_ns_state_type, n->ipc);
	m->net = state_ref(w, &net_ns_state_type, n->net);
	m->pid_for_children = state_ref(w, &pid_ns_state_type, n->pid_for_children);
	m->cgroup = state_ref(w, &cgroup_ns_state_type, n->cgroup);
	m->time = state_ref(w, &time_ns_state_type, n->time);
	m->time_for_children = state_ref(w, &time_ns_state_type, n->time_for_children);
	return 0;
}

static int nsproxy_load(struct state_reader *r, void *obj, const void *msg)
{
	struct nsproxy *n = obj;
	const Sentry__Nsproxy *m = msg;
	int e = state_deref(r, m->mnt, &mnt_ns_state_type, (void **)&n->mnt);

	if (e >= 0)
		e = state_deref(r, m->uts, &uts_ns_state_type, (void **)&n->uts);
	if (e >= 0)
		e = state_deref(r, m->ipc, &ipc_ns_state_type, (void **)&n->ipc);
	if (e >= 0)
		e = state_deref(r, m->net, &net_ns_state_type, (void **)&n->net);
	if (e >= 0)
		e = state_deref(r, m->pid_for_children, &pid_ns_state_type, (void **)&n->pid_for_children);
	if (e >= 0)
		e = state_deref(r, m->cgroup, &cgroup_ns_state_type, (void **)&n->cgroup);
	if (e >= 0)
		e = state_deref(r, m->time, &time_ns_state_type, (void **)&n->time);
	if (e >= 0)
		e = state_deref(r, m->time_for_children, &time_ns_state_type, (void **)&n->time_for_children);
	if (e >= 0)
		e = state_check(r, n->mnt && n->uts && n->ipc && n->net && n->pid_for_children, "a namespace is missing");
	return e;
}

static void nsproxy_get_state(void *obj)
{
	(void)nsproxy_get(obj);
}

static void nsproxy_put_state(void *obj)
{
	nsproxy_put(obj);
}

const struct state_type nsproxy_state_type = {
	.id = STATE_ID_nsproxy,
	.name = "nsproxy",
	.desc = &sentry__nsproxy__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = nsproxy_alloc,
	.save = nsproxy_save,
	.load = nsproxy_load,
	.get = nsproxy_get_state,
	.put = nsproxy_put_state,
};
