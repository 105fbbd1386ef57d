/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc shows of a process's memory: cmdline, environ, auxv, maps, smaps, mem, pagemap. Linux: fs/proc/base.c, task_mmu.c.
 *
 * /proc/pid/mem holds on to the mm it was opened for, as Linux does: after an exec it reads nothing.
 * Checkpoint: an open mem file and its mm.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/file.pb-c.h"
#include "schemas/proc.pb-c.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/fs/proc/pid_entries.h"
#include "state/state.h"

#define MAX_ARGS (6u << 20)

/* Appends a range of the process's memory as far as it can be read. */
static int show_range(struct mm *mm, uint64_t from, uint64_t to, struct strbuf *b)
{
	char buf[4096];

	if (to <= from || to - from > MAX_ARGS)
		return 0;
	while (from < to) {
		size_t want = MIN((size_t)(to - from), sizeof(buf)), n = mm_copy_in_some(mm, buf, GADDR(from), want);

		strbuf_add(b, buf, n);
		if (n < want)
			break;
		from += n;
	}
	return strbuf_error(b);
}

/* setproctitle(): when the last byte of the arguments was overwritten, the text goes on to its NUL into the environment. */
int proc_show_cmdline(struct pctx *c, struct strbuf *b)
{
	struct mm *mm = task_mm_get(c->target);
	const struct mm_layout *l;
	char *nul;
	int err;

	if (!mm)
		return 0;
	l = mm_layout(mm);
	err = show_range(mm, l->arg_start, l->arg_end, b);
	if (!err && b->len && b->data[b->len - 1] != '\0') {
		size_t n = b->len;

		nul = memchr(b->data, '\0', n);
		if (nul) {
			b->len = (size_t)(nul - b->data) + 1;
		} else {
			err = show_range(mm, l->env_start, l->env_end, b);
			nul = err ? NULL : memchr(b->data + n, '\0', b->len - n);
			if (nul)
				b->len = (size_t)(nul - b->data) + 1;
		}
	}
	mm_put(mm);
	return err;
}

int proc_show_environ(struct pctx *c, struct strbuf *b)
{
	struct mm *mm = task_mm_get(c->target);
	int err;

	if (!mm)
		return 0;
	err = show_range(mm, mm_layout(mm)->env_start, mm_layout(mm)->env_end, b);
	mm_put(mm);
	return err;
}

int proc_show_auxv(struct pctx *c, struct strbuf *b)
{
	struct mm *mm = task_mm_get(c->target);
	const uint64_t *av;
	size_t n = 0;

	if (!mm)
		return 0;
	av = mm_layout(mm)->auxv;
	while (n + 2 <= ARRAY_SIZE(mm_layout(mm)->auxv) && av[n])
		n += 2;
	strbuf_add(b, av, MIN(n + 2, ARRAY_SIZE(mm_layout(mm)->auxv)) * sizeof(*av));
	mm_put(mm);
	return 0;
}

static int with_mm(struct pctx *c, struct strbuf *b, int (*show)(struct mm *mm, struct strbuf *b))
{
	struct mm *mm = task_mm_get(c->target);
	int err;

	if (!mm)
		return 0;
	err = show(mm, b);
	mm_put(mm);
	return err;
}

static int smaps(struct mm *mm, struct strbuf *b)
{
	return mm_show_smaps(mm, b, false);
}

static int rollup(struct mm *mm, struct strbuf *b)
{
	return mm_show_smaps(mm, b, true);
}

int proc_show_maps(struct pctx *c, struct strbuf *b)
{
	return with_mm(c, b, mm_show_maps);
}

int proc_show_smaps(struct pctx *c, struct strbuf *b)
{
	return with_mm(c, b, smaps);
}

int proc_show_smaps_rollup(struct pctx *c, struct strbuf *b)
{
	return with_mm(c, b, rollup);
}

/* --- mem, pagemap --- */

enum mem_kind { MEM_MEM, MEM_PAGEMAP };

struct mem_of { /* message: ProcMem */
	struct file file; /* saved: 1 file_base */
	struct mm *mm; /* saved: 2; referenced; NULL: none */
	enum mem_kind kind; /* saved: 3 */
};

static int64_t mem_transfer(struct file *f, struct uio *u, int64_t *pos, bool write)
{
	struct mem_of *m = container_of(f, struct mem_of, file);
	uint8_t buf[4096];
	int64_t done = 0, r = 0;

	while (m->mm && u->left) {
		size_t n = MIN(u->left, sizeof(buf));

		if (write) {
			r = uio_get(u, buf, n);
			if (r <= 0)
				break;
			n = (size_t)r;
		}
		r = mm_access(m->mm, GADDR((uint64_t)*pos), buf, n, write, true);
		if (r <= 0)
			break;
		if (!write) {
			r = uio_put(u, buf, (size_t)r);
			if (r <= 0)
				break;
		}
		done += r;
		*pos += r;
		if ((size_t)r < n)
			break;
	}
	return done ? done : r < 0 ? (r == -EFAULT && !write ? -EIO : r == -EFAULT ? -EIO : r) : 0;
}

static int64_t memof_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	return mem_transfer(f, u, pos, false);
}

static int64_t memof_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	return mem_transfer(f, u, pos, true);
}

static int64_t memof_llseek(struct file *f, struct task *t, int64_t off, int whence)
{
	if (whence != LINUX_SEEK_SET && whence != LINUX_SEEK_CUR)
		return -EINVAL;
	f->pos = whence == LINUX_SEEK_SET ? off : (int64_t)((uint64_t)f->pos + (uint64_t)off); /* the whole 64-bit range */
	return f->pos;
}

#define PAGEMAP_LAST (1ULL << 47 >> PAGE_SHIFT) /* page numbers of the application */

static int64_t pagemap_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct mem_of *m = container_of(f, struct mem_of, file);
	uint64_t e[256];
	int64_t done = 0;

	if (*pos < 0 || (*pos & 7) || (u->left & 7))
		return -EINVAL;
	while (m->mm && u->left >= sizeof(e[0])) {
		uint64_t page = (uint64_t)*pos / sizeof(e[0]);
		size_t n = MIN(u->left / sizeof(e[0]), ARRAY_SIZE(e));
		int64_t r;

		if (page >= PAGEMAP_LAST)
			break;
		n = MIN(n, PAGEMAP_LAST - page);
		mm_pagemap(m->mm, page, n, e);
		r = uio_put(u, e, n * sizeof(e[0]));
		if (r <= 0)
			return done ? done : -EFAULT;
		done += r;
		*pos += r;
		if ((size_t)r < n * sizeof(e[0]) || (t && atomic_load(&t->work)))
			break;
	}
	return done;
}

static void memof_release(struct file *f)
{
	struct mem_of *m = container_of(f, struct mem_of, file);

	mm_put(m->mm);
	file_done(f);
	free(m);
}

static const struct file_ops memof_ops = {
	.name = "proc_mem",
	.state = &proc_mem_state_type,
	.release = memof_release,
	.read = memof_read,
	.write = memof_write,
	.llseek = memof_llseek,
};

static const struct file_ops pagemap_ops = {
	.name = "proc_pagemap",
	.state = &proc_mem_state_type,
	.release = memof_release,
	.read = pagemap_read,
	.llseek = memof_llseek,
};

static int open_kind(struct pctx *c, struct inode *i, const struct path *p, uint32_t flags, enum mem_kind kind, struct file **ret)
{
	struct mem_of *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	file_init(&m->file, kind == MEM_PAGEMAP ? &pagemap_ops : &memof_ops, flags, c->t, p, i);
	m->file.seekable = true;
	m->kind = kind;
	m->mm = task_mm_get(c->target);
	*ret = &m->file;
	return 0;
}

int proc_open_mem(struct pctx *c, struct inode *i, const struct path *p, uint32_t flags, struct file **ret)
{
	return open_kind(c, i, p, flags, MEM_MEM, ret);
}

int proc_open_pagemap(struct pctx *c, struct inode *i, const struct path *p, uint32_t flags, struct file **ret)
{
	return open_kind(c, i, p, flags, MEM_PAGEMAP, ret);
}

/* --- state --- */

static void *memof_alloc(void)
{
	struct mem_of *m = calloc(1, sizeof(*m));

	if (m)
		ref_init(&m->file.ref);
	return m;
}

static int memof_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct mem_of *o = obj;
	Sentry__ProcMem *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->mm = state_ref(w, &mm_state_type, o->mm);
	m->kind = o->kind;
	return file_save_base(w, &o->file, m->file_base);
}

static int memof_load(struct state_reader *r, void *obj, const void *msg)
{
	struct mem_of *o = obj;
	const Sentry__ProcMem *m = msg;
	void *mm = NULL;
	int err = state_check(r, m->kind <= MEM_PAGEMAP, "kind of an open memory file");

	if (!err)
		err = file_load_base(r, &o->file, m->kind == MEM_PAGEMAP ? &pagemap_ops : &memof_ops, m->file_base);
	o->kind = (enum mem_kind)m->kind;

	if (!err)
		err = state_deref(r, m->mm, &mm_state_type, &mm);
	o->mm = mm;
	return err;
}

static int memof_after_load(struct state_reader *r, void *obj)
{
	file_after_load_base(obj);
	return 0;
}

const struct state_type proc_mem_state_type = {
	.id = STATE_ID_proc_mem,
	.name = "proc_mem",
	.desc = &sentry__proc_mem__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = memof_alloc,
	.save = memof_save,
	.load = memof_load,
	.after_load = memof_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
