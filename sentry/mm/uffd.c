/* SPDX-License-Identifier: Apache-2.0 */
/*
 * userfaultfd contexts: registration, faults that sleep, messages to the reader. Contract in uffd.h; what the reader does to pages is
 * in uffd_fill.c, saving in uffd_state.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/mm/uffd_internal.h"
#include "state/state.h"

int uffd_ctx_new(struct mm *mm, uint32_t flags, struct uffd_ctx **ret)
{
	struct uffd_ctx *c = uffd_ctx_state_type.alloc();

	if (!c)
		return -ENOMEM;
	c->mm = mm_get(mm);
	c->flags = flags;
	*ret = c;
	return 0;
}

struct uffd_ctx *uffd_ctx_get(struct uffd_ctx *c)
{
	if (c)
		ref_get(&c->ref);
	return c;
}

void uffd_ctx_put(struct uffd_ctx *c)
{
	struct uffd_fault *f;
	struct uffd_event *e;

	if (!c || !ref_put(&c->ref))
		return;
	while ((f = list_first(&c->faults, struct uffd_fault, node))) {
		list_del(&f->node);
		free(f);
	}
	while ((e = list_first(&c->events, struct uffd_event, node))) {
		list_del(&e->node);
		uffd_ctx_put(e->child);
		free(e);
	}
	waitq_done(&c->wq);
	mutex_destroy(&c->mu);
	mm_put(c->mm);
	free(c);
}

struct mm *uffd_mm(const struct uffd_ctx *c)
{
	return c->mm;
}

struct waitq *uffd_pollq(struct uffd_ctx *c)
{
	return &c->wq;
}

int64_t uffd_features(struct uffd_ctx *c)
{
	mutex_guard(&c->mu);
	return c->ready ? (int64_t)c->features : -EINVAL;
}

int uffd_set_features(struct uffd_ctx *c, uint32_t features)
{
	mutex_guard(&c->mu);
	if (c->ready)
		return -EINVAL;
	c->ready = true;
	c->features = features;
	return 0;
}

bool uffd_changing(struct uffd_ctx *c)
{
	mutex_guard(&c->mu);
	return c->changing != 0;
}

/* --- registrations --- */

void uffd_vma_clear(struct mm *mm, struct vma *v)
{
	bool wp = v->flags & VMA_UFFD_WP;

	v->flags &= ~VMA_UFFD;
	v->uffd = NULL;
	if (!wp)
		return;
	for (struct range *i = rangemap_first_in(&mm->pmas, v->r.start, v->r.end); i && i->start < v->r.end; i = i->next)
		pma_of(i)->wp = false;
	pma_reprotect(mm, NULL, v, v->r.start, v->r.end);
}

int uffd_object_has(struct vma *v, uint64_t page)
{
	return v->obj->ops->present(v->obj, v->off + (page - v->r.start));
}

/* Anonymous memory or one of the kernel's own objects, which says what it has. */
static bool registrable(const struct vma *v, uint32_t flags)
{
	if (v->flags & VMA_SPECIAL)
		return false;
	if (!v->obj)
		return !(flags & VMA_UFFD_MINOR);
	return v->obj->ops->present && !(flags & VMA_UFFD_WP);
}

static bool zero_page(struct memfile *mf, uint64_t off)
{
	uint64_t len = PAGE_SIZE;
	const char *p = memfile_look(mf, off, &len);

	return p && p[0] == 0 && memcmp(p, p + 1, PAGE_SIZE - 1) == 0;
}

/*
 * Of private pages, faults may have filled more than the application touched: what is a hole, or nothing but zeroes, was not there.
 * (DEVIATION: nor is a page that the application itself filled with zeroes.)
 */
static int prune(struct mm *mm, uint64_t start, uint64_t end)
{
	int r = 0;

	for (uint64_t pos = start; r == 0 && pos < end;) {
		struct range *i = rangemap_first_in(&mm->pmas, pos, end);
		uint64_t off, n, stop;

		if (!i)
			break;
		pos = MAX(pos, i->start);
		n = MIN(end, i->end) - pos;
		stop = pos + n;
		if (!pma_of(i)->priv) {
			r = pma_drop_range(mm, NULL, pos, stop, false);
			pos = stop;
			continue;
		}
		off = pma_of(i)->off + (pos - i->start);
		if (!memfile_is_hole(mm->mf, off, n)) {
			n = MIN(n, WINDOW_MIN);
			if (!memfile_is_hole(mm->mf, off, n)) {
				n = PAGE_SIZE;
				if (!zero_page(mm->mf, off)) {
					pos += n;
					continue;
				}
			}
		}
		r = pma_drop_range(mm, NULL, pos, pos + n, false);
		pos += n;
	}
	return r;
}

/* May all of [start, end) be registered with @c? */
static int check_range(struct uffd_ctx *c, uint64_t start, uint64_t end, uint32_t flags)
{
	struct vma *v = vma_first_in(c->mm, start, end);

	if (!v)
		return -EINVAL;
	for (; v && v->r.start < end; v = vma_next(v)) {
		if (!registrable(v, flags))
			return -EINVAL;
		if (!(v->max_prot & LINUX_PROT_WRITE))
			return -EPERM;
		if (v->uffd && v->uffd != c)
			return -EBUSY;
	}
	return 0;
}

int uffd_register(struct uffd_ctx *c, uint64_t start, uint64_t len, uint32_t mode)
{
	uint32_t vma_flags = (mode & LINUX_UFFD_MODE_MISSING ? VMA_UFFD_MISSING : 0) | (mode & LINUX_UFFD_MODE_WP ? VMA_UFFD_WP : 0) |
			     (mode & LINUX_UFFD_MODE_MINOR ? VMA_UFFD_MINOR : 0);
	struct mm *mm = c->mm;
	uint64_t end = start + len;
	int r;

	if (atomic_load(&mm->users) == 0)
		return -ENOMEM;
	mm_wlock(mm);
	r = check_range(c, start, end, vma_flags);
	if (r == 0)
		r = rangemap_isolate(&mm->vmas, start, end);
	for (struct vma *v = r == 0 ? vma_first_in(mm, start, end) : NULL; r == 0 && v && v->r.start < end; v = vma_next(v)) {
		if (v->uffd && (v->flags & VMA_UFFD) == vma_flags)
			continue;
		if (v->obj || (vma_flags & VMA_UFFD_MISSING))
			r = prune(mm, v->r.start, v->r.end);
		if (r < 0)
			break;
		if (!v->uffd)
			v->uffd = uffd_ctx_get(c);
		v->flags = (v->flags & ~VMA_UFFD) | vma_flags;
	}
	rangemap_merge_in(&mm->vmas, start, end);
	mm_wunlock(mm);
	return r;
}

/* Ends the registrations with @c in [start, end), which are whole VMAs. @c is referenced by the caller. */
static void clear_range(struct uffd_ctx *c, uint64_t start, uint64_t end)
{
	for (struct vma *v = vma_first_in(c->mm, start, end); v && v->r.start < end; v = vma_next(v)) {
		if (v->uffd != c)
			continue;
		/* As in Linux, who sleeps for write protection alone is not woken. */
		if (v->flags & VMA_UFFD_MISSING)
			uffd_wake(c, MAX(start, v->r.start), MIN(end, v->r.end) - MAX(start, v->r.start));
		uffd_vma_clear(c->mm, v);
		uffd_ctx_put(c);
	}
	rangemap_merge_in(&c->mm->vmas, start, end);
}

int uffd_unregister(struct uffd_ctx *c, uint64_t start, uint64_t len)
{
	struct mm *mm = c->mm;
	uint64_t end = start + len;
	struct vma *v;
	int r = -EINVAL;

	if (atomic_load(&mm->users) == 0)
		return -ENOMEM;
	mm_wlock(mm);
	v = vma_first_in(mm, start, end);
	if (v)
		r = 0;
	for (; r == 0 && v && v->r.start < end; v = vma_next(v))
		if (!registrable(v, v->flags & VMA_UFFD) || (v->uffd && v->uffd != c))
			r = -EINVAL;
	if (r == 0)
		r = rangemap_isolate(&mm->vmas, start, end);
	if (r == 0)
		clear_range(c, start, end);
	mm_wunlock(mm);
	return r;
}

/* The event is over for whoever waits for it. mu held. */
static void event_done(struct uffd_ctx *c, struct uffd_event *e)
{
	list_del(&e->node);
	c->changing--;
	e->done = true;
	if (e->task)
		task_wake(e->task);
	else
		free(e);
}

void uffd_release(struct uffd_ctx *c)
{
	struct uffd_fault *f;
	struct uffd_event *e;

	mm_wlock(c->mm);
	mutex_lock(&c->mu);
	c->released = true;
	mutex_unlock(&c->mu);
	clear_range(c, 0, LINUX_TASK_SIZE_MAX);
	mm_wunlock(c->mm);
	for (;;) {
		struct uffd_ctx *child = NULL;

		mutex_lock(&c->mu);
		e = list_first(&c->events, struct uffd_event, node);
		if (e) {
			child = TAKE_PTR(e->child);
			event_done(c, e);
		}
		mutex_unlock(&c->mu);
		/* A child whose fork nobody will hear of. */
		if (child) {
			uffd_release(child);
			uffd_ctx_put(child);
		}
		if (!e)
			break;
	}
	mutex_lock(&c->mu);
	list_for_each(f, &c->faults, node)
		if (f->task)
			task_wake(f->task);
	mutex_unlock(&c->mu);
	waitq_wake(&c->wq, LINUX_POLLHUP);
}

/* --- faults --- */

/* The fault this thread has queued and not yet slept for. */
static __thread struct {
	struct uffd_ctx *c; /* referenced */
	struct uffd_fault *f;
} mine;

static struct uffd_fault *find_fault(struct uffd_ctx *c, int32_t tid)
{
	struct uffd_fault *f;

	list_for_each(f, &c->faults, node)
		if (f->tid == tid && !f->task)
			return f;
	return NULL;
}

static int queue_fault(struct uffd_ctx *c, uint64_t addr, uint64_t flags)
{
	struct task *t = current_task;
	uint64_t page = ALIGN_DOWN(addr, PAGE_SIZE);
	int32_t tid = pid_nr_ns(t->pid, t->k->root_pid_ns);
	struct uffd_fault *f;
	bool news = false;

	task_block_prepare(t);
	mutex_lock(&c->mu);
	f = find_fault(c, tid);
	if (f && f->page != page) {
		list_del(&f->node);
		free(f);
		f = NULL;
	}
	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f) {
			mutex_unlock(&c->mu);
			return -ENOMEM;
		}
		f->page = page;
		f->addr = c->features & LINUX_UFFD_FEATURE_EXACT_ADDRESS ? addr : page;
		f->flags = flags;
		f->tid = tid;
		f->ptid = pid_nr_ns(t->pid, task_pid_ns(t));
		list_add_tail(&c->faults, &f->node);
		news = true;
	}
	f->done = false;
	f->task = t;
	mutex_unlock(&c->mu);
	mine.c = uffd_ctx_get(c);
	mine.f = f;
	if (news)
		waitq_wake(&c->wq, LINUX_POLLIN);
	return -EUSERFAULT;
}

int uffd_fault(struct mm *mm, struct vma *v, uint64_t addr, bool write, bool user)
{
	uint64_t page = ALIGN_DOWN(addr, PAGE_SIZE), flags = write ? LINUX_UFFD_PAGEFAULT_WRITE : 0;
	struct range *i = rangemap_find(&mm->pmas, page);
	struct uffd_ctx *c = v->uffd;
	int has = 0;

	if (i && !(write && pma_of(i)->wp))
		return 0;
	if (i)
		flags |= LINUX_UFFD_PAGEFAULT_WP;
	else if (v->obj)
		has = uffd_object_has(v, page);
	if (has < 0)
		return 0;
	if (!i && has == 0 && !(v->flags & VMA_UFFD_MISSING))
		return 0;
	if (has == 1 && !(v->flags & VMA_UFFD_MINOR))
		return 0;
	if (has == 1)
		flags |= LINUX_UFFD_PAGEFAULT_MINOR;
	/* Nobody to wait with: a control thread looks into the address space. */
	if (!current_task || (c->features & LINUX_UFFD_FEATURE_SIGBUS) || (!user && (c->flags & LINUX_UFFD_USER_MODE_ONLY)))
		return -EFAULT;
	return queue_fault(c, addr, flags);
}

int uffd_sleep(bool user)
{
	struct uffd_ctx *c = TAKE_PTR(mine.c);
	struct uffd_fault *f = mine.f;
	struct task *t = current_task;
	int r = 0;

	for (;;) {
		bool over;

		mutex_lock(&c->mu);
		over = f->done || c->released;
		/* What a freeze interrupts stays known: its message was or will be read, and it comes back. */
		if (over || r == -ERESTARTSYS) {
			list_del(&f->node);
			free(f);
			r = over ? 0 : r;
		} else if (r < 0) {
			f->task = NULL;
		}
		mutex_unlock(&c->mu);
		if (over || r < 0)
			break;
		r = user ? task_block(t, TIME_FOREVER) : task_block_killable(t, TIME_FOREVER);
	}
	uffd_ctx_put(c);
	if (user)
		return 0; /* the instruction runs again, after whatever there is to do before */
	/* We may have eaten a wake-up that the system call around us waits for. */
	task_wake(t);
	if (r == -EFREEZE)
		t->refault = true;
	return r < 0 ? -EFAULT : 0;
}

void uffd_wake(struct uffd_ctx *c, uint64_t start, uint64_t len)
{
	struct uffd_fault *f, *next;

	mutex_lock(&c->mu);
	list_for_each_safe(f, next, &c->faults, node) {
		if (f->page < start || f->page - start >= len)
			continue;
		if (f->task) {
			f->done = true;
			task_wake(f->task);
		} else {
			list_del(&f->node);
			free(f);
		}
	}
	mutex_unlock(&c->mu);
}

/* --- the reader's end --- */

static struct uffd_fault *unread_fault(struct uffd_ctx *c)
{
	struct uffd_fault *f;

	list_for_each(f, &c->faults, node)
		if (!f->read && !f->done)
			return f;
	return NULL;
}

bool uffd_readable(struct uffd_ctx *c)
{
	mutex_guard(&c->mu);
	return unread_fault(c) || !list_empty(&c->events);
}

int uffd_next(struct uffd_ctx *c, struct uffd_msg *ret, struct uffd_ctx **ret_child)
{
	struct uffd_fault *f;
	struct uffd_event *e;

	*ret_child = NULL;
	mutex_guard(&c->mu);
	f = unread_fault(c);
	if (f) {
		f->read = true;
		*ret = (struct uffd_msg){ .event = LINUX_UFFD_EVENT_PAGEFAULT, .arg = { f->flags, f->addr } };
		if (c->features & LINUX_UFFD_FEATURE_THREAD_ID)
			ret->arg[2] = (uint32_t)f->ptid;
		return 1;
	}
	e = list_first(&c->events, struct uffd_event, node);
	if (!e)
		return 0;
	*ret = e->msg;
	*ret_child = TAKE_PTR(e->child);
	event_done(c, e);
	return 1;
}

void uffd_count(struct uffd_ctx *c, uint32_t *ret_pending, uint32_t *ret_total)
{
	struct uffd_fault *f;

	*ret_pending = *ret_total = 0;
	mutex_guard(&c->mu);
	list_for_each(f, &c->faults, node) {
		*ret_total += 1;
		*ret_pending += !f->read;
	}
}

/* --- events --- */

static struct uffd_event *event_new(struct uffd_events *ev, struct uffd_ctx *c, uint8_t event, uint64_t a, uint64_t b, uint64_t d)
{
	struct uffd_event *e = calloc(1, sizeof(*e)), **end = &ev->first;

	if (!e)
		return NULL;
	e->ctx = uffd_ctx_get(c);
	e->msg = (struct uffd_msg){ .event = event, .arg = { a, b, d } };
	while (*end)
		end = &(*end)->next;
	*end = e;
	mutex_lock(&c->mu);
	c->changing++;
	mutex_unlock(&c->mu);
	return e;
}

static bool wants(struct uffd_ctx *c, uint32_t feature)
{
	mutex_guard(&c->mu);
	return (c->features & feature) && !c->released;
}

void uffd_unmapping(struct mm *mm, uint64_t start, uint64_t end, struct uffd_events *ev)
{
	for (struct vma *v = vma_first_in(mm, start, end); v && v->r.start < end; v = vma_next(v)) {
		struct uffd_event *e = ev->first;

		if (!v->uffd || !wants(v->uffd, LINUX_UFFD_FEATURE_EVENT_UNMAP))
			continue;
		while (e && (e->ctx != v->uffd || e->msg.event != LINUX_UFFD_EVENT_UNMAP))
			e = e->next;
		/* Without memory the reader misses a message; nothing else depends on it. */
		if (!e)
			(void)event_new(ev, v->uffd, LINUX_UFFD_EVENT_UNMAP, start, end, 0);
	}
}

void uffd_remapping(struct vma *v, struct vma_spec *s, uint64_t from, uint64_t to, uint64_t len, struct uffd_events *ev)
{
	if (!v->uffd)
		return;
	if (wants(v->uffd, LINUX_UFFD_FEATURE_EVENT_REMAP)) {
		(void)event_new(ev, v->uffd, LINUX_UFFD_EVENT_REMAP, from, to, len);
		return;
	}
	s->uffd = NULL;
	s->flags &= ~VMA_UFFD;
}

int uffd_forked(struct vma *v, struct mm *child, struct vma_spec *s, struct uffd_events *ev)
{
	struct uffd_event *e;
	int r;

	if (!v->uffd)
		return 0;
	if (!wants(v->uffd, LINUX_UFFD_FEATURE_EVENT_FORK)) {
		s->uffd = NULL;
		s->flags &= ~VMA_UFFD;
		return 0;
	}
	for (e = ev->first; e && e->ctx != v->uffd; e = e->next)
		;
	if (!e) {
		e = event_new(ev, v->uffd, LINUX_UFFD_EVENT_FORK, 0, 0, 0);
		if (!e)
			return -ENOMEM;
		r = uffd_ctx_new(child, v->uffd->flags, &e->child);
		if (r < 0)
			return r;
		e->child->ready = true;
		e->child->features = v->uffd->features;
	}
	s->uffd = e->child;
	return 0;
}

static struct uffd_event *take_first(struct uffd_events *ev)
{
	struct uffd_event *e = ev->first;

	if (e)
		ev->first = e->next;
	return e;
}

void uffd_discard(struct uffd_events *ev)
{
	struct uffd_event *e;

	while ((e = take_first(ev))) {
		struct uffd_ctx *c = e->ctx;

		mutex_lock(&c->mu);
		c->changing--;
		mutex_unlock(&c->mu);
		uffd_ctx_put(e->child);
		free(e);
		uffd_ctx_put(c);
	}
}

/* Waits until @e, which is queued, has been read. A freeze ends the wait: the change has happened and cannot be made again. */
static void wait_read(struct uffd_ctx *c, struct uffd_event *e)
{
	struct task *t = e->task;
	int r = 0;

	for (;;) {
		bool over;

		mutex_lock(&c->mu);
		over = e->done;
		if (over)
			free(e);
		else if (r < 0)
			e->task = NULL;
		mutex_unlock(&c->mu);
		if (over || r < 0)
			break;
		r = task_block_killable(t, TIME_FOREVER);
	}
	task_wake(t);
}

void uffd_tell(struct uffd_events *ev)
{
	struct uffd_event *e;

	while ((e = take_first(ev))) {
		struct uffd_ctx *c = e->ctx, *orphan = NULL;
		bool queued = false;

		if (current_task)
			task_block_prepare(current_task);
		mutex_lock(&c->mu);
		if (c->released) {
			c->changing--;
			orphan = TAKE_PTR(e->child);
		} else {
			e->task = current_task;
			list_add_tail(&c->events, &e->node);
			queued = true;
		}
		mutex_unlock(&c->mu);
		if (queued) {
			waitq_wake(&c->wq, LINUX_POLLIN);
			if (current_task)
				wait_read(c, e);
		} else {
			free(e);
			if (orphan)
				uffd_release(orphan);
			uffd_ctx_put(orphan);
		}
		uffd_ctx_put(c);
	}
}

void uffd_removing(struct mm *mm, uint64_t start, uint64_t end)
{
	struct uffd_events ev = { NULL };

	rwlock_rdlock(&mm->lock);
	for (struct vma *v = vma_first_in(mm, start, end); v && v->r.start < end; v = vma_next(v))
		if (v->uffd && wants(v->uffd, LINUX_UFFD_FEATURE_EVENT_REMOVE))
			(void)event_new(&ev, v->uffd, LINUX_UFFD_EVENT_REMOVE, MAX(start, v->r.start), MIN(end, v->r.end), 0);
	rwlock_unlock(&mm->lock);
	uffd_tell(&ev);
}
