/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fanotify groups in an image: marks, queued events, permission events with who waits for them and what was answered.
 *
 * Mounts and super blocks of marks are not referenced at run time: what the loader referenced is put in after_load.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/fanotify.pb-c.h"
#include "sentry/fs/fanotify_internal.h"
#include "sentry/fs/vfs_state.h"

extern const struct state_type pid_state_type;

static void *fanotify_state_alloc(void)
{
	return fanotify_alloc();
}

static Sentry__FanFid *save_fid(struct state_writer *w, const struct fan_fid *f)
{
	Sentry__FanFid *m;

	if (!f->ino)
		return NULL;
	m = state_new_msg(w, &sentry__fan_fid__descriptor);
	m->dev = f->dev;
	m->ino = f->ino;
	m->gen = f->gen;
	return m;
}

static Sentry__FanEvent *save_event(struct state_writer *w, const struct fan_event *e)
{
	Sentry__FanEvent *m = state_new_msg(w, &sentry__fan_event__descriptor);

	m->mask = e->mask;
	m->state = e->state;
	m->pid = state_ref(w, &pid_state_type, e->pid);
	m->path = path_save(w, &e->path);
	m->object = save_fid(w, &e->object);
	m->dir = save_fid(w, &e->dir);
	m->name = state_strdup(w, e->name ? e->name : "");
	m->new_dir = save_fid(w, &e->new_dir);
	m->new_name = state_strdup(w, e->new_name ? e->new_name : "");
	m->waiter = state_ref(w, &pid_state_type, e->waiter);
	m->fd = e->fd;
	m->denied = e->denied;
	return m;
}

static uint64_t save_object(struct state_writer *w, const struct fan_mark *m)
{
	switch (m->kind) {
	case FAN_INODE:
		return inode_state_ref(w, m->object);
	case FAN_MOUNT:
		return state_ref(w, &mount_state_type, m->object);
	case FAN_SB:
		return sb_state_ref(w, m->object);
	}
	return 0;
}

static int fanotify_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct fanotify *g = obj;
	Sentry__Fanotify *m = msg;
	const struct fan_event *e;
	const struct fan_mark *k;
	size_t n = g->nr_queued;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->flags = g->flags;
	m->event_flags = g->event_flags;
	m->unprivileged = g->unprivileged;
	m->marks = state_zalloc(w, g->by_object.live, sizeof(*m->marks));
	list_for_each(k, &g->marks, node) {
		Sentry__FanMark *o = state_new_msg(w, &sentry__fan_mark__descriptor);

		o->kind = k->kind;
		o->object = save_object(w, k);
		o->mask = k->mask;
		o->ignored = k->ignored;
		o->flags = k->flags;
		m->marks[m->n_marks++] = o;
	}
	list_for_each(e, &g->asked, node)
		n++;
	m->events = state_zalloc(w, n, sizeof(*m->events));
	list_for_each(e, &g->queue, node)
		m->events[m->n_events++] = save_event(w, e);
	list_for_each(e, &g->asked, node)
		m->events[m->n_events++] = save_event(w, e);
	return file_save_base(w, &g->file, m->file_base);
}

static void load_fid(const Sentry__FanFid *m, struct fan_fid *f)
{
	if (m)
		*f = (struct fan_fid){ .dev = m->dev, .ino = m->ino, .gen = m->gen };
}

static int load_name(const char *text, char **ret)
{
	if (!*text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

static int load_event(struct state_reader *r, struct fanotify *g, const Sentry__FanEvent *m)
{
	struct fan_event *e;
	void *pid = NULL, *waiter = NULL;
	int err = state_check(r, m->state <= FAN_ABANDONED && strlen(m->name) <= LINUX_NAME_MAX && strlen(m->new_name) <= LINUX_NAME_MAX, "fanotify event");

	if (err)
		return err;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	list_add_tail(m->state == FAN_QUEUED ? &g->queue : &g->asked, &e->node);
	g->nr_queued += m->state == FAN_QUEUED;
	e->mask = m->mask;
	e->state = m->state;
	e->fd = m->fd;
	e->denied = m->denied;
	load_fid(m->object, &e->object);
	load_fid(m->dir, &e->dir);
	load_fid(m->new_dir, &e->new_dir);
	err = load_name(m->name, &e->name);
	if (!err)
		err = load_name(m->new_name, &e->new_name);
	if (!err)
		err = path_load(r, m->path, &e->path);
	if (!err)
		err = state_deref(r, m->pid, &pid_state_type, &pid);
	if (!err)
		err = state_deref(r, m->waiter, &pid_state_type, &waiter);
	e->pid = pid;
	e->waiter = waiter;
	if (!err)
		err = state_check(r, waiter ? e->path.dentry != NULL : e->state == FAN_QUEUED, "fanotify question nobody asks");
	return err;
}

static int load_mark(struct state_reader *r, struct fanotify *g, const Sentry__FanMark *m)
{
	struct super_block *sb = NULL;
	struct inode *inode = NULL;
	void *mnt = NULL;
	struct fan_mark *k;
	int err = state_check(r, m->kind <= FAN_SB, "kind of fanotify mark");

	if (!err && m->kind == FAN_INODE)
		err = inode_state_deref(r, m->object, &inode);
	else if (!err && m->kind == FAN_MOUNT)
		err = state_deref(r, m->object, &mount_state_type, &mnt);
	else if (!err)
		err = sb_state_deref(r, m->object, &sb);
	if (!err)
		err = state_check(r, inode || mnt || sb, "fanotify mark on nothing");
	if (err)
		return err;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->group = g;
	k->kind = m->kind;
	k->object = inode ? (void *)inode : mnt ? mnt : (void *)sb;
	k->mask = m->mask;
	k->ignored = m->ignored;
	k->flags = m->flags;
	list_add_tail(&g->marks, &k->node);
	return 0;
}

static int fanotify_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__Fanotify *m = msg;
	struct fanotify *g = obj;
	int err = file_load_base(r, &g->file, &fanotify_ops, m->file_base);

	if (!err)
		err = state_check(r, m->n_events <= FAN_MAX_UNLIMITED * 2 && m->n_marks <= FAN_MAX_UNLIMITED, "fanotify sizes");
	g->flags = m->flags;
	g->event_flags = m->event_flags;
	g->unprivileged = m->unprivileged;
	for (size_t n = 0; !err && n < m->n_marks; n++)
		err = load_mark(r, g, m->marks[n]);
	for (size_t n = 0; !err && n < m->n_events; n++)
		err = load_event(r, g, m->events[n]);
	return err;
}

static int fanotify_after_load(struct state_reader *r, void *obj)
{
	struct list loaded = LIST_INIT(loaded);
	struct fanotify *g = obj;
	struct fan_mark *m, *tmp;
	struct fan_event *e;
	int err = 0;

	list_splice_tail(&loaded, &g->marks);
	list_for_each_safe(m, tmp, &loaded, node) {
		err = state_check(r, !htab_get(&g->by_object, (uint64_t)(uintptr_t)m->object), "fanotify mark twice");
		if (err)
			return err;
		list_del(&m->node);
		mutex_lock(&fan_mu);
		err = fan_mark_link_locked(m);
		mutex_unlock(&fan_mu);
		if (err)
			return err;
		if (m->kind == FAN_MOUNT)
			mount_put(m->object);
		else if (m->kind == FAN_SB)
			sb_put(m->object);
	}
	list_for_each(e, &g->queue, node)
		err = err ? err : state_check(r, !e->path.dentry || e->path.dentry->inode, "fanotify event on nothing");
	list_for_each(e, &g->asked, node)
		err = err ? err : state_check(r, !e->path.dentry || e->path.dentry->inode, "fanotify event on nothing");
	if (err)
		return err;
	mutex_lock(&fan_mu);
	fan_update_active_locked();
	mutex_unlock(&fan_mu);
	file_after_load_base(&g->file);
	return 0;
}

const struct state_type fanotify_state_type = {
	.id = STATE_ID_fanotify,
	.name = "fanotify",
	.desc = &sentry__fanotify__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = fanotify_state_alloc,
	.save = fanotify_save,
	.load = fanotify_load,
	.after_load = fanotify_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
