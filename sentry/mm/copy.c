/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sentry access to application memory.
 *
 * The fast path holds mm.lock for reading: VMA allows, pma is there, memcpy through the Sentry's own mapping of the memory file.
 * What is missing (or must be copied first) is brought in under the write lock, and that piece is moved before the lock is
 * dropped, so that a transfer always makes progress. Host file pages are read with pread() (coherent with mappings of the same
 * page cache) and written through a short-lived mapping.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sentry/mm/mm_internal.h"
#include "sentry/mm/safecopy.h"

enum copy_op { COPY_IN, COPY_OUT, COPY_ZERO };

#define CHUNK (1ULL << 30) /* memfile_ptr()'s boundary */

/* Reads from a host file; what lies between the file's end and the end of its last page is zero. Returns bytes done. */
static size_t host_read(int fd, uint64_t off, char *dst, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = pread(fd, dst + done, n - done, (off_t)(off + done));
		size_t rest;

		if (r < 0 && errno == EINTR)
			continue;
		if (r > 0) {
			done += (size_t)r;
			continue;
		}
		if (r < 0 || ((off + done) & ~PAGE_MASK) == 0)
			break;
		rest = PAGE_SIZE - ((off + done) & ~PAGE_MASK);
		rest = MIN(rest, n - done);
		(void)safezero(dst + done, rest);
		done += rest;
	}
	return done;
}

static void *host_map(int fd, uint64_t off, size_t n, int prot, size_t *ret_len)
{
	uint64_t start = ALIGN_DOWN(off, PAGE_SIZE), end = ALIGN_UP(off + n, PAGE_SIZE);
	char *p = mmap(NULL, end - start, prot, MAP_SHARED, fd, (off_t)start);

	*ret_len = end - start;
	return p == MAP_FAILED ? NULL : p;
}

static size_t host_write(int fd, uint64_t off, const char *src, size_t n)
{
	size_t len, left;
	char *p = host_map(fd, off, n, PROT_READ | PROT_WRITE, &len);

	if (!p)
		return 0;
	left = src ? safecopy(p + (off & ~PAGE_MASK), src, n) : safezero(p + (off & ~PAGE_MASK), n);
	(void)munmap(p, len);
	return n - left;
}

static bool access_ok(const struct vma *v, bool write, bool force)
{
	if (write)
		return (v->prot & LINUX_PROT_WRITE) || (force && !(v->flags & VMA_SHARED) && (v->max_prot & LINUX_PROT_WRITE));
	return (v->prot & LINUX_PROT_RWX) || (force && (v->max_prot & LINUX_PROT_READ));
}

/* Moves what lies in one pma and one VMA at @a; bytes done, fewer than *@want on a fault. */
static size_t move_piece(struct mm *mm, const struct vma *v, const struct pma *p, uint64_t a, char *buf, size_t n, enum copy_op op, size_t *want)
{
	uint64_t off = p->off + (a - p->r.start), end = MIN(v->r.end, p->r.end);
	size_t left;
	char *m;

	n = MIN(n, end - a);
	if (p->fd >= 0) {
		*want = n;
		return op == COPY_IN ? host_read(p->fd, off, buf, n) : host_write(p->fd, off, op == COPY_OUT ? buf : NULL, n);
	}
	n = MIN(n, CHUNK - (off & (CHUNK - 1)));
	if (op == COPY_IN) {
		uint64_t len = n;
		const char *src = memfile_look(mm->mf, off, &len);

		*want = n = len;
		return src ? n - safecopy(buf, src, n) : 0;
	}
	/* Beyond lies what must be prepared first. */
	*want = n = memfile_writable_len(mm->mf, off, n);
	m = n ? memfile_ptr(mm->mf, off, n) : NULL;
	if (unlikely(!m))
		return 0;
	if (op == COPY_OUT)
		left = safecopy(m, buf, n);
	else
		left = safezero(m, n);
	return n - left;
}

static size_t copy_some(struct mm *mm, uint64_t a, void *buf_, size_t n, enum copy_op op, bool force)
{
	bool write = op != COPY_IN, fault = false;
	char *buf = buf_;
	size_t done = 0, want, got;

	while (done < n && !fault) {
		struct vma *v;
		struct pma *p;
		int r;

		rwlock_rdlock(&mm->lock);
		while (done < n) {
			struct range *i;

			v = vma_find(mm, a + done);
			if (!v || !access_ok(v, write, force))
				break;
			i = rangemap_find(&mm->pmas, a + done);
			if (!i || (write && !pma_writable_at(mm, pma_of(i), v, a + done)))
				break;
			got = move_piece(mm, v, pma_of(i), a + done, buf ? buf + done : NULL, n - done, op, &want);
			done += got;
			if (got < want) {
				fault = true;
				break;
			}
		}
		rwlock_unlock(&mm->lock);
		if (done == n || fault)
			break;
		mm_wlock(mm);
		v = mm_find_or_grow(mm, a + done);
		r = v && access_ok(v, write, force) ? pma_resolve(mm, NULL, v, a + done, write, false, &p) : -EFAULT;
		if (r < 0) {
			fault = r != -EUSERFAULT;
		} else {
			got = move_piece(mm, v, p, a + done, buf ? buf + done : NULL, n - done, op, &want);
			done += got;
			fault = got < want;
		}
		mm_wunlock(mm);
		if (r == -EUSERFAULT)
			fault = uffd_sleep(false) < 0;
	}
	return done;
}

static bool range_ok(gaddr_t a, size_t n)
{
	return a.v <= LINUX_TASK_SIZE_MAX && n <= LINUX_TASK_SIZE_MAX - a.v;
}

int mm_copy_in(struct mm *mm, void *dst, gaddr_t src, size_t n)
{
	return range_ok(src, n) && copy_some(mm, src.v, dst, n, COPY_IN, false) == n ? 0 : -EFAULT;
}

int mm_copy_out(struct mm *mm, gaddr_t dst, const void *src, size_t n)
{
	return range_ok(dst, n) && copy_some(mm, dst.v, (void *)(uintptr_t)src, n, COPY_OUT, false) == n ? 0 : -EFAULT;
}

int mm_zero_out(struct mm *mm, gaddr_t dst, size_t n)
{
	return range_ok(dst, n) && copy_some(mm, dst.v, NULL, n, COPY_ZERO, false) == n ? 0 : -EFAULT;
}

size_t mm_copy_in_some(struct mm *mm, void *dst, gaddr_t src, size_t n)
{
	return copy_some(mm, src.v, dst, n, COPY_IN, false);
}

size_t mm_copy_out_some(struct mm *mm, gaddr_t dst, const void *src, size_t n)
{
	return copy_some(mm, dst.v, (void *)(uintptr_t)src, n, COPY_OUT, false);
}

size_t mm_zero_out_some(struct mm *mm, gaddr_t dst, size_t n)
{
	return copy_some(mm, dst.v, NULL, n, COPY_ZERO, false);
}

int64_t mm_access(struct mm *mm, gaddr_t addr, void *buf, size_t n, bool write, bool force)
{
	size_t done = copy_some(mm, addr.v, buf, MIN(n, (size_t)INT64_MAX), write ? COPY_OUT : COPY_IN, force);

	return done || !n ? (int64_t)done : -EFAULT;
}

int64_t mm_copy_in_str(struct mm *mm, char *dst, gaddr_t src, size_t cap)
{
	size_t done = 0;

	/* By steps that end at page boundaries: the string may end just before unmapped memory. */
	while (done < cap) {
		size_t n = PAGE_SIZE - ((src.v + done) & ~PAGE_MASK), got;
		char *nul;

		n = MIN(n, cap - done);
		n = MIN(n, done ? (size_t)1024 : (size_t)128);
		got = copy_some(mm, src.v + done, dst + done, n, COPY_IN, false);
		nul = memchr(dst + done, 0, got);
		if (nul)
			return nul - dst;
		if (got < n)
			return -EFAULT;
		done += n;
	}
	return -ENAMETOOLONG;
}

struct u32_op {
	bool write;
	uint32_t old, new_val;
	uint32_t *ret;
};

static int u32_do(struct mm *mm, const struct pma *p, uint64_t a, const struct u32_op *o)
{
	uint64_t off = p->off + (a - p->r.start);
	size_t len = 0;
	char *m, *host = NULL;
	int r;

	if (p->fd >= 0) {
		host = host_map(p->fd, off, 4, o->write ? PROT_READ | PROT_WRITE : PROT_READ, &len);
		m = host ? host + (off & ~PAGE_MASK) : NULL;
	} else {
		uint64_t n = 4;

		m = o->write ? memfile_ptr(mm->mf, off, 4) : (char *)(uintptr_t)memfile_look(mm->mf, off, &n);
	}
	if (!m)
		return -EFAULT;
	r = o->write ? safe_cmpxchg_u32(m, o->old, o->new_val, o->ret) : safe_load_u32(m, o->ret);
	if (host)
		(void)munmap(host, len);
	return r;
}

static int u32_access(struct mm *mm, uint64_t a, const struct u32_op *o)
{
	struct range *i;
	struct vma *v;
	struct pma *p;
	int r = -EAGAIN;

	if ((a & 3) || a >= LINUX_TASK_SIZE_MAX)
		return a & 3 ? -EINVAL : -EFAULT;
	rwlock_rdlock(&mm->lock);
	v = vma_find(mm, a);
	i = rangemap_find(&mm->pmas, a);
	if (v && i && access_ok(v, o->write, false) && (!o->write || pma_writable_at(mm, pma_of(i), v, a)))
		r = u32_do(mm, pma_of(i), a, o);
	rwlock_unlock(&mm->lock);
	while (r == -EAGAIN) {
		mm_wlock(mm);
		v = mm_find_or_grow(mm, a);
		r = v && access_ok(v, o->write, false) ? pma_resolve(mm, NULL, v, a, o->write, false, &p) : -EFAULT;
		if (r == 0)
			r = u32_do(mm, p, a, o);
		else if (r != -EUSERFAULT)
			r = -EFAULT;
		mm_wunlock(mm);
		if (r == -EUSERFAULT)
			r = uffd_sleep(false) < 0 ? -EFAULT : -EAGAIN;
	}
	return r;
}

int mm_load_u32(struct mm *mm, gaddr_t a, uint32_t *ret)
{
	struct u32_op o = { .ret = ret };

	return u32_access(mm, a.v, &o);
}

int mm_cmpxchg_u32(struct mm *mm, gaddr_t a, uint32_t old, uint32_t new_val, uint32_t *ret_old)
{
	struct u32_op o = { true, old, new_val, ret_old };

	return u32_access(mm, a.v, &o);
}

int mm_futex_key(struct mm *mm, gaddr_t a, bool shared, bool write, struct futex_key *ret)
{
	int r = 0;

	if (a.v & 3)
		return -EINVAL;
	if (a.v >= LINUX_TASK_SIZE_MAX)
		return -EFAULT;
	*ret = (struct futex_key){ (uint64_t)(uintptr_t)mm, a.v, 0 };
	if (!shared)
		return 0;
	rwlock_rdlock(&mm->lock);
	{
		struct vma *v = vma_find(mm, a.v);

		if (!v || !access_ok(v, write, false))
			r = -EFAULT;
		else if (v->flags & VMA_SHARED)
			*ret = (struct futex_key){ (uint64_t)(uintptr_t)v->obj, v->off + (a.v - v->r.start), 1 };
	}
	rwlock_unlock(&mm->lock);
	return r;
}

int mm_pin_page(struct mm *mm, uint64_t a, size_t n, bool write, struct mm_pin *ret)
{
	struct vma *v;
	struct pma *p;
	uint64_t off;
	int r;

again:
	r = -EFAULT;
	mm_wlock(mm);
	v = mm_find_or_grow(mm, a);
	if (v && access_ok(v, write, false))
		r = pma_resolve(mm, NULL, v, a, write, false, &p);
	if (r == 0) {
		n = MIN(n, v->r.end - a);
		n = MIN(n, p->r.end - a);
		off = p->off + (a - p->r.start);
		*ret = (struct mm_pin){ .mf = mm->mf };
		if (p->fd >= 0) {
			ret->host = host_map(p->fd, off, n, write ? PROT_READ | PROT_WRITE : PROT_READ, &ret->host_len);
			ret->ptr = ret->host ? (char *)ret->host + (off & ~PAGE_MASK) : NULL;
		} else {
			n = MIN(n, CHUNK - (off & (CHUNK - 1)));
			if (write) {
				n = memfile_writable_len(mm->mf, off, n);
				ret->ptr = n ? memfile_ptr(mm->mf, off, n) : NULL;
			} else {
				uint64_t len = n;

				ret->ptr = (void *)(uintptr_t)memfile_look(mm->mf, off, &len);
				n = len;
			}
			if (ret->ptr) {
				ret->off = ALIGN_DOWN(off, PAGE_SIZE);
				ret->off_len = ALIGN_UP(off + n, PAGE_SIZE) - ret->off;
				memfile_ref(mm->mf, ret->off, ret->off_len);
			}
		}
		ret->len = n;
		r = ret->ptr ? 0 : -EFAULT;
	}
	mm_wunlock(mm);
	if (r == -EUSERFAULT) {
		if (uffd_sleep(false) == 0)
			goto again;
		r = -EFAULT;
	}
	return r;
}

void mm_unpin(struct mm_pin *p)
{
	if (p->host)
		(void)munmap(p->host, p->host_len);
	else if (p->off_len)
		memfile_unref(p->mf, p->off, p->off_len);
}
