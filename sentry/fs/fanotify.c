/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fanotify: groups, marks, delivery of events, permission events.
 *
 * A mark ties a group to an inode (on which it holds a reference), a mount or a file system (it does not: they tell when they go). An event is
 * matched against all marks of a group that apply to it and queued once; equal ones that follow each other closely become one.
 * A permission event is owned by its group and known by the thread that waits for it: interrupted by a freeze, the system call runs again and
 * finds its own event, so nobody is asked twice.
 *
 * Locks: fan_mu (global) guards groups, marks and queues. Events arrive under directory inode.mu: inode.mu > fan_mu > waitq.mu, handles_mu; what
 * must be put is put with it released.
 * Checkpoint: fanotify_state.c. Linux: fs/notify/fanotify.
 */
#include "sentry/fs/fanotify.h"

#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fanotify_internal.h"
#include "sentry/fs/vfs_state.h"

#define MERGE_DEPTH 128 /* how far back an equal event is looked for */

struct mutex fan_mu = MUTEX_INIT("fan_mu");
struct list fan_groups = LIST_INIT(fan_groups);
_Atomic bool fanotify_active, fanotify_perm_active;

/* --- marks --- */

void fan_update_active_locked(void)
{
	bool any = false, perm = false;
	struct fanotify *g;
	struct fan_mark *m;

	list_for_each(g, &fan_groups, all)
		list_for_each(m, &g->marks, node) {
			any = true;
			perm = perm || m->mask & FAN_PERM_EVENTS;
		}
	fanotify_active = any;
	fanotify_perm_active = perm;
	if (any)
		fsnotify_active = true;
}

int fan_mark_link_locked(struct fan_mark *m)
{
	int err = htab_put(&m->group->by_object, (uint64_t)(uintptr_t)m->object, m);

	if (err < 0)
		return -ENOMEM;
	list_add_tail(&m->group->marks, &m->node);
	return 0;
}

void fan_mark_unlink_locked(struct fan_mark *m, struct inode **inode)
{
	*inode = m->kind == FAN_INODE ? m->object : NULL;
	(void)htab_del(&m->group->by_object, (uint64_t)(uintptr_t)m->object);
	list_del(&m->node);
	free(m);
}

static void object_gone(void *object)
{
	struct inode *i;
	struct fanotify *g;
	struct fan_mark *m;
	int puts = 0;

	if (!fanotify_active)
		return;
	mutex_lock(&fan_mu);
	list_for_each(g, &fan_groups, all) {
		m = htab_get(&g->by_object, (uint64_t)(uintptr_t)object);
		if (!m)
			continue;
		fan_mark_unlink_locked(m, &i);
		puts += i != NULL;
	}
	fan_update_active_locked();
	mutex_unlock(&fan_mu);
	for (; puts; puts--)
		inode_put(object);
}

void fanotify_inode_gone(struct inode *i)
{
	object_gone(i);
}

void fanotify_mount_gone(struct mount *m)
{
	object_gone(m);
}

void fanotify_sb_gone(struct super_block *sb)
{
	struct inode *puts[64];
	size_t n;

	object_gone(sb);
	do {
		struct fanotify *g;
		struct fan_mark *m, *tmp;

		n = 0;
		mutex_lock(&fan_mu);
		list_for_each(g, &fan_groups, all)
			list_for_each_safe(m, tmp, &g->marks, node)
				if (m->kind == FAN_INODE && ((struct inode *)m->object)->sb == sb && n < ARRAY_SIZE(puts))
					fan_mark_unlink_locked(m, &puts[n++]);
		fan_update_active_locked();
		mutex_unlock(&fan_mu);
		for (size_t k = 0; k < n; k++)
			inode_put(puts[k]);
	} while (n == ARRAY_SIZE(puts));
}

/* --- events --- */

void fan_event_free(struct fan_event *e)
{
	path_put(&e->path);
	if (e->pid)
		pid_put(e->pid);
	if (e->waiter)
		pid_put(e->waiter);
	free(e->name);
	free(e->new_name);
	free(e);
}

void fan_free_list(struct list *events)
{
	struct fan_event *e;

	while ((e = list_first(events, struct fan_event, node))) {
		list_del(&e->node);
		fan_event_free(e);
	}
}

/* What the marks of one group say about an event. */
struct match {
	uint32_t mask, ignored;
	bool old_dir, new_dir, sb; /* FAN_RENAME: through which it matched */
};

/* Events that the mark ignores, given whether the object is a directory, or the child of the marked one. */
static uint32_t effective_ignored(const struct fan_mark *m, bool isdir, bool child)
{
	bool legacy = !(m->flags & FAN_MARK_IGNORE_F);
	uint32_t flags = legacy ? FAN_ONDIR_F | (m->mask & FAN_EVENT_ON_CHILD_F) : m->ignored;

	if ((isdir && !(flags & FAN_ONDIR_F)) || (child && !(flags & FAN_EVENT_ON_CHILD_F)))
		return 0;
	return m->ignored;
}

static bool match_one(struct fanotify *g, const void *object, uint32_t mask, bool child, struct match *r)
{
	struct fan_mark *m = object ? htab_get(&g->by_object, (uint64_t)(uintptr_t)object) : NULL;
	bool isdir = mask & LINUX_IN_ISDIR;

	if (!m)
		return false;
	if (mask & LINUX_IN_MODIFY && !child && !(m->flags & FAN_MARK_SURV_MODIFY_F))
		m->ignored = 0;
	r->ignored |= effective_ignored(m, isdir, child);
	if ((isdir && !(m->mask & FAN_ONDIR_F)) || (child && !(m->mask & FAN_EVENT_ON_CHILD_F)) || !(m->mask & mask))
		return false;
	r->mask |= m->mask;
	return true;
}

static uint32_t match(struct fanotify *g, const struct fan_info *e, struct match *r)
{
	bool dirent = e->mask & FAN_DIRENT_EVENTS;
	struct super_block *sb = e->inode ? e->inode->sb : e->dir ? e->dir->sb : NULL;

	*r = (struct match){ 0 };
	if (dirent) {
		r->old_dir = match_one(g, e->dir->inode, e->mask, false, r);
		if (e->new_dir)
			r->new_dir = match_one(g, e->new_dir->inode, e->mask, false, r);
	} else {
		(void)match_one(g, e->inode, e->mask, false, r);
		if (e->dir)
			(void)match_one(g, e->dir->inode, e->mask, true, r);
	}
	if (e->path && !dirent)
		(void)match_one(g, e->path->mnt, e->mask, false, r);
	r->sb = match_one(g, sb, e->mask, false, r);
	return e->mask & r->mask & ~r->ignored & (FAN_EVENTS | FAN_PERM_EVENTS);
}

static void fid_of(struct dentry *d, struct inode *i, struct fan_fid *ret)
{
	struct handle_data h;

	handle_of(i, &h);
	*ret = (struct fan_fid){ .dev = i->sb->dev, .ino = i->ino, .gen = h.gen };
	if (d && i->nlink)
		handle_remember(d);
}

/* Fills the handles and names the group's flags ask for. False: nothing to report. */
static bool fill_fids(const struct fanotify *g, const struct fan_info *e, const struct match *r, struct fan_event *ev)
{
	bool dirent = ev->mask & FAN_DIRENT_EVENTS, isdir = e->mask & LINUX_IN_ISDIR, want_obj;
	bool rename = ev->mask & FAN_RENAME_F;
	const char *name = NULL;

	if (!(g->flags & FAN_REPORT_DIR_FID_F)) {
		struct inode *i = dirent ? e->dir->inode : e->inode;

		if (i)
			fid_of(dirent ? e->dir : e->dentry, i, &ev->object);
		return i != NULL;
	}
	want_obj = g->flags & FAN_REPORT_FID_F && (dirent ? g->flags & FAN_REPORT_TARGET_FID_F : !isdir);
	if (dirent) {
		if (!rename || r->sb || r->old_dir) {
			fid_of(e->dir, e->dir->inode, &ev->dir);
			name = e->name;
		}
		if (rename && (r->sb || r->new_dir))
			fid_of(e->new_dir, e->new_dir->inode, &ev->new_dir);
	} else if (isdir) {
		fid_of(e->dentry, e->inode, &ev->dir);
		name = ".";
	} else if (e->dir) {
		fid_of(e->dir, e->dir->inode, &ev->dir);
		name = e->name;
	}
	if (!ev->dir.ino && !ev->new_dir.ino && !(g->flags & FAN_REPORT_FID_F))
		return false;
	if (e->inode && (want_obj || (!ev->dir.ino && !ev->new_dir.ino)))
		fid_of(e->dentry, e->inode, &ev->object);
	if (!(g->flags & FAN_REPORT_NAME_F))
		return true;
	ev->name = ev->dir.ino && name ? strdup(name) : NULL;
	ev->new_name = ev->new_dir.ino ? strdup(e->new_name) : NULL;
	return (!ev->dir.ino || !name || ev->name) && (!ev->new_dir.ino || ev->new_name);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool mergeable(const struct fan_event *a, const struct fan_event *b)
{
	if (a->waiter || b->waiter || a->pid != b->pid || (a->mask ^ b->mask) & (FAN_ONDIR_F | FAN_RENAME_F | FAN_Q_OVERFLOW_F))
		return false;
	return path_equal(&a->path, &b->path) && !memcmp(&a->object, &b->object, sizeof(a->object)) &&
	       !memcmp(&a->dir, &b->dir, sizeof(a->dir)) && !memcmp(&a->new_dir, &b->new_dir, sizeof(a->new_dir)) &&
	       same_text(a->name, b->name) && same_text(a->new_name, b->new_name);
}

/* Consumes @e: into the queue, or (merged, no room) to @gone. */
static void queue_locked(struct fanotify *g, struct fan_event *e, struct list *gone)
{
	uint32_t max = g->flags & FAN_UNLIMITED_QUEUE_F ? FAN_MAX_UNLIMITED : FAN_MAX_QUEUED;
	int depth = 0;

	for (struct list *p = g->queue.prev; p != &g->queue && depth < MERGE_DEPTH; p = p->prev, depth++) {
		struct fan_event *o = list_entry(p, struct fan_event, node);

		if (!mergeable(o, e))
			continue;
		o->mask |= e->mask;
		list_add_tail(gone, &e->node);
		return;
	}
	if (g->nr_queued >= max && !e->waiter) {
		struct fan_event *last = list_entry(g->queue.prev, struct fan_event, node);

		list_add_tail(gone, &e->node);
		e = last->mask & FAN_Q_OVERFLOW_F ? NULL : calloc(1, sizeof(*e));
		if (!e)
			return;
		e->mask = FAN_Q_OVERFLOW_F;
	}
	list_add_tail(&g->queue, &e->node);
	g->nr_queued++;
}

/* An event for @g, or NULL when it does not concern it. fan_mu held. */
static struct fan_event *make_locked(struct fanotify *g, const struct fan_info *e)
{
	bool fid = g->flags & FAN_FID_BITS;
	struct task *t = current_task;
	struct fan_event *ev;
	struct match r;
	uint32_t mask = match(g, e, &r);

	if (!mask)
		return NULL;
	if (!fid && (!e->path || !e->inode || !(LINUX_S_ISREG(e->inode->mode) || inode_is_dir(e->inode))))
		return NULL;
	ev = calloc(1, sizeof(*ev));
	if (!ev)
		return NULL;
	ev->mask = mask | (fid && e->mask & LINUX_IN_ISDIR ? FAN_ONDIR_F : 0);
	ev->fd = -1;
	if (t && t->tg)
		ev->pid = pid_get(g->flags & FAN_REPORT_TID_F ? t->pid : t->tg->pid);
	if (fid) {
		if (!fill_fids(g, e, &r, ev))
			ev->mask = 0; /* freed by the caller, without lock */
	} else {
		ev->path = *e->path;
		path_get(&ev->path);
	}
	return ev;
}

void fanotify_event(const struct fan_info *e)
{
	struct list gone = LIST_INIT(gone);
	struct fan_event *ev;
	struct fanotify *g;

	mutex_lock(&fan_mu);
	list_for_each(g, &fan_groups, all) {
		ev = make_locked(g, e);
		if (!ev)
			continue;
		if (ev->mask)
			queue_locked(g, ev, &gone);
		else
			list_add_tail(&gone, &ev->node);
		waitq_wake(&g->wq, POLL_READ);
	}
	mutex_unlock(&fan_mu);
	/* The caller holds the path, so these are never last references. */
	fan_free_list(&gone);
}

/* --- permission --- */

static struct fan_event *find_own_locked(struct fanotify *g, struct task *t, const struct path *p, uint32_t mask)
{
	struct list *lists[] = { &g->queue, &g->asked };
	struct fan_event *e;

	for (size_t n = 0; n < ARRAY_SIZE(lists); n++)
		list_for_each(e, lists[n], node)
			if (e->waiter == t->pid && e->mask == mask && e->state != FAN_ABANDONED && path_equal(&e->path, p))
				return e;
	return NULL;
}

/* The question to @g, new or that of the call before the freeze; NULL when it does not want to be asked. */
static struct fan_event *ask_locked(struct fanotify *g, struct task *t, const struct fan_info *info)
{
	struct fan_event *e = t->sysctx.again ? find_own_locked(g, t, info->path, info->mask & FAN_PERM_EVENTS) : NULL;

	if (e)
		return e;
	e = make_locked(g, info);
	if (!e)
		return NULL;
	e->mask = info->mask & FAN_PERM_EVENTS;
	e->waiter = pid_get(t->pid);
	list_add_tail(&g->queue, &e->node);
	g->nr_queued++;
	waitq_wake(&g->wq, POLL_READ);
	return e;
}

static bool answered(struct fanotify *g, const struct fan_event *e)
{
	mutex_guard(&fan_mu);
	return g->closed || e->state == FAN_ANSWERED;
}

/* e->waiting is set by the caller. */
static int wait_answer(struct fanotify *g, struct task *t, struct fan_event *e)
{
	struct waiter w = { 0 };
	int r = 0;

	task_waiter_init(&w, t, ~0u);
	waitq_add(&g->asked_wq, &w);
	task_block_prepare(t);
	while (!answered(g, e)) {
		r = task_block_killable(t, TIME_FOREVER);
		if (r)
			break;
	}
	waitq_del(&w);
	return r;
}

/* The call will run again: until then nobody takes the event out, unless the group goes. */
static void leave_for_rerun(struct fanotify *g, struct fan_event *e)
{
	bool gone;

	mutex_lock(&fan_mu);
	gone = g->closed;
	if (gone)
		list_del(&e->node);
	e->waiting = false;
	mutex_unlock(&fan_mu);
	if (gone)
		fan_event_free(e);
}

/* Takes the question back. An answer to come is thrown away by the writer when it was read already. */
static void withdraw(struct fanotify *g, struct fan_event *e)
{
	bool done;

	mutex_lock(&fan_mu);
	done = e->state != FAN_READ || g->closed;
	if (e->state == FAN_QUEUED && !g->closed)
		g->nr_queued--;
	if (done)
		list_del(&e->node);
	else
		e->state = FAN_ABANDONED;
	e->waiting = false;
	mutex_unlock(&fan_mu);
	if (done)
		fan_event_free(e);
}

void fan_group_put(struct fanotify *g)
{
	if (!g || !ref_put(&g->gref))
		return;
	htab_done(&g->by_object);
	waitq_done(&g->wq);
	waitq_done(&g->asked_wq);
	free(g);
}

/* The next group of class @class after @prev (NULL: first), referenced. One whose @prev left the list ends the walk. */
static struct fanotify *next_group(struct fanotify *prev, uint32_t class)
{
	struct fanotify *g, *found = NULL;
	bool past = !prev;

	mutex_guard(&fan_mu);
	list_for_each(g, &fan_groups, all) {
		if (past && !found && (g->flags & FAN_CLASS_BITS) == class)
			found = g;
		past = past || g == prev;
	}
	if (found)
		ref_get(&found->gref);
	return found;
}

static int ask_class(struct task *t, const struct fan_info *info, uint32_t class)
{
	struct fanotify *g = NULL, *prev = NULL;
	int r = 0;

	while (!r && (g = next_group(prev, class))) {
		struct fan_event *e;

		fan_group_put(prev);
		prev = g;
		mutex_lock(&fan_mu);
		e = g->closed ? NULL : ask_locked(g, t, info);
		if (e)
			e->waiting = true;
		mutex_unlock(&fan_mu);
		if (!e)
			continue;
		r = wait_answer(g, t, e);
		if (r == -EFREEZE) {
			leave_for_rerun(g, e);
			break;
		}
		if (!r && e->denied)
			r = -EPERM;
		withdraw(g, e);
	}
	fan_group_put(prev);
	return r;
}

int fanotify_perm(struct task *t, const struct path *p, uint32_t mask)
{
	struct dentry *d = p->dentry, *dir = NULL;
	struct fan_info info = { .mask = mask, .path = p, .inode = d->inode, .dentry = d };
	int r;

	if (!fanotify_perm_active || !t || !t->pid || !(LINUX_S_ISREG(d->inode->mode) || inode_is_dir(d->inode)))
		return 0;
	if (inode_is_dir(d->inode))
		info.mask |= LINUX_IN_ISDIR;
	if (!dentry_is_root(d) && !d->disconnected)
		info.dir = dir = dentry_parent_get(d);
	r = ask_class(t, &info, FAN_CLASS_PRE_CONTENT_F);
	if (!r)
		r = ask_class(t, &info, FAN_CLASS_CONTENT_F);
	dentry_put(dir);
	return r;
}

/* --- the descriptor --- */

static uint32_t fanotify_poll(struct file *f)
{
	mutex_guard(&fan_mu);
	return fanotify_of(f)->nr_queued ? POLL_READ : 0;
}

static struct waitq *fanotify_pollq(struct file *f)
{
	return &fanotify_of(f)->wq;
}

static int64_t fanotify_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct fanotify *g = fanotify_of(f);
	struct fan_event *e;
	int32_t n = 0;

	if (cmd != LINUX_FIONREAD)
		return -ENOTTY;
	mutex_lock(&fan_mu);
	list_for_each(e, &g->queue, node)
		n += (int32_t)fan_event_size(g, e);
	mutex_unlock(&fan_mu);
	return copy_out(t, GADDR(arg), &n, sizeof(n));
}

static void fanotify_release(struct file *f)
{
	struct fanotify *g = fanotify_of(f);
	struct list gone = LIST_INIT(gone);
	struct fan_event *e, *tmp;
	struct inode *inode;
	struct fan_mark *m;

	/* Who waits for an answer goes on as if allowed, and takes the event along. */
	mutex_lock(&fan_mu);
	list_del(&g->all);
	g->closed = true;
	list_splice_tail(&g->asked, &g->queue);
	list_for_each_safe(e, tmp, &g->asked, node)
		if (!e->waiting) {
			list_del(&e->node);
			list_add_tail(&gone, &e->node);
		}
	mutex_unlock(&fan_mu);
	waitq_wake(&g->asked_wq, ~0u);
	fan_free_list(&gone);
	for (;;) {
		mutex_lock(&fan_mu);
		m = list_first(&g->marks, struct fan_mark, node);
		inode = NULL;
		if (m)
			fan_mark_unlink_locked(m, &inode);
		mutex_unlock(&fan_mu);
		inode_put(inode);
		if (!m)
			break;
	}
	mutex_lock(&fan_mu);
	fan_update_active_locked();
	mutex_unlock(&fan_mu);
	file_done(f);
	fan_group_put(g);
}

static void fanotify_show_fdinfo(struct file *f, struct strbuf *b)
{
	struct fanotify *g = fanotify_of(f);
	struct fan_mark *m;

	strbuf_addf(b, "fanotify flags:%x event-flags:%x\n", g->flags, g->event_flags);
	mutex_guard(&fan_mu);
	list_for_each(m, &g->marks, node) {
		uint32_t mflags = m->flags & FAN_MARK_SURV_MODIFY_F ? 0x40 : 0;

		if (m->kind == FAN_INODE) {
			const struct inode *i = m->object;
			struct handle_data h;

			handle_of(i, &h);
			strbuf_addf(b, "fanotify ino:%lx sdev:%x mflags:%x mask:%x ignored_mask:%x fhandle-bytes:c fhandle-type:1 "
				       "f_handle:%08x%08x%08x\n",
				    (unsigned long)i->ino, dev_minor(i->sb->dev), mflags, m->mask, m->ignored, __builtin_bswap32(h.gen),
				    __builtin_bswap32(h.ino_lo), __builtin_bswap32(h.ino_hi));
		} else if (m->kind == FAN_MOUNT) {
			strbuf_addf(b, "fanotify mnt_id:%x mflags:%x mask:%x ignored_mask:%x\n", ((struct mount *)m->object)->id, mflags, m->mask,
				    m->ignored);
		} else {
			strbuf_addf(b, "fanotify sdev:%x mflags:%x mask:%x ignored_mask:%x\n", dev_minor(((struct super_block *)m->object)->dev),
				    mflags, m->mask, m->ignored);
		}
	}
}

const struct file_ops fanotify_ops = {
	.name = "[fanotify]",
	.state = &fanotify_state_type,
	.release = fanotify_release,
	.read = fanotify_read,
	.write = fanotify_write,
	.poll = fanotify_poll,
	.pollq = fanotify_pollq,
	.llseek = file_noop_llseek,
	.ioctl = fanotify_ioctl,
	.show_fdinfo = fanotify_show_fdinfo,
};

struct fanotify *fanotify_alloc(void)
{
	struct fanotify *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	ref_init(&g->file.ref);
	ref_init(&g->gref);
	waitq_init(&g->wq);
	waitq_init(&g->asked_wq);
	list_init(&g->marks);
	list_init(&g->queue);
	list_init(&g->asked);
	mutex_lock(&fan_mu);
	list_add_tail(&fan_groups, &g->all);
	mutex_unlock(&fan_mu);
	return g;
}
