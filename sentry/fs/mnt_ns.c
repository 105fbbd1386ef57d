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
#include "sentry/kernel/user_ns.h"

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
	struct mount *root, *m;
	struct list gone = LIST_INIT(gone);

	if (!ns || !ref_put(&ns->ref))
		return;
	mutex_lock(&namespace_mu);
	mutex_lock(&mnt_mu);
	/* Youngest first: children before their parents. */
	while ((m = list_first(&ns->mounts, struct mount, ns_node))) {
		list_del(&m->ns_node);
		m->ns = NULL;
		mount_unlink_locked(m, &m->op_path);
		mount_set_type_locked(m, LINUX_MS_PRIVATE);
		list_add(&gone, &m->op_node);
	}
	root = ns->root;
	mutex_unlock(&mnt_mu);
	mutex_unlock(&namespace_mu);
	mount_release_list(&gone);
	mount_put(root);
	waitq_done(&ns->wq);
	user_ns_put(ns->user_ns);
	free(ns);
}

struct mnt_ns *mnt_ns_new_anon(void)
{
	struct mnt_ns *ns = ns_alloc(NULL);

	if (ns)
		ns->anon = true;
	return ns;
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

/* @p's mount was copied: it goes to the copy. *@old gets the reference to put. namespace_mu held, so op_copy is this operation's. */
static void replace_path(struct path *p, const struct mnt_ns *from, struct mount **old)
{
	*old = NULL;
	if (p->mnt->ns != from)
		return;
	*old = p->mnt;
	p->mnt = mount_get(p->mnt->op_copy);
}

int mnt_ns_clone(struct kernel *k, struct mnt_ns *old, struct fs_ctx *fs, struct mnt_ns **ret)
{
	struct mount *top = NULL, *m, *put[2] = { 0 };
	struct mnt_ns *ns = ns_alloc(k);
	int err;

	if (!ns)
		return -ENOMEM;
	mutex_lock(&namespace_mu);
	err = mount_copy_tree(old->root, old->root->root, COPY_RECURSIVE | COPY_UNBINDABLE, &top);
	for (m = err ? NULL : old->root; m && !err; m = mount_next(m, old->root, false))
		if (m->dest) {
			m->op_copy->dest = strdup(m->dest);
			err = m->op_copy->dest ? 0 : -ENOMEM;
		}
	if (!err) {
		mutex_lock(&mnt_mu);
		mount_commit_locked(top, ns);
		ns->root = mount_get(top);
		mutex_unlock(&mnt_mu);
	}
	if (!err && fs) {
		mutex_lock(&fs->mu);
		replace_path(&fs->root, old, &put[0]);
		replace_path(&fs->cwd, old, &put[1]);
		mutex_unlock(&fs->mu);
	}
	mutex_unlock(&namespace_mu);
	mount_put(put[0]);
	mount_put(put[1]);
	if (err) {
		if (top)
			mount_drop_tree(top);
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

static void show_one(struct mount *m, const char *dest, const struct path *seen_from, enum mounts_format fmt, struct strbuf *b)
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
		if (m->master_group) {
			uint32_t seen = mount_visible_master(m, seen_from);

			strbuf_addf(b, " master:%u", m->master_group);
			if (seen && seen != m->master_group)
				strbuf_addf(b, " propagate_from:%u", seen);
		}
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
			show_one(all[k], dest.data, root, fmt, b);
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
	m->anon = ns->anon;
	m->user_ns = state_ref(w, &user_ns_state_type, ns->user_ns);
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
	ns->anon = m->anon;
	if (!err)
		err = state_deref(r, m->user_ns, &user_ns_state_type, (void **)&ns->user_ns);
	if (!err)
		err = state_deref(r, m->root, &mount_state_type, &p);
	if (!err)
		err = state_check(r, p != NULL || (m->anon && !m->n_mounts), "no root");
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
