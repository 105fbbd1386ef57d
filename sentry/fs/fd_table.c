/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptor tables. See fd_table.h.
 *
 * A slot is free, reserved (a number given out, no file yet) or used. Arrays grow by doubling up to NR_OPEN.
 * Checkpoint: used slots. A reservation never lives across a freeze: calls that reserve do not block until they commit or give it back.
 * Linux: fs/file.c.
 */
#include "sentry/fs/fd_table.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/file.pb-c.h"
#include "sentry/abi/fs.h"
#include "sentry/fs/locks.h"
#include "sentry/kernel/task.h"
#include "state/state.h"

#define NR_OPEN	     (1 << 20)
#define FIRST_SLOTS  64
#define RLIMIT_NOFILE_NR 7

struct fd_slot {
	struct file *f; /* referenced */
	bool cloexec, reserved;
};

struct fd_table {
	struct ref ref; /* nosave: counted again by state_deref() */
	struct mutex mu; /* nosave: free when frozen */
	struct fd_slot *slots; /* saved: 1 */
	int cap; /* derived: allocated slots */
	int next; /* derived: no free slot below */
};

struct fd_table *fd_table_new(void)
{
	struct fd_table *ft = calloc(1, sizeof(*ft));

	if (!ft)
		return NULL;
	ref_init(&ft->ref);
	mutex_init(&ft->mu, "fd_table.mu");
	return ft;
}

struct fd_table *fd_table_get(struct fd_table *ft)
{
	ref_get(&ft->ref);
	return ft;
}

bool fd_table_shared(const struct fd_table *ft)
{
	return ref_count(&ft->ref) > 1;
}

static int grow_locked(struct fd_table *ft, int need)
{
	int cap = ft->cap ? ft->cap : FIRST_SLOTS;
	struct fd_slot *n;

	if (need >= NR_OPEN)
		return -EMFILE;
	while (cap <= need)
		cap *= 2;
	if (cap == ft->cap)
		return 0;
	n = realloc(ft->slots, (size_t)cap * sizeof(*n));
	if (!n)
		return -ENOMEM;
	memset(n + ft->cap, 0, (size_t)(cap - ft->cap) * sizeof(*n));
	ft->slots = n;
	ft->cap = cap;
	return 0;
}

static bool used_locked(const struct fd_table *ft, int fd)
{
	return fd >= 0 && fd < ft->cap && ft->slots[fd].f;
}

/* What closing one descriptor means besides the reference. */
static int close_file(struct fd_table *ft, struct file *f, struct task *t)
{
	locks_close_posix(ft, f);
	if (f->ops->flush)
		f->ops->flush(f, t);
	file_put(f);
	return 0;
}

void fd_table_put(struct fd_table *ft, struct task *t)
{
	if (!ft || !ref_put(&ft->ref))
		return;
	for (int fd = 0; fd < ft->cap; fd++)
		if (ft->slots[fd].f)
			(void)close_file(ft, TAKE_PTR(ft->slots[fd].f), t);
	free(ft->slots);
	mutex_destroy(&ft->mu);
	free(ft);
}

struct fd_table *fd_table_dup(struct fd_table *ft)
{
	struct fd_table *n = fd_table_new();
	int last = -1;

	if (!n)
		return NULL;
	mutex_lock(&ft->mu);
	for (int fd = 0; fd < ft->cap; fd++)
		if (ft->slots[fd].f)
			last = fd;
	if (last >= 0 && grow_locked(n, last) < 0) {
		mutex_unlock(&ft->mu);
		fd_table_put(n, NULL);
		return NULL;
	}
	for (int fd = 0; fd <= last; fd++)
		if (ft->slots[fd].f)
			n->slots[fd] = (struct fd_slot){ .f = file_get(ft->slots[fd].f), .cloexec = ft->slots[fd].cloexec };
	mutex_unlock(&ft->mu);
	return n;
}

void fd_table_close_on_exec(struct fd_table *ft, struct task *t)
{
	for (int fd = 0;; fd++) {
		struct file *f = NULL;

		mutex_lock(&ft->mu);
		while (fd < ft->cap && !(ft->slots[fd].f && ft->slots[fd].cloexec))
			fd++;
		if (fd >= ft->cap) {
			mutex_unlock(&ft->mu);
			return;
		}
		f = ft->slots[fd].f;
		ft->slots[fd] = (struct fd_slot){ 0 };
		ft->next = MIN(ft->next, fd);
		mutex_unlock(&ft->mu);
		(void)close_file(ft, f, t);
	}
}

struct file *fd_table_lookup(struct fd_table *ft, int fd)
{
	mutex_guard(&ft->mu);
	return used_locked(ft, fd) ? file_get(ft->slots[fd].f) : NULL;
}

struct file *fd_get_raw(struct task *t, int fd)
{
	if (unlikely(t->given != NULL) && fd <= GIVEN_FD(0) && fd > GIVEN_FD(TASK_GIVEN_FDS)) {
		struct file *f = t->given->file[GIVEN_FD(0) - fd];

		return f ? file_get(f) : NULL;
	}
	return t->files ? fd_table_lookup(t->files, fd) : NULL;
}

struct file *fd_get(struct task *t, int fd)
{
	struct file *f = fd_get_raw(t, fd);

	if (f && f->flags & LINUX_O_PATH) {
		file_put(f);
		return NULL;
	}
	return f;
}

static int nofile(struct task *t)
{
	return (int)MIN(task_rlimit(t, RLIMIT_NOFILE_NR), (uint64_t)NR_OPEN);
}

int fd_reserve(struct task *t, int min, bool cloexec)
{
	struct fd_table *ft = t->files;
	int limit = nofile(t), fd, err;

	if (min < 0 || min >= limit)
		return min < 0 ? -EINVAL : min ? -EINVAL : -EMFILE;
	mutex_guard(&ft->mu);
	for (fd = MAX(min, ft->next); fd < ft->cap; fd++)
		if (!ft->slots[fd].f && !ft->slots[fd].reserved)
			break;
	if (fd >= limit)
		return -EMFILE;
	err = grow_locked(ft, fd);
	if (err)
		return err;
	ft->slots[fd] = (struct fd_slot){ .cloexec = cloexec, .reserved = true };
	if (min <= ft->next)
		ft->next = fd + 1;
	return fd;
}

void fd_commit(struct task *t, int fd, struct file *f)
{
	struct fd_table *ft = t->files;

	mutex_guard(&ft->mu);
	ft->slots[fd].f = f;
	ft->slots[fd].reserved = false;
}

void fd_unreserve(struct task *t, int fd)
{
	struct fd_table *ft = t->files;

	mutex_guard(&ft->mu);
	ft->slots[fd] = (struct fd_slot){ 0 };
	ft->next = MIN(ft->next, fd);
}

int fd_install(struct task *t, struct file *f, int min, bool cloexec)
{
	int fd = fd_reserve(t, min, cloexec);

	if (fd >= 0)
		fd_commit(t, fd, f);
	return fd;
}

int fd_replace(struct task *t, struct file *f, int fd, bool cloexec, struct file **ret_old)
{
	struct fd_table *ft = t->files;
	int err;

	if (fd < 0 || fd >= nofile(t))
		return -EBADF;
	mutex_lock(&ft->mu);
	err = grow_locked(ft, fd);
	if (!err && ft->slots[fd].reserved)
		err = -EBUSY;
	if (err) {
		mutex_unlock(&ft->mu);
		return err;
	}
	*ret_old = ft->slots[fd].f;
	ft->slots[fd] = (struct fd_slot){ .f = f, .cloexec = cloexec };
	mutex_unlock(&ft->mu);
	return fd;
}

void fd_table_closed(struct fd_table *ft, struct file *old, struct task *t)
{
	(void)close_file(ft, old, t);
}

int fd_install_at(struct task *t, struct file *f, int fd, bool cloexec)
{
	struct file *old = NULL;
	int r = fd_replace(t, f, fd, cloexec, &old);

	if (old)
		(void)close_file(t->files, old, t);
	return r;
}

static struct file *take_locked(struct fd_table *ft, int fd)
{
	struct file *f = ft->slots[fd].f;

	ft->slots[fd] = (struct fd_slot){ 0 };
	ft->next = MIN(ft->next, fd);
	return f;
}

int fd_close(struct task *t, int fd)
{
	struct fd_table *ft = t->files;
	struct file *f = NULL;

	mutex_lock(&ft->mu);
	if (used_locked(ft, fd))
		f = take_locked(ft, fd);
	mutex_unlock(&ft->mu);
	return f ? close_file(ft, f, t) : -EBADF;
}

int fd_close_range(struct task *t, unsigned first, unsigned last, bool cloexec_only)
{
	struct fd_table *ft = t->files;

	if (first > last)
		return -EINVAL;
	for (unsigned fd = first;; fd++) {
		struct file *f;

		mutex_lock(&ft->mu);
		if (cloexec_only) {
			for (; fd <= last && fd < (unsigned)ft->cap; fd++)
				if (ft->slots[fd].f)
					ft->slots[fd].cloexec = true;
			mutex_unlock(&ft->mu);
			return 0;
		}
		while (fd <= last && fd < (unsigned)ft->cap && !ft->slots[fd].f)
			fd++;
		if (fd > last || fd >= (unsigned)ft->cap) {
			mutex_unlock(&ft->mu);
			return 0;
		}
		f = take_locked(ft, (int)fd);
		mutex_unlock(&ft->mu);
		(void)close_file(ft, f, t);
	}
}

int fd_get_cloexec(struct task *t, int fd)
{
	mutex_guard(&t->files->mu);
	return used_locked(t->files, fd) ? t->files->slots[fd].cloexec : -EBADF;
}

bool fd_table_cloexec(struct fd_table *ft, int fd)
{
	mutex_guard(&ft->mu);
	return used_locked(ft, fd) && ft->slots[fd].cloexec;
}

int fd_set_cloexec(struct task *t, int fd, bool on)
{
	mutex_guard(&t->files->mu);
	if (!used_locked(t->files, fd))
		return -EBADF;
	t->files->slots[fd].cloexec = on;
	return 0;
}

int fd_table_next(struct fd_table *ft, int from)
{
	mutex_guard(&ft->mu);
	for (int fd = MAX(from, 0); fd < ft->cap; fd++)
		if (ft->slots[fd].f)
			return fd;
	return -1;
}

/* --- state --- */

static void *fd_table_alloc(void)
{
	return fd_table_new();
}

static int fd_table_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct fd_table *ft = obj;
	Sentry__FdTable *m = msg;
	size_t n = 0;

	for (int fd = 0; fd < ft->cap; fd++)
		n += ft->slots[fd].f != NULL;
	m->slots = state_zalloc(w, n, sizeof(*m->slots));
	for (int fd = 0; fd < ft->cap; fd++) {
		Sentry__FdSlot *s;

		if (!ft->slots[fd].f)
			continue;
		s = state_new_msg(w, &sentry__fd_slot__descriptor);
		s->fd = (uint32_t)fd;
		s->file = file_state_ref(w, ft->slots[fd].f);
		s->cloexec = ft->slots[fd].cloexec;
		m->slots[m->n_slots++] = s;
	}
	return 0;
}

static int fd_table_load(struct state_reader *r, void *obj, const void *msg)
{
	struct fd_table *ft = obj;
	const Sentry__FdTable *m = msg;

	for (size_t n = 0; n < m->n_slots; n++) {
		const Sentry__FdSlot *s = m->slots[n];
		struct file *f = NULL;
		int err = state_check(r, s->fd < NR_OPEN, "descriptor out of range");

		if (!err)
			err = grow_locked(ft, (int)s->fd);
		if (!err)
			err = state_check(r, !ft->slots[s->fd].f, "descriptor listed twice");
		if (!err)
			err = file_state_deref(r, s->file, &f);
		if (!err)
			err = state_check(r, f != NULL, "descriptor without file");
		if (err)
			return err;
		ft->slots[s->fd] = (struct fd_slot){ .f = f, .cloexec = s->cloexec };
	}
	return 0;
}

static void fd_table_state_get(void *ft)
{
	(void)fd_table_get(ft);
}

static void fd_table_state_put(void *ft)
{
	fd_table_put(ft, NULL);
}

const struct state_type fd_table_state_type = {
	.id = STATE_ID_fd_table,
	.name = "fd_table",
	.desc = &sentry__fd_table__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = fd_table_alloc,
	.save = fd_table_save,
	.load = fd_table_load,
	.get = fd_table_state_get,
	.put = fd_table_state_put,
};
