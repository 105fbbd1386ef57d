/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advisory file locks. Contract in locks.h.
 *
 * Invariants (under file_locks.mu): ranges of one owner do not overlap and touching ones of one type are merged; a write lock overlaps
 * no lock of another owner. The owner of a POSIX lock is the descriptor table, of OFD and flock locks the open file: plain
 * addresses, not references, because the owner's end drops its locks.
 * Waiters sleep on file_locks.wq and try again when any lock of the file changes. `blocked` remembers who waits for whom among POSIX owners, to
 * find deadlocks; its mutex is a leaf below file_locks.mu.
 * Checkpoint: held locks travel with their inode; waiting calls re-run. Linux: fs/locks.c.
 */
#include "sentry/fs/locks.h"

#include <stdlib.h>

#include "base/strbuf.h"
#include "schemas/vfs.pb-c.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_type.h"
#include "sentry/kernel/task.h"
#include "state/state.h"

extern const struct state_type pid_state_type;

enum lock_kind { LOCK_POSIX, LOCK_OFD, LOCK_FLOCK };

struct lock { /* message: FileLock */
	struct list node; /* derived: in file_locks */
	enum lock_kind kind; /* saved: 1 */
	int type; /* saved: 2 */
	int64_t start, end; /* saved: 3, 4 */
	void *owner; /* saved: 5; fd_table or file, not referenced */
	struct pid *pid; /* saved: 6; referenced; POSIX only */
};

struct file_locks {
	struct mutex mu;
	struct list held; /* POSIX and OFD */
	struct list flocks;
	struct waitq wq;
};

static struct file_locks *locks_of(struct inode *i)
{
	struct file_locks *fl = atomic_load(&i->locks), *expected = NULL;

	if (fl)
		return fl;
	fl = calloc(1, sizeof(*fl));
	if (!fl)
		return NULL;
	mutex_init(&fl->mu, "file_locks.mu");
	list_init(&fl->held);
	list_init(&fl->flocks);
	waitq_init(&fl->wq);
	if (!atomic_compare_exchange_strong(&i->locks, &expected, fl)) {
		locks_free(fl);
		fl = expected;
	}
	return fl;
}

static void lock_free(struct lock *l)
{
	if (!l)
		return;
	if (l->pid)
		pid_put(l->pid);
	free(l);
}

static void free_list(struct list *head)
{
	struct lock *l;

	while ((l = list_first(head, struct lock, node))) {
		list_del(&l->node);
		lock_free(l);
	}
}

void locks_free(struct file_locks *fl)
{
	free_list(&fl->held);
	free_list(&fl->flocks);
	waitq_done(&fl->wq);
	mutex_destroy(&fl->mu);
	free(fl);
}

/* --- ranges; mu held --- */

static bool conflicts(const struct lock *held, const struct lock *want)
{
	if (held->owner == want->owner && held->kind == want->kind)
		return false;
	if (held->end < want->start || want->end < held->start)
		return false;
	return held->type == LINUX_F_WRLCK || want->type == LINUX_F_WRLCK;
}

static struct lock *find_conflict(struct list *head, const struct lock *want)
{
	struct lock *l;

	list_for_each(l, head, node)
		if (conflicts(l, want))
			return l;
	return NULL;
}

/* Puts @want (a new lock, or an unlock range with UNLCK) in place of what its owner had there. @spare: two unused locks for a split. Consumes
 * nothing; locks to free are moved to @gone. */
static void apply_range(struct file_locks *fl, struct lock *want, struct lock **spare, struct list *gone)
{
	struct lock *l, *tmp;

	list_for_each_safe(l, tmp, &fl->held, node) {
		if (l->owner != want->owner || l->kind != want->kind)
			continue;
		if (l->type == want->type) {
			/* Touching or overlapping locks of one type become one. */
			if ((want->start > 0 && l->end < want->start - 1) || (l->start > 0 && want->end < l->start - 1))
				continue;
			want->start = MIN(want->start, l->start);
			want->end = MAX(want->end, l->end);
			list_del(&l->node);
			list_add(gone, &l->node);
			continue;
		}
		if (l->end < want->start || want->end < l->start)
			continue;
		if (l->start < want->start && l->end > want->end) { /* split in two */
			struct lock *hi = TAKE_PTR(*spare);

			*hi = *l;
			if (hi->pid)
				(void)pid_get(hi->pid);
			hi->start = want->end + 1;
			l->end = want->start - 1;
			list_add(&l->node, &hi->node);
		} else if (l->start < want->start) {
			l->end = want->start - 1;
		} else if (l->end > want->end) {
			l->start = want->end + 1;
		} else {
			list_del(&l->node);
			list_add(gone, &l->node);
		}
	}
	if (want->type != LINUX_F_UNLCK)
		list_add_tail(&fl->held, &want->node);
}

/* --- deadlocks --- */

struct blocked {
	struct list node;
	void *owner, *waits_for;
};

static struct mutex blocked_mu = MUTEX_INIT("locks.blocked_mu");
static struct list blocked = LIST_INIT(blocked);

/* Would @owner waiting for @holder close a circle? Registers the wait when not. */
static bool block_on_owner(struct blocked *b, void *owner, void *holder)
{
	void *at = holder;

	mutex_guard(&blocked_mu);
	list_del(&b->node);
	for (int hops = 0; hops < 64; hops++) {
		struct blocked *o, *next = NULL;

		if (at == owner)
			return true;
		list_for_each(o, &blocked, node)
			if (o->owner == at)
				next = o;
		if (!next)
			break;
		at = next->waits_for;
	}
	b->owner = owner;
	b->waits_for = holder;
	list_add(&blocked, &b->node);
	return false;
}

static void unblock_owner(struct blocked *b)
{
	mutex_guard(&blocked_mu);
	list_del(&b->node);
}

/* --- fcntl --- */

static int convert(struct file *f, struct task *t, const struct linux_flock *fl, int64_t *ret_start, int64_t *ret_end)
{
	int64_t base, start, end;
	struct kstat st;
	int err;

	switch (fl->l_whence) {
	case LINUX_SEEK_SET:
		base = 0;
		break;
	case LINUX_SEEK_CUR:
		mutex_lock(&f->pos_mu);
		base = f->pos;
		mutex_unlock(&f->pos_mu);
		break;
	case LINUX_SEEK_END:
		err = inode_getattr(f->inode, t, &st);
		if (err)
			return err;
		base = (int64_t)st.size;
		break;
	default:
		return -EINVAL;
	}
	if (add_overflow(base, fl->l_start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	if (fl->l_len > 0) {
		if (add_overflow(start, fl->l_len - 1, &end))
			return -EOVERFLOW;
	} else if (fl->l_len < 0) {
		end = start - 1;
		start += fl->l_len;
		if (start < 0)
			return -EINVAL;
	} else {
		end = INT64_MAX;
	}
	*ret_start = start;
	*ret_end = end;
	return 0;
}

static int try_range(struct file_locks *fl, struct lock **want, struct lock **spare, void **ret_holder)
{
	struct list gone = LIST_INIT(gone);
	struct lock *w = *want, *c;

	mutex_lock(&fl->mu);
	c = w->type == LINUX_F_UNLCK ? NULL : find_conflict(&fl->held, w);
	if (c) {
		*ret_holder = c->kind == LOCK_POSIX ? c->owner : NULL;
		mutex_unlock(&fl->mu);
		return -EAGAIN;
	}
	apply_range(fl, w, spare, &gone);
	if (w->type != LINUX_F_UNLCK)
		*want = NULL; /* it is in the list now */
	mutex_unlock(&fl->mu);
	free_list(&gone);
	waitq_wake(&fl->wq, ~0u);
	return 0;
}

static int64_t wait_range(struct task *t, struct file_locks *fl, struct lock **want, struct lock **spare)
{
	struct blocked b = { 0 };
	struct waiter w = { 0 };
	void *holder = NULL;
	int64_t r;

	list_init(&b.node);
	task_waiter_init(&w, t, ~0u);
	waitq_add(&fl->wq, &w);
	task_block_prepare(t);
	for (;;) {
		r = try_range(fl, want, spare, &holder);
		if (r != -EAGAIN)
			break;
		if ((*want)->kind == LOCK_POSIX && holder && block_on_owner(&b, (*want)->owner, holder)) {
			r = -EDEADLK;
			break;
		}
		r = task_block(t, TIME_FOREVER);
		if (r)
			break;
	}
	unblock_owner(&b);
	waitq_del(&w);
	return r;
}

int64_t locks_fcntl_set(struct task *t, struct file *f, const struct linux_flock *l, bool ofd, bool wait)
{
	struct file_locks *fl;
	struct lock *want, *spare;
	void *holder;
	int64_t r;

	if (ofd && l->l_pid)
		return -EINVAL;
	if (l->l_type != LINUX_F_RDLCK && l->l_type != LINUX_F_WRLCK && l->l_type != LINUX_F_UNLCK)
		return -EINVAL;
	if ((l->l_type == LINUX_F_RDLCK && !f->readable) || (l->l_type == LINUX_F_WRLCK && !f->writable))
		return -EBADF;
	want = calloc(1, sizeof(*want));
	spare = calloc(1, sizeof(*spare));
	fl = locks_of(f->inode);
	if (!want || !spare || !fl) {
		free(want);
		free(spare);
		return -ENOLCK;
	}
	r = convert(f, t, l, &want->start, &want->end);
	if (!r) {
		want->type = l->l_type;
		want->kind = ofd ? LOCK_OFD : LOCK_POSIX;
		want->owner = ofd ? (void *)f : (void *)t->files;
		if (!ofd && t->tg)
			want->pid = pid_get(t->tg->pid);
		r = try_range(fl, &want, &spare, &holder);
		if (r == -EAGAIN && wait)
			r = wait_range(t, fl, &want, &spare);
	}
	lock_free(want);
	free(spare);
	return r;
}

int locks_fcntl_get(struct task *t, struct file *f, struct linux_flock *l, bool ofd)
{
	struct file_locks *fl = atomic_load(&f->inode->locks);
	struct lock want = { 0 }, *c = NULL;
	int err;

	if (ofd && l->l_pid)
		return -EINVAL;
	if (l->l_type != LINUX_F_RDLCK && l->l_type != LINUX_F_WRLCK)
		return -EINVAL;
	err = convert(f, t, l, &want.start, &want.end);
	if (err)
		return err;
	want.type = l->l_type;
	want.kind = ofd ? LOCK_OFD : LOCK_POSIX;
	want.owner = ofd ? (void *)f : (void *)t->files;
	if (!fl) {
		l->l_type = LINUX_F_UNLCK;
		return 0;
	}
	mutex_guard(&fl->mu);
	c = find_conflict(&fl->held, &want);
	if (!c) {
		l->l_type = LINUX_F_UNLCK;
		return 0;
	}
	l->l_type = (int16_t)c->type;
	l->l_whence = LINUX_SEEK_SET;
	l->l_start = c->start;
	l->l_len = c->end == INT64_MAX ? 0 : c->end - c->start + 1;
	l->l_pid = c->kind == LOCK_OFD ? -1 : c->pid ? pid_nr(c->pid, t) : 0;
	return 0;
}

/* --- flock --- */

static bool drop_owned(struct file_locks *fl, struct list *head, enum lock_kind kind, const void *owner, int keep_type)
{
	struct list gone = LIST_INIT(gone);
	struct lock *l, *tmp;
	bool any;

	mutex_lock(&fl->mu);
	list_for_each_safe(l, tmp, head, node)
		if (l->kind == kind && l->owner == owner && l->type != keep_type) {
			list_del(&l->node);
			list_add(&gone, &l->node);
		}
	mutex_unlock(&fl->mu);
	any = !list_empty(&gone);
	free_list(&gone);
	if (any)
		waitq_wake(&fl->wq, ~0u);
	return any;
}

struct flock_arg {
	struct file_locks *fl;
	struct lock **want;
};

static int64_t try_flock(void *arg)
{
	struct flock_arg *a = arg;
	struct lock *l, *w = *a->want;

	mutex_guard(&a->fl->mu);
	list_for_each(l, &a->fl->flocks, node) {
		if (l->owner == w->owner) {
			*a->want = NULL;
			lock_free(w);
			return 1; /* of the same type: the other was dropped */
		}
		if (l->type == LINUX_F_WRLCK || w->type == LINUX_F_WRLCK)
			return -EAGAIN;
	}
	list_add_tail(&a->fl->flocks, &w->node);
	*a->want = NULL;
	return 1;
}

int64_t locks_flock(struct task *t, struct file *f, int op)
{
	bool nonblock = op & LINUX_LOCK_NB;
	struct file_locks *fl;
	struct lock *want;
	struct flock_arg a;
	int64_t r;
	int type;

	switch (op & ~LINUX_LOCK_NB) {
	case LINUX_LOCK_SH:
		type = LINUX_F_RDLCK;
		break;
	case LINUX_LOCK_EX:
		type = LINUX_F_WRLCK;
		break;
	case LINUX_LOCK_UN:
		type = LINUX_F_UNLCK;
		break;
	default:
		return -EINVAL;
	}
	fl = locks_of(f->inode);
	if (!fl)
		return -ENOLCK;
	(void)drop_owned(fl, &fl->flocks, LOCK_FLOCK, f, type);
	if (type == LINUX_F_UNLCK)
		return 0;
	want = calloc(1, sizeof(*want));
	if (!want)
		return -ENOLCK;
	*want = (struct lock){ .kind = LOCK_FLOCK, .type = type, .end = INT64_MAX, .owner = f };
	a = (struct flock_arg){ .fl = fl, .want = &want };
	r = try_flock(&a);
	if (r == -EAGAIN && !nonblock)
		r = task_wait_on(t, &fl->wq, ~0u, TIME_FOREVER, try_flock, &a);
	lock_free(want);
	return r == 1 ? 0 : r;
}

/* --- ends of owners --- */

void locks_close_posix(struct fd_table *ft, struct file *f)
{
	struct file_locks *fl = f->inode ? atomic_load(&f->inode->locks) : NULL;

	if (fl)
		(void)drop_owned(fl, &fl->held, LOCK_POSIX, ft, -1);
}

void locks_release_file(struct file *f)
{
	struct file_locks *fl = atomic_load(&f->inode->locks);

	if (!fl)
		return;
	(void)drop_owned(fl, &fl->held, LOCK_OFD, f, -1);
	(void)drop_owned(fl, &fl->flocks, LOCK_FLOCK, f, -1);
}

void locks_show(struct inode *i, struct task *viewer, struct strbuf *b, unsigned *nr)
{
	static const char *const kinds[] = { "POSIX ", "OFDLCK", "FLOCK " };
	struct file_locks *fl = atomic_load(&i->locks);
	struct lock *l;

	if (!fl)
		return;
	mutex_guard(&fl->mu);
	for (int pass = 0; pass < 2; pass++)
		list_for_each(l, pass ? &fl->flocks : &fl->held, node) {
			strbuf_addf(b, "%u: %s ADVISORY  %s %d %02x:%02x:%llu %lld ", ++*nr, kinds[l->kind],
				    l->type == LINUX_F_WRLCK ? "WRITE" : "READ ", l->pid ? pid_nr(l->pid, viewer) : -1,
				    dev_major(i->sb->dev), dev_minor(i->sb->dev), (unsigned long long)i->ino, (long long)l->start);
			if (l->end == INT64_MAX)
				strbuf_adds(b, "EOF\n");
			else
				strbuf_addf(b, "%lld\n", (long long)l->end);
		}
}

/* --- state --- */

static size_t count(const struct list *head)
{
	const struct list *n;
	size_t c = 0;

	for (n = head->next; n != head; n = n->next)
		c++;
	return c;
}

int locks_save(struct state_writer *w, const struct inode *i, struct Sentry__FileLock ***ret, size_t *n)
{
	struct file_locks *fl = atomic_load((_Atomic(struct file_locks *) *)(uintptr_t)&i->locks);
	const struct lock *l;
	Sentry__FileLock **v;

	if (!fl)
		return 0;
	v = state_zalloc(w, count(&fl->held) + count(&fl->flocks), sizeof(*v));
	for (int pass = 0; pass < 2; pass++)
		list_for_each(l, pass ? &fl->flocks : &fl->held, node) {
			Sentry__FileLock *m = state_new_msg(w, &sentry__file_lock__descriptor);

			m->kind = l->kind;
			m->type = (uint32_t)l->type;
			m->start = (uint64_t)l->start;
			m->end = (uint64_t)l->end;
			m->owner = l->kind == LOCK_POSIX ? state_ref(w, &fd_table_state_type, l->owner) : file_state_ref(w, l->owner);
			m->pid = state_ref(w, &pid_state_type, l->pid);
			v[(*n)++] = m;
		}
	*ret = v;
	return 0;
}

int locks_load(struct state_reader *r, struct inode *i, struct Sentry__FileLock **v, size_t n)
{
	struct file_locks *fl = n ? locks_of(i) : NULL;

	if (n && !fl)
		return -ENOMEM;
	for (size_t k = 0; k < n; k++) {
		const Sentry__FileLock *m = v[k];
		struct file *f = NULL;
		void *ft = NULL, *pid = NULL;
		struct lock *l;
		int err = state_check(r, m->kind <= LOCK_FLOCK && m->type <= LINUX_F_WRLCK, "unknown kind of lock");

		if (!err)
			err = state_check(r, m->end <= INT64_MAX && m->start <= m->end, "bad lock range");
		if (!err)
			err = m->kind == LOCK_POSIX ? state_deref(r, m->owner, &fd_table_state_type, &ft) : file_state_deref(r, m->owner, &f);
		if (!err)
			err = state_check(r, ft || f, "lock without owner");
		if (!err)
			err = state_deref(r, m->pid, &pid_state_type, &pid);
		if (err)
			return err;
		/* Owners are not referenced by their locks; the loader keeps them alive meanwhile. */
		if (ft)
			fd_table_put(ft, NULL);
		else
			(void)ref_put(&f->ref);
		l = calloc(1, sizeof(*l));
		if (!l)
			return -ENOMEM;
		*l = (struct lock){ .kind = m->kind, .type = (int)m->type, .start = (int64_t)m->start, .end = (int64_t)m->end,
				    .owner = ft ? ft : (void *)f, .pid = pid };
		list_add_tail(l->kind == LOCK_FLOCK ? &fl->flocks : &fl->held, &l->node);
	}
	return 0;
}
