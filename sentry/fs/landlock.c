/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock: rulesets, domains, checks. Contract in landlock.h. */
#include "sentry/fs/landlock.h"

#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "schemas/landlock.pb-c.h"
#include "sentry/abi/fcntl.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/mount.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

#define ABI_VERSION	    2
#define FLAG_VERSION	    1u
#define FLAG_ERRATA	    2u
#define ERRATA		    (1 << (3 - 1)) /* number 3: directories moved out of their bind mount */
#define RULE_PATH_BENEATH   1
#define MAX_LAYERS	    16
#define MAX_RULES	    65536u
#define RULESET_ATTR_MIN    8

struct rule {
	struct dentry *dentry; /* referenced, so that the inode in the cache stays this one */
	struct inode *inode; /* referenced */
	uint32_t access;
};

struct rules {
	struct rule *v;
	size_t nr, cap;
};

struct landlock_ruleset {
	struct file file; /* saved: 1 file_base */
	uint32_t handled; /* saved: 2; immutable */
	struct mutex mu; /* nosave: free when frozen */
	struct rules rules; /* saved: 3; guarded by mu */
};

struct landlock_domain {
	struct ref ref; /* nosave: counted again by state_deref() */
	struct landlock_domain *parent; /* saved: 1; referenced */
	uint32_t handled; /* saved: 2 */
	struct rules rules; /* saved: 3 */
	struct htab by_inode; /* derived: address of the inode -> struct rule */
	uint32_t level; /* derived: of the parents; 1 for the first */
};

/* --- rules --- */

static void rules_done(struct rules *r)
{
	for (size_t i = 0; i < r->nr; i++) {
		inode_put(r->v[i].inode);
		dentry_put(r->v[i].dentry);
	}
	free(r->v);
	*r = (struct rules){ 0 };
}

static int rules_add(struct rules *r, struct dentry *d, uint32_t access)
{
	struct rule *v;

	for (size_t i = 0; i < r->nr; i++)
		if (r->v[i].inode == d->inode) {
			r->v[i].access |= access;
			return 0;
		}
	if (r->nr == MAX_RULES)
		return -E2BIG;
	if (r->nr == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 8;

		v = reallocarray(r->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		r->v = v;
		r->cap = cap;
	}
	r->v[r->nr++] = (struct rule){ dentry_get(d), inode_get(d->inode), access };
	return 0;
}

static int rules_copy(struct rules *to, const struct rules *from)
{
	int err = 0;

	for (size_t i = 0; i < from->nr && !err; i++)
		err = rules_add(to, from->v[i].dentry, from->v[i].access);
	return err;
}

/* --- domains --- */

static void *domain_alloc(void)
{
	struct landlock_domain *d = calloc(1, sizeof(*d));

	if (d)
		ref_init(&d->ref);
	return d;
}

struct landlock_domain *landlock_domain_get(struct landlock_domain *d)
{
	if (d)
		ref_get(&d->ref);
	return d;
}

void landlock_domain_put(struct landlock_domain *d)
{
	while (d && ref_put(&d->ref)) {
		struct landlock_domain *parent = d->parent;

		htab_done(&d->by_inode);
		rules_done(&d->rules);
		free(d);
		d = parent;
	}
}

static int index_rules(struct landlock_domain *d)
{
	int err = 0;

	for (size_t i = 0; i < d->rules.nr && !err; i++)
		err = htab_put(&d->by_inode, (uint64_t)(uintptr_t)d->rules.v[i].inode, &d->rules.v[i]);
	return err;
}

static int domain_new(struct landlock_ruleset *rs, struct landlock_domain *parent, struct landlock_domain **ret)
{
	struct landlock_domain *d;
	int err;

	if (parent && parent->level == MAX_LAYERS)
		return -E2BIG;
	d = domain_alloc();
	if (!d)
		return -ENOMEM;
	d->parent = landlock_domain_get(parent);
	d->level = parent ? parent->level + 1 : 1;
	d->handled = rs->handled;
	mutex_lock(&rs->mu);
	err = rules_copy(&d->rules, &rs->rules);
	mutex_unlock(&rs->mu);
	if (!err)
		err = index_rules(d);
	if (err) {
		landlock_domain_put(d);
		return err;
	}
	*ret = d;
	return 0;
}

/* --- checks --- */

static struct landlock_domain *domain_of(const struct task *t)
{
	return t && t->cred ? t->cred->domain : NULL;
}

bool landlock_on(const struct task *t)
{
	return domain_of(t);
}

/* Adds what the rules of each layer grant at @i. granted[0] is the newest layer's. */
static void grant_at(const struct landlock_domain *d, const struct inode *i, uint32_t *granted)
{
	for (; d; d = d->parent, granted++) {
		const struct rule *r = htab_get((struct htab *)(uintptr_t)&d->by_inode, (uint64_t)(uintptr_t)i);

		if (r)
			*granted |= r->access;
	}
}

/* Does some layer deny something of @access? Moving files is denied unless granted, whether a layer handles it or not. */
static bool denied(const struct landlock_domain *d, const uint32_t *granted, uint32_t access)
{
	for (; d; d = d->parent, granted++)
		if (access & (d->handled | LL_REFER) & ~*granted)
			return true;
	return false;
}

/*
 * One step to the root; false at it. Consumes and replaces the reference. From a directory that was moved out of its bind mount the way
 * leads to the root of the file system, and from there to the mount it was reached by: rules of both places count.
 */
static bool step_up(struct path *p)
{
	struct dentry *parent;

	while (p->dentry == p->mnt->root)
		if (!mount_follow_up(p))
			return false;
	parent = dentry_parent_get(p->dentry);
	if (parent == p->dentry) {
		dentry_put(parent);
		if (p->mnt->kern)
			return false;
		parent = dentry_get(p->mnt->root);
	}
	dentry_put(p->dentry);
	p->dentry = parent;
	return true;
}

/* What is granted at @p and above it. Stops when @enough is not denied any more. True: on a file system that no path leads to. */
static bool collect(const struct landlock_domain *d, const struct path *p, uint32_t enough, uint32_t *granted)
{
	struct path at = *p;
	bool internal;

	path_get(&at);
	do {
		if (at.dentry->inode)
			grant_at(d, at.dentry->inode, granted);
	} while ((!enough || denied(d, granted, enough)) && step_up(&at));
	internal = at.mnt->kern;
	path_put(&at);
	return internal;
}

int landlock_check(struct task *t, const struct path *p, uint32_t access)
{
	const struct landlock_domain *d = domain_of(t);
	uint32_t granted[MAX_LAYERS] = { 0 };

	if (!d || !access || !p->mnt || !denied(d, granted, access))
		return 0;
	return collect(d, p, access, granted) || !denied(d, granted, access) ? 0 : -EACCES;
}

int landlock_check_open(struct task *t, const struct path *p, uint32_t flags)
{
	uint32_t acc = flags & LINUX_O_ACCMODE, need = 0;

	if (!domain_of(t))
		return 0;
	if (inode_is_dir(p->dentry->inode))
		return landlock_check(t, p, LL_READ_DIR);
	if (acc != LINUX_O_WRONLY)
		need |= LL_READ_FILE;
	if (acc != LINUX_O_RDONLY)
		need |= LL_WRITE_FILE;
	return landlock_check(t, p, need);
}

uint32_t landlock_make_right(uint32_t mode)
{
	switch (mode & LINUX_S_IFMT) {
	case LINUX_S_IFLNK:
		return LL_MAKE_SYM;
	case LINUX_S_IFDIR:
		return LL_MAKE_DIR;
	case LINUX_S_IFCHR:
		return LL_MAKE_CHAR;
	case LINUX_S_IFBLK:
		return LL_MAKE_BLOCK;
	case LINUX_S_IFIFO:
		return LL_MAKE_FIFO;
	case LINUX_S_IFSOCK:
		return LL_MAKE_SOCK;
	default:
		return LL_MAKE_REG;
	}
}

static uint32_t remove_right(const struct dentry *d)
{
	const struct inode *i = d->inode;

	return !i ? 0 : inode_is_dir(i) ? LL_REMOVE_DIR : LL_REMOVE_FILE;
}

/* Would @moved, under rules of @from and its own, be less restricted below @to? */
static bool gains(const struct landlock_domain *d, const struct dentry *moved, const uint32_t *from, const uint32_t *to)
{
	uint32_t own[MAX_LAYERS] = { 0 }, rights = inode_is_dir(moved->inode) ? LL_ALL : LL_FILE;

	grant_at(d, moved->inode, own);
	for (size_t l = 0; d; d = d->parent, l++) {
		uint32_t handled = d->handled | LL_REFER;

		if (handled & rights & to[l] & ~(from[l] | own[l]))
			return true;
	}
	return false;
}

int landlock_check_refer(struct task *t, const struct path *odir, struct dentry *od, const struct path *ndir, struct dentry *nd, bool removes,
			 bool exchange)
{
	const struct landlock_domain *d = domain_of(t);
	uint32_t from[MAX_LAYERS] = { 0 }, to[MAX_LAYERS] = { 0 }, need_from = 0, need_to;

	if (!d)
		return 0;
	if (!od->inode || (exchange && !nd->inode))
		return -ENOENT;
	need_to = landlock_make_right(od->inode->mode);
	if (exchange)
		need_from |= landlock_make_right(nd->inode->mode);
	if (removes) {
		need_from |= remove_right(od);
		need_to |= remove_right(nd);
	}
	if (odir->dentry == ndir->dentry)
		return landlock_check(t, ndir, need_from | need_to);
	(void)collect(d, odir, 0, from);
	(void)collect(d, ndir, 0, to);
	if (denied(d, from, need_from) || denied(d, to, need_to))
		return -EACCES;
	if (denied(d, from, LL_REFER) || denied(d, to, LL_REFER) || gains(d, od, from, to) || (exchange && gains(d, nd, to, from)))
		return -EXDEV;
	return 0;
}

bool landlock_may_trace(const struct cred *tracer, const struct cred *tracee)
{
	if (!tracer->domain)
		return true;
	for (const struct landlock_domain *d = tracee->domain; d; d = d->parent)
		if (d == tracer->domain)
			return true;
	return false;
}

/* --- the descriptor --- */

static void ruleset_release(struct file *f)
{
	struct landlock_ruleset *rs = container_of(f, struct landlock_ruleset, file);

	rules_done(&rs->rules);
	mutex_destroy(&rs->mu);
	file_done(f);
	free(rs);
}

static const struct file_ops ruleset_ops = {
	.name = "landlock-ruleset",
	.state = &landlock_ruleset_state_type,
	.release = ruleset_release,
	.llseek = file_noop_llseek,
};

static void *ruleset_alloc(void)
{
	struct landlock_ruleset *rs = calloc(1, sizeof(*rs));

	if (rs) {
		ref_init(&rs->file.ref);
		mutex_init(&rs->mu, "landlock_ruleset.mu");
	}
	return rs;
}

/* -EBADF, -EBADFD: not one of ours. */
static int ruleset_get(struct task *t, int fd, struct landlock_ruleset **ret)
{
	struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	if (f->ops != &ruleset_ops) {
		file_put(f);
		return -EBADFD;
	}
	*ret = container_of(f, struct landlock_ruleset, file);
	return 0;
}

int64_t sys_landlock_create_ruleset(struct task *t, const struct sys_args *a)
{
	struct landlock_ruleset *rs;
	uint64_t handled;
	uint32_t flags = ARG_U32(a, 2);
	int r;

	if (flags) {
		if ((flags != FLAG_VERSION && flags != FLAG_ERRATA) || a->a[0] || a->a[1])
			return -EINVAL;
		return flags == FLAG_VERSION ? ABI_VERSION : ERRATA;
	}
	if (!a->a[0])
		return -EFAULT;
	if (a->a[1] < RULESET_ATTR_MIN)
		return -EINVAL;
	if (a->a[1] > PAGE_SIZE)
		return -E2BIG;
	r = copy_in_struct(t, &handled, sizeof(handled), ARG_ADDR(a, 0), a->a[1]);
	if (r < 0)
		return r;
	if (handled & ~(uint64_t)LL_ALL)
		return -EINVAL;
	if (!handled)
		return -ENOMSG;
	rs = ruleset_alloc();
	if (!rs)
		return -ENOMEM;
	file_init(&rs->file, &ruleset_ops, LINUX_O_RDWR, t, NULL, NULL);
	rs->handled = (uint32_t)handled;
	r = fd_install(t, &rs->file, 0, true);
	if (r < 0)
		file_put(&rs->file);
	return r;
}

/* struct landlock_path_beneath_attr */
struct beneath {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));
_Static_assert(sizeof(struct beneath) == 12, "landlock_path_beneath_attr layout");

static int add_path(struct task *t, struct landlock_ruleset *rs, const struct beneath *b)
{
	_cleanup_file_ struct file *f = NULL;
	int r;

	if (!b->access)
		return -ENOMSG;
	if (b->access & ~(uint64_t)rs->handled)
		return -EINVAL;
	f = fd_get_raw(t, b->fd);
	if (!f)
		return -EBADF;
	/* A rule is for a place in a tree of names. */
	if (!f->path.dentry || !f->path.dentry->inode || f->path.mnt->kern)
		return -EBADFD;
	if (!inode_is_dir(f->path.dentry->inode) && (b->access & ~(uint64_t)LL_FILE))
		return -EINVAL;
	mutex_lock(&rs->mu);
	r = rules_add(&rs->rules, f->path.dentry, (uint32_t)b->access);
	mutex_unlock(&rs->mu);
	return r;
}

int64_t sys_landlock_add_rule(struct task *t, const struct sys_args *a)
{
	struct landlock_ruleset *rs;
	struct beneath b;
	int r;

	if (ARG_U32(a, 3))
		return -EINVAL;
	r = ruleset_get(t, ARG_INT(a, 0), &rs);
	if (r < 0)
		return r;
	if (ARG_INT(a, 1) != RULE_PATH_BENEATH)
		r = -EINVAL;
	else if (copy_in(t, &b, ARG_ADDR(a, 2), sizeof(b)) < 0)
		r = -EFAULT;
	else
		r = add_path(t, rs, &b);
	file_put(&rs->file);
	return r;
}

int64_t sys_landlock_restrict_self(struct task *t, const struct sys_args *a)
{
	struct landlock_ruleset *rs;
	struct landlock_domain *d = NULL;
	struct cred *c;
	int r;

	if (!t->no_new_privs && !task_capable_here(t, LINUX_CAP_SYS_ADMIN))
		return -EPERM;
	if (ARG_U32(a, 1))
		return -EINVAL;
	r = ruleset_get(t, ARG_INT(a, 0), &rs);
	if (r < 0)
		return r;
	r = domain_new(rs, t->cred->domain, &d);
	file_put(&rs->file);
	if (r < 0)
		return r;
	c = cred_dup(t->cred);
	if (!c) {
		landlock_domain_put(d);
		return -ENOMEM;
	}
	landlock_domain_put(c->domain);
	c->domain = d;
	task_set_cred(t, c);
	return 0;
}

/* --- state --- */

static Sentry__LandlockRule **save_rules(struct state_writer *w, const struct rules *r, size_t *ret_n)
{
	Sentry__LandlockRule **v = state_zalloc(w, r->nr, sizeof(*v));

	for (size_t i = 0; i < r->nr; i++) {
		v[i] = state_new_msg(w, &sentry__landlock_rule__descriptor);
		v[i]->dentry = state_ref(w, &dentry_state_type, r->v[i].dentry);
		v[i]->access = r->v[i].access;
	}
	*ret_n = r->nr;
	return v;
}

/* The inodes are looked up in after_load. */
static int load_rules(struct state_reader *r, struct rules *to, uint32_t handled, size_t n, Sentry__LandlockRule *const *v)
{
	int e = state_check(r, n <= MAX_RULES && handled && !(handled & ~LL_ALL), "malformed landlock rules");

	if (e < 0 || !n)
		return e;
	to->v = calloc(n, sizeof(*to->v));
	if (!to->v)
		return -ENOMEM;
	to->cap = n;
	for (size_t i = 0; i < n && e == 0; i++) {
		void *d = NULL;

		e = state_check(r, !(v[i]->access & ~LL_ALL), "unknown landlock right");
		if (e == 0)
			e = state_deref(r, v[i]->dentry, &dentry_state_type, &d);
		if (e == 0)
			e = state_check(r, d != NULL, "a landlock rule without a place");
		if (d)
			to->v[to->nr++] = (struct rule){ d, NULL, v[i]->access };
	}
	return e;
}

static int settle_rules(struct state_reader *r, struct rules *rules)
{
	for (size_t i = 0; i < rules->nr; i++) {
		struct inode *in = rules->v[i].dentry->inode;
		int e = state_check(r, in != NULL, "a landlock rule for a file that is not there");

		if (e < 0)
			return e;
		rules->v[i].inode = inode_get(in);
	}
	return 0;
}

static int ruleset_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct landlock_ruleset *rs = obj;
	Sentry__LandlockRuleset *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->handled = rs->handled;
	m->rules = save_rules(w, &rs->rules, &m->n_rules);
	return file_save_base(w, &rs->file, m->file_base);
}

static int ruleset_load(struct state_reader *r, void *obj, const void *msg)
{
	struct landlock_ruleset *rs = obj;
	const Sentry__LandlockRuleset *m = msg;
	int e = file_load_base(r, &rs->file, &ruleset_ops, m->file_base);

	rs->handled = m->handled;
	return e < 0 ? e : load_rules(r, &rs->rules, m->handled, m->n_rules, m->rules);
}

static int ruleset_after_load(struct state_reader *r, void *obj)
{
	struct landlock_ruleset *rs = obj;

	file_after_load_base(&rs->file);
	return settle_rules(r, &rs->rules);
}

const struct state_type landlock_ruleset_state_type = {
	.id = STATE_ID_landlock_ruleset,
	.name = "landlock_ruleset",
	.desc = &sentry__landlock_ruleset__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = ruleset_alloc,
	.save = ruleset_save,
	.load = ruleset_load,
	.after_load = ruleset_after_load,
	.get = file_state_get,
	.put = file_state_put,
};

static int domain_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct landlock_domain *d = obj;
	Sentry__LandlockDomain *m = msg;

	m->parent = state_ref(w, &landlock_domain_state_type, d->parent);
	m->handled = d->handled;
	m->rules = save_rules(w, &d->rules, &m->n_rules);
	return 0;
}

static int domain_load(struct state_reader *r, void *obj, const void *msg)
{
	struct landlock_domain *d = obj;
	const Sentry__LandlockDomain *m = msg;
	int e = load_rules(r, &d->rules, m->handled, m->n_rules, m->rules);

	d->handled = m->handled;
	return e < 0 ? e : state_deref(r, m->parent, &landlock_domain_state_type, (void **)&d->parent);
}

/* Parents are loaded: a chain that is too long, or has no end, is found here. */
static int domain_after_load(struct state_reader *r, void *obj)
{
	struct landlock_domain *d = obj;
	uint32_t level = 0;
	int e;

	for (const struct landlock_domain *p = d; p && level <= MAX_LAYERS; p = p->parent)
		level++;
	d->level = level;
	e = state_check(r, level <= MAX_LAYERS, "too many landlock layers");
	if (e == 0)
		e = settle_rules(r, &d->rules);
	return e < 0 ? e : index_rules(d);
}

static void domain_get_state(void *obj)
{
	(void)landlock_domain_get(obj);
}

static void domain_put_state(void *obj)
{
	landlock_domain_put(obj);
}

const struct state_type landlock_domain_state_type = {
	.id = STATE_ID_landlock_domain,
	.name = "landlock_domain",
	.desc = &sentry__landlock_domain__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = domain_alloc,
	.save = domain_save,
	.load = domain_load,
	.after_load = domain_after_load,
	.get = domain_get_state,
	.put = domain_put_state,
};
