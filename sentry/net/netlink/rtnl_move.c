/* SPDX-License-Identifier: Apache-2.0 */
/* Other network namespaces: moving an interface there, and their numbers. Linux: __dev_change_net_namespace(), net/core/net_namespace.c. */
#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/nsfs.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pid.h"
#include "sentry/net/netlink/rtnl.h"

static struct net_ns *of_fd(struct task *t, int fd)
{
	struct file *f _cleanup_file_ = fd_get(t, fd);
	struct net_ns *ns = NULL;
	enum ns_kind kind;
	void *p;

	if (f && nsfs_get(f, &kind, &p) == 0 && kind == NS_NET)
		ns = net_ns_get(p);
	return ns;
}

static struct net_ns *of_pid(struct task *t, int pid)
{
	struct task *o = task_find(t->k, task_pid_ns(t), pid);
	struct nsproxy *n = o ? task_ns_get(o) : NULL;
	struct net_ns *ns = n && n->net ? net_ns_get(n->net) : NULL;

	if (n)
		nsproxy_put(n);
	if (o)
		task_put(o);
	return ns;
}

/* Both locks, by address; the own one is held. */
static void lock_both(struct net_cfg *own, struct net_cfg *to)
{
	mutex_unlock(&own->mu);
	if (own < to) {
		mutex_lock(&own->mu);
		mutex_lock_nested(&to->mu);
	} else {
		mutex_lock(&to->mu);
		mutex_lock_nested(&own->mu);
	}
}

static int move_locked(struct net_cfg *own, struct net_cfg *to, int32_t index, const struct nl_who *who)
{
	static const struct nl_who by_kernel;
	struct netdev *d = netdev_by_index(own, index), *n;
	int r;

	if (!d)
		return -ENODEV;
	if (netdev_by_name(to, d->name))
		return -EEXIST;
	r = netdev_add_dummy(to, d->name, netdev_by_index(to, index) ? 0 : index, &by_kernel, &n);
	if (r)
		return r;
	memcpy(n->addr, d->addr, sizeof(n->addr));
	memcpy(n->brd, d->brd, sizeof(n->brd));
	memcpy(n->alias, d->alias, sizeof(n->alias));
	n->mtu = d->mtu;
	n->txqlen = d->txqlen;
	n->group = d->group;
	netdev_del(own, d, who);
	return 0;
}

int rtnl_move_link(struct nl_request *q, struct netdev *d, const struct nl_attr *pid, const struct nl_attr *fd)
{
	struct net_cfg *own = rtnl_cfg(q);
	const struct nl_who who = rtnl_who(q);
	int32_t index = d->index;
	struct net_ns *to;
	int r;

	if (netdev_is_lo(d))
		return nl_fail(q, -EINVAL, "The interface netns is immutable");
	to = fd->data ? of_fd(q->t, (int)nl_u32(fd, UINT32_MAX)) : of_pid(q->t, (int)nl_u32(pid, 0));
	if (!to)
		return fd->data ? -EINVAL : -ESRCH;
	if (to == q->net || to->host) {
		r = to->host ? -EPERM : 0;
	} else {
		lock_both(own, to->cfg);
		r = move_locked(own, to->cfg, index, &who);
		mutex_unlock(&to->cfg->mu);
	}
	net_ns_put(to);
	return r;
}

enum { NETNSA_NSID = 1, NETNSA_PID, NETNSA_FD };

/* RTM_GETNSID: no namespace has been given a number. */
int rtnl_get_nsid(struct nl_request *q)
{
	struct nl_attr a[NETNSA_FD + 1];
	struct net_ns *ns = NULL;
	int r = nl_attrs(q, 1, a, NETNSA_FD);
	size_t at;

	if (r)
		return r;
	if (a[NETNSA_PID].data)
		ns = of_pid(q->t, (int)nl_u32(&a[NETNSA_PID], 0));
	else if (a[NETNSA_FD].data)
		ns = of_fd(q->t, (int)nl_u32(&a[NETNSA_FD], UINT32_MAX));
	else
		return nl_fail(q, a[NETNSA_NSID].data ? -ENOENT : -EINVAL, "Peer netns reference is missing");
	if (!ns)
		return nl_fail(q, a[NETNSA_PID].data ? -ESRCH : -EINVAL, "Peer netns reference is invalid");
	net_ns_put(ns);
	at = nl_reply(q, LINUX_RTM_NEWNSID, 0);
	strbuf_add(&q->out, (const uint8_t[4]){ 0 }, 4);
	nl_put_u32(&q->out, NETNSA_NSID, UINT32_MAX);
	nl_end(&q->out, at);
	return 0;
}
