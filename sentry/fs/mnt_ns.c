/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mount namespaces: creation, cloning (CLONE_NEWNS), and the text of /proc/<pid>/mounts and mountinfo.
 *
 * Locks and references: see mount.c. Linux: fs/namespace.c, fs/proc_namespace.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "schemas/vfs.pb-c.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/mount_internal.h"
#include "sentry/fs/vfs_state.h"
#include "sentry/kernel/kernel.h"

static struct mnt_ns *ns_alloc(struct kernel *k)
{
	struct mnt_ns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return NULL;
	ref_init(&ns->ref);
	list_init(&ns->mounts);
	waitq_init(&ns->wq);
	if (k)
		ns->ino = kernel_next_ino(k);
	return ns;
}

struct mnt_ns *mnt_ns_get(struct mnt_ns *ns)
{
	ref_get(&ns->ref);
	return ns;
}

void mnt_ns_put(struct mnt_ns *ns)
{
	struct mount **all;
	size_t n;

	if (!ns || !ref_put(&ns->ref))
		return;
	all = mnt_ns_snapshot(ns, &n);
	/* Youngest first: children before their parents. */
	for (size_t k = n; all && k-- > 0;) {
		struct mount *m = all[k];
		struct path up;

		mutex_lock(&mnt_mu);
		up = (struct path){ .mnt = m->parent, .dentry = m->mountpoint };
		if (m->parent)
			atomic_fetch_sub(&m->mountpoint->nr_mounted, 1);
		list_del(&m->child_node);
		list_del(&m->ns_node);
		m->parent = NULL;
		m->mountpoint = NULL;
		m->ns = NULL;
		mutex_unlock(&mnt_mu);
		path_put(&up);
		mount_put(m); /* the namespace's */
	}
	mount_put_all(all, n);
	mount_put(ns->root);
	waitq_done(&ns->wq);
	free(ns);
}

int mnt_ns_new(struct kernel *k, struct super_block *sb, uint32_t flags, const char *source, struct mnt_ns **ret)
{
	struct mnt_ns *ns = ns_alloc(k);
	struct mount *m;

	if (!ns)
		return -ENOMEM;
	m = mount_alloc(sb, sb->root, flags, source);
	if (!m) {
		mnt_ns_put(ns);
		return -ENOMEM;
	}
	mutex_lock(&mnt_mu);
	mount_join_ns_locked(ns, m);
	mutex_unlock(&mnt_mu);
	ns->root = m;
	*ret = ns;
	return 0;
}

void mnt_ns_root(struct mnt_ns *ns, struct path *ret)
{
	mutex_lock(&mnt_mu);
	ret->mnt = mount_get(ns->root);
	ret->dentry = dentry_get(ns->root->root);
	mutex_unlock(&mnt_mu);
	(void)mount_follow_down(ret);
}

static void replace_path(struct fs_ctx *fs, struct path *p, struct mount **old, struct mount **new, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (p->mnt == old[k]) {
			mount_get(new[k]);
			p->mnt = new[k]; /* the old reference is the snapshot's twin; put by the caller through old_refs */
			return;
		}
}

int mnt_ns_clone(struct kernel *k, struct mnt_ns *old, struct fs_ctx *fs, struct mnt_ns **ret)
{
	struct mnt_ns *ns = ns_alloc(k);
	struct mount **all, **copy;
	size_t n = 0;
	int err = 0;

	if (!ns)
		return -ENOMEM;
	all = mnt_ns_snapshot(old, &n);
	copy = calloc(n + 1, sizeof(*copy));
	if (!all || !copy)
		err = -ENOMEM;
	for (size_t j = 0; !err && j < n; j++) {
		copy[j] = mount_alloc(all[j]->sb, all[j]->root, all[j]->flags, all[j]->source);
		if (!copy[j]) {
			err = -ENOMEM;
			break;
		}
		copy[j]->peer_group = all[j]->peer_group;
		copy[j]->master_group = all[j]->master_group;
		copy[j]->unbindable = all[j]->unbindable;
		copy[j]->dest = all[j]->dest ? strdup(all[j]->dest) : NULL;
	}
	if (!err) {
		mutex_lock(&mnt_mu);
		for (size_t j = 0; j < n; j++) {
			mount_join_ns_locked(ns, copy[j]);
			for (size_t p = 0; p < n; p++)
				if (all[j]->parent == all[p]) {
					copy[j]->parent = mount_get(copy[p]);
					copy[j]->mountpoint = dentry_get(all[j]->mountpoint);
					atomic_fetch_add(&all[j]->mountpoint->nr_mounted, 1);
					list_add_tail(&copy[p]->children, &copy[j]->child_node);
				}
			if (all[j] == old->root)
				ns->root = mount_get(copy[j]);
		}
		mutex_unlock(&mnt_mu);
	}
	if (!err && fs) {
		struct mount *r, *c;

		mutex_lock(&fs->mu);
		r = fs->root.mnt;
		c = fs->cwd.mnt;
		replace_path(fs, &fs->root, all, copy, n);
		replace_path(fs, &fs->cwd, all, copy, n);
		if (r == fs->root.mnt)
			r = NULL;
		if (c == fs->cwd.mnt)
			c = NULL;
		mutex_unlock(&fs->mu);
		mount_put(r);
		mount_put(c);
	}
	mount_put_all(copy, n);
	mount_put_all(all, n);
	if (err) {
		mnt_ns_put(ns);
		return err;
	}
	*ret = ns;
	return 0;
}

struct mount *mnt_ns_find_dest(struct mnt_ns *ns, const char *dest)
{
	struct mount *m, *found = NULL;

	mutex_guard(&mnt_mu);
	list_for_each(m, &ns->mounts, ns_node)
		if (m->dest && !strcmp(m->dest, dest))
			found = m;
	return mount_get(found);
}

struct mount *mnt_ns_next(struct mnt_ns *ns, struct mount *prev)
{
	struct mount *m = NULL;

	mutex_lock(&mnt_mu);
	if (!prev) {
		m = list_first(&ns->mounts, struct mount, ns_node);
	} else if (prev->ns == ns && prev->ns_node.next != &ns->mounts) {
		m = list_entry(prev->ns_node.next, struct mount, ns_node);
	}
	mount_get(m);
	mutex_unlock(&mnt_mu);
	mount_put(prev);
	return m;
}

/* --- text --- */

static void add_escaped(struct strbuf *b, const char *s)
{
	for (; *s; s++)
		if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\')
			strbuf_addf(b, "\\%03o", (unsigned char)*s);
		else
			strbuf_addc(b, *s);
}

static void add_mnt_flags(struct strbuf *b, uint32_t f)
{
	static const struct {
		uint32_t bit;
		const char *text;
	} names[] = {
		{ LINUX_MS_NOSUID, ",nosuid" },	    { LINUX_MS_NODEV, ",nodev" },	{ LINUX_MS_NOEXEC, ",noexec" },
		{ LINUX_MS_NOATIME, ",noatime" },   { LINUX_MS_NODIRATIME, ",nodiratime" }, { LINUX_MS_RELATIME, ",relatime" },
		{ LINUX_MS_NOSYMFOLLOW, ",nosymfollow" },
	};

	for (size_t n = 0; n < ARRAY_SIZE(names); n++)
		if (f & names[n].bit)
			strbuf_adds(b, names[n].text);
}

static void add_sb_flags(struct strbuf *b, struct super_block *sb)
{
	if (sb->ms_flags & LINUX_MS_SYNCHRONOUS)
		strbuf_adds(b, ",sync");
	if (sb->ms_flags & LINUX_MS_DIRSYNC)
		strbuf_adds(b, ",dirsync");
	if (sb->ops->show_options)
		sb->ops->show_options(sb, b);
}

static const char *type_name(const struct super_block *sb)
{
	return sb->type ? sb->type->name : "none";
}

static void show_one(struct mount *m, const char *dest, enum mounts_format fmt, struct strbuf *b)
{
	bool ro = m->flags & LINUX_MS_RDONLY;

	if (fmt == MOUNTS_MOUNTS) {
		add_escaped(b, m->source);
		strbuf_addc(b, ' ');
		add_escaped(b, dest);
		strbuf_addf(b, " %s %s", type_name(m->sb), ro || sb_rdonly(m->sb) ? "ro" : "rw");
		add_mnt_flags(b, m->flags);
		add_sb_flags(b, m->sb);
		strbuf_adds(b, " 0 0\n");
	} else if (fmt == MOUNTS_MOUNTSTATS) {
		strbuf_adds(b, "device ");
		add_escaped(b, m->source);
		strbuf_adds(b, " mounted on ");
		add_escaped(b, dest);
		strbuf_addf(b, " with fstype %s\n", type_name(m->sb));
	} else {
		struct strbuf root _cleanup_strbuf_ = STRBUF_INIT;
		uint32_t parent;

		mutex_lock(&mnt_mu);
		parent = m->parent ? m->parent->id : 1;
		mutex_unlock(&mnt_mu);
		(void)dentry_text(m->root, &root);
		strbuf_addf(b, "%u %u %u:%u ", m->id, parent, dev_major(m->sb->dev), dev_minor(m->sb->dev));
		add_escaped(b, root.data ?: "/");
		strbuf_addc(b, ' ');
		add_escaped(b, dest);
		strbuf_addf(b, " %s", ro ? "ro" : "rw");
		add_mnt_flags(b, m->flags);
		if (m->peer_group)
			strbuf_addf(b, " shared:%u", m->peer_group);
		if (m->master_group)
			strbuf_addf(b, " master:%u", m->master_group);
		if (m->unbindable)
			strbuf_adds(b, " unbindable");
		strbuf_addf(b, " - %s ", type_name(m->sb));
		add_escaped(b, m->source);
		strbuf_addf(b, " %s", sb_rdonly(m->sb) ? "ro" : "rw");
		add_sb_flags(b, m->sb);
		strbuf_addc(b, '\n');
	}
}

int mnt_ns_show(struct mnt_ns *ns, const struct path *root, enum mounts_format fmt, struct strbuf *b)
{
	struct mount **all;
	size_t n;

	all = mnt_ns_snapshot(ns, &n);
	if (!all)
		return -ENOMEM;
	for (size_t k = 0; k < n; k++) {
		struct strbuf dest _cleanup_strbuf_ = STRBUF_INIT;
		struct path p = { .mnt = all[k], .dentry = all[k]->root };

		if (path_text(&p, root, false, &dest) == 0)
			show_one(all[k], dest.data, fmt, b);
	}
	mount_put_all(all, n);
	return strbuf_error(b);
}

/* --- state --- */

static void *ns_state_alloc(void)
{
	return ns_alloc(NULL);
}

static int ns_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct mnt_ns *ns = obj;
	Sentry__MntNs *m = msg;
	const struct mount *mn;

	m->ino = ns->ino;
	m->root = state_ref(w, &mount_state_type, ns->root);
	m->mounts = state_zalloc(w, ns->nr_mounts, sizeof(*m->mounts));
	list_for_each(mn, &ns->mounts, ns_node)
		m->mounts[m->n_mounts++] = state_ref(w, &mount_state_type, mn);
	return 0;
}

static int ns_load(struct state_reader *r, void *obj, const void *msg)
{
	struct mnt_ns *ns = obj;
	const Sentry__MntNs *m = msg;
	void *p = NULL;
	int err = state_check(r, m->n_mounts <= MAX_MOUNTS, "too many mounts");

	ns->ino = m->ino;
	if (!err)
		err = state_deref(r, m->root, &mount_state_type, &p);
	if (!err)
		err = state_check(r, p != NULL, "no root");
	ns->root = p;
	for (size_t n = 0; !err && n < m->n_mounts; n++) {
		struct mount *mn;

		err = state_deref(r, m->mounts[n], &mount_state_type, &p);
		if (!err)
			err = state_check(r, p != NULL, "empty mount");
		if (err)
			break;
		mn = p;
		err = state_check(r, !list_linked(&mn->ns_node), "mount listed twice");
		if (err)
			break;
		list_add_tail(&ns->mounts, &mn->ns_node); /* keeps the reference */
		ns->nr_mounts++;
	}
	return err;
}

static void ns_state_get(void *ns)
{
	(void)mnt_ns_get(ns);
}

static void ns_state_put(void *ns)
{
	mnt_ns_put(ns);
}

const struct state_type mnt_ns_state_type = {
	.id = STATE_ID_mnt_ns,
	.name = "mnt_ns",
	.desc = &sentry__mnt_ns__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = ns_state_alloc,
	.save = ns_save,
	.load = ns_load,
	.get = ns_state_get,
	.put = ns_state_put,
};
