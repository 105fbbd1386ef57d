/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/pid/maps, smaps, smaps_rollup, and the counters behind /proc/pid/status and statm.
 * Resident sizes are what the memory file really holds for the mapping's pages, not the windows faults filled ahead.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/strbuf.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"
#include "sentry/mm/mm_internal.h"

struct vma_sizes {
	uint64_t rss, anon, shared, priv_dirty;
};

static void sizes_of(struct mm *mm, const struct vma *v, struct vma_sizes *ret)
{
	*ret = (struct vma_sizes){ 0 };
	for (struct range *i = rangemap_first_in(&mm->pmas, v->r.start, v->r.end); i && i->start < v->r.end; i = i->next) {
		struct pma *p = pma_of(i);
		uint64_t a = MAX(i->start, v->r.start), n = MIN(i->end, v->r.end) - a;

		if (p->fd < 0)
			n = memfile_resident(mm->mf, p->off + (a - i->start), n);
		ret->rss += n;
		if (p->priv)
			ret->anon += n;
		if (p->priv && !p->cow)
			ret->priv_dirty += n;
		else
			ret->shared += n;
	}
}

static void name_of(struct mm *mm, const struct vma *v, struct strbuf *b)
{
	const struct mm_layout *l = &mm->layout;

	if (v->name && (v->flags & VMA_ANON_NAME)) {
		strbuf_addf(b, (v->flags & VMA_SHARED) ? "[anon_shmem:%s]" : "[anon:%s]", v->name->s);
		return;
	}
	if (v->name) {
		strbuf_adds(b, v->name->s);
		return;
	}
	if (v->file) {
		if (v->file->path.dentry)
			(void)path_text(&v->file->path, NULL, true, b);
		else if (v->file->ops->show_name)
			v->file->ops->show_name(v->file, b);
		else
			strbuf_addf(b, "anon_inode:[%s]", v->file->ops->name);
		return;
	}
	if (v->obj && mappable_is_shmobj(v->obj))
		strbuf_adds(b, "/dev/zero (deleted)");
	else if (v->r.start <= mm->brk && v->r.end >= l->start_brk && mm->brk > l->start_brk && !v->obj)
		strbuf_adds(b, "[heap]");
	else if (l->start_stack && v->r.start <= l->start_stack && v->r.end >= l->start_stack)
		strbuf_adds(b, "[stack]");
}

/* One line of maps. Columns as Linux: the name begins at column 74 (or right after a long prefix). */
static void show_line(struct mm *mm, const struct vma *v, struct strbuf *b)
{
	uint64_t dev = 0, ino = 0;
	size_t from = b->len, before;
	char pad[80];

	if (v->file && v->file->inode) {
		struct kstat st = { 0 };

		mm_file_stat(v->file, &st);
		dev = st.dev;
		ino = st.ino;
	} else if (v->obj && mappable_is_shmobj(v->obj) && !v->name) {
		dev = 1;
		ino = (uint64_t)(uintptr_t)v->obj >> 6 & 0xffffff; /* some stable number */
	}
	strbuf_addf(b, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", v->r.start, v->r.end, v->prot & LINUX_PROT_READ ? 'r' : '-',
		    v->prot & LINUX_PROT_WRITE ? 'w' : '-', v->prot & LINUX_PROT_EXEC ? 'x' : '-', v->flags & VMA_SHARED ? 's' : 'p',
		    v->obj ? v->off : 0, (unsigned)(dev >> 8 & 0xfff), (unsigned)((dev & 0xff) | (dev >> 12 & 0xfff00)), ino);
	before = b->len;
	{
		_cleanup_strbuf_ struct strbuf name = STRBUF_INIT;

		name_of(mm, v, &name);
		if (name.len) {
			size_t width = before - from;

			if (width < 73) {
				memset(pad, ' ', sizeof(pad));
				strbuf_add(b, pad, 73 - width);
			}
			/* A newline in a path would make a line of its own. */
			for (size_t i = 0; i < name.len; i++) {
				if (name.data[i] == '\n')
					strbuf_adds(b, "\\012");
				else
					strbuf_addc(b, name.data[i]);
			}
		}
	}
	strbuf_addc(b, '\n');
}

int mm_show_maps(struct mm *mm, struct strbuf *b)
{
	rwlock_rdlock(&mm->lock);
	for (struct range *i = mm->vmas.first; i; i = i->next)
		show_line(mm, vma_of(i), b);
	rwlock_unlock(&mm->lock);
	return strbuf_error(b);
}

static void show_sizes(const struct vma_sizes *s, uint64_t size, uint64_t locked, bool rollup, struct strbuf *b)
{
	if (!rollup)
		strbuf_addf(b, "Size:           %8lu kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n", size >> 10);
	strbuf_addf(b, "Rss:            %8lu kB\nPss:            %8lu kB\nPss_Dirty:      %8lu kB\n", s->rss >> 10, s->rss >> 10,
		    s->priv_dirty >> 10);
	if (rollup)
		strbuf_addf(b, "Pss_Anon:       %8lu kB\nPss_File:       %8lu kB\nPss_Shmem:      %8lu kB\n", s->anon >> 10,
			    (s->rss - s->anon) >> 10, 0UL);
	strbuf_addf(b, "Shared_Clean:   %8lu kB\nShared_Dirty:   %8lu kB\nPrivate_Clean:  %8lu kB\nPrivate_Dirty:  %8lu kB\n", s->shared >> 10, 0UL,
		    0UL, s->priv_dirty >> 10);
	strbuf_addf(b, "Referenced:     %8lu kB\nAnonymous:      %8lu kB\nKSM:            %8lu kB\nLazyFree:       %8lu kB\n", s->rss >> 10,
		    s->anon >> 10, 0UL, 0UL);
	strbuf_addf(b, "AnonHugePages:  %8lu kB\nShmemPmdMapped: %8lu kB\nFilePmdMapped:  %8lu kB\n", 0UL, 0UL, 0UL);
	strbuf_addf(b, "Shared_Hugetlb: %8lu kB\nPrivate_Hugetlb: %7lu kB\nSwap:           %8lu kB\nSwapPss:        %8lu kB\nLocked:         %8lu kB\n", 0UL,
		    0UL, 0UL, 0UL, locked >> 10);
}

static void show_vmflags(const struct vma *v, struct strbuf *b)
{
	static const struct {
		uint32_t flag;
		char text[3];
	} names[] = {
		{ VMA_GROWSDOWN, "gd" }, { VMA_UFFD_MISSING, "um" }, { VMA_UFFD_WP, "uw" }, { VMA_LOCKED, "lo" }, { VMA_SEQUENTIAL, "sr" },
		{ VMA_RANDOM, "rr" }, { VMA_DONTFORK, "dc" }, { VMA_SPECIAL, "de" }, { VMA_LOCKONFAULT, "lf" }, { VMA_NORESERVE, "nr" },
		{ VMA_WIPEONFORK, "wf" }, { VMA_DONTDUMP, "dd" }, { VMA_HUGEPAGE, "hg" }, { VMA_NOHUGEPAGE, "nh" }, { VMA_UFFD_MINOR, "ui" },
	};

	strbuf_adds(b, "VmFlags:");
	for (int may = 0; may < 2; may++) {
		static const char *const text[2][4] = { { "rd", "wr", "ex", "sh" }, { "mr", "mw", "me", "ms" } };
		uint32_t p = may ? v->max_prot : v->prot;

		for (int i = 0; i < 3; i++)
			if (p & (1u << i))
				strbuf_addf(b, " %s", text[may][i]);
		if (v->flags & VMA_SHARED)
			strbuf_addf(b, " %s", text[may][3]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (v->flags & names[i].flag)
			strbuf_addf(b, " %s", names[i].text);
		/* What counts against the commit limit. */
		if (names[i].flag == VMA_LOCKONFAULT && (v->prot & LINUX_PROT_WRITE) && !(v->flags & (VMA_SHARED | VMA_NORESERVE)))
			strbuf_adds(b, " ac");
	}
	strbuf_adds(b, " \n");
}

int mm_show_smaps(struct mm *mm, struct strbuf *b, bool rollup)
{
	struct vma_sizes sum = { 0 }, s;

	rwlock_rdlock(&mm->lock);
	for (struct range *i = mm->vmas.first; i; i = i->next) {
		struct vma *v = vma_of(i);

		sizes_of(mm, v, &s);
		if (!rollup) {
			show_line(mm, v, b);
			show_sizes(&s, i->end - i->start, v->flags & VMA_LOCKED ? s.rss : 0, false, b);
			strbuf_adds(b, "THPeligible:           0\n");
			show_vmflags(v, b);
		}
		sum.rss += s.rss;
		sum.anon += s.anon;
		sum.shared += s.shared;
		sum.priv_dirty += s.priv_dirty;
	}
	if (rollup && mm->vmas.first) {
		char line[80];

		(void)snprintf(line, sizeof(line), "%08lx-%08lx ---p 00000000 00:00 0", mm->vmas.first->start, mm->vmas.last->end);
		strbuf_addf(b, "%-72s [rollup]\n", line);
		show_sizes(&sum, 0, mm->locked, true, b);
	}
	rwlock_unlock(&mm->lock);
	return strbuf_error(b);
}

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(id, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

#define COUNT_BIG   (32ULL << 20) /* below that, counting is cheap enough to be done every time */
#define COUNT_SHARE 20 /* of the time: one part counting, so many parts believing what was counted */
#define COUNT_DRIFT 8 /* one part in so many mapped or unmapped since: count again */

static void count_pages(struct mm *mm, struct rss_memo *ret)
{
	*ret = (struct rss_memo){ .covered = mm->pmas.total };
	for (struct range *i = mm->vmas.first; i; i = i->next) {
		const struct vma *v = vma_of(i);
		struct vma_sizes s;

		sizes_of(mm, v, &s);
		ret->rss += s.rss;
		if (v->obj && mappable_is_shmobj(v->obj))
			ret->shmem += s.rss - s.anon;
		else if (v->obj)
			ret->file += s.rss - s.anon;
	}
}

/*
 * The resident sizes, mm.lock held. The host has no counter for us and walks all pages (2 ms for 64 MiB), and there are programs that ask
 * ten times a second, whatever their size. So a large count is believed for a while, corrected by what was mapped and unmapped since; as in
 * Linux, where such counters lag behind, too.
 */
static void resident(struct mm *mm, struct rss_memo *ret)
{
	int64_t now = clock_ns(CLOCK_MONOTONIC), began;
	uint64_t covered = mm->pmas.total, drift;

	mutex_lock(&mm->usage_mu);
	*ret = mm->counted;
	mutex_unlock(&mm->usage_mu);
	drift = covered > ret->covered ? covered - ret->covered : ret->covered - covered;
	if (now < ret->until && drift <= ret->covered / COUNT_DRIFT) {
		ret->rss = covered > ret->covered ? ret->rss + drift : ret->rss - MIN(drift, ret->rss);
		ret->rss = MIN(ret->rss, covered);
		if (ret->rss >= ret->file + ret->shmem)
			return;
	}
	/* Processor time: that somebody else ran meanwhile says nothing. */
	began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	count_pages(mm, ret);
	if (ret->rss >= COUNT_BIG)
		ret->until = now + COUNT_SHARE * (clock_ns(CLOCK_THREAD_CPUTIME_ID) - began);
	mutex_lock(&mm->usage_mu);
	mm->counted = *ret;
	mutex_unlock(&mm->usage_mu);
}

void mm_usage(struct mm *mm, struct mm_usage *ret)
{
	struct rss_memo m;

	*ret = (struct mm_usage){ 0 };
	rwlock_rdlock(&mm->lock);
	resident(mm, &m);
	ret->rss = m.rss;
	ret->rss_file = m.file;
	ret->rss_shmem = m.shmem;
	for (struct range *i = mm->vmas.first; i; i = i->next) {
		const struct vma *v = vma_of(i);

		if (v->file && (v->prot & LINUX_PROT_EXEC))
			ret->exec += i->end - i->start;
	}
	ret->vm = mm->vmas.total;
	ret->vm_peak = MAX(mm->hiwater_vm, mm->vmas.total);
	ret->locked = mm->locked;
	if (ret->rss > mm->hiwater_rss)
		mm->hiwater_rss = ret->rss; /* a statistic: a race costs nothing */
	ret->rss_peak = mm->hiwater_rss;
	ret->data = mm->data;
	ret->stack = mm->stack;
	ret->lib = ret->exec > mm->layout.end_code - mm->layout.start_code ? ret->exec - (mm->layout.end_code - mm->layout.start_code) : 0;
	ret->exec -= ret->lib;
	/* Page tables as Linux would need: one page per 2 MiB touched, and the upper levels. */
	ret->pte = (mm->pmas.total >> 21) * PAGE_SIZE + (mm->pmas.nr / 8 + 4) * PAGE_SIZE;
	rwlock_unlock(&mm->lock);
}

int mm_show_numa_maps(struct mm *mm, const struct mempolicy *task, struct strbuf *b)
{
	rwlock_rdlock(&mm->lock);
	for (struct range *i = mm->vmas.first; i; i = i->next) {
		struct vma *v = vma_of(i);
		const struct mempolicy *p = v->pol.mode != LINUX_MPOL_DEFAULT ? &v->pol : task;
		_cleanup_strbuf_ struct strbuf name = STRBUF_INIT;
		struct vma_sizes s;

		sizes_of(mm, v, &s);
		name_of(mm, v, &name);
		strbuf_addf(b, "%08lx ", i->start);
		mempolicy_text(p, b);
		if (v->file && name.len) {
			strbuf_adds(b, " file=");
			for (size_t n = 0; n < name.len; n++)
				if (strchr("\n\t= ", name.data[n]))
					strbuf_addf(b, "\\%03o", name.data[n]);
				else
					strbuf_addc(b, name.data[n]);
		} else if (name.len == 6 && !memcmp(name.data, "[heap]", 6)) {
			strbuf_adds(b, " heap");
		} else if (name.len == 7 && !memcmp(name.data, "[stack]", 7)) {
			strbuf_adds(b, " stack");
		}
		if (s.rss) {
			uint64_t dirty = s.anon;

			if (s.anon)
				strbuf_addf(b, " anon=%lu", s.anon >> PAGE_SHIFT);
			if (dirty)
				strbuf_addf(b, " dirty=%lu", dirty >> PAGE_SHIFT);
			if (s.rss != s.anon && s.rss != dirty)
				strbuf_addf(b, " mapped=%lu", s.rss >> PAGE_SHIFT);
			strbuf_addf(b, " active=0 N0=%lu kernelpagesize_kB=4", s.rss >> PAGE_SHIFT);
		}
		strbuf_addc(b, '\n');
	}
	rwlock_unlock(&mm->lock);
	return strbuf_error(b);
}
