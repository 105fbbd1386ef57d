/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces. See netns.h. Linux: net/core/net_namespace.c. */
#include "sentry/net/netns.h"

#include "schemas/netns.pb-c.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/net/host/host.h"
#include "sentry/net/inet.h"
#include "sentry/net/netdev/netdev.h"
#include "sentry/net/netdev/netdev_state.h"
#include "state/state.h"

static void *net_ns_alloc(void)
{
	struct net_ns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return NULL;
	ns->inet = inet_table_new();
	if (!ns->inet) {
		free(ns);
		return NULL;
	}
	ns->cfg = net_cfg_new(ns);
	if (!ns->cfg) {
		inet_table_free(ns->inet);
		free(ns);
		return NULL;
	}
	ref_init(&ns->ref);
	mutex_init(&ns->abstract_mu, "net_ns.abstract_mu");
	return ns;
}

struct net_ns *net_ns_new(void)
{
	struct net_ns *ns = net_ns_alloc();

	if (ns && the_kernel)
		ns->ino = kernel_next_ino(the_kernel);
	return ns;
}

void net_ns_first(struct net_ns *ns, bool host)
{
	ns->host = host;
	if (!host)
		net_cfg_lo_up(ns->cfg);
}

struct net_ns *net_ns_get(struct net_ns *ns)
{
	ref_get(&ns->ref);
	return ns;
}

void net_ns_put(struct net_ns *ns)
{
	if (!ns || !ref_put(&ns->ref))
		return;
	/* Bound sockets hold references, so the table is empty. */
	htab_done(&ns->abstract);
	net_cfg_free(ns->cfg);
	inet_table_free(ns->inet);
	mutex_destroy(&ns->abstract_mu);
	user_ns_put(ns->user_ns);
	free(ns);
}

bool net_capable(struct task *t, int cap)
{
	return task_ns_capable(t, t->ns && t->ns->net ? t->ns->net->user_ns : NULL, cap);
}

static int net_ns_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct net_ns *ns = obj;
	Sentry__NetNs *m = msg;

	m->ino = ns->ino;
	m->autobind = ns->autobind;
	m->host = ns->host;
	m->time_waits = inet_tw_save(w, ns->inet, &m->n_time_waits);
	if (!ns->host)
		m->cfg = net_cfg_save(w, ns->cfg);
	m->user_ns = state_ref(w, &user_ns_state_type, ns->user_ns);
	return 0;
}

static int net_ns_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__NetNs *m = msg;
	struct net_ns *ns = obj;
	int err;

	ns->ino = m->ino;
	ns->autobind = m->autobind;
	ns->host = m->host;
	/* The network belongs to the container: what had its own loopback keeps it, whatever --network says now. */
	err = state_check(r, !ns->host || host_net_on(), "the image uses the host's network: restore it with --network=host");
	if (!err && m->cfg)
		err = net_cfg_load(r, ns->cfg, m->cfg);
	else if (!err)
		net_cfg_lo_up(ns->cfg); /* an image of before there were interfaces */
	if (!err)
		err = state_deref(r, m->user_ns, &user_ns_state_type, (void **)&ns->user_ns);
	return err ? err : inet_tw_load(r, ns->inet, m->time_waits, m->n_time_waits);
}

static void net_ns_state_get(void *obj)
{
	(void)net_ns_get(obj);
}

static void net_ns_state_put(void *obj)
{
	net_ns_put(obj);
}

const struct state_type net_ns_state_type = {
	.id = STATE_ID_net_ns,
	.name = "net_ns",
	.desc = &sentry__net_ns__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = net_ns_alloc,
	.save = net_ns_save,
	.load = net_ns_load,
	.get = net_ns_state_get,
	.put = net_ns_state_put,
};
