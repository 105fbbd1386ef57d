/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces as files: /proc/pid/ns. Linux: fs/nsfs.c.
 *
 * A link leads to an inode of one kernel-internal file system; its number is the namespace's. setns(2) asks nsfs_get() what an open one
 * stands for. Initial user, cgroup and time namespaces have Linux's numbers and no object.
 * Locks: none of its own. Checkpoint: an open namespace file and its inode, referring to the namespace.
 */
#include "sentry/fs/nsfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/file.pb-c.h"
#include "schemas/proc.pb-c.h"
#include "schemas/vfs.pb-c.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/proc/pid_entries.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/ipc/ipc_ns.h"
#include "sentry/kernel/cgroup_ns.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/time_ns.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/net/netns.h"
#include "state/state.h"

#define NSFS_MAGIC 0x6e736673u
#define INO_CGROUP 0xEFFFFFFBu
#define INO_TIME   0xEFFFFFFAu
#define NS_GET_USERNS	 0xb701u
#define NS_GET_PARENT	 0xb702u
#define NS_GET_NSTYPE	 0xb703u
#define NS_GET_OWNER_UID 0xb704u

/* Optional: without it every IPC namespace has the initial number. */
uint64_t ipc_ns_ino(const struct ipc_ns *ns) __attribute__((weak));

struct ns_inode {
	struct inode i; /* saved: 1 inode_base */
	enum ns_kind kind; /* saved: 2 */
	void *ns; /* saved: 3; referenced; NULL for the initial user, cgroup and time namespace */
};

static const struct {
	const char *name;
	enum ns_kind kind;
	uint32_t clone_flag;
	const struct state_type *type;
} kinds[] = {
	[NS_MNT] = { "mnt", NS_MNT, 0x00020000, &mnt_ns_state_type },	[NS_UTS] = { "uts", NS_UTS, 0x04000000, &uts_ns_state_type },
	[NS_IPC] = { "ipc", NS_IPC, 0x08000000, NULL },			[NS_NET] = { "net", NS_NET, 0x40000000, &net_ns_state_type },
	[NS_PID] = { "pid", NS_PID, 0x20000000, &pid_ns_state_type },	[NS_USER] = { "user", NS_USER, 0x10000000, &user_ns_state_type },
	[NS_CGROUP] = { "cgroup", NS_CGROUP, 0x02000000, &cgroup_ns_state_type }, [NS_TIME] = { "time", NS_TIME, 0x00000080, &time_ns_state_type },
};

static uint64_t ns_ino(enum ns_kind kind, const void *ns)
{
	switch (kind) {
	case NS_MNT:
		return ((const struct mnt_ns *)ns)->ino;
	case NS_UTS:
		return ((const struct uts_ns *)ns)->ino;
	case NS_IPC:
		return ipc_ns_ino ? ipc_ns_ino(ns) : 0xEFFFFFFFu;
	case NS_NET:
		return ((const struct net_ns *)ns)->ino;
	case NS_PID:
		return ((const struct pid_ns *)ns)->ino;
	case NS_USER:
		return user_ns_ino(ns);
	case NS_CGROUP:
		return ns ? ((const struct cgroup_ns *)ns)->ino : INO_CGROUP;
	case NS_TIME:
		return ns ? ((const struct time_ns *)ns)->ino : INO_TIME;
	}
	return 0;
}

/* The user namespace it belongs to; of a user namespace: the parent. */
static struct user_ns *ns_owner(enum ns_kind kind, void *ns)
{
	switch (kind) {
	case NS_MNT:
		return ((struct mnt_ns *)ns)->user_ns;
	case NS_UTS:
		return ((struct uts_ns *)ns)->user_ns;
	case NS_IPC:
		return *ipc_ns_user_ns(ns);
	case NS_NET:
		return ((struct net_ns *)ns)->user_ns;
	case NS_PID:
		return ((struct pid_ns *)ns)->user_ns;
	case NS_USER:
		return user_ns_parent(ns);
	case NS_CGROUP:
		return ns ? ((struct cgroup_ns *)ns)->user_ns : NULL;
	case NS_TIME:
		return ns ? ((struct time_ns *)ns)->user_ns : NULL;
	}
	return NULL;
}

static void *ns_ref(enum ns_kind kind, void *ns)
{
	switch (kind) {
	case NS_MNT:
		return mnt_ns_get(ns);
	case NS_UTS:
		return uts_ns_get(ns);
	case NS_IPC:
		return ipc_ns_get(ns);
	case NS_NET:
		return net_ns_get(ns);
	case NS_PID:
		return pid_ns_get(ns);
	case NS_USER:
		return user_ns_get(ns);
	case NS_CGROUP:
		return cgroup_ns_get(ns);
	case NS_TIME:
		return time_ns_get(ns);
	}
	return NULL;
}

static void ns_unref(enum ns_kind kind, void *ns)
{
	if (!ns)
		return;
	switch (kind) {
	case NS_MNT:
		mnt_ns_put(ns);
		break;
	case NS_UTS:
		uts_ns_put(ns);
		break;
	case NS_IPC:
		ipc_ns_put(ns);
		break;
	case NS_NET:
		net_ns_put(ns);
		break;
	case NS_PID:
		pid_ns_put(ns);
		break;
	case NS_USER:
		user_ns_put(ns);
		break;
	case NS_CGROUP:
		cgroup_ns_put(ns);
		break;
	case NS_TIME:
		time_ns_put(ns);
		break;
	}
}

/* --- the file system --- */

static struct super_block nsfs_sb;
static struct mount *nsfs_mnt;
static struct mutex nsfs_mu = MUTEX_INIT("nsfs.mu");
static const struct inode_ops ns_iops;

static void never(struct super_block *sb)
{
}

static const struct sb_ops nsfs_sb_ops = { .free = never };

static void sb_once_locked(void)
{
	if (nsfs_sb.ops)
		return;
	sb_init(&nsfs_sb, &nsfs_sb_ops, NULL, NSFS_MAGIC);
	nsfs_sb.dev = dev_make(0, 4);
	nsfs_sb.flags = SB_PINNED;
}

static struct super_block *nsfs(void)
{
	mutex_guard(&nsfs_mu);
	sb_once_locked();
	return &nsfs_sb;
}

static struct inode *ns_inode_new(enum ns_kind kind, void *ns, uint64_t ino)
{
	struct super_block *sb = nsfs();
	struct ns_inode *ni = calloc(1, sizeof(*ni));

	if (!ni)
		return NULL;
	inode_init(&ni->i, &ns_iops, sb, ino, LINUX_S_IFREG | 0444, 0, 0);
	ni->kind = kind;
	ni->ns = ns ? ns_ref(kind, ns) : NULL;
	return &ni->i;
}

static void ns_evict(struct inode *i)
{
	struct ns_inode *ni = container_of(i, struct ns_inode, i);

	ns_unref(ni->kind, ni->ns);
	inode_done(i);
	free(ni);
}

static struct mount *nsfs_mount(void)
{
	struct inode *root;

	mutex_guard(&nsfs_mu);
	sb_once_locked();
	if (nsfs_mnt)
		return nsfs_mnt;
	root = calloc(1, sizeof(struct ns_inode));
	if (!root)
		return NULL;
	inode_init(root, &ns_iops, &nsfs_sb, 1, LINUX_S_IFDIR | 0555, 0, 0);
	container_of(root, struct ns_inode, i)->kind = NS_USER;
	nsfs_sb.root = dentry_new_root(&nsfs_sb, root);
	if (!nsfs_sb.root || mount_kern(&nsfs_sb, &nsfs_mnt) < 0)
		return NULL;
	return nsfs_mnt;
}

/* --- open files --- */

static int ns_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret);

/* A descriptor for another namespace. */
static int64_t open_ns(struct task *t, enum ns_kind kind, void *ns)
{
	struct inode *i = ns_inode_new(kind, ns, ns_ino(kind, ns));
	struct file *f;
	int r = i ? ns_open(i, t, NULL, LINUX_O_RDONLY, &f) : -ENOMEM;

	inode_put(i);
	if (r < 0)
		return r;
	r = fd_install(t, f, 0, true);
	if (r < 0)
		file_put(f);
	return r;
}

/* What is above the caller's own namespaces is not for it to see. */
static int64_t open_parent(struct task *t, struct ns_inode *ni)
{
	struct pid_ns *p;

	if (ni->kind == NS_USER)
		return ni->ns && user_ns_below(user_ns_parent(ni->ns), t->cred->user_ns) ? open_ns(t, NS_USER, user_ns_parent(ni->ns)) : -EPERM;
	if (ni->kind != NS_PID)
		return -EINVAL;
	p = ((struct pid_ns *)ni->ns)->parent;
	for (struct pid_ns *x = p; x; x = x->parent)
		if (x == task_pid_ns(t))
			return open_ns(t, NS_PID, p);
	return -EPERM;
}

static int64_t open_owner(struct task *t, struct ns_inode *ni)
{
	struct user_ns *u = ns_owner(ni->kind, ni->ns);

	if ((ni->kind == NS_USER && !ni->ns) || !user_ns_below(u, t->cred->user_ns))
		return -EPERM;
	return open_ns(t, NS_USER, u);
}

static int64_t ns_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct ns_inode *ni = container_of(f->inode, struct ns_inode, i);
	uint32_t uid;

	switch (cmd) {
	case NS_GET_NSTYPE:
		return kinds[ni->kind].clone_flag;
	case NS_GET_OWNER_UID:
		if (ni->kind != NS_USER)
			return -EINVAL;
		uid = task_id_show(t, ID_UID, ni->ns ? ((struct user_ns *)ni->ns)->owner : 0);
		return copy_out(t, GADDR(arg), &uid, sizeof(uid));
	case NS_GET_PARENT:
		return open_parent(t, ni);
	case NS_GET_USERNS:
		return open_owner(t, ni);
	default:
		return -ENOTTY;
	}
}

static void ns_release(struct file *f)
{
	file_done(f);
	free(f);
}

static void ns_show_name(struct file *f, struct strbuf *b)
{
	strbuf_addf(b, "%s:[%lu]", kinds[container_of(f->inode, struct ns_inode, i)->kind].name, f->inode->ino);
}

static const struct file_ops ns_fops = {
	.name = "nsfs", .state = &ns_file_state_type, .release = ns_release, .ioctl = ns_ioctl, .show_name = ns_show_name
};

static int ns_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct file *f;

	if ((flags & LINUX_O_ACCMODE) != LINUX_O_RDONLY)
		return -EPERM;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	file_init(f, &ns_fops, flags, t, NULL, i); /* without the place, which is not saved */
	*ret = f;
	return 0;
}

static const struct inode_ops ns_iops = { .name = "nsfs", .state = &ns_inode_state_type, .evict = ns_evict, .open = ns_open };

int nsfs_get(struct file *f, enum ns_kind *ret_kind, void **ret_ns)
{
	struct ns_inode *ni;

	if (f->ops != &ns_fops)
		return -EINVAL;
	ni = container_of(f->inode, struct ns_inode, i);
	*ret_kind = ni->kind;
	*ret_ns = ni->ns;
	return 0;
}

int nsfs_path(struct inode *i, struct path *ret)
{
	struct mount *m;
	struct dentry *d;
	char name[40];
	int len;

	if (i->ops != &ns_iops)
		return -EINVAL;
	m = nsfs_mount();
	len = snprintf(name, sizeof(name), "%s:[%lu]", kinds[container_of(i, struct ns_inode, i)->kind].name, i->ino);
	d = m ? dentry_new(nsfs_sb.root, name, (size_t)len) : NULL;
	if (!d)
		return -ENOMEM;
	d->disconnected = true;
	d->inode = inode_get(i);
	*ret = (struct path){ .mnt = mount_get(m), .dentry = d };
	return 0;
}

/* --- /proc/pid/ns --- */

struct ns_entry {
	const char *label;
	enum ns_kind kind;
	bool children; /* pid_for_children, time_for_children */
};

static void *ns_of(struct pctx *c, const struct ns_entry *e, struct nsproxy **ret)
{
	struct cred *cr;
	void *u;

	struct nsproxy *n = task_ns_get(c->target);

	*ret = n;
	if (!n)
		return NULL;
	switch (e->kind) {
	case NS_MNT:
		return n->mnt;
	case NS_UTS:
		return n->uts;
	case NS_IPC:
		return n->ipc;
	case NS_NET:
		return n->net;
	case NS_PID:
		return e->children ? n->pid_for_children : task_pid_ns(c->target);
	case NS_CGROUP:
		return n->cgroup;
	case NS_TIME:
		return e->children ? n->time_for_children : n->time;
	case NS_USER:
		cr = task_cred_get(c->target);
		u = cr ? user_ns_get(cr->user_ns) : NULL; /* the target may change its credentials: with_ns() lets it go */
		cred_put(cr);
		return u;
	}
	return NULL;
}

static int with_ns(struct pctx *c, uint64_t *ret_ino, struct path *ret_path)
{
	const struct ns_entry *e = c->node->data;
	struct nsproxy *n;
	void *ns = ns_of(c, e, &n);
	bool object = e->kind != NS_USER && e->kind != NS_CGROUP && e->kind != NS_TIME;
	struct inode *i;
	int err = !n || (object && !ns) ? -ENOENT : 0;

	if (!err)
		*ret_ino = ns_ino(e->kind, ns);
	if (!err && ret_path) {
		i = ns_inode_new(e->kind, ns, *ret_ino);
		err = i ? nsfs_path(i, ret_path) : -ENOMEM;
		inode_put(i);
	}
	if (e->kind == NS_USER)
		user_ns_put(ns);
	if (n)
		nsproxy_put(n);
	return err;
}

int proc_readlink_ns(struct pctx *c, char **ret)
{
	const struct ns_entry *e = c->node->data;
	uint64_t ino;
	int err = with_ns(c, &ino, NULL);

	if (!err && asprintf(ret, "%s:[%lu]", e->label, ino) < 0)
		err = -ENOMEM;
	return err;
}

int proc_link_ns(struct pctx *c, struct path *ret)
{
	uint64_t ino;

	return with_ns(c, &ino, ret);
}

#define NS_ENTRY(nm, ...)                                                                                                              \
	{                                                                                                                              \
		.name = (nm), .mode = LINUX_S_IFLNK | 0777, .flags = PN_PROC | PN_PTRACE, .readlink = proc_readlink_ns,                \
		.get_link = proc_link_ns, .data = &(const struct ns_entry){ __VA_ARGS__ }                                              \
	}
const struct pnode proc_ns_children[] = {
	NS_ENTRY("cgroup", "cgroup", NS_CGROUP),
	NS_ENTRY("ipc", "ipc", NS_IPC),
	NS_ENTRY("mnt", "mnt", NS_MNT),
	NS_ENTRY("net", "net", NS_NET),
	NS_ENTRY("pid", "pid", NS_PID),
	NS_ENTRY("pid_for_children", "pid", NS_PID, true),
	NS_ENTRY("time", "time", NS_TIME),
	NS_ENTRY("time_for_children", "time", NS_TIME, true),
	NS_ENTRY("user", "user", NS_USER),
	NS_ENTRY("uts", "uts", NS_UTS),
	{ 0 },
};

/* --- state --- */

static void *ns_inode_alloc(void)
{
	struct ns_inode *ni = calloc(1, sizeof(*ni));

	if (ni)
		ref_init(&ni->i.ref);
	return ni;
}

static int ns_inode_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct ns_inode *ni = obj;
	Sentry__NsInode *m = msg;
	int err = state_save_check(w, !ni->ns || kinds[ni->kind].type, "a namespace of a kind that has no type");

	if (err)
		return err;
	m->inode_base = state_new_msg(w, &sentry__inode_base__descriptor);
	m->kind = ni->kind;
	m->ns = ni->ns ? state_ref(w, kinds[ni->kind].type, ni->ns) : 0;
	return inode_save_base(w, &ni->i, m->inode_base); /* without the super block, which has no type */
}

static int ns_inode_load(struct state_reader *r, void *obj, const void *msg)
{
	struct ns_inode *ni = obj;
	const Sentry__NsInode *m = msg;
	int err = state_check(r, m->kind <= NS_TIME && (!m->ns || kinds[m->kind].type), "unknown kind of namespace");

	if (!err)
		err = inode_load_base(r, &ni->i, &ns_iops, m->inode_base);
	if (!err)
		err = state_check(r, !ni->i.sb, "namespace inode in a file system");
	if (!err && m->ns)
		err = state_deref(r, m->ns, kinds[m->kind].type, &ni->ns);
	if (err)
		return err;
	ni->i.sb = sb_get(nsfs());
	ni->kind = (enum ns_kind)m->kind;
	return 0;
}

const struct state_type ns_inode_state_type = {
	.id = STATE_ID_ns_inode,
	.name = "ns_inode",
	.desc = &sentry__ns_inode__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = ns_inode_alloc,
	.save = ns_inode_save,
	.load = ns_inode_load,
	.get = inode_state_get,
	.put = inode_state_put,
};

static void *ns_file_alloc(void)
{
	struct file *f = calloc(1, sizeof(*f));

	if (f)
		ref_init(&f->ref);
	return f;
}

static int ns_file_save(struct state_writer *w, const void *obj, void *msg)
{
	Sentry__NsFile *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	return file_save_base(w, obj, m->file_base);
}

static int ns_file_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__NsFile *m = msg;

	return file_load_base(r, obj, &ns_fops, m->file_base);
}

static int ns_file_after_load(struct state_reader *r, void *obj)
{
	struct file *f = obj;
	int err = state_check(r, f->inode && f->inode->ops == &ns_iops, "namespace file without namespace");

	if (!err)
		file_after_load_base(f);
	return err;
}

const struct state_type ns_file_state_type = {
	.id = STATE_ID_ns_file,
	.name = "ns_file",
	.desc = &sentry__ns_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = ns_file_alloc,
	.save = ns_file_save,
	.load = ns_file_load,
	.after_load = ns_file_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
