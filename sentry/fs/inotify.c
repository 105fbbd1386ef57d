/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify(7): the receiving end of sentry/fs/notify.h.
 *
 * A watch ties one group (inotify descriptor) to one inode, on which it holds a reference, as Linux's marks do: a watched inode stays. Events are queued
 * at the group; one equal to the last is dropped; past a limit one overflow event says so.
 *
 * Locks: inotify_mu (global: inode->marks, watches) > inotify.mu (queue) > waitq.mu. Events arrive under directory inode.mu, so
 *   inode.mu > inotify_mu; inodes are put with it released.
 * Checkpoint: watches with their inode, and the queue. Linux: fs/notify/inotify.
 */
#include "sentry/fs/inotify.h"

#include <string.h>

#include "base/htab.h"
#include "base/strbuf.h"
#include "schemas/inotify.pb-c.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/fs.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/notify.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

#define IN_ALL_F         0x00000fffu
#define IN_ONLYDIR_F     0x01000000u
#define IN_DONT_FOLLOW_F 0x02000000u
#define IN_EXCL_UNLINK_F 0x04000000u
#define IN_MASK_CREATE_F 0x10000000u
#define IN_MASK_ADD_F    0x20000000u
#define IN_ONESHOT_F     0x80000000u
#define IN_VALID_F                                                                                                     \
	(IN_ALL_F | LINUX_IN_UNMOUNT | LINUX_IN_Q_OVERFLOW | LINUX_IN_IGNORED | IN_ONLYDIR_F | IN_DONT_FOLLOW_F |     \
	 IN_EXCL_UNLINK_F | IN_MASK_ADD_F | IN_MASK_CREATE_F | LINUX_IN_ISDIR | IN_ONESHOT_F)
#define MAX_QUEUED  1048576u /* whatever fs.inotify.max_queued_events says: the Sentry's memory is not the guest's */
#define MAX_WATCHES 1048576u

struct in_event { /* message: InotifyEvent */
	struct list node; /* derived: the queue is in order */
	int32_t wd; /* saved: 1 */
	uint32_t mask, cookie; /* saved: 2, 3 */
	uint32_t name_len; /* derived: length of name */
	char name[]; /* saved: 4; without NUL */
};

struct inotify {
	struct file file; /* saved: 1 file_base */
	struct waitq wq; /* nosave: waiters re-run or register again */
	struct list all; /* derived: in groups; guarded by inotify_mu */
	struct list watches; /* saved: 2; watch.group_node in order of addition; guarded by inotify_mu */
	struct htab by_wd; /* derived; guarded by inotify_mu */
	int32_t last_wd; /* saved: 3; guarded by inotify_mu */
	uint32_t max_queued; /* saved: 5; fs.inotify.max_queued_events when it was made */
	uint32_t uid; /* saved: 6; whose limits it counts for */
	struct mutex mu; /* nosave: nobody runs */
	struct list queue; /* saved: 4; in_event */
	uint32_t nr_queued; /* derived: length of queue */
};

struct watch { /* message: InotifyWatch */
	struct list group_node, inode_node; /* derived: linked in after_load */
	struct inotify *group; /* derived: whose message it is in */
	struct inode *inode; /* saved: 1, referenced */
	int32_t wd; /* saved: 2 */
	uint32_t mask; /* saved: 3 */
};

/* inode->marks */
struct fsnotify_marks {
	struct list watches; /* watch.inode_node */
};

struct linux_inotify_event {
	int32_t wd;
	uint32_t mask, cookie, len;
};

static struct mutex inotify_mu = MUTEX_INIT("inotify_mu");
static struct list groups = LIST_INIT(groups); /* inotify.all */
static const struct file_ops inotify_ops;

static struct inotify *inotify_of(struct file *f)
{
	return container_of(f, struct inotify, file);
}

/* --- queue --- */

static void queue_event(struct inotify *g, int32_t wd, uint32_t mask, const char *name, uint32_t cookie)
{
	size_t n = name ? MIN(strlen(name), (size_t)LINUX_NAME_MAX) : 0;
	struct in_event *last, *e;

	mutex_lock(&g->mu);
	last = list_empty(&g->queue) ? NULL : list_entry(g->queue.prev, struct in_event, node);
	if (last && last->wd == wd && last->mask == mask && last->name_len == n && !(mask & LINUX_IN_IGNORED) &&
	    (!n || !memcmp(last->name, name, n))) {
		mutex_unlock(&g->mu);
		return;
	}
	if (g->nr_queued >= g->max_queued) {
		if (last && (last->mask & LINUX_IN_Q_OVERFLOW)) {
			mutex_unlock(&g->mu);
			return;
		}
		wd = -1;
		mask = LINUX_IN_Q_OVERFLOW;
		cookie = 0;
		n = 0;
	}
	e = malloc(sizeof(*e) + n);
	if (e) {
		e->wd = wd;
		e->mask = mask;
		e->cookie = cookie;
		e->name_len = (uint32_t)n;
		if (n)
			memcpy(e->name, name, n);
		list_add_tail(&g->queue, &e->node);
		g->nr_queued++;
	}
	mutex_unlock(&g->mu);
	waitq_wake(&g->wq, POLL_READ);
}

/* What an event takes in a reader's buffer: the name is padded to whole headers, with at least one NUL. */
static size_t event_size(const struct in_event *e)
{
	size_t h = sizeof(struct linux_inotify_event);

	return h + (e->name_len ? ALIGN_UP(e->name_len + 1UL, h) : 0);
}

/* --- watches; inotify_mu held --- */

static struct watch *watch_find_locked(struct inotify *g, struct inode *i)
{
	struct fsnotify_marks *m = atomic_load(&i->marks);
	struct watch *w;

	if (m)
		list_for_each(w, &m->watches, inode_node)
			if (w->group == g)
				return w;
	return NULL;
}

/* Links @w to its inode (whose reference it has) and group. */
static int watch_link_locked(struct watch *w)
{
	struct fsnotify_marks *m = atomic_load(&w->inode->marks);

	if (!m) {
		m = malloc(sizeof(*m));
		if (!m)
			return -ENOMEM;
		list_init(&m->watches);
		atomic_store(&w->inode->marks, m);
	}
	if (htab_put(&w->group->by_wd, (uint64_t)w->wd, w) < 0)
		return -ENOMEM;
	list_add_tail(&m->watches, &w->inode_node);
	list_add_tail(&w->group->watches, &w->group_node);
	fsnotify_active = true;
	return 0;
}

/* Takes the watch off everything; the caller puts the returned inode with no lock held. */
static struct inode *watch_unlink_locked(struct watch *w)
{
	struct inode *i = w->inode;
	struct fsnotify_marks *m = atomic_load(&i->marks);

	list_del(&w->inode_node);
	list_del(&w->group_node);
	(void)htab_del(&w->group->by_wd, (uint64_t)w->wd);
	if (m && list_empty(&m->watches)) {
		atomic_store(&i->marks, NULL);
		free(m);
	}
	free(w);
	return i;
}

/* Inodes whose watch died while events were delivered under an inode lock: put later, from a context without locks. */
struct dead_inode {
	struct dead_inode *next;
	struct inode *inode;
};
static struct dead_inode *dead_inodes; /* guarded by inotify_mu */

static void bury_locked(struct inode *i)
{
	struct dead_inode *d = malloc(sizeof(*d));

	if (!d)
		return; /* the inode stays in memory: harmless */
	d->inode = i;
	d->next = dead_inodes;
	dead_inodes = d;
}

static void put_dead_inodes(void)
{
	struct dead_inode *d, *next;

	mutex_lock(&inotify_mu);
	d = dead_inodes;
	dead_inodes = NULL;
	mutex_unlock(&inotify_mu);
	for (; d; d = next) {
		next = d->next;
		inode_put(d->inode);
		free(d);
	}
}

/* --- events from the file systems --- */

void fsnotify_event(struct inode *i, uint32_t mask, const char *name, uint32_t cookie)
{
	struct fsnotify_marks *m;
	struct watch *w, *tmp;
	/* Events on the watched object itself never say that it is a directory when it moves or goes. */
	uint32_t shown = IN_ALL_F | LINUX_IN_UNMOUNT | (mask & (LINUX_IN_DELETE_SELF | LINUX_IN_MOVE_SELF) ? 0 : LINUX_IN_ISDIR);

	if (!atomic_load(&i->marks))
		return;
	mutex_lock(&inotify_mu);
	m = atomic_load(&i->marks);
	if (!m) {
		mutex_unlock(&inotify_mu);
		return;
	}
	/* Unlinking the last watch frees @m: the walk must not look at its head again. */
	for (w = list_first(&m->watches, struct watch, inode_node); w; w = tmp) {
		bool gone = mask & (LINUX_IN_DELETE_SELF | LINUX_IN_UNMOUNT);

		tmp = w->inode_node.next == &m->watches ? NULL : list_entry(w->inode_node.next, struct watch, inode_node);
		if (mask & w->mask & (IN_ALL_F | LINUX_IN_UNMOUNT) && !(mask & w->mask & IN_EXCL_UNLINK_F)) {
			queue_event(w->group, w->wd, mask & shown, name, cookie);
			gone = gone || (w->mask & IN_ONESHOT_F);
		}
		if (gone) {
			queue_event(w->group, w->wd, LINUX_IN_IGNORED, NULL, 0);
			bury_locked(watch_unlink_locked(w));
		}
	}
	mutex_unlock(&inotify_mu);
}

/* Watches hold references, so an inode that goes away has none. */
void fsnotify_inode_gone(struct inode *i)
{
	free(atomic_exchange(&i->marks, NULL));
}

void fsnotify_sb_gone(struct super_block *sb)
{
	struct inotify *g;
	struct watch *w, *tmp;

	mutex_lock(&inotify_mu);
	list_for_each(g, &groups, all)
		list_for_each_safe(w, tmp, &g->watches, group_node) {
			if (w->inode->sb != sb)
				continue;
			queue_event(g, w->wd, LINUX_IN_UNMOUNT, NULL, 0);
			queue_event(g, w->wd, LINUX_IN_IGNORED, NULL, 0);
			bury_locked(watch_unlink_locked(w));
		}
	mutex_unlock(&inotify_mu);
	put_dead_inodes();
}

/* --- the descriptor --- */

static int64_t inotify_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct inotify *g = inotify_of(f);
	int64_t done = 0;

	put_dead_inodes();
	mutex_lock(&g->mu);
	while (!list_empty(&g->queue)) {
		struct in_event *e = list_first(&g->queue, struct in_event, node);
		size_t size = event_size(e);
		struct linux_inotify_event h = { e->wd, e->mask, e->cookie, (uint32_t)(size - sizeof(h)) };

		if (size > u->left) {
			if (!done)
				done = -EINVAL;
			break;
		}
		list_del(&e->node);
		g->nr_queued--;
		if (uio_put(u, &h, sizeof(h)) != sizeof(h) ||
		    (h.len && (uio_put(u, e->name, e->name_len) != e->name_len ||
			       uio_put_zero(u, h.len - e->name_len) != (int64_t)(h.len - e->name_len)))) {
			free(e);
			if (!done)
				done = -EFAULT;
			break;
		}
		free(e);
		done += (int64_t)size;
	}
	mutex_unlock(&g->mu);
	return done ? done : -EAGAIN;
}

static uint32_t inotify_poll(struct file *f)
{
	struct inotify *g = inotify_of(f);
	uint32_t ev;

	mutex_lock(&g->mu);
	ev = g->nr_queued ? POLL_READ : 0;
	mutex_unlock(&g->mu);
	return ev;
}

static struct waitq *inotify_pollq(struct file *f)
{
	return &inotify_of(f)->wq;
}

static int64_t inotify_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct inotify *g = inotify_of(f);
	struct in_event *e;
	size_t n = 0;
	int32_t v;

	if (cmd != LINUX_FIONREAD)
		return -ENOTTY;
	mutex_lock(&g->mu);
	list_for_each(e, &g->queue, node)
		n += event_size(e);
	mutex_unlock(&g->mu);
	v = (int32_t)n;
	return copy_out(t, GADDR(arg), &v, sizeof(v));
}

static void inotify_release(struct file *f)
{
	struct inotify *g = inotify_of(f);
	struct watch *w, *tmp;
	struct in_event *e, *etmp;

	mutex_lock(&inotify_mu);
	list_for_each_safe(w, tmp, &g->watches, group_node)
		bury_locked(watch_unlink_locked(w));
	list_del(&g->all);
	mutex_unlock(&inotify_mu);
	put_dead_inodes();
	list_for_each_safe(e, etmp, &g->queue, node)
		free(e);
	htab_done(&g->by_wd);
	waitq_done(&g->wq);
	mutex_destroy(&g->mu);
	file_done(f);
	free(g);
}

static void inotify_show_fdinfo(struct file *f, struct strbuf *b)
{
	struct inotify *g = inotify_of(f);
	struct watch *w;

	mutex_lock(&inotify_mu);
	list_for_each(w, &g->watches, group_node)
		strbuf_addf(b, "inotify wd:%x ino:%lx sdev:%x mask:%x ignored_mask:0 \n", (unsigned)w->wd,
			    (unsigned long)w->inode->ino, 0u, w->mask & (IN_ALL_F | LINUX_IN_UNMOUNT));
	mutex_unlock(&inotify_mu);
}

static void inotify_show_name(struct file *f, struct strbuf *b)
{
	strbuf_adds(b, "anon_inode:inotify");
}

static const struct file_ops inotify_ops = {
	.name = "inotify",
	.state = &inotify_state_type,
	.release = inotify_release,
	.read = inotify_read,
	.poll = inotify_poll,
	.pollq = inotify_pollq,
	.llseek = file_noop_llseek,
	.ioctl = inotify_ioctl,
	.show_fdinfo = inotify_show_fdinfo,
	.show_name = inotify_show_name,
};

static void *inotify_alloc(void)
{
	struct inotify *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	ref_init(&g->file.ref);
	mutex_init(&g->mu, "inotify.mu");
	waitq_init(&g->wq);
	list_init(&g->watches);
	list_init(&g->queue);
	mutex_lock(&inotify_mu);
	list_add_tail(&groups, &g->all);
	mutex_unlock(&inotify_mu);
	return g;
}

/* --- system calls --- */

static uint32_t limit(const char *name, uint32_t dflt, uint32_t max)
{
	return (uint32_t)MIN(proc_sysctl_get(name, dflt), (uint64_t)max);
}

/* Groups and watches of @uid. inotify_mu held. */
static void count_user_locked(uint32_t uid, size_t *nr_groups, size_t *nr_watches)
{
	struct inotify *g;

	*nr_groups = *nr_watches = 0;
	list_for_each(g, &groups, all)
		if (g->uid == uid) {
			++*nr_groups;
			*nr_watches += g->by_wd.live;
		}
}

int inotify_new(struct task *t, uint32_t flags, struct file **ret)
{
	uint32_t max = limit("fs/inotify/max_user_instances", 128, INT32_MAX);
	struct inotify *g;
	size_t have, unused;

	mutex_lock(&inotify_mu);
	count_user_locked(t && t->cred ? t->cred->uid : 0, &have, &unused);
	mutex_unlock(&inotify_mu);
	if (have >= max)
		return -EMFILE;
	g = inotify_alloc();
	if (!g)
		return -ENOMEM;
	g->uid = t && t->cred ? t->cred->uid : 0;
	g->max_queued = limit("fs/inotify/max_queued_events", 16384, MAX_QUEUED);
	file_init(&g->file, &inotify_ops, LINUX_O_RDONLY | (flags & LINUX_O_NONBLOCK), t, NULL, NULL);
	*ret = &g->file;
	return 0;
}

static int64_t do_inotify_init(struct task *t, uint32_t flags)
{
	struct file *f;
	int r;

	if (flags & ~(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK))
		return -EINVAL;
	r = inotify_new(t, flags, &f);
	if (r)
		return r;
	r = fd_install(t, f, 0, flags & LINUX_O_CLOEXEC);
	if (r < 0)
		file_put(f);
	return r;
}

int64_t sys_inotify_init(struct task *t, const struct sys_args *a)
{
	return do_inotify_init(t, 0);
}

int64_t sys_inotify_init1(struct task *t, const struct sys_args *a)
{
	return do_inotify_init(t, ARG_U32(a, 0));
}

static int get_inotify(struct task *t, int fd, struct file **ret)
{
	struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	if (f->ops != &inotify_ops) {
		file_put(f);
		return -EINVAL;
	}
	*ret = f;
	return 0;
}

/* inotify_mu held; consumes the reference on @i (it stays with a new watch, else it is buried). @max: watches of a user. */
static int add_locked(struct inotify *g, struct inode *i, uint32_t mask, uint32_t max)
{
	size_t unused, have;
	struct watch *w = watch_find_locked(g, i);
	uint32_t bits = mask & (IN_ALL_F | IN_ONESHOT_F | IN_EXCL_UNLINK_F);
	int r;

	if (w) {
		bury_locked(i);
		if (mask & IN_MASK_CREATE_F)
			return -EEXIST;
		w->mask = mask & IN_MASK_ADD_F ? w->mask | bits : bits;
		return w->wd;
	}
	count_user_locked(g->uid, &unused, &have);
	w = calloc(1, sizeof(*w));
	if (!w || have >= max) {
		free(w);
		bury_locked(i);
		return w ? -ENOSPC : -ENOMEM;
	}
	w->group = g;
	w->inode = i;
	w->mask = bits;
	/* Numbers are not used again until they wrap. */
	do
		g->last_wd = g->last_wd == INT32_MAX ? 1 : g->last_wd + 1;
	while (htab_get(&g->by_wd, (uint64_t)g->last_wd));
	w->wd = g->last_wd;
	r = watch_link_locked(w);
	if (r) {
		free(w);
		bury_locked(i);
		return r;
	}
	return w->wd;
}

int inotify_watch(struct file *f, struct inode *i, uint32_t mask)
{
	uint32_t max = limit("fs/inotify/max_user_watches", 65536, MAX_WATCHES);
	int r;

	mutex_lock(&inotify_mu);
	r = add_locked(inotify_of(f), inode_get(i), mask, max);
	mutex_unlock(&inotify_mu);
	put_dead_inodes();
	return r;
}

int64_t sys_inotify_add_watch(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	_cleanup_path_ struct path p = { 0 };
	uint32_t mask = ARG_U32(a, 2), lookup = 0;
	struct inode *i;
	int r;

	if (!(mask & IN_VALID_F))
		return -EINVAL;
	if ((mask & IN_MASK_ADD_F) && (mask & IN_MASK_CREATE_F))
		return -EINVAL;
	r = get_inotify(t, ARG_INT(a, 0), &f);
	if (r)
		return r;
	if (!(mask & IN_DONT_FOLLOW_F))
		lookup |= LOOKUP_FOLLOW;
	if (mask & IN_ONLYDIR_F)
		lookup |= LOOKUP_DIRECTORY;
	r = namei_user(t, LINUX_AT_FDCWD, ARG_ADDR(a, 1), lookup, &p);
	if (r)
		return r;
	i = p.dentry->inode;
	r = inode_permission(i, t, vfs_cred(t), MAY_READ);
	if (r)
		return r;
	return inotify_watch(f, i, mask);
}

int64_t sys_inotify_rm_watch(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	int r = get_inotify(t, ARG_INT(a, 0), &f);
	struct inotify *g;
	struct watch *w;

	if (r)
		return r;
	g = inotify_of(f);
	mutex_lock(&inotify_mu);
	w = htab_get(&g->by_wd, (uint64_t)(int64_t)ARG_INT(a, 1));
	if (w) {
		queue_event(g, w->wd, LINUX_IN_IGNORED, NULL, 0);
		bury_locked(watch_unlink_locked(w));
	}
	mutex_unlock(&inotify_mu);
	put_dead_inodes();
	return w ? 0 : -EINVAL;
}

/* --- state --- */

static int inotify_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct inotify *g = obj;
	Sentry__Inotify *m = msg;
	const struct watch *wt;
	const struct in_event *e;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->last_wd = g->last_wd;
	m->max_queued = g->max_queued;
	m->uid = g->uid;
	m->watches = state_zalloc(w, g->by_wd.live, sizeof(*m->watches));
	list_for_each(wt, &g->watches, group_node) {
		Sentry__InotifyWatch *wm = state_new_msg(w, &sentry__inotify_watch__descriptor);

		wm->inode = inode_state_ref(w, wt->inode);
		wm->wd = wt->wd;
		wm->mask = wt->mask;
		m->watches[m->n_watches++] = wm;
	}
	m->queue = state_zalloc(w, g->nr_queued, sizeof(*m->queue));
	list_for_each(e, &g->queue, node) {
		Sentry__InotifyEvent *em = state_new_msg(w, &sentry__inotify_event__descriptor);

		em->wd = e->wd;
		em->mask = e->mask;
		em->cookie = e->cookie;
		em->name.data = (uint8_t *)(uintptr_t)e->name;
		em->name.len = e->name_len;
		m->queue[m->n_queue++] = em;
	}
	return file_save_base(w, &g->file, m->file_base);
}

static int inotify_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__Inotify *m = msg;
	struct inotify *g = obj;
	int err = state_check(r, m->last_wd >= 0 && m->n_watches <= MAX_WATCHES && m->n_queue <= MAX_QUEUED + 1 && m->max_queued <= MAX_QUEUED, "inotify sizes");

	if (!err)
		err = file_load_base(r, &g->file, &inotify_ops, m->file_base);
	g->last_wd = m->last_wd;
	g->max_queued = m->max_queued ? m->max_queued : 16384;
	g->uid = m->uid;
	for (size_t n = 0; !err && n < m->n_watches; n++) {
		const Sentry__InotifyWatch *wm = m->watches[n];
		struct watch *w = calloc(1, sizeof(*w));

		if (!w)
			return -ENOMEM;
		w->group = g;
		w->wd = wm->wd;
		w->mask = wm->mask;
		list_add_tail(&g->watches, &w->group_node);
		err = inode_state_deref(r, wm->inode, &w->inode);
		if (!err)
			err = state_check(r, w->inode && w->wd > 0, "inotify watch");
	}
	for (size_t n = 0; !err && n < m->n_queue; n++) {
		const Sentry__InotifyEvent *em = m->queue[n];
		struct in_event *e;

		err = state_check(r, em->name.len <= LINUX_NAME_MAX, "inotify event name");
		if (err)
			return err;
		e = malloc(sizeof(*e) + em->name.len);
		if (!e)
			return -ENOMEM;
		e->wd = em->wd;
		e->mask = em->mask;
		e->cookie = em->cookie;
		e->name_len = (uint32_t)em->name.len;
		if (em->name.len)
			memcpy(e->name, em->name.data, em->name.len);
		list_add_tail(&g->queue, &e->node);
		g->nr_queued++;
	}
	return err;
}

static int inotify_after_load(struct state_reader *r, void *obj)
{
	struct inotify *g = obj;
	struct list loaded = LIST_INIT(loaded);
	struct watch *w, *tmp;
	int err = 0;

	list_splice_tail(&loaded, &g->watches);
	mutex_lock(&inotify_mu);
	list_for_each_safe(w, tmp, &loaded, group_node) {
		err = state_check(r, !watch_find_locked(g, w->inode) && !htab_get(&g->by_wd, (uint64_t)w->wd), "inotify watch twice");
		if (err)
			break;
		list_del(&w->group_node);
		err = watch_link_locked(w);
		if (err)
			break;
	}
	mutex_unlock(&inotify_mu);
	if (!err)
		file_after_load_base(&g->file);
	return err;
}

const struct state_type inotify_state_type = {
	.id = STATE_ID_inotify,
	.name = "inotify",
	.desc = &sentry__inotify__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = inotify_alloc,
	.save = inotify_save,
	.load = inotify_load,
	.after_load = inotify_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
