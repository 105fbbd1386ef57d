/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring as a file: memory, mmap, poll, fdinfo, end.
 *
 * Two runs of pages in the memory file, contiguous so that the Sentry can address them: both rings with the index array, and the entries.
 * Linux: io_uring/io_uring.c, io_uring/fdinfo.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "sentry/abi/fs.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/uring/uring_internal.h"
#include "sentry/kernel/kthread.h"
#include "sentry/mm/mm.h"
#include "state/state.h"

/* All rings; guarded by all_mu, a leaf. */
static struct mutex all_mu = MUTEX_INIT("uring.all");
static struct list all_rings = LIST_INIT(all_rings);

extern const struct state_type uring_state_type;

static bool alive(struct uring *r)
{
	return ref_tryget(&r->users);
}

struct uring *uring_next(struct uring *r)
{
	struct uring *next = NULL;

	mutex_lock(&all_mu);
	for (struct list *n = r ? r->all.next : all_rings.next; n != &all_rings; n = n->next)
		if (alive(list_entry(n, struct uring, all))) {
			next = list_entry(n, struct uring, all);
			break;
		}
	mutex_unlock(&all_mu);
	if (r)
		uring_put(r);
	return next;
}

void uring_link(struct uring *r)
{
	mutex_lock(&all_mu);
	list_add_tail(&all_rings, &r->all);
	mutex_unlock(&all_mu);
}

struct uring *uring_get(struct uring *r)
{
	ref_get(&r->users);
	return r;
}

/* --- memory --- */

/* What mmap offset @off means: a place in one of the runs, and how much is left of it. False: nothing. */
static bool locate(const struct uring *r, uint64_t off, uint64_t *at, uint64_t *left)
{
	uint64_t size = r->rings_len, start = r->rings_off;

	if (off >= LINUX_IORING_OFF_SQES) {
		off -= LINUX_IORING_OFF_SQES;
		size = r->sqes_len;
		start = r->sqes_off;
	} else if (off >= LINUX_IORING_OFF_CQ_RING) {
		off -= LINUX_IORING_OFF_CQ_RING;
	}
	if (off >= size)
		return false;
	*at = start + off;
	*left = size - off;
	return true;
}

static int uring_translate(struct mappable *m, uint64_t off, uint64_t len, bool write, struct backing *ret)
{
	struct uring *r = container_of(m, struct uring, map);
	uint64_t at, left;

	if (!locate(r, off, &at, &left))
		return -EFAULT;
	*ret = (struct backing){ .kind = BACKING_MEMFILE, .off = at, .len = MIN(len, left), .writable = true };
	memfile_ref(the_kernel->mf, ret->off, ret->len);
	return 0;
}

static void uring_map_get(struct mappable *m)
{
	(void)uring_get(container_of(m, struct uring, map));
}

static void uring_map_put(struct mappable *m)
{
	uring_put(container_of(m, struct uring, map));
}

static const struct mappable_ops uring_map_ops = { .translate = uring_translate, .get = uring_map_get, .put = uring_map_put };

void uring_sizes(struct uring *r)
{
	r->rings_len = ALIGN_UP((uint64_t)uring_sq_array(r) + r->sq_entries * 4ull, PAGE_SIZE);
	r->sqes_len = ALIGN_UP(r->sq_entries * (uint64_t)uring_sqe_size(r), PAGE_SIZE);
}

/* A run of pages that the Sentry can see as one piece: it may not cross a GiB of the memory file. */
static int alloc_run(struct memfile *mf, uint64_t len, uint64_t *ret, char **ret_ptr)
{
	char *p;
	uint64_t off, second;
	int r = memfile_alloc(mf, len, false, &off);

	if (r < 0)
		return r;
	if (off >> 30 != (off + len - 1) >> 30) {
		r = memfile_alloc(mf, len, false, &second);
		memfile_unref(mf, off, len);
		if (r < 0)
			return r;
		off = second;
		if (off >> 30 != (off + len - 1) >> 30) {
			memfile_unref(mf, off, len);
			return -ENOMEM;
		}
	}
	memfile_set_wild(mf, off, len);
	p = memfile_ptr(mf, off, len);
	if (!p) {
		memfile_unref(mf, off, len);
		return -ENOMEM;
	}
	*ret = off;
	*ret_ptr = p;
	return 0;
}

static int alloc_memory(struct uring *r)
{
	int e = alloc_run(the_kernel->mf, r->rings_len, &r->rings_off, &r->rings);

	if (e == 0)
		e = alloc_run(the_kernel->mf, r->sqes_len, &r->sqes_off, &r->sqes);
	if (e < 0)
		return e;
	uring_store(r, RING_SQ_MASK, r->sq_entries - 1);
	uring_store(r, RING_CQ_MASK, r->cq_entries - 1);
	uring_store(r, RING_SQ_ENTRIES, r->sq_entries);
	uring_store(r, RING_CQ_ENTRIES, r->cq_entries);
	return 0;
}

static int uring_mmap(struct file *f, struct task *t, struct vma_request *req)
{
	struct uring *r = uring_of(f);
	uint64_t at, left;
	bool begins = req->off == LINUX_IORING_OFF_SQ_RING || req->off == LINUX_IORING_OFF_CQ_RING || req->off == LINUX_IORING_OFF_SQES;

	/* Only what is left of a mapping that was cut, in an image, begins elsewhere. */
	if ((t && !begins) || !locate(r, req->off, &at, &left) || req->len > left)
		return -EINVAL;
	(void)uring_get(r);
	req->obj = &r->map;
	return 0;
}

/* --- the file --- */

static uint32_t uring_poll(struct file *f)
{
	struct uring *r = uring_of(f);
	uint32_t ev = 0;

	if (!r->rings)
		return 0; /* being loaded: who asks will be woken */
	if (uring_sq_pending(r) < r->sq_entries)
		ev |= POLL_WRITE;
	mutex_lock(&r->cq_mu);
	if (r->nr_overflow)
		ev |= POLL_READ;
	mutex_unlock(&r->cq_mu);
	if (uring_cq_ready(r) || uring_has_ready(r))
		ev |= POLL_READ;
	return ev;
}

static struct waitq *uring_pollq(struct file *f)
{
	return &uring_of(f)->wq;
}

static __thread int release_depth;

static void release_now(struct uring *r)
{
	release_depth++;
	uring_cancel_all(r, NULL);
	uring_free_tables(r);
	file_done(&r->file);
	uring_put(r);
	release_depth--;
}

static void release_later(struct kwork *w)
{
	release_now(container_of(w, struct uring, end));
}

/* Requests may hold the last references of other rings, whose requests ...: a long row of them is not taken down by recursion. */
static void uring_release(struct file *f)
{
	struct uring *r = uring_of(f);

	uring_sqpoll_stop(r);
	if (release_depth < 2) {
		release_now(r);
		return;
	}
	r->end.fn = release_later;
	kwork_queue(&r->end);
}

void uring_put(struct uring *r)
{
	struct uring_cqe *o, *next;
	struct memfile *mf = the_kernel->mf;

	if (!ref_put(&r->users))
		return;
	mutex_lock(&all_mu);
	list_del(&r->all);
	mutex_unlock(&all_mu);
	list_for_each_safe(o, next, &r->overflow, node)
		free(o);
	if (r->rings || r->adopted)
		memfile_unref(mf, r->rings_off, r->rings_len);
	if (r->sqes || r->adopted)
		memfile_unref(mf, r->sqes_off, r->sqes_len);
	task_put(r->issuer);
	task_put(r->sq_task);
	waitq_done(&r->wq);
	mutex_destroy(&r->sq_mu);
	mutex_destroy(&r->mu);
	mutex_destroy(&r->cq_mu);
	mutex_destroy(&r->map.mu);
	free(r);
}

static void show_files(struct uring *r, struct strbuf *b)
{
	strbuf_addf(b, "UserFiles:\t%u\n", r->nr_files);
	for (uint32_t i = 0; i < r->nr_files; i++)
		if (r->files[i].file)
			strbuf_addf(b, "%5u: %s\n", i, r->files[i].file->ops->name);
		else
			strbuf_addf(b, "%5u: <none>\n", i);
	strbuf_addf(b, "UserBufs:\t%u\n", r->nr_buffers);
	for (uint32_t i = 0; i < r->nr_buffers; i++)
		strbuf_addf(b, "%5u: 0x%lx/%lu\n", i, (unsigned long)r->buffers[i].addr, (unsigned long)r->buffers[i].len);
	if (!list_empty(&r->personalities)) {
		struct uring_personality *p;

		strbuf_addf(b, "Personalities:\n");
		list_for_each(p, &r->personalities, node)
			strbuf_addf(b, "%5u\n\tUid:\t%u\t\t%u\t\t%u\t\t%u\n", p->id, p->cred->uid, p->cred->euid, p->cred->suid, p->cred->fsuid);
	}
}

static void uring_show_fdinfo(struct file *f, struct strbuf *b)
{
	struct uring *r = uring_of(f);
	struct uring_cqe *o;
	struct ureq *q;

	strbuf_addf(b, "SqMask:\t0x%x\nSqHead:\t%u\nSqTail:\t%u\nCachedSqHead:\t%u\n", r->sq_entries - 1, uring_load(r, RING_SQ_HEAD),
		    uring_load(r, RING_SQ_TAIL), r->sq_head);
	strbuf_addf(b, "CqMask:\t0x%x\nCqHead:\t%u\nCqTail:\t%u\nCachedCqTail:\t%u\n", r->cq_entries - 1, uring_load(r, RING_CQ_HEAD),
		    uring_load(r, RING_CQ_TAIL), r->cq_tail);
	strbuf_addf(b, "SQEs:\t%u\nCQEs:\t%u\n", uring_sq_pending(r), uring_cq_ready(r));
	strbuf_addf(b, "SqThread:\t%d\nSqThreadCpu:\t%d\n", -1, -1);
	mutex_lock(&r->mu);
	show_files(r, b);
	strbuf_addf(b, "PollList:\n");
	list_for_each(q, &r->reqs, node)
		if (q->state == UREQ_ARMED && q->w.q)
			strbuf_addf(b, "  op=%d, task_works=0\n", q->sqe.opcode);
	mutex_unlock(&r->mu);
	strbuf_addf(b, "CqOverflowList:\n");
	mutex_lock(&r->cq_mu);
	list_for_each(o, &r->overflow, node)
		strbuf_addf(b, "  user_data=%lu, res=%d, flags=%x\n", (unsigned long)o->cqe.user_data, o->cqe.res, o->cqe.flags);
	mutex_unlock(&r->cq_mu);
}

static void uring_show_name(struct file *f, struct strbuf *b)
{
	strbuf_addf(b, "anon_inode:[io_uring]");
}

const struct file_ops uring_file_ops = {
	.name = "[io_uring]",
	.state = &uring_state_type,
	.release = uring_release,
	.poll = uring_poll,
	.pollq = uring_pollq,
	.mmap = uring_mmap,
	.show_fdinfo = uring_show_fdinfo,
	.show_name = uring_show_name,
};

bool file_is_uring(const struct file *f)
{
	return f->ops == &uring_file_ops;
}

struct uring *uring_alloc(void)
{
	struct uring *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	ref_init(&r->file.ref);
	ref_init(&r->users);
	waitq_init(&r->wq);
	mutex_init(&r->sq_mu, "uring.sq_mu");
	mutex_init(&r->mu, "uring.mu");
	mutex_init(&r->cq_mu, "uring.cq_mu");
	mappable_init(&r->map, &uring_map_ops);
	list_init(&r->reqs);
	list_init(&r->defer);
	list_init(&r->bgroups);
	list_init(&r->personalities);
	list_init(&r->overflow);
	list_init(&r->ready);
	list_init(&r->waiting);
	r->next_personality = 1;
	return r;
}

int uring_new(struct task *t, uint32_t setup, uint32_t sq_entries, uint32_t cq_entries, struct uring **ret)
{
	struct uring *r = uring_alloc();
	int e;

	if (!r)
		return -ENOMEM;
	e = kwork_start(t->k);
	if (e < 0) {
		uring_put(r);
		return -ENOMEM;
	}
	r->setup = setup;
	r->sq_entries = sq_entries;
	r->cq_entries = cq_entries;
	uring_sizes(r);
	file_init(&r->file, &uring_file_ops, LINUX_O_RDWR, t, NULL, NULL);
	e = alloc_memory(r);
	if (e < 0) {
		file_put(&r->file);
		return e;
	}
	uring_link(r);
	*ret = r;
	return 0;
}

/* --- tasks --- */

struct uring_task *uring_task_of(struct task *t)
{
	if (!t->uring)
		t->uring = calloc(1, sizeof(*t->uring));
	return t->uring;
}

void uring_task_free(struct uring_task *u)
{
	if (!u)
		return;
	for (int i = 0; i < URING_RING_FDS; i++)
		file_put(u->rings[i]);
	free(u);
}

void uring_task_exit(struct task *t, bool ends, bool group)
{
	if (!t->uring)
		return;
	for (struct uring *r = uring_next(NULL); r; r = uring_next(r)) {
		if (ends && group && r->sq_task && r->sq_task->tg == t->tg)
			uring_sqpoll_stop(r);
		if (ends)
			uring_orphan(r, t);
		else
			uring_cancel_all(r, t);
	}
	uring_task_free(TAKE_PTR(t->uring));
}
