/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of pseudo files. See watch.h. pseudo_watch_mu is a leaf; inodes leave the list when they are evicted. */
#include "sentry/fs/pseudo/watch.h"

#include "sentry/fs/notify.h"
#include "sentry/fs/pseudo/pseudo_internal.h"

#define MOUNTS_MAX 16 /* told at once; nobody mounts a hierarchy more often */

struct mutex pseudo_watch_mu = MUTEX_INIT("pseudo.watch_mu");

void pseudo_watch_init(struct pseudo_watch *w)
{
	atomic_init(&w->seq, 0);
	waitq_init(&w->wq);
	list_init(&w->inodes);
}

void pseudo_watch_done(struct pseudo_watch *w)
{
	waitq_done(&w->wq);
}

void pseudo_watch_changed(struct pseudo_watch *w)
{
	struct inode *v[MOUNTS_MAX];
	struct pseudo_inode *pi;
	size_t n = 0;

	atomic_fetch_add(&w->seq, 1);
	waitq_wake(&w->wq, ~0u);
	if (!fsnotify_active)
		return;
	mutex_lock(&pseudo_watch_mu);
	list_for_each(pi, &w->inodes, watch_node)
		if (n < MOUNTS_MAX && ref_tryget(&pi->i.ref))
			v[n++] = &pi->i;
	mutex_unlock(&pseudo_watch_mu);
	while (n-- > 0) {
		fsnotify_event(v[n], LINUX_IN_MODIFY, NULL, 0);
		inode_put(v[n]);
	}
}

void pseudo_watch_attach(struct pseudo_inode *pi)
{
	struct pctx c = { .id = pi->id, .node = pi->node, .ps = pseudo_of(pi->i.sb) };

	if (!pi->node->watch)
		return;
	pi->watch = pi->node->watch(&c, &pi->watch_owner);
	if (!pi->watch)
		return;
	mutex_lock(&pseudo_watch_mu);
	list_add_tail(&pi->watch->inodes, &pi->watch_node);
	mutex_unlock(&pseudo_watch_mu);
}

void pseudo_watch_detach(struct pseudo_inode *pi)
{
	if (!pi->watch)
		return;
	mutex_lock(&pseudo_watch_mu);
	list_del(&pi->watch_node);
	mutex_unlock(&pseudo_watch_mu);
	pi->watch = NULL;
	pi->node->unwatch(TAKE_PTR(pi->watch_owner));
}
