/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registered files and buffers.
 *
 * Tags: when a tagged resource goes, a completion with the tag as user_data is posted.
 * DEVIATION: a registered buffer is a range of an address space, looked up at every use; Linux holds its pages, so it keeps them readable after
 * munmap() and separate after fork().
 * Linux: io_uring/rsrc.c, io_uring/filetable.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/uring/uring_internal.h"

int uring_find_file(struct task *t, struct uring *r, int fd, bool fixed, struct file **ret)
{
	struct file *f = NULL;

	if (!fixed) {
		f = fd_get(t, fd);
	} else {
		mutex_guard(&r->mu);
		if (fd >= 0 && (uint32_t)fd < r->nr_files && r->files[fd].file)
			f = file_get(r->files[fd].file);
	}
	if (!f)
		return -EBADF;
	*ret = f;
	return 0;
}

static void post_tag(struct uring *r, uint64_t tag)
{
	if (!tag)
		return;
	(void)uring_post(r, tag, 0, 0, false);
	uring_cq_notify(r, false);
}

/* --- files --- */

/* Exchanges a slot's content; the old one is released with no lock held. */
static void swap_file(struct uring *r, uint32_t i, struct file *f, uint64_t tag)
{
	struct uring_file old;

	mutex_lock(&r->mu);
	old = r->files[i];
	r->files[i] = (struct uring_file){ f, f ? tag : 0 };
	mutex_unlock(&r->mu);
	file_put(old.file);
	if (old.file)
		post_tag(r, old.tag);
}

static int free_slot_locked(struct uring *r)
{
	uint32_t end = r->alloc_off + r->alloc_len;

	for (uint32_t n = 0, i = r->alloc_hint; n < r->alloc_len; n++, i++) {
		if (i >= end || i < r->alloc_off)
			i = r->alloc_off;
		if (!r->files[i].file) {
			r->alloc_hint = i + 1;
			return (int)i;
		}
	}
	return -ENFILE;
}

static int64_t install_fixed(struct uring *r, struct file *f, uint32_t slot)
{
	struct uring_file old = { 0 };
	int64_t ret = 0;

	if (file_is_uring(f)) {
		file_put(f);
		return -EBADF;
	}
	mutex_lock(&r->mu);
	if (!r->nr_files) {
		ret = -ENXIO;
	} else if (slot == LINUX_IORING_FILE_INDEX_ALLOC) {
		ret = free_slot_locked(r);
		slot = (uint32_t)ret;
	} else if (slot - 1 >= r->nr_files) {
		ret = -EINVAL;
	} else {
		slot--;
	}
	if (ret >= 0) {
		old = r->files[slot];
		r->files[slot] = (struct uring_file){ f, 0 };
	}
	mutex_unlock(&r->mu);
	if (ret < 0)
		file_put(f);
	file_put(old.file);
	if (old.file)
		post_tag(r, old.tag);
	return ret;
}

int64_t uring_install(struct task *t, struct uring *r, struct file *f, uint32_t slot, bool cloexec)
{
	int64_t fd;

	if (slot)
		return install_fixed(r, f, slot);
	fd = fd_install(t, f, 0, cloexec);
	if (fd < 0)
		file_put(f);
	return fd;
}

int uring_close_fixed(struct uring *r, uint32_t slot)
{
	bool there;

	mutex_lock(&r->mu);
	if (!r->nr_files || slot >= r->nr_files) {
		bool none = !r->nr_files;

		mutex_unlock(&r->mu);
		return none ? -ENXIO : -EINVAL;
	}
	there = r->files[slot].file;
	if (there && slot >= r->alloc_off && slot - r->alloc_off < r->alloc_len)
		r->alloc_hint = slot;
	mutex_unlock(&r->mu);
	if (!there)
		return -EBADF;
	swap_file(r, slot, NULL, 0);
	return 0;
}

static int read_fd(struct task *t, gaddr_t fds, uint32_t i, int *ret)
{
	int32_t fd;

	if (copy_in(t, &fd, gaddr_add(fds, i * 4ull), sizeof(fd)))
		return -EFAULT;
	*ret = fd;
	return 0;
}

static int read_tag(struct task *t, gaddr_t tags, uint32_t i, uint64_t *ret)
{
	*ret = 0;
	return tags.v && copy_in(t, ret, gaddr_add(tags, i * 8ull), sizeof(*ret)) ? -EFAULT : 0;
}

/* The file of number @fd as a table may hold it. */
static int file_of(struct task *t, int fd, struct file **ret)
{
	struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	/* A ring in a ring could keep itself alive for ever. */
	if (file_is_uring(f)) {
		file_put(f);
		return -EBADF;
	}
	*ret = f;
	return 0;
}

int64_t uring_files_update(struct task *t, struct uring *r, uint32_t off, gaddr_t fds, gaddr_t tags, uint32_t nr)
{
	uint32_t done, total, end;
	int err = 0;

	mutex_lock(&r->mu);
	total = r->nr_files;
	mutex_unlock(&r->mu);
	if (!total)
		return -ENXIO;
	if (add_overflow(off, nr, &end))
		return -EOVERFLOW;
	if (end > total)
		return -EINVAL;
	for (done = 0; done < nr; done++) {
		struct file *f = NULL;
		uint64_t tag;
		int fd = -1;

		err = read_tag(t, tags, done, &tag);
		if (!err)
			err = read_fd(t, fds, done, &fd);
		if (!err && (fd == -1 || fd == LINUX_IORING_REGISTER_FILES_SKIP) && tag)
			err = -EINVAL;
		if (err)
			break;
		if (fd == LINUX_IORING_REGISTER_FILES_SKIP)
			continue;
		if (fd != -1) {
			err = file_of(t, fd, &f);
			if (err)
				break;
		}
		swap_file(r, off + done, f, tag);
	}
	return done ? (int64_t)done : err;
}

int64_t uring_files_alloc(struct task *t, struct uring *r, gaddr_t fds, uint32_t nr)
{
	uint32_t done;
	int64_t err = 0;

	mutex_lock(&r->mu);
	if (!r->nr_files)
		err = -ENXIO;
	mutex_unlock(&r->mu);
	if (err)
		return err;
	for (done = 0; done < nr; done++) {
		struct file *f;
		int32_t slot;
		int fd = -1;

		err = read_fd(t, fds, done, &fd);
		if (!err) {
			f = fd_get(t, fd);
			if (!f)
				err = -EBADF;
		}
		if (!err)
			err = install_fixed(r, f, LINUX_IORING_FILE_INDEX_ALLOC);
		if (err < 0)
			break;
		slot = (int32_t)err;
		if (copy_out(t, gaddr_add(fds, done * 4ull), &slot, sizeof(slot))) {
			(void)uring_close_fixed(r, (uint32_t)slot);
			err = -EFAULT;
			break;
		}
	}
	return done ? (int64_t)done : err;
}

int64_t uring_files_register(struct task *t, struct uring *r, gaddr_t fds, gaddr_t tags, uint32_t nr, bool sparse)
{
	struct uring_file *table;
	int err = 0;
	bool busy;

	mutex_lock(&r->mu);
	busy = r->nr_files;
	mutex_unlock(&r->mu);
	if (busy)
		return -EBUSY;
	if (!nr)
		return -EINVAL;
	if (nr > URING_MAX_FILES)
		return -EMFILE;
	if (nr > task_rlimit(t, LINUX_RLIMIT_NOFILE))
		return -EMFILE;
	table = calloc(nr, sizeof(*table));
	if (!table)
		return -ENOMEM;
	for (uint32_t i = 0; !err && !sparse && fds.v && i < nr; i++) {
		int fd = -1;

		err = read_tag(t, tags, i, &table[i].tag);
		if (!err)
			err = read_fd(t, fds, i, &fd);
		if (!err && fd == -1)
			err = table[i].tag ? -EINVAL : 0;
		else if (!err)
			err = file_of(t, fd, &table[i].file);
	}
	mutex_lock(&r->mu);
	if (!err && r->nr_files)
		err = -EBUSY;
	if (!err) {
		r->files = table;
		r->nr_files = nr;
		r->alloc_off = r->alloc_hint = 0;
		r->alloc_len = nr;
	}
	mutex_unlock(&r->mu);
	if (err) {
		for (uint32_t i = 0; i < nr; i++)
			file_put(table[i].file);
		free(table);
	}
	return err;
}

int64_t uring_files_unregister(struct uring *r)
{
	struct uring_file *table;
	uint32_t nr;

	mutex_lock(&r->mu);
	table = TAKE_PTR(r->files);
	nr = r->nr_files;
	r->nr_files = r->alloc_off = r->alloc_len = r->alloc_hint = 0;
	mutex_unlock(&r->mu);
	if (!nr)
		return -ENXIO;
	for (uint32_t i = 0; i < nr; i++) {
		file_put(table[i].file);
		if (table[i].file)
			post_tag(r, table[i].tag);
	}
	free(table);
	return 0;
}

/* --- buffers --- */

static void buffer_done(struct uring *r, const struct uring_buffer *b)
{
	if (b->mm) {
		mm_put(b->mm);
		post_tag(r, b->tag);
	}
}

/* Reads entry @i of the arrays. An address of 0 is an empty slot. */
static int read_buffer(struct task *t, gaddr_t iovs, gaddr_t tags, uint32_t i, struct uring_buffer *ret)
{
	struct linux_iovec v;
	struct uring_buffer b = { 0 };
	uint64_t end;
	int err = read_tag(t, tags, i, &b.tag);
	uint32_t word;

	if (!err && copy_in(t, &v, gaddr_add(iovs, i * sizeof(v)), sizeof(v)))
		err = -EFAULT;
	if (err)
		return err;
	if (!v.iov_base) {
		if (v.iov_len)
			return -EFAULT;
		if (b.tag)
			return -EINVAL;
		*ret = b;
		return 0;
	}
	if (!v.iov_len || v.iov_len > URING_MAX_BUF_LEN || add_overflow(v.iov_base, v.iov_len, &end))
		return !v.iov_len || v.iov_len > URING_MAX_BUF_LEN ? -EFAULT : -EOVERFLOW;
	/* It must be memory that can be written, as far as its ends show; storing what is there, atomically, disturbs nobody. */
	for (int n = 0; n < 2; n++) {
		gaddr_t at = GADDR(ALIGN_DOWN(n ? end - 1 : v.iov_base, 4));

		if (mm_load_u32(t->mm, at, &word) || mm_cmpxchg_u32(t->mm, at, word, word, &word))
			return -EFAULT;
	}
	b.addr = v.iov_base;
	b.len = v.iov_len;
	b.mm = mm_get(t->mm);
	*ret = b;
	return 0;
}

int64_t uring_buffers_register(struct task *t, struct uring *r, gaddr_t iovs, gaddr_t tags, uint32_t nr, bool sparse)
{
	struct uring_buffer *table;
	int err = 0;
	bool busy;

	mutex_lock(&r->mu);
	busy = r->nr_buffers;
	mutex_unlock(&r->mu);
	if (busy)
		return -EBUSY;
	if (!nr || nr > URING_MAX_BUFFERS)
		return -EINVAL;
	table = calloc(nr, sizeof(*table));
	if (!table)
		return -ENOMEM;
	for (uint32_t i = 0; !err && !sparse && iovs.v && i < nr; i++)
		err = read_buffer(t, iovs, tags, i, &table[i]);
	mutex_lock(&r->mu);
	if (!err && r->nr_buffers)
		err = -EBUSY;
	if (!err) {
		r->buffers = table;
		r->nr_buffers = nr;
	}
	mutex_unlock(&r->mu);
	if (err) {
		for (uint32_t i = 0; i < nr; i++)
			mm_put(table[i].mm);
		free(table);
	}
	return err;
}

int64_t uring_buffers_unregister(struct uring *r)
{
	struct uring_buffer *table;
	uint32_t nr;

	mutex_lock(&r->mu);
	table = TAKE_PTR(r->buffers);
	nr = r->nr_buffers;
	r->nr_buffers = 0;
	mutex_unlock(&r->mu);
	if (!nr)
		return -ENXIO;
	for (uint32_t i = 0; i < nr; i++)
		buffer_done(r, &table[i]);
	free(table);
	return 0;
}

int64_t uring_buffers_update(struct task *t, struct uring *r, uint32_t off, gaddr_t iovs, gaddr_t tags, uint32_t nr)
{
	uint32_t done, total, end;
	int err = 0;

	mutex_lock(&r->mu);
	total = r->nr_buffers;
	mutex_unlock(&r->mu);
	if (!total)
		return -ENXIO;
	if (add_overflow(off, nr, &end))
		return -EOVERFLOW;
	if (end > total)
		return -EINVAL;
	for (done = 0; done < nr; done++) {
		struct uring_buffer b, old;

		err = read_buffer(t, iovs, tags, done, &b);
		if (err)
			break;
		mutex_lock(&r->mu);
		old = b;
		if (off + done < r->nr_buffers) {
			old = r->buffers[off + done];
			r->buffers[off + done] = b;
		}
		mutex_unlock(&r->mu);
		buffer_done(r, &old);
	}
	return done ? (int64_t)done : err;
}

int uring_fixed_uio(struct uring *r, uint32_t index, uint64_t addr, uint64_t len, struct uio *ret, struct mm **ret_mm)
{
	struct uring_buffer b = { 0 };
	uint64_t end;
	int err;

	mutex_lock(&r->mu);
	if (index < r->nr_buffers && r->buffers[index].mm) {
		b = r->buffers[index];
		(void)mm_get(b.mm);
	}
	mutex_unlock(&r->mu);
	if (!b.mm)
		return -EFAULT;
	err = add_overflow(addr, len, &end) || addr < b.addr || end > b.addr + b.len ? -EFAULT : uio_user(ret, b.mm, GADDR(addr), len);
	if (err)
		mm_put(b.mm);
	else
		*ret_mm = b.mm;
	return err;
}

void uring_free_tables(struct uring *r)
{
	struct uring_bgroup *g, *gn;
	struct uring_personality *p, *pn;

	for (uint32_t i = 0; i < r->nr_files; i++)
		file_put(r->files[i].file);
	free(TAKE_PTR(r->files));
	for (uint32_t i = 0; i < r->nr_buffers; i++)
		mm_put(r->buffers[i].mm);
	free(TAKE_PTR(r->buffers));
	r->nr_files = r->nr_buffers = 0;
	list_for_each_safe(g, gn, &r->bgroups, node) {
		list_del(&g->node);
		uring_bgroup_free(g);
	}
	list_for_each_safe(p, pn, &r->personalities, node) {
		list_del(&p->node);
		cred_put(p->cred);
		free(p);
	}
	file_put(TAKE_PTR(r->eventfd));
}
