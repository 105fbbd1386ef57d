/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmap, munmap, mprotect and brk: checks and results in Linux's order (mm/mmap.c, mm/mprotect.c).
 *
 * Files are asked for their mappable before mm.lock is taken. DEVIATION: MAP_HUGETLB answers ENOMEM, as a host with no huge
 * pages reserved does; MAP_NORESERVE changes nothing, since commit is never reserved; MAP_SYNC is refused by every file here.
 */
#include "sentry/fs/file.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm_internal.h"

#define LINUX_READ_IMPLIES_EXEC 0x0400000u

static uint32_t vma_flags_of(const struct mm *mm, uint32_t map_flags)
{
	uint32_t f = mm->def_flags;

	if (map_flags & LINUX_MAP_GROWSDOWN)
		f |= VMA_GROWSDOWN;
	if (map_flags & LINUX_MAP_LOCKED)
		f |= VMA_LOCKED;
	if (map_flags & LINUX_MAP_NORESERVE)
		f |= VMA_NORESERVE;
	return f;
}

static bool is_data(uint32_t prot, uint32_t flags)
{
	return (prot & LINUX_PROT_WRITE) && !(flags & (VMA_SHARED | VMA_GROWSDOWN));
}

static uint64_t mapped_in(const struct mm *mm, uint64_t start, uint64_t end)
{
	uint64_t n = 0;

	for (struct vma *v = vma_first_in(mm, start, end); v && v->r.start < end; v = vma_next(v))
		n += MIN(end, v->r.end) - MAX(start, v->r.start);
	return n;
}

/* Room, limits, replacement, insertion. @len is page-aligned and not 0. Returns the address. */
int64_t mm_mmap_locked(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, uint32_t map_flags, struct vma_spec *s, bool *populate)
{
	bool fixed = map_flags & (LINUX_MAP_FIXED | LINUX_MAP_FIXED_NOREPLACE);
	int r;

	if (mm->vmas.nr >= LINUX_MAX_MAP_COUNT)
		return -ENOMEM;
	if (fixed) {
		if (len > mm->hi || addr > mm->hi - len)
			return -ENOMEM;
		if (!IS_ALIGNED(addr, PAGE_SIZE))
			return -EINVAL;
		if (addr < mm->lo)
			return -EPERM;
		if ((map_flags & LINUX_MAP_FIXED_NOREPLACE) && vma_first_in(mm, addr, addr + len))
			return -EEXIST;
	} else {
		r = vma_find_gap(mm, addr, len, map_flags, PAGE_SIZE, &addr);
		if (r < 0)
			return r;
	}
	s->flags |= vma_flags_of(mm, map_flags);
	if ((map_flags & LINUX_MAP_LOCKED) && !mm_task_may_lock(t) && mm_task_rlimit(t, LINUX_RLIMIT_MEMLOCK) == 0)
		return -EPERM;
	if (s->flags & VMA_LOCKED) {
		r = mm_may_lock_more(mm, t, len);
		if (r < 0)
			return r;
	}
	r = mm_may_expand(mm, t, is_data(s->prot, s->flags), len - (fixed ? mapped_in(mm, addr, addr + len) : 0));
	if (r < 0)
		return r;
	r = vma_unmap_range(mm, mm_task_ctx(mm, t), addr, addr + len);
	if (r == 0)
		r = vma_add(mm, addr, addr + len, s);
	if (r < 0)
		return r;
	*populate = (map_flags & LINUX_MAP_POPULATE && !(map_flags & LINUX_MAP_NONBLOCK)) ||
		    ((s->flags & VMA_LOCKED) && !(s->flags & VMA_LOCKONFAULT));
	return (int64_t)addr;
}

static int64_t map_common(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, uint32_t map_flags, struct vma_spec *s)
{
	struct uffd_events ev = { NULL };
	bool populate = false;
	int64_t ret;

	mm_wlock(mm);
	if (map_flags & LINUX_MAP_FIXED)
		uffd_unmapping(mm, addr, addr + len, &ev);
	ret = mm_mmap_locked(mm, t, addr, len, map_flags, s, &populate);
	/* Failure to fill is no failure of mmap. */
	if (ret >= 0 && populate && (s->prot & LINUX_PROT_RWX) &&
	    mm_populate_locked(mm, mm_task_ctx(mm, t), (uint64_t)ret, (uint64_t)ret + len,
			       (s->prot & LINUX_PROT_WRITE) && !(s->flags & VMA_SHARED)) < 0)
		populate = false;
	/* What a program asks for, it touches, from the beginning. Reservations and stacks are another matter. */
	if (ret >= 0 && !populate && !s->obj && !(map_flags & (LINUX_MAP_NORESERVE | LINUX_MAP_STACK | LINUX_MAP_GROWSDOWN | LINUX_MAP_FIXED)))
		pma_expect(mm, mm_task_ctx(mm, t), vma_find(mm, (uint64_t)ret), (uint64_t)ret);
	mm_wunlock(mm);
	if (ret < 0)
		uffd_discard(&ev);
	uffd_tell(&ev);
	return ret;
}

/* Asks the file; on success s->obj holds a reference, unless it says "anonymous". */
static int64_t file_spec(struct task *t, struct file *f, uint64_t off, uint64_t len, uint32_t map_flags, struct vma_spec *s)
{
	struct vma_request req = { .off = off, .len = len, .prot = s->prot, .flags = map_flags, .obj_off = off };
	bool shared = s->flags & VMA_SHARED;
	int r;

	if (!f->readable || (shared && (s->prot & LINUX_PROT_WRITE) && !f->writable))
		return -EACCES;
	if (!f->ops->mmap)
		return -ENODEV;
	if (map_flags & LINUX_MAP_GROWSDOWN)
		return -EINVAL;
	r = f->ops->mmap(f, t, &req);
	if (r < 0)
		return r;
	if (!req.obj && !req.anon)
		return -ENODEV;
	if (shared && (!f->writable || req.deny_write)) {
		s->max_prot &= ~LINUX_PROT_WRITE;
		if (s->prot & LINUX_PROT_WRITE) {
			if (req.obj && req.obj->ops->put)
				req.obj->ops->put(req.obj);
			return -EPERM;
		}
	}
	s->obj = req.obj;
	s->off = req.obj_off;
	s->file = f;
	return 0;
}

int64_t mm_mmap(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, uint32_t prot, uint32_t map_flags, struct file *f, uint64_t off)
{
	struct vma_spec s = { .prot = prot & LINUX_PROT_RWX, .max_prot = LINUX_PROT_RWX };
	uint32_t type = map_flags & LINUX_MAP_TYPE;
	uint64_t end;
	int64_t ret = 0;

	if (len == 0)
		return -EINVAL;
	if (t && (t->personality & LINUX_READ_IMPLIES_EXEC) && (s.prot & LINUX_PROT_READ))
		s.prot |= LINUX_PROT_EXEC;
	if (map_flags & LINUX_MAP_HUGETLB) {
		uint32_t log = map_flags >> LINUX_MAP_HUGE_SHIFT & 63;

		return log == 0 || log == 21 || log == 30 ? -ENOMEM : -EINVAL;
	}
	len = ALIGN_UP(len, PAGE_SIZE);
	if (len == 0)
		return -ENOMEM;
	if (add_overflow(off, len, &end) || (f && end > INT64_MAX))
		return -EOVERFLOW;
	if (f) {
		if (type == LINUX_MAP_SHARED_VALIDATE) {
			if (map_flags & ~LINUX_LEGACY_MAP_MASK)
				return -EOPNOTSUPP;
		} else if (type != LINUX_MAP_SHARED && type != LINUX_MAP_PRIVATE) {
			return -EINVAL;
		}
		if (type != LINUX_MAP_PRIVATE)
			s.flags |= VMA_SHARED;
		ret = file_spec(t, f, off, len, map_flags, &s);
		/* /dev/zero: shared between relatives like MAP_ANONYMOUS. */
		if (ret == 0 && !s.obj && (s.flags & VMA_SHARED)) {
			s.off = 0;
			ret = shmobj_new(mm->mf, len, &s.obj);
		}
	} else if (type == LINUX_MAP_SHARED) {
		if (map_flags & LINUX_MAP_GROWSDOWN)
			return -EINVAL;
		s.flags |= VMA_SHARED;
		ret = shmobj_new(mm->mf, len, &s.obj);
	} else if (type != LINUX_MAP_PRIVATE) {
		return -EINVAL;
	}
	if (ret < 0)
		return ret;
	ret = map_common(mm, t, addr, len, map_flags, &s);
	if (s.obj && s.obj->ops->put)
		s.obj->ops->put(s.obj);
	return ret;
}

int64_t mm_map_object(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, uint32_t prot, uint32_t map_flags, struct mappable *obj,
		      uint64_t off, const char *name)
{
	struct vma_spec s = { .prot = prot & LINUX_PROT_RWX, .max_prot = LINUX_PROT_RWX, .obj = obj, .off = off };
	int64_t ret;

	len = ALIGN_UP(len, PAGE_SIZE);
	if (len == 0 || !IS_ALIGNED(off, PAGE_SIZE))
		return -EINVAL;
	if ((map_flags & LINUX_MAP_TYPE) != LINUX_MAP_PRIVATE)
		s.flags |= VMA_SHARED;
	if (map_flags & MM_MAP_NEVER_WRITE)
		s.max_prot &= ~LINUX_PROT_WRITE;
	if (name) {
		s.name = vma_name_new(name);
		if (!s.name)
			return -ENOMEM;
		/* "[vdso]", "[vvar]": made by the kernel, left alone by mremap and merging. All processes map the same pages, so a write
		 * that mprotect allowed must copy. */
		if (name[0] == '[')
			s.flags |= VMA_SPECIAL;
		if (name[0] == '[' && !(prot & LINUX_PROT_WRITE))
			s.flags &= ~VMA_SHARED;
	}
	ret = map_common(mm, t, addr, len, map_flags, &s);
	vma_name_put(s.name);
	return ret;
}

int64_t mm_munmap(struct mm *mm, struct plat_ctx *self, uint64_t addr, uint64_t len)
{
	struct uffd_events ev = { NULL };
	int r;

	if (!IS_ALIGNED(addr, PAGE_SIZE) || addr > LINUX_TASK_SIZE_MAX || len > LINUX_TASK_SIZE_MAX - addr)
		return -EINVAL;
	len = ALIGN_UP(len, PAGE_SIZE);
	if (len == 0)
		return -EINVAL;
	mm_wlock(mm);
	{
		struct vma *v = vma_first_in(mm, addr, addr + len);

		/* A hole in the middle of a mapping makes one more. */
		if (v && v->r.start < addr && v->r.end > addr + len && mm->vmas.nr >= LINUX_MAX_MAP_COUNT) {
			r = -ENOMEM;
		} else {
			uffd_unmapping(mm, addr, addr + len, &ev);
			r = vma_unmap_range(mm, self, addr, addr + len);
		}
	}
	mm_wunlock(mm);
	if (r < 0)
		uffd_discard(&ev);
	uffd_tell(&ev);
	return r;
}

/* One VMA's part of an mprotect. */
static int protect_vma(struct mm *mm, struct task *t, struct vma **vp, uint64_t start, uint64_t end, uint32_t prot)
{
	struct vma *v = *vp;
	bool data = is_data(prot, v->flags) && !is_data(v->prot, v->flags);
	int r;

	if (v->prot == prot)
		return 0;
	if (prot & ~v->max_prot)
		return -EACCES;
	if (data && mm->data + (end - start) > mm_task_rlimit(t, LINUX_RLIMIT_DATA))
		return -ENOMEM;
	if ((start > v->r.start || end < v->r.end) && mm->vmas.nr + 1 >= LINUX_MAX_MAP_COUNT)
		return -ENOMEM;
	r = rangemap_isolate(&mm->vmas, start, end);
	if (r < 0)
		return r;
	v = vma_find(mm, start);
	vma_account(mm, v, -1);
	v->prot = prot;
	vma_account(mm, v, 1);
	pma_reprotect(mm, mm_task_ctx(mm, t), v, start, end);
	*vp = v;
	return 0;
}

int64_t mm_mprotect(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, uint32_t prot)
{
	uint32_t grows = prot & (LINUX_PROT_GROWSDOWN | LINUX_PROT_GROWSUP);
	uint64_t end, pos;
	struct vma *v;
	int r = 0;

	prot &= ~grows;
	if (grows == (LINUX_PROT_GROWSDOWN | LINUX_PROT_GROWSUP) || !IS_ALIGNED(addr, PAGE_SIZE))
		return -EINVAL;
	if (len == 0)
		return 0;
	len = ALIGN_UP(len, PAGE_SIZE);
	if (add_overflow(addr, len, &end) || end <= addr)
		return -ENOMEM;
	if (prot & ~(LINUX_PROT_RWX | LINUX_PROT_SEM))
		return -EINVAL;
	prot &= LINUX_PROT_RWX;
	if (t && (t->personality & LINUX_READ_IMPLIES_EXEC) && (prot & LINUX_PROT_READ))
		prot |= LINUX_PROT_EXEC;
	mm_wlock(mm);
	v = vma_first_in(mm, addr, end);
	if (!v) {
		r = -ENOMEM;
	} else if (grows & LINUX_PROT_GROWSDOWN) {
		if (!(v->flags & VMA_GROWSDOWN))
			r = -EINVAL;
		else
			addr = v->r.start;
	} else if (v->r.start > addr) {
		r = -ENOMEM;
	} else if (grows) {
		r = -EINVAL;
	}
	/* What was done before an error stays done. */
	for (pos = addr; r == 0 && pos < end;) {
		uint64_t stop;

		v = vma_find(mm, pos);
		if (!v) {
			r = -ENOMEM;
			break;
		}
		stop = MIN(end, v->r.end);
		r = protect_vma(mm, t, &v, pos, stop, prot);
		pos = stop;
	}
	rangemap_merge_in(&mm->vmas, addr, MIN(pos, end));
	mm_wunlock(mm);
	return r;
}

int64_t mm_brk(struct mm *mm, struct task *t, uint64_t addr)
{
	struct vma_spec s = { .prot = LINUX_PROT_READ | LINUX_PROT_WRITE, .max_prot = LINUX_PROT_RWX };
	uint64_t old, new_end, old_end, ret, data;
	bool populate = false;

	mm_wlock(mm);
	old = mm->brk;
	ret = old;
	if (addr < mm->layout.start_brk || addr > mm->hi - PAGE_SIZE)
		goto out;
	/* RLIMIT_DATA counts the heap and the initialised data. */
	if (add_overflow(addr - mm->layout.start_brk, mm->layout.end_data - mm->layout.start_data, &data) ||
	    data > mm_task_rlimit(t, LINUX_RLIMIT_DATA))
		goto out;
	old_end = ALIGN_UP(old, PAGE_SIZE);
	new_end = ALIGN_UP(addr, PAGE_SIZE);
	if (new_end < old_end) {
		if (vma_unmap_range(mm, mm_task_ctx(mm, t), new_end, old_end) < 0)
			goto out;
	} else if (new_end > old_end) {
		/* One page of distance to what lies above. */
		if (!vma_range_free(mm, old_end, new_end + PAGE_SIZE))
			goto out;
		if (mm_mmap_locked(mm, t, old_end, new_end - old_end, LINUX_MAP_FIXED, &s, &populate) < 0)
			goto out;
		if (populate && mm_populate_locked(mm, mm_task_ctx(mm, t), old_end, new_end, true) < 0)
			populate = false;
		/* The allocator writes to its new top at once; the very first call only asks for room. */
		if (!populate)
			pma_expect(mm, mm_task_ctx(mm, t), vma_find(mm, old_end), old_end);
	}
	mm->brk = ret = addr;
out:
	mm_wunlock(mm);
	return (int64_t)ret;
}
