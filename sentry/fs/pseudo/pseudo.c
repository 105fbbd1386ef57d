/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pseudo file systems: super blocks, inodes, lookup. Contract in pseudo.h. Linux: fs/proc/{base,generic}.c, fs/kernfs.
 *
 * Inode numbers are hashes of the path, so they are the same whenever an entry is looked up, also after a restore.
 */
#include "sentry/fs/pseudo/pseudo_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/pseudo.pb-c.h"
#include "schemas/vfs.pb-c.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pid.h"
#include "state/state.h"

#define MAX_FS 8

static const struct pseudo_fs *all_fs[MAX_FS];
static size_t nr_fs;
static const struct sb_ops pseudo_sb_ops;

void pseudo_fs_register(const struct pseudo_fs *fs)
{
	if (nr_fs == MAX_FS)
		abort();
	all_fs[nr_fs++] = fs;
}

const struct pseudo_fs *pseudo_fs_find(const char *name)
{
	for (size_t n = 0; n < nr_fs; n++)
		if (!strcmp(all_fs[n]->name, name))
			return all_fs[n];
	return NULL;
}

struct pseudo_sb *pseudo_of(struct super_block *sb)
{
	return sb && sb->ops == &pseudo_sb_ops ? container_of(sb, struct pseudo_sb, sb) : NULL;
}

/* --- numbers --- */

int pseudo_parse_i64(const char *s, int64_t *ret)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(s, &end, 0);
	if (end == s || errno)
		return -EINVAL;
	end += strspn(end, " \t\n");
	if (*end)
		return -EINVAL;
	*ret = v;
	return 0;
}

int pseudo_parse_u64(const char *s, uint64_t *ret)
{
	char *end;
	unsigned long long v;

	s += strspn(s, " \t");
	errno = 0;
	v = strtoull(s, &end, 0);
	if (end == s || errno || *s == '-')
		return -EINVAL;
	end += strspn(end, " \t\n");
	if (*end)
		return -EINVAL;
	*ret = v;
	return 0;
}

bool pseudo_name_number(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (*s < '0' || *s > '9' || (*s == '0' && s[1]))
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || mul_overflow(v, 10, &v) || add_overflow(v, (uint64_t)(*s - '0'), &v) || v > max)
			return false;
	}
	*ret = v;
	return true;
}

uint64_t pseudo_child_ino(uint64_t dir, const char *name)
{
	uint64_t h = hash_u64(dir * 0x9e3779b97f4a7c15ULL ^ hash_bytes(name, strlen(name))) >> 16;

	return h | 1ULL << 32; /* clear of 0, the root's 1 and small numbers */
}

/* --- context --- */

/* The pid namespace whose numbers this instance shows: fixed at mount(2), or the first looking process's container's. */
static struct pid_ns *instance_ns(struct pseudo_sb *ps, struct task *t)
{
	struct pid_ns *ns = ps->pid_ns, *none = NULL;

	if (ns || !t || !t->tg->container || !t->tg->container->ns)
		return ns;
	ns = pid_ns_get(t->tg->container->ns->pid_for_children);
	if (atomic_compare_exchange_strong(&ps->pid_ns, &none, ns))
		return ns;
	pid_ns_put(ns);
	return none;
}

static struct task *live_task(struct pid *p, bool thread)
{
	struct task *t = NULL;

	mutex_lock(&the_kernel->tasks_mu);
	if (!thread && p->tg && p->tg->state != TG_REAPED)
		t = p->tg->leader;
	else if (thread)
		t = p->task;
	if (t)
		(void)task_get(t);
	mutex_unlock(&the_kernel->tasks_mu);
	return t;
}

static void pctx_base(struct pctx *c, struct pseudo_inode *pi, struct task *t)
{
	struct pseudo_sb *ps = pseudo_of(pi->i.sb);

	*c = (struct pctx){ .t = t, .ps = ps, .pid = pi->pid, .thread = pi->thread, .id = pi->id, .node = pi->node, .ns = instance_ns(ps, t) };
}

int pctx_get(struct inode *i, struct task *t, struct pctx *c)
{
	struct pseudo_inode *pi = pseudo_i(i);

	pctx_base(c, pi, t);
	if (!pi->pid)
		return 0;
	c->target = live_task(pi->pid, pi->thread);
	return c->target ? 0 : -ESRCH;
}

void pctx_done(struct pctx *c)
{
	if (c->target)
		task_put(TAKE_PTR(c->target));
}

int pctx_access(const struct pctx *c, uint32_t pn_flags)
{
	if (!(pn_flags & (PN_PTRACE | PN_ATTACH | PN_SELF)) || !c->target || !c->t)
		return 0;
	if (c->target->tg == c->t->tg)
		return 0;
	return task_ptrace_may_access(c->t, c->target, pn_flags & PN_ATTACH) ? -EACCES : 0;
}

int pctx_look(const struct pctx *c)
{
	return pctx_access(c, PN_PTRACE);
}

/* --- inodes --- */

const struct inode_ops *pseudo_iops_of(const struct pnode *n)
{
	switch (n->mode & LINUX_S_IFMT) {
	case LINUX_S_IFDIR:
		return &pseudo_dir_iops;
	case LINUX_S_IFLNK:
		return n->get_link ? &pseudo_magic_iops : &pseudo_link_iops;
	default:
		return &pseudo_reg_iops;
	}
}

static void take_attrs(struct inode *i, struct pctx *c)
{
	uint32_t uid = 0, gid = 0, mode = c->node->mode;
	uint64_t nlink = i->nlink;
	uint64_t size = i->size;

	/* A process that must not be looked into belongs to root, but for its public directories. */
	if (c->target && (!c->target->undumpable || mode == (LINUX_S_IFDIR | 0555))) {
		struct cred *cr = task_cred_get(c->target);

		if (cr) {
			uid = cr->euid;
			gid = cr->egid;
			cred_put(cr);
		}
	}
	if (c->node->get_mode)
		mode = (mode & LINUX_S_IFMT) | c->node->get_mode(c);
	if (c->ps->fs->attrs)
		c->ps->fs->attrs(c, &mode, &uid, &gid, &nlink);
	if (c->node->get_attrs) {
		uint32_t perm = 0;

		if (c->node->get_attrs(c, &perm, &uid, &gid, &size))
			mode = (mode & LINUX_S_IFMT) | perm;
	}
	mutex_lock(&i->attr_mu);
	i->nlink = (uint32_t)nlink;
	i->size = size;
	i->mode = mode;
	i->uid = uid;
	i->gid = gid;
	mutex_unlock(&i->attr_mu);
}

static int new_inode(struct pctx *dir, struct inode *parent, const struct pnode *n, const char *name, uint64_t id, struct pid *pid, bool thread,
		     struct inode **ret)
{
	struct pseudo_inode *pi = calloc(1, sizeof(*pi));

	if (!pi)
		return -ENOMEM;
	inode_init(&pi->i, pseudo_iops_of(n), &dir->ps->sb, pseudo_child_ino(parent->ino, name), n->mode, 0, 0);
	pi->node = n;
	pi->pid = pid ? pid_get(pid) : NULL;
	pi->thread = thread;
	pi->id = id;
	if (LINUX_S_ISDIR(n->mode))
		pi->i.nlink = 2;
	pseudo_watch_attach(pi);
	*ret = &pi->i;
	return 0;
}

static void pseudo_evict(struct inode *i)
{
	struct pseudo_inode *pi = pseudo_i(i);

	pseudo_watch_detach(pi);
	if (pi->pid)
		pid_put(pi->pid);
	inode_done(i);
	free(pi);
}

static bool entry_visible(const struct pctx *dir, const struct pnode *n)
{
	struct pctx c = *dir;

	c.node = n;
	return !n->visible || n->visible(&c);
}

static int lookup_in(struct inode *dir, struct pctx *c, const char *name, struct inode **ret)
{
	const struct pdyn *dyn = c->node->dyn;
	struct pid *pid = NULL;
	bool thread = c->thread;
	uint64_t id = 0;
	int err;

	for (const struct pnode *n = c->node->children; n && n->name; n++)
		if (!strcmp(n->name, name) && entry_visible(c, n))
			return new_inode(c, dir, n, name, c->id, c->pid, c->thread, ret);
	if (!dyn)
		return -ENOENT;
	err = dyn->lookup(c, name, &id, &pid, &thread);
	if (err)
		return err;
	err = new_inode(c, dir, dyn->node, name, id, pid ? pid : c->pid, thread, ret);
	if (pid)
		pid_put(pid);
	return err;
}

static int pseudo_lookup(struct inode *dir, struct task *t, struct dentry *d, struct inode **ret)
{
	struct pctx c;
	int err = pctx_get(dir, t, &c);

	*ret = NULL;
	if (!err)
		err = lookup_in(dir, &c, d->name, ret);
	if (!err) {
		struct pctx child;

		if (pctx_get(*ret, t, &child) == 0)
			take_attrs(*ret, &child);
		pctx_done(&child);
	}
	pctx_done(&c);
	return err == -ENOENT || err == -ESRCH ? 0 : err;
}

static int pseudo_refresh(struct inode *i, struct task *t)
{
	struct pseudo_inode *pi = pseudo_i(i);
	struct pctx c;
	int err;

	if (!pi->pid && !pi->node->get_mode && !pi->node->get_attrs && !pseudo_of(i->sb)->fs->attrs)
		return 0;
	err = pctx_get(i, t, &c);
	if (!err)
		take_attrs(i, &c);
	pctx_done(&c);
	return err;
}

static int pseudo_getattr(struct inode *i, struct task *t, struct kstat *ret)
{
	int err = pseudo_refresh(i, t);

	if (err)
		return err;
	inode_fill_kstat(i, ret);
	ret->blksize = pseudo_i(i)->pid ? 1024 : PAGE_SIZE;
	ret->blocks = 0;
	if (LINUX_S_ISLNK(i->mode) && pseudo_i(i)->node->get_link)
		ret->size = 64;
	return 0;
}

static int pseudo_permission(struct inode *i, struct task *t, const struct cred *cr, int mask)
{
	struct pseudo_inode *pi = pseudo_i(i);
	struct pctx c;
	int err;

	if (pi->pid || pi->node->get_mode || pi->node->get_attrs || pseudo_of(i->sb)->fs->attrs) {
		err = pctx_get(i, t, &c);
		if (err)
			return err;
		take_attrs(i, &c);
		if (pi->node->flags & PN_SELF) { /* /proc/pid/fd: one's own always */
			err = pctx_access(&c, pi->node->flags);
			if (!err && c.t && c.target && c.target->tg == c.t->tg) {
				pctx_done(&c);
				return 0;
			}
		}
		pctx_done(&c);
		if (err)
			return err;
	}
	return inode_permission_generic(i, cr, mask);
}

/* Modes and owners are what the tables say; only times may be set. */
static int pseudo_setattr(struct inode *i, struct task *t, const struct iattr *a)
{
	struct iattr rest = *a;

	if (a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID)) {
		int (*set)(struct pctx *c, const struct iattr *a) = pseudo_of(i->sb)->fs->setattr;
		struct pctx c;
		int err;

		if (!set)
			return -EPERM;
		err = pctx_get(i, t, &c);
		if (!err)
			err = set(&c, a);
		pctx_done(&c);
		if (err)
			return err;
	}
	rest.valid &= ~ATTR_SIZE; /* O_TRUNC */
	inode_setattr_simple(i, &rest);
	return 0;
}

static int pseudo_readlink(struct inode *i, struct task *t, char **ret)
{
	struct pseudo_inode *pi = pseudo_i(i);
	struct pctx c;
	int err = pctx_get(i, t, &c);

	if (!err)
		err = pctx_access(&c, pi->node->flags);
	if (!err)
		err = pi->node->readlink ? pi->node->readlink(&c, ret) : -EINVAL;
	pctx_done(&c);
	return err;
}

static int pseudo_get_link(struct inode *i, struct task *t, struct path *ret)
{
	struct pseudo_inode *pi = pseudo_i(i);
	struct pctx c;
	int err = pctx_get(i, t, &c);

	if (!err)
		err = pctx_access(&c, pi->node->flags);
	if (!err)
		err = pi->node->get_link(&c, ret);
	pctx_done(&c);
	return err;
}

static int pseudo_reg_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct pseudo_inode *pi = pseudo_i(i);
	struct pctx c;
	int err = pctx_get(i, t, &c);

	if (!err)
		err = pctx_access(&c, pi->node->flags);
	if (!err)
		err = pi->node->open ? pi->node->open(&c, i, p, flags, ret) : pseudo_file_open(i, t, p, flags, ret);
	pctx_done(&c);
	return err;
}

/* proc's own look-ups fail before Linux comes to think of creating. */
static int pseudo_create(struct inode *dir, struct task *t, struct dentry *d, const struct inode_make *m, struct inode **ret)
{
	const struct pseudo_fs *fs = pseudo_of(dir->sb)->fs;
	struct pctx c;
	uint64_t id;
	const struct pdyn *dyn = pseudo_i(dir)->node->dyn;
	int err;

	if (dir->sb->magic == LINUX_PROC_SUPER_MAGIC)
		return -ENOENT;
	if (dyn && dyn->create && LINUX_S_ISREG(m->mode)) {
		err = pctx_get(dir, t, &c);
		if (!err)
			err = dyn->create(&c, d->name, m->mode & 07777);
		pctx_done(&c);
		return err ? err : pseudo_lookup(dir, t, d, ret);
	}
	if (!fs->mkdir || !LINUX_S_ISDIR(m->mode) || !dyn)
		return LINUX_S_ISREG(m->mode) ? -EACCES : -EPERM;
	err = pctx_get(dir, t, &c);
	if (!err)
		err = fs->mkdir(&c, d->name, m, &id);
	if (!err)
		err = new_inode(&c, dir, c.node->dyn->node, d->name, id, c.pid, c.thread, ret);
	if (!err) {
		struct pctx child;

		if (pctx_get(*ret, t, &child) == 0)
			take_attrs(*ret, &child);
		pctx_done(&child);
	}
	pctx_done(&c);
	return err;
}

static int pseudo_rmdir(struct inode *dir, struct task *t, struct dentry *d)
{
	const struct pseudo_fs *fs = pseudo_of(dir->sb)->fs;
	struct pctx c;
	int err;

	if (!fs->rmdir || !pseudo_i(dir)->node->dyn || pseudo_i(d->inode)->node != pseudo_i(dir)->node->dyn->node)
		return -EPERM;
	err = pctx_get(d->inode, t, &c);
	if (!err)
		err = fs->rmdir(&c);
	pctx_done(&c);
	return err;
}

static int pseudo_unlink(struct inode *dir, struct task *t, struct dentry *d)
{
	const struct pdyn *dyn = pseudo_i(dir)->node->dyn;
	struct pctx c;
	int err;

	if (!dyn || !dyn->unlink)
		return -EPERM;
	err = pctx_get(dir, t, &c);
	if (!err)
		err = dyn->unlink(&c, d->name);
	pctx_done(&c);
	if (!err)
		inode_set_nlink(d->inode, -1);
	return err;
}

#define COMMON                                                                                                                       \
	.name = "pseudo", .state = &pseudo_inode_state_type, .evict = pseudo_evict, .setattr = pseudo_setattr, .getattr = pseudo_getattr, \
	.refresh = pseudo_refresh, .permission = pseudo_permission, .mu_class = "pseudo.file"

const struct inode_ops pseudo_dir_iops = { COMMON, .lookup = pseudo_lookup, .create = pseudo_create, .unlink = pseudo_unlink, .rmdir = pseudo_rmdir,
					  .open = pseudo_dir_open };
const struct inode_ops pseudo_reg_iops = { COMMON, .open = pseudo_reg_open };
const struct inode_ops pseudo_link_iops = { COMMON, .readlink = pseudo_readlink };
const struct inode_ops pseudo_magic_iops = { COMMON, .readlink = pseudo_readlink, .get_link = pseudo_get_link };

/* --- super blocks --- */

static int pseudo_d_revalidate(struct dentry *d, struct task *t)
{
	struct inode *i = d->inode, *pi_inode;
	struct pseudo_inode *pi, *dir;
	struct dentry *parent;
	const struct pdyn *dyn;
	struct pctx c;
	int r = 1;

	if (!i)
		return 0;
	pi = pseudo_i(i);
	if (!pi->pid && !pi->node->name)
		return 1;
	if (pctx_get(i, t, &c) < 0)
		r = 0;
	parent = dentry_parent_get(d);
	pi_inode = parent->inode;
	dir = pi_inode && pseudo_of(pi_inode->sb) ? pseudo_i(pi_inode) : NULL;
	dyn = dir ? dir->node->dyn : NULL;
	if (r && dyn && dyn->node == pi->node && dyn->valid && !dyn->valid(&c))
		r = 0;
	if (r && pi->node->visible && !pi->node->visible(&c))
		r = 0;
	dentry_put(parent);
	pctx_done(&c);
	return r;
}

static void pseudo_sb_free(struct super_block *sb)
{
	struct pseudo_sb *ps = container_of(sb, struct pseudo_sb, sb);

	if (ps->pid_ns)
		pid_ns_put(ps->pid_ns);
	sb_done(sb);
	free(ps);
}

static void pseudo_show_options(struct super_block *sb, struct strbuf *b)
{
	struct pseudo_sb *ps = container_of(sb, struct pseudo_sb, sb);

	if (ps->fs->show_options)
		ps->fs->show_options(ps, b);
}

#define MAX_CACHED 1024

static const struct sb_ops pseudo_sb_ops = {
	.state = &pseudo_sb_state_type,
	.free = pseudo_sb_free,
	.d_revalidate = pseudo_d_revalidate,
	.show_options = pseudo_show_options,
};

int pseudo_mount(const struct fs_type *ft, const struct pseudo_fs *fs, struct pid_ns *ns, struct super_block **ret)
{
	struct pseudo_sb *ps = calloc(1, sizeof(*ps));
	struct pseudo_inode *root = calloc(1, sizeof(*root));

	if (!ps || !root) {
		free(ps);
		free(root);
		return -ENOMEM;
	}
	sb_init(&ps->sb, &pseudo_sb_ops, ft, fs->magic);
	ps->sb.flags = SB_NO_NEGATIVE;
	ps->sb.max_cached = MAX_CACHED; /* names of dead processes keep their pids in memory, and in images */
	ps->fs = fs;
	ps->pid_ns = ns ? pid_ns_get(ns) : NULL;
	inode_init(&root->i, &pseudo_dir_iops, &ps->sb, 1, fs->root->mode, 0, 0);
	root->i.nlink = 2;
	root->node = fs->root;
	ps->sb.root = dentry_new_root(&ps->sb, &root->i);
	if (!ps->sb.root) {
		sb_put(&ps->sb);
		return -ENOMEM;
	}
	*ret = &ps->sb;
	return 0;
}

void pseudo_set_root_id(struct super_block *sb, uint64_t id)
{
	pseudo_i(sb->root->inode)->id = id;
}

/* --- state --- */

static void *pseudo_sb_alloc(void)
{
	struct pseudo_sb *ps = calloc(1, sizeof(*ps));

	if (ps)
		ref_init(&ps->sb.ref);
	return ps;
}

struct sysctl_list {
	struct state_writer *w;
	Sentry__PseudoSb *m;
};

static void count_sysctl(void *arg, const char *path, const char *text)
{
	(*(size_t *)arg)++;
}

static void add_sysctl(void *arg, const char *path, const char *text)
{
	struct sysctl_list *l = arg;

	l->m->sysctl_keys[l->m->n_sysctl_keys++] = state_strdup(l->w, path);
	l->m->sysctl_values[l->m->n_sysctl_values++] = state_strdup(l->w, text);
}

static int pseudo_sb_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct pseudo_sb *ps = obj;
	Sentry__PseudoSb *m = msg;

	m->sb_base = state_new_msg(w, &sentry__super_block_base__descriptor);
	m->fs = state_strdup(w, ps->fs->name);
	m->pid_ns = state_ref(w, &pid_ns_state_type, ps->pid_ns);
	m->hidepid = ps->hidepid;
	m->gid = ps->gid;
	if (ps->sb.magic == LINUX_PROC_SUPER_MAGIC) {
		struct sysctl_list l = { w, m };
		size_t n = 0;

		proc_sysctl_each_changed(count_sysctl, &n);
		m->sysctl_keys = state_zalloc(w, n + 1, sizeof(char *));
		m->sysctl_values = state_zalloc(w, n + 1, sizeof(char *));
		proc_sysctl_each_changed(add_sysctl, &l);
	}
	return sb_save_base(w, &ps->sb, m->sb_base);
}

static int pseudo_sb_load(struct state_reader *r, void *obj, const void *msg)
{
	struct pseudo_sb *ps = obj;
	const Sentry__PseudoSb *m = msg;
	void *ns = NULL;
	int err;

	ps->fs = pseudo_fs_find(m->fs);
	err = state_check(r, ps->fs && m->hidepid <= 4, "unknown pseudo file system");
	if (!err)
		err = sb_load_base(r, &ps->sb, &pseudo_sb_ops, m->sb_base);
	if (!err)
		err = state_deref(r, m->pid_ns, &pid_ns_state_type, &ns);
	if (err)
		return err;
	ps->sb.magic = ps->fs->magic;
	ps->pid_ns = ns;
	ps->hidepid = m->hidepid;
	ps->gid = m->gid;
	err = state_check(r, m->n_sysctl_keys == m->n_sysctl_values && m->n_sysctl_keys <= 1024, "unpaired sysctls");
	for (size_t n = 0; n < m->n_sysctl_keys && !err; n++)
		err = state_check(r, proc_sysctl_set(NULL, m->sysctl_keys[n], m->sysctl_values[n]) == 0, "a sysctl that this build has not");
	return err;
}

const struct state_type pseudo_sb_state_type = {
	.id = STATE_ID_pseudo_sb,
	.name = "pseudo_sb",
	.desc = &sentry__pseudo_sb__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = pseudo_sb_alloc,
	.save = pseudo_sb_save,
	.load = pseudo_sb_load,
	.get = sb_state_get,
	.put = sb_state_put,
};

/* The path of @n in the tables below @at: names, "*" for dynamic entries. */
static bool node_path(const struct pnode *at, const struct pnode *n, struct strbuf *b, int depth)
{
	size_t len = b->len;

	if (at == n)
		return true;
	if (depth > 12)
		return false;
	for (const struct pnode *k = at->children; k && k->name; k++) {
		strbuf_addf(b, "/%s", k->name);
		if (node_path(k, n, b, depth + 1))
			return true;
		if (b->data && b->len > len) {
			b->len = len;
			b->data[len] = '\0';
		}
	}
	if (at->dyn && at->dyn->node != at) {
		strbuf_adds(b, "/*");
		if (node_path(at->dyn->node, n, b, depth + 1))
			return true;
		if (b->data && b->len > len) {
			b->len = len;
			b->data[len] = '\0';
		}
	}
	return false;
}

static const struct pnode *node_find(const struct pnode *at, const char *path)
{
	while (at && *path == '/') {
		size_t len = strcspn(++path, "/");
		const struct pnode *found = NULL;

		if (len == 1 && *path == '*') {
			found = at->dyn ? at->dyn->node : NULL;
		} else {
			for (const struct pnode *k = at->children; k && k->name && !found; k++)
				if (strlen(k->name) == len && !memcmp(k->name, path, len))
					found = k;
		}
		at = found;
		path += len;
	}
	return *path ? NULL : at;
}

static void *pseudo_inode_alloc(void)
{
	struct pseudo_inode *pi = calloc(1, sizeof(*pi));

	if (pi)
		ref_init(&pi->i.ref);
	return pi;
}

static int pseudo_inode_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct pseudo_inode *pi = obj;
	struct pseudo_sb *ps = pseudo_of(pi->i.sb);
	struct strbuf b _cleanup_strbuf_ = STRBUF_INIT;
	Sentry__PseudoInode *m = msg;
	int err = state_save_check(w, node_path(ps->fs->root, pi->node, &b, 0) && !b.err, "an entry that no table has");

	if (err)
		return err;
	m->fs = state_strdup(w, ps->fs->name);
	m->path = state_strdup(w, b.data ? b.data : "");
	m->pid = state_ref(w, &pid_state_type, pi->pid);
	m->thread = pi->thread;
	m->entry = pi->id;
	m->inode_base = state_new_msg(w, &sentry__inode_base__descriptor);
	return inode_save_base(w, &pi->i, m->inode_base);
}

static int pseudo_inode_load(struct state_reader *r, void *obj, const void *msg)
{
	struct pseudo_inode *pi = obj;
	const Sentry__PseudoInode *m = msg;
	const struct pseudo_fs *fs = pseudo_fs_find(m->fs);
	const struct pnode *n = fs ? node_find(fs->root, m->path) : NULL;
	void *pid = NULL;
	int err = state_check(r, n != NULL, "no such entry in this build's tables");

	if (!err)
		err = inode_load_base(r, &pi->i, pseudo_iops_of(n), m->inode_base);
	if (!err)
		err = state_deref(r, m->pid, &pid_state_type, &pid);
	if (err)
		return err;
	pi->i.mode = n->mode;
	pi->node = n;
	pi->pid = pid;
	pi->thread = m->thread;
	pi->id = m->entry;
	return 0;
}

static int pseudo_inode_after_load(struct state_reader *r, void *obj)
{
	struct pseudo_inode *pi = obj;
	struct pseudo_sb *ps = pseudo_of(pi->i.sb);

	/* Process entries are written on the assumption that they have one. */
	int e = state_check(r, ps && (pi->pid || !(pi->node->flags & PN_PROC)), "an entry in a wrong file system");

	if (e == 0)
		pseudo_watch_attach(pi);
	return e;
}

const struct state_type pseudo_inode_state_type = {
	.id = STATE_ID_pseudo_inode,
	.name = "pseudo_inode",
	.desc = &sentry__pseudo_inode__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = pseudo_inode_alloc,
	.save = pseudo_inode_save,
	.load = pseudo_inode_load,
	.after_load = pseudo_inode_after_load,
	.get = inode_state_get,
	.put = inode_state_put,
};
