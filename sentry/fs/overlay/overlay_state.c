/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving super blocks and inodes of overlays.
 *
 * The image has the changes: names, whiteouts, attributes and the upper inodes; lower files are dentries of their own file system, which finds
 * them again. Pinned inodes are listed by the super block; the others are reached through names and open files.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/overlay.pb-c.h"
#include "sentry/fs/overlay/overlay_internal.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "state/state.h"

static void *sb_alloc(void)
{
	struct ovl_sb *s = calloc(1, sizeof(*s));

	if (s) {
		ref_init(&s->sb.ref);
		mutex_init(&s->table_mu, "overlay.table_mu");
	}
	return s;
}

static int sb_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct ovl_sb *s = obj;
	Sentry__OverlaySb *m = msg;
	size_t pos = 0;
	uint64_t key;
	void *val;

	m->sb_base = state_new_msg(w, &sentry__super_block_base__descriptor);
	m->lower = sb_state_ref(w, s->lower);
	m->upper = sb_state_ref(w, s->upper);
	m->pinned = state_zalloc(w, s->by_lower.live, sizeof(*m->pinned));
	while (htab_next(&s->by_lower, &pos, &key, &val)) {
		const struct ovl_inode *oi = val;

		if (oi->pinned && m->n_pinned < s->by_lower.live)
			m->pinned[m->n_pinned++] = inode_state_ref(w, &oi->i);
	}
	return sb_save_base(w, &s->sb, m->sb_base);
}

static int sb_load(struct state_reader *r, void *obj, const void *msg)
{
	struct ovl_sb *s = obj;
	const Sentry__OverlaySb *m = msg;
	int err = sb_load_base(r, &s->sb, &ovl_sb_ops, m->sb_base);

	if (!err)
		err = state_check(r, m->lower && m->upper, "no layers");
	if (!err)
		err = sb_state_deref(r, m->lower, &s->lower);
	if (!err)
		err = sb_state_deref(r, m->upper, &s->upper);
	if (err)
		return err;
	s->sb.magic = OVERLAY_MAGIC;
	s->sb.flags |= SB_ACL;
	s->load_pins = calloc(m->n_pinned + 1, sizeof(struct inode *));
	if (!s->load_pins)
		return -ENOMEM;
	for (size_t k = 0; k < m->n_pinned && !err; k++) {
		err = inode_state_deref(r, m->pinned[k], &s->load_pins[k]);
		if (!err)
			err = state_check(r, s->load_pins[k] != NULL, "pins nothing");
		s->nr_load_pins++;
	}
	return err;
}

static int sb_after_load(struct state_reader *r, void *obj)
{
	struct ovl_sb *s = obj;
	int err = state_check(r, s->upper->root && s->upper->root->inode && inode_is_tmpfs(s->upper->root->inode), "upper layer is no tmpfs");

	if (!err)
		err = state_check(r, s->lower->root && s->lower != &s->sb && s->upper != &s->sb, "bad layers");
	for (size_t k = 0; k < s->nr_load_pins && !err; k++) {
		struct inode *i = s->load_pins[k];

		err = state_check(r, i->sb == &s->sb && i->ops == ovl_ops_for(i->mode) && ovl_i(i)->lower && !ovl_i(i)->pinned,
				  "pins an inode that is not its own");
		if (!err)
			ovl_i(i)->pinned = true; /* with the reference taken at load */
	}
	if (err)
		return err;
	free(TAKE_PTR(s->load_pins));
	s->nr_load_pins = 0;
	ovl_set_limits(s);
	s->lower->flags |= SB_FROZEN;
	sb_activate(s->lower);
	sb_activate(s->upper);
	s->layers_active = true;
	return 0;
}

const struct state_type overlay_sb_state_type = {
	.id = STATE_ID_overlay_sb,
	.name = "overlay_sb",
	.desc = &sentry__overlay_sb__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = sb_alloc,
	.save = sb_save,
	.load = sb_load,
	.after_load = sb_after_load,
	.get = sb_state_get,
	.put = sb_state_put,
};

/* --- inodes --- */

static void *inode_alloc(void)
{
	struct ovl_inode *oi = calloc(1, sizeof(*oi));

	if (oi) {
		ref_init(&oi->i.ref);
		ovl_inode_setup(oi);
	}
	return oi;
}

static int inode_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct ovl_inode *oi = obj;
	Sentry__OverlayInode *m = msg;
	const struct ovl_name *n;
	size_t nr = 0;

	m->inode_base = state_new_msg(w, &sentry__inode_base__descriptor);
	m->lower = state_ref(w, &dentry_state_type, oi->lower);
	m->upper = inode_state_ref(w, oi->upper);
	m->data_up = ovl_data_is_up(oi);
	m->target = state_strdup(w, oi->target);
	m->dead = oi->dead;
	list_for_each(n, &oi->names, node)
		nr++;
	m->names = state_zalloc(w, nr, sizeof(*m->names));
	list_for_each(n, &oi->names, node) {
		Sentry__OverlayName *x;

		if (!n->inode && !n->whiteout)
			continue;
		x = state_new_msg(w, &sentry__overlay_name__descriptor);
		x->name = state_strdup(w, n->name);
		x->inode = inode_state_ref(w, n->inode);
		m->names[m->n_names++] = x;
	}
	return inode_save_base(w, &oi->i, m->inode_base);
}

static int load_name(struct state_reader *r, struct ovl_inode *oi, const Sentry__OverlayName *x)
{
	size_t len = strlen(x->name);
	struct ovl_name *n;
	int err = state_check(r, len && len <= LINUX_NAME_MAX && !strchr(x->name, '/') && strcmp(x->name, ".") && strcmp(x->name, ".."),
			      "bad name");

	if (!err)
		err = state_check(r, !ovl_name_find(oi, x->name, len), "two entries of one name");
	if (!err)
		err = ovl_name_reserve(oi, x->name, len, &n);
	if (!err)
		err = inode_state_deref(r, x->inode, &n->inode);
	if (!err)
		n->whiteout = !n->inode;
	return err;
}

static int inode_load(struct state_reader *r, void *obj, const void *msg)
{
	struct ovl_inode *oi = obj;
	const Sentry__OverlayInode *m = msg;
	uint32_t mode = m->inode_base ? m->inode_base->mode : 0;
	void *lower = NULL;
	int err = state_check(r, m->inode_base != NULL, "no inode base");

	if (!err)
		err = inode_load_base(r, &oi->i, ovl_ops_for(mode), m->inode_base);
	if (!err)
		err = state_check(r, !m->n_names || LINUX_S_ISDIR(mode), "names in what is no directory");
	if (!err)
		err = state_check(r, !m->data_up || (LINUX_S_ISREG(mode) && m->upper), "content without a place");
	if (!err)
		err = state_check(r, m->lower || !LINUX_S_ISREG(mode) || m->data_up, "a file without content");
	if (!err)
		err = state_check(r, !LINUX_S_ISLNK(mode) || !m->lower == (*m->target != '\0'), "bad link target");
	if (!err)
		err = state_check(r, strlen(m->target) < LINUX_PATH_MAX, "link target too long");
	if (!err)
		err = state_deref(r, m->lower, &dentry_state_type, &lower);
	oi->lower = lower;
	if (!err)
		err = inode_state_deref(r, m->upper, &oi->upper);
	for (size_t k = 0; k < m->n_names && !err; k++)
		err = load_name(r, oi, m->names[k]);
	if (err)
		return err;
	if (*m->target) {
		oi->target = strdup(m->target);
		if (!oi->target)
			return -ENOMEM;
	}
	oi->dead = m->dead;
	if (LINUX_S_ISREG(mode))
		oi->i.mapping = &oi->map;
	if (m->data_up)
		atomic_store(&oi->data, oi->upper);
	return 0;
}

static int inode_after_load(struct state_reader *r, void *obj)
{
	struct ovl_inode *oi = obj;
	struct inode *li;
	struct ovl_name *n;
	struct ovl_sb *s;
	int err = state_check(r, oi->i.sb && oi->i.sb->ops == &ovl_sb_ops, "not in an overlay");

	if (err)
		return err;
	s = ovl_s(oi->i.sb);
	err = state_check(r, !oi->upper || (inode_is_tmpfs(oi->upper) && LINUX_S_ISREG(oi->upper->mode) && oi->upper->sb == s->upper),
			  "not an inode of the upper layer");
	list_for_each(n, &oi->names, node)
		if (!err && n->inode)
			err = state_check(r, n->inode->sb == &s->sb, "a name for an inode of another super block");
	if (err || !oi->lower)
		return err;
	li = oi->lower->inode;
	err = state_check(r, li && ((li->mode ^ oi->i.mode) & LINUX_S_IFMT) == 0 && li->sb == s->lower, "not a file of the lower layer");
	if (err)
		return err;
	if (LINUX_S_ISREG(oi->i.mode) && !atomic_load(&oi->data))
		atomic_store(&oi->data, li);
	err = state_check(r, !htab_get(&s->by_lower, (uint64_t)(uintptr_t)li), "two inodes for one of the lower layer");
	return err ? err : htab_put(&s->by_lower, (uint64_t)(uintptr_t)li, oi);
}

const struct state_type overlay_inode_state_type = {
	.id = STATE_ID_overlay_inode,
	.name = "overlay_inode",
	.desc = &sentry__overlay_inode__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = inode_alloc,
	.save = inode_save,
	.load = inode_load,
	.after_load = inode_after_load,
	.get = inode_state_get,
	.put = inode_state_put,
};
