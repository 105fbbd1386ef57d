/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX message queues: a list per queue in order of priority, names per IPC namespace.
 *
 * Locks: mq_mu, one for all, guards names and queues; queues are woken and signals sent with it released.
 * Checkpoint: queue and descriptor are two types; sleepers run their call again. Linux: ipc/mqueue.c.
 * DEVIATION: SIGEV_THREAD is refused (it needs a netlink cookie); RLIMIT_MSGQUEUE bounds each queue, not the user's sum.
 */
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "schemas/ipc.pb-c.h"
#include "schemas/mqueue.pb-c.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/ipc/ipc_internal.h"
#include "sentry/kernel/clock.h"
#include "sentry/syscalls/syscalls.h"

#define MQ_PRIO_MAX	32768
#define MQ_NAME_MAX	255
#define MQ_STATUS_SIZE	80 /* FILENT_SIZE: what fstat() says, and more than the text of mq_read() needs */
#define SI_MESGQ_L	(-3)

struct linux_mq_attr {
	int64_t flags, maxmsg, msgsize, curmsgs, reserved[4];
};

struct mq_msg { /* message: MqMessage */
	struct list node; /* derived: place in mqueue.msgs */
	uint32_t prio; /* saved: 1 */
	size_t len; /* saved: 2 text */
	uint8_t text[]; /* saved: 2 */
};

struct mqueue {
	struct ref ref; /* nosave: the name's, and open files' */
	struct list node; /* derived: ipc_ns.mqs */
	char name[MQ_NAME_MAX + 1]; /* saved: 1 */
	bool linked; /* saved: 2 */
	struct inode *inode; /* saved: 13; referenced; mode and owner, what fstat() sees of every descriptor */
	uint64_t maxmsg, msgsize; /* saved: 6, 7 */
	struct list msgs; /* saved: 8 queue; highest priority first, oldest first among equals */
	uint64_t n; /* derived: length of msgs */
	uint32_t receivers; /* nosave: tasks asleep in receive */
	struct thread_group *notify; /* saved: 9, referenced; NULL none */
	int32_t notify_kind, notify_sig; /* saved: 10, 11 */
	uint64_t notify_value; /* saved: 12 */
	struct waitq wq; /* nosave: empty at a checkpoint, tasks run their call again */
};

struct mq_file {
	struct file file; /* saved: 1 file_base */
	struct mqueue *q; /* saved: 2, referenced */
};

/* One for all queues: message passing is a copy under it, and a queue may outlive its namespace. */
static struct mutex mq_mu = MUTEX_INIT("mqueue.mu");
static const struct file_ops mq_ops;

static struct mq_file *mq_of(struct file *f)
{
	return container_of(f, struct mq_file, file);
}

static void *mqueue_alloc(void)
{
	struct mqueue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	ref_init(&q->ref);
	list_init(&q->node);
	list_init(&q->msgs);
	waitq_init(&q->wq);
	return q;
}

static void mqueue_put(struct mqueue *q)
{
	struct mq_msg *m, *tmp;

	if (!q || !ref_put(&q->ref))
		return;
	list_for_each_safe(m, tmp, &q->msgs, node)
		free(m);
	tg_put(q->notify);
	inode_put(q->inode);
	waitq_done(&q->wq);
	free(q);
}

void mqueue_ns_done(struct ipc_ns *ns)
{
	struct mqueue *q;

	for (;;) {
		mutex_lock(&mq_mu);
		q = list_first(&ns->mqs, struct mqueue, node);
		if (q) {
			list_del(&q->node);
			q->linked = false;
		}
		mutex_unlock(&mq_mu);
		if (!q)
			return;
		mqueue_put(q);
	}
}

static struct mqueue *find_locked(struct ipc_ns *ns, const char *name)
{
	struct mqueue *q;

	list_for_each(q, &ns->mqs, node)
		if (!strcmp(q->name, name))
			return q;
	return NULL;
}

/* --- the file --- */

static uint32_t mq_poll(struct file *f)
{
	struct mqueue *q = mq_of(f)->q;
	uint32_t r = 0;

	mutex_lock(&mq_mu);
	if (q->n)
		r |= LINUX_POLLIN | LINUX_POLLRDNORM;
	if (q->n < q->maxmsg)
		r |= LINUX_POLLOUT | LINUX_POLLWRNORM;
	mutex_unlock(&mq_mu);
	return r;
}

static struct waitq *mq_pollq(struct file *f)
{
	return &mq_of(f)->q->wq;
}

static void mq_flush(struct file *f, struct task *t)
{
	struct mqueue *q = mq_of(f)->q;
	struct thread_group *old = NULL;

	mutex_lock(&mq_mu);
	if (t && q->notify == t->tg)
		old = TAKE_PTR(q->notify);
	mutex_unlock(&mq_mu);
	tg_put(old);
}

static void mq_release(struct file *f)
{
	struct mq_file *m = mq_of(f);

	mqueue_put(m->q);
	file_done(f);
	free(m);
}

extern const struct state_type mq_file_state_type;

/* What a descriptor reads as, in a fixed width. */
static int64_t mq_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct mqueue *q = mq_of(f)->q;
	char text[MQ_STATUS_SIZE + 1];
	const struct mq_msg *m;
	uint64_t bytes = 0;
	int64_t n, pid = 0;

	mutex_lock(&mq_mu);
	list_for_each(m, &q->msgs, node)
		bytes += m->len;
	if (q->notify && t)
		pid = pid_nr(q->notify->pid, t);
	n = snprintf(text, sizeof(text), "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", bytes, q->notify ? q->notify_kind : 0,
		     q->notify && q->notify_kind == 0 ? q->notify_sig : 0, (int)pid);
	mutex_unlock(&mq_mu);
	if (*pos < 0 || *pos >= n)
		return 0;
	n = uio_put(u, text + *pos, MIN((size_t)(n - *pos), u->left));
	if (n > 0)
		*pos += n;
	return n;
}

static int64_t mq_llseek(struct file *f, struct task *t, int64_t off, int whence)
{
	return file_llseek_size(f, off, whence, MQ_STATUS_SIZE, INT64_MAX);
}

static void mq_show_name(struct file *f, struct strbuf *b)
{
	strbuf_addf(b, "/%s", mq_of(f)->q->name);
}

static const struct file_ops mq_ops = {
	.name = "mqueue",
	.read = mq_read,
	.llseek = mq_llseek,
	.show_name = mq_show_name,
	.state = &mq_file_state_type,
	.release = mq_release,
	.poll = mq_poll,
	.pollq = mq_pollq,
	.flush = mq_flush,
};

/* --- open and unlink --- */

static int copy_in_name(struct task *t, gaddr_t src, char **ret)
{
	int r = copy_in_string(t, src, MQ_NAME_MAX, ret);

	if (r < 0)
		return r;
	if (!**ret)
		return -ENOENT;
	if (strchr(*ret, '/') || !strcmp(*ret, ".") || !strcmp(*ret, ".."))
		return -EACCES;
	return 0;
}

static int file_new(struct task *t, struct mqueue *q, uint32_t flags, const struct path *p, struct inode *i, struct file **ret)
{
	struct mq_file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->q = q;
	file_init(&f->file, &mq_ops, flags & (LINUX_O_ACCMODE | LINUX_O_NONBLOCK), t, p, i);
	f->file.seekable = true;
	*ret = &f->file;
	return 0;
}

static int access_check(struct task *t, const struct mqueue *q, uint32_t flags)
{
	uint32_t acc = flags & LINUX_O_ACCMODE;

	if (acc == LINUX_O_ACCMODE)
		return -EINVAL;
	return inode_permission(q->inode, t, t->cred, acc == LINUX_O_RDWR ? MAY_READ | MAY_WRITE : acc == LINUX_O_WRONLY ? MAY_WRITE : MAY_READ);
}

static struct linux_mq_attr default_attr(const struct ipc_ns *ns)
{
	const struct ipc_mq_limits *l = &ns->mq;

	return (struct linux_mq_attr){ .maxmsg = MIN(ipc_limit(&l->msg_default), ipc_limit(&l->msg_max)),
				       .msgsize = MIN(ipc_limit(&l->msgsize_default), ipc_limit(&l->msgsize_max)) };
}

static int attr_check(struct task *t, const struct linux_mq_attr *a)
{
	const struct ipc_mq_limits *l = &task_ipc(t)->mq;
	bool cap = task_capable(t, LINUX_CAP_SYS_RESOURCE);
	uint64_t bytes;

	if (a->maxmsg <= 0 || a->msgsize <= 0)
		return -EINVAL;
	if (a->maxmsg > (cap ? MQ_MSG_HARD : ipc_limit(&l->msg_max)) || a->msgsize > (cap ? MQ_SIZE_HARD : ipc_limit(&l->msgsize_max)))
		return -EINVAL;
	bytes = (uint64_t)a->maxmsg * ((uint64_t)a->msgsize + 48 + sizeof(void *));
	return bytes > task_rlimit(t, LINUX_RLIMIT_MSGQUEUE) ? -EMFILE : 0;
}

/* Finds or makes the queue: a reference, with *@ret. */
static int open_queue(struct task *t, const char *name, uint32_t flags, uint32_t mode, const struct linux_mq_attr *attr, struct mqueue **ret)
{
	struct ipc_ns *ns = task_ipc(t);
	struct mqueue *q, *fresh = NULL;
	int r;

	if (flags & LINUX_O_CREAT) {
		fresh = mqueue_alloc();
		if (fresh)
			fresh->inode = anon_inode_new(t, LINUX_S_IFREG | (mode & ~fs_ctx_umask(t->fs) & 0777), LINUX_MQUEUE_MAGIC);
		if (!fresh || !fresh->inode) {
			mqueue_put(fresh);
			return -ENOMEM;
		}
		fresh->inode->size = MQ_STATUS_SIZE;
	}
	mutex_lock(&mq_mu);
	q = find_locked(ns, name);
	if (q) {
		r = (flags & LINUX_O_CREAT) && (flags & LINUX_O_EXCL) ? -EEXIST : access_check(t, q, flags);
	} else if (!fresh) {
		r = -ENOENT;
	} else {
		r = attr_check(t, attr); /* a new queue's access mode is not looked at, so 3 is as good as another */
		if (r == 0 && ns->nr_mqs >= (uint32_t)ipc_limit(&ns->mq.queues_max) && !task_capable(t, LINUX_CAP_SYS_RESOURCE))
			r = -ENOSPC;
		if (r == 0) {
			q = TAKE_PTR(fresh);
			memcpy(q->name, name, strlen(name) + 1);
			q->linked = true;
			q->maxmsg = (uint64_t)attr->maxmsg;
			q->msgsize = (uint64_t)attr->msgsize;
			list_add_tail(&ns->mqs, &q->node);
			ns->nr_mqs++;
		}
	}
	if (r == 0) {
		ref_get(&q->ref);
		*ret = q;
	}
	mutex_unlock(&mq_mu);
	mqueue_put(fresh);
	return r;
}

int64_t sys_mq_open(struct task *t, const struct sys_args *a)
{
	struct linux_mq_attr attr = default_attr(task_ipc(t));
	uint32_t flags = ARG_U32(a, 1);
	_cleanup_free_ char *name = NULL;
	struct mqueue *q = NULL;
	struct file *f;
	int64_t r;

	if (a->a[3] && copy_in(t, &attr, ARG_ADDR(a, 3), sizeof(attr)) < 0)
		return -EFAULT;
	r = copy_in_name(t, ARG_ADDR(a, 0), &name);
	if (r == 0)
		r = open_queue(t, name, flags, ARG_U32(a, 2), &attr, &q);
	if (r < 0)
		return r;
	r = file_new(t, q, flags, NULL, q->inode, &f);
	if (r < 0) {
		mqueue_put(q);
		return r;
	}
	r = fd_install(t, f, 0, true); /* Linux: always close-on-exec */
	if (r < 0)
		file_put(f);
	return r;
}

/* Takes the name away; @check: only the owner may. */
static int remove_name(struct task *t, struct ipc_ns *ns, const char *name, bool check)
{
	struct mqueue *q;
	int r = 0;

	mutex_lock(&mq_mu);
	q = find_locked(ns, name);
	if (!q)
		r = -ENOENT;
	else if (check && t->cred->fsuid != q->inode->uid && !task_capable(t, LINUX_CAP_FOWNER))
		r = -EPERM;
	if (r == 0) {
		list_del(&q->node);
		q->linked = false;
		ns->nr_mqs--;
	}
	mutex_unlock(&mq_mu);
	if (r == 0)
		mqueue_put(q);
	return r;
}

int64_t sys_mq_unlink(struct task *t, const struct sys_args *a)
{
	_cleanup_free_ char *name = NULL;
	int r = copy_in_name(t, ARG_ADDR(a, 0), &name);

	return r < 0 ? r : remove_name(t, task_ipc(t), name, true);
}

/* --- the file system: the queues of the namespace of whoever looks (DEVIATION: not of whoever mounted it) --- */

static struct ipc_ns *viewer_ns(const struct pctx *c)
{
	return c->t && c->t->ns ? c->t->ns->ipc : NULL;
}

/* The queue with number @id, or the first above it; a reference, or NULL. */
static struct mqueue *by_number(const struct pctx *c, uint64_t id, bool next)
{
	struct ipc_ns *ns = viewer_ns(c);
	struct mqueue *q, *best = NULL;

	if (!ns)
		return NULL;
	mutex_lock(&mq_mu);
	list_for_each(q, &ns->mqs, node)
		if (q->inode->ino == id || (next && q->inode->ino > id && (!best || q->inode->ino < best->inode->ino)))
			best = q;
	if (best)
		ref_get(&best->ref);
	mutex_unlock(&mq_mu);
	return best;
}

static int mqfs_lookup(const struct pctx *dir, const char *name, uint64_t *ret_id, struct pid **ret_pid, bool *ret_thread)
{
	struct ipc_ns *ns = viewer_ns(dir);
	struct mqueue *q;

	if (!ns)
		return -ENOENT;
	mutex_lock(&mq_mu);
	q = find_locked(ns, name);
	if (q)
		*ret_id = q->inode->ino;
	mutex_unlock(&mq_mu);
	return q ? 0 : -ENOENT;
}

static bool mqfs_next(const struct pctx *dir, uint64_t *id, char *ret_name, size_t size)
{
	struct mqueue *q = by_number(dir, *id, true);

	if (!q)
		return false;
	*id = q->inode->ino;
	(void)snprintf(ret_name, size, "%s", q->name);
	mqueue_put(q);
	return true;
}

static bool mqfs_valid(const struct pctx *c)
{
	struct mqueue *q = by_number(c, c->id, false);

	mqueue_put(q);
	return q != NULL;
}

static bool mqfs_attrs(struct pctx *c, uint32_t *mode, uint32_t *uid, uint32_t *gid, uint64_t *size)
{
	struct mqueue *q = by_number(c, c->id, false);

	if (!q)
		return false;
	mutex_lock(&q->inode->attr_mu);
	*mode = q->inode->mode & 07777;
	*uid = q->inode->uid;
	*gid = q->inode->gid;
	mutex_unlock(&q->inode->attr_mu);
	*size = MQ_STATUS_SIZE;
	mqueue_put(q);
	return true;
}

static int mqfs_open(struct pctx *c, struct inode *i, const struct path *p, uint32_t flags, struct file **ret)
{
	struct mqueue *q = by_number(c, c->id, false);
	int r = q ? file_new(c->t, q, flags, p, i, ret) : -ENOENT;

	if (r < 0)
		mqueue_put(q);
	return r;
}

static int mqfs_create(const struct pctx *dir, const char *name, uint32_t mode)
{
	struct linux_mq_attr attr;
	struct mqueue *q;
	int r;

	if (!viewer_ns(dir))
		return -EACCES;
	attr = default_attr(task_ipc(dir->t));
	r = open_queue(dir->t, name, LINUX_O_CREAT | LINUX_O_EXCL, mode, &attr, &q);

	if (r == 0)
		mqueue_put(q);
	return r;
}

static int mqfs_unlink(const struct pctx *dir, const char *name)
{
	return viewer_ns(dir) ? remove_name(dir->t, viewer_ns(dir), name, false) : -ENOENT;
}

static const struct pnode mqfs_node = { .name = "queue*", .mode = LINUX_S_IFREG | 0600, .open = mqfs_open, .get_attrs = mqfs_attrs };
static const struct pdyn mqfs_dyn = { .node = &mqfs_node, .lookup = mqfs_lookup, .next_name = mqfs_next, .valid = mqfs_valid, .create = mqfs_create,
				      .unlink = mqfs_unlink };
static const struct pnode mqfs_root = PN_DIR("/", 01777, NULL, .dyn = &mqfs_dyn);
static const struct pseudo_fs mqfs = { .name = "mqueue", .magic = LINUX_MQUEUE_MAGIC, .root = &mqfs_root };
PSEUDO_FS_REGISTER(mqfs)

static int mqfs_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	return pseudo_mount(ft, &mqfs, NULL, ret);
}

static const struct fs_type mqueue_type = { .name = "mqueue", .mount = mqfs_mount, .nodev = true };
FS_TYPE_REGISTER(mqueue_type)

/* --- transfer --- */

static struct file *mq_get(struct task *t, int fd, bool write, bool any, int64_t *err)
{
	struct file *f = fd_get(t, fd);

	*err = -EBADF;
	if (f && f->ops == &mq_ops && (any || (write ? f->writable : f->readable)))
		return f;
	file_put(f);
	return NULL;
}

static int get_deadline(struct task *t, gaddr_t src, int64_t *ret)
{
	*ret = TIME_FOREVER;
	return src.v ? copy_in_timespec(t, src, ret) : 0;
}

/* Sleeps until the queue changes; mq_mu is released meanwhile. */
static int mq_sleep(struct task *t, struct mqueue *q, uint32_t mask, int64_t deadline)
{
	struct waiter w;
	int r;

	task_waiter_init(&w, t, mask);
	task_block_prepare(t);
	waitq_add(&q->wq, &w);
	if (mask & LINUX_POLLIN)
		q->receivers++;
	mutex_unlock(&mq_mu);
	r = task_block_until(t, KCLOCK_REALTIME, deadline);
	waitq_del(&w);
	mutex_lock(&mq_mu);
	if (mask & LINUX_POLLIN)
		q->receivers--;
	return r;
}

static void insert_locked(struct mqueue *q, struct mq_msg *m)
{
	struct mq_msg *o;

	list_for_each(o, &q->msgs, node)
		if (o->prio < m->prio)
			break;
	list_insert_between(&m->node, o->node.prev, &o->node);
	q->n++;
}

/* The registration is used up by the first message that finds the queue empty and nobody waiting. */
static void notify(struct task *t, struct thread_group *tg, int kind, int sig, uint64_t value)
{
	struct linux_siginfo si = { .si_signo = sig, .si_code = SI_MESGQ_L };

	if (kind == 0) {
		mutex_lock(&t->k->tasks_mu);
		si.rt.pid = pid_nr_ns(t->tg->pid, task_pid_ns(tg->leader));
		si.rt.uid = t->cred->uid;
		si.rt.value = value;
		if (tg->state < TG_ZOMBIE)
			(void)signal_send_group(tg, sig, &si);
		mutex_unlock(&t->k->tasks_mu);
	}
	tg_put(tg);
}

int64_t sys_mq_timedsend(struct task *t, const struct sys_args *a)
{
	struct thread_group *tell = NULL;
	_cleanup_free_ struct mq_msg *m = NULL;
	int64_t deadline, r = get_deadline(t, ARG_ADDR(a, 4), &deadline);
	int kind = 0, sig = 0;
	uint64_t value = 0;
	struct mqueue *q;
	struct file *f;

	if (r < 0)
		return r;
	if (ARG_U32(a, 3) >= MQ_PRIO_MAX)
		return -EINVAL;
	f = mq_get(t, ARG_INT(a, 0), true, false, &r);
	if (!f)
		return r;
	q = mq_of(f)->q;
	if (a->a[2] > q->msgsize) {
		file_put(f);
		return -EMSGSIZE;
	}
	m = calloc(1, sizeof(*m) + a->a[2]);
	r = m ? copy_in(t, m->text, ARG_ADDR(a, 1), a->a[2]) : -ENOMEM;
	if (r < 0) {
		file_put(f);
		return r;
	}
	m->prio = ARG_U32(a, 3);
	m->len = a->a[2];
	mutex_lock(&mq_mu);
	while (r == 0 && q->n >= q->maxmsg)
		r = file_nonblock(f) ? -EAGAIN : mq_sleep(t, q, LINUX_POLLOUT, deadline);
	if (r == 0) {
		if (!q->n && !q->receivers && q->notify) {
			tell = TAKE_PTR(q->notify);
			kind = q->notify_kind;
			sig = q->notify_sig;
			value = q->notify_value;
		}
		insert_locked(q, m);
		(void)TAKE_PTR(m);
	}
	mutex_unlock(&mq_mu);
	if (r == 0)
		waitq_wake(&q->wq, LINUX_POLLIN | LINUX_POLLRDNORM);
	if (tell)
		notify(t, tell, kind, sig, value);
	file_put(f);
	return r;
}

int64_t sys_mq_timedreceive(struct task *t, const struct sys_args *a)
{
	int64_t deadline, r = get_deadline(t, ARG_ADDR(a, 4), &deadline);
	_cleanup_free_ struct mq_msg *m = NULL;
	struct mqueue *q;
	struct file *f;

	if (r < 0)
		return r;
	f = mq_get(t, ARG_INT(a, 0), false, false, &r);
	if (!f)
		return r;
	q = mq_of(f)->q;
	r = a->a[2] < q->msgsize ? -EMSGSIZE : 0;
	mutex_lock(&mq_mu);
	while (r == 0 && !q->n)
		r = file_nonblock(f) ? -EAGAIN : mq_sleep(t, q, LINUX_POLLIN, deadline);
	if (r == 0) {
		m = list_first(&q->msgs, struct mq_msg, node);
		list_del(&m->node);
		q->n--;
	}
	mutex_unlock(&mq_mu);
	if (r == 0) {
		waitq_wake(&q->wq, LINUX_POLLOUT | LINUX_POLLWRNORM);
		r = (int64_t)m->len;
		if ((a->a[3] && copy_out(t, ARG_ADDR(a, 3), &m->prio, sizeof(m->prio)) < 0) ||
		    copy_out(t, ARG_ADDR(a, 1), m->text, m->len) < 0)
			r = -EFAULT;
	}
	file_put(f);
	return r;
}

/* --- notification and attributes --- */

struct mq_sigevent {
	uint64_t value;
	int32_t signo, notify;
	int32_t pad[12];
};

int64_t sys_mq_notify(struct task *t, const struct sys_args *a)
{
	struct thread_group *old = NULL;
	struct mq_sigevent ev = { 0 };
	struct mqueue *q;
	struct file *f;
	int64_t r;

	if (a->a[1]) {
		if (copy_in(t, &ev, ARG_ADDR(a, 1), sizeof(ev)) < 0)
			return -EFAULT;
		if (ev.notify < 0 || ev.notify > 2 || (ev.notify == 0 && (ev.signo < 0 || ev.signo > NSIG_MAX)))
			return -EINVAL;
		if (ev.notify == 2)
			return -ENOSYS;
	}
	f = mq_get(t, ARG_INT(a, 0), false, true, &r);
	if (!f)
		return r;
	q = mq_of(f)->q;
	r = 0;
	mutex_lock(&mq_mu);
	if (!a->a[1]) {
		if (q->notify == t->tg)
			old = TAKE_PTR(q->notify);
	} else if (q->notify) {
		r = -EBUSY;
	} else {
		q->notify = tg_get(t->tg);
		q->notify_kind = ev.notify;
		q->notify_sig = ev.signo;
		q->notify_value = ev.value;
	}
	mutex_unlock(&mq_mu);
	tg_put(old);
	file_put(f);
	return r;
}

int64_t sys_mq_getsetattr(struct task *t, const struct sys_args *a)
{
	struct linux_mq_attr nw, old = { 0 };
	struct file *f;
	int64_t r;

	if (a->a[1]) {
		if (copy_in(t, &nw, ARG_ADDR(a, 1), sizeof(nw)) < 0)
			return -EFAULT;
		if (nw.flags & ~(int64_t)LINUX_O_NONBLOCK)
			return -EINVAL;
	}
	f = mq_get(t, ARG_INT(a, 0), false, true, &r);
	if (!f)
		return r;
	mutex_lock(&mq_mu);
	old.flags = file_nonblock(f) ? LINUX_O_NONBLOCK : 0;
	old.maxmsg = (int64_t)mq_of(f)->q->maxmsg;
	old.msgsize = (int64_t)mq_of(f)->q->msgsize;
	old.curmsgs = (int64_t)mq_of(f)->q->n;
	mutex_unlock(&mq_mu);
	if (a->a[1]) {
		mutex_lock(&f->f_lock);
		f->flags = nw.flags ? f->flags | LINUX_O_NONBLOCK : f->flags & ~(uint32_t)LINUX_O_NONBLOCK;
		mutex_unlock(&f->f_lock);
	}
	file_put(f);
	return a->a[2] ? copy_out(t, ARG_ADDR(a, 2), &old, sizeof(old)) : 0;
}

/* --- state --- */

static int mqueue_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct mqueue *q = obj;
	Sentry__Mqueue *m = msg;
	const struct mq_msg *e;

	m->name = state_strdup(w, q->name);
	m->linked = q->linked;
	m->inode = inode_state_ref(w, q->inode);
	m->maxmsg = q->maxmsg;
	m->msgsize = q->msgsize;
	m->queue = state_zalloc(w, q->n, sizeof(m->queue[0]));
	list_for_each(e, &q->msgs, node) {
		Sentry__MqMessage *o = state_new_msg(w, &sentry__mq_message__descriptor);

		o->prio = e->prio;
		o->text.len = e->len;
		o->text.data = state_zalloc(w, 1, e->len);
		if (e->len)
			memcpy(o->text.data, e->text, e->len);
		if (m->n_queue < q->n)
			m->queue[m->n_queue++] = o;
	}
	m->notify = state_ref(w, &thread_group_state_type, q->notify && q->notify->state < TG_ZOMBIE ? q->notify : NULL);
	m->notify_kind = q->notify_kind;
	m->notify_sig = q->notify_sig;
	m->notify_value = q->notify_value;
	return 0;
}

/* The inode of a queue of an old image, which had mode and owner itself. */
static struct inode *inode_of_old(const Sentry__Mqueue *m)
{
	struct inode *i = anon_inode_new(NULL, LINUX_S_IFREG | (m->mode & 0777), LINUX_MQUEUE_MAGIC);

	if (i) {
		i->uid = m->uid;
		i->gid = m->gid;
		i->size = MQ_STATUS_SIZE;
	}
	return i;
}

static int mqueue_load(struct state_reader *r, void *obj, const void *msg)
{
	struct mqueue *q = obj;
	const Sentry__Mqueue *m = msg;
	int e = state_check(r, strlen(m->name) <= MQ_NAME_MAX && m->maxmsg <= MQ_MSG_HARD && m->msgsize <= MQ_SIZE_HARD &&
				       m->n_queue <= m->maxmsg && m->notify_kind >= 0 && m->notify_kind <= 1 && m->notify_sig >= 0 &&
				       m->notify_sig <= NSIG_MAX,
			    "malformed message queue");

	if (e == 0)
		e = inode_state_deref(r, m->inode, &q->inode);
	if (e == 0 && !q->inode)
		q->inode = inode_of_old(m);
	if (e == 0 && !q->inode)
		e = -ENOMEM;
	if (e == 0)
		e = state_deref(r, m->notify, &thread_group_state_type, (void **)&q->notify);
	if (e < 0)
		return e;
	memcpy(q->name, m->name, strlen(m->name) + 1);
	q->linked = m->linked;
	q->maxmsg = m->maxmsg;
	q->msgsize = m->msgsize;
	q->notify_kind = m->notify_kind;
	q->notify_sig = m->notify_sig;
	q->notify_value = m->notify_value;
	for (size_t i = 0; i < m->n_queue; i++) {
		const Sentry__MqMessage *s = m->queue[i];
		struct mq_msg *o;

		e = state_check(r, s->prio < MQ_PRIO_MAX && s->text.len <= q->msgsize, "malformed message");
		if (e < 0)
			return e;
		o = calloc(1, sizeof(*o) + s->text.len);
		if (!o)
			return -ENOMEM;
		o->prio = s->prio;
		o->len = s->text.len;
		if (o->len)
			memcpy(o->text, s->text.data, o->len);
		insert_locked(q, o);
	}
	return 0;
}

static void mqueue_get_state(void *obj)
{
	ref_get(&((struct mqueue *)obj)->ref);
}

static void mqueue_put_state(void *obj)
{
	mqueue_put(obj);
}

const struct state_type mqueue_state_type = {
	.id = STATE_ID_mqueue,
	.name = "mqueue",
	.desc = &sentry__mqueue__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = mqueue_alloc,
	.save = mqueue_save,
	.load = mqueue_load,
	.get = mqueue_get_state,
	.put = mqueue_put_state,
};

void mqueue_ns_save(struct state_writer *w, const struct ipc_ns *ns, struct Sentry__IpcNs *m)
{
	const struct mqueue *q;

	m->mq = state_zalloc(w, ns->nr_mqs, sizeof(m->mq[0]));
	list_for_each(q, &ns->mqs, node)
		if (m->n_mq < ns->nr_mqs)
			m->mq[m->n_mq++] = state_ref(w, &mqueue_state_type, q);
}

int mqueue_ns_load(struct state_reader *r, struct ipc_ns *ns, const struct Sentry__IpcNs *m)
{
	for (size_t i = 0; i < m->n_mq; i++) {
		struct mqueue *q = NULL;
		int e = state_deref(r, m->mq[i], &mqueue_state_type, (void **)&q);

		if (e >= 0)
			e = state_check(r, q && !list_linked(&q->node), "a message queue with two names");
		if (e < 0)
			return e;
		list_add_tail(&ns->mqs, &q->node);
		ns->nr_mqs++;
	}
	return 0;
}

static void *mq_file_alloc(void)
{
	struct mq_file *m = calloc(1, sizeof(*m));

	if (m)
		ref_init(&m->file.ref);
	return m;
}

static int mq_file_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct mq_file *f = obj;
	Sentry__MqFile *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->q = state_ref(w, &mqueue_state_type, f->q);
	return file_save_base(w, &f->file, m->file_base);
}

static int mq_file_load(struct state_reader *r, void *obj, const void *msg)
{
	struct mq_file *f = obj;
	const Sentry__MqFile *m = msg;
	int e = state_deref(r, m->q, &mqueue_state_type, (void **)&f->q);

	if (e >= 0)
		e = state_check(r, f->q && m->file_base, "an open message queue without queue");
	f->file.seekable = true;
	return e < 0 ? e : file_load_base(r, &f->file, &mq_ops, m->file_base);
}

const struct state_type mq_file_state_type = {
	.id = STATE_ID_mq_file,
	.name = "mq_file",
	.desc = &sentry__mq_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = mq_file_alloc,
	.save = mq_file_save,
	.load = mq_file_load,
	.after_load = file_state_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
