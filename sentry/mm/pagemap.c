/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc/pid/{pagemap,map_files,clear_refs} ask of an address space. Linux: fs/proc/task_mmu.c, base.c. */
#include "sentry/mm/mm_internal.h"

#define PM_PRESENT   (1ULL << 63)
#define PM_FILE      (1ULL << 61) /* a page of a file or shared memory */
#define PM_UFFD_WP   (1ULL << 57)
#define PM_EXCLUSIVE (1ULL << 56)

/* One page's entry; frame numbers are 0, as for everybody without CAP_SYS_ADMIN. */
static uint64_t entry(struct mm *mm, uint64_t page)
{
	const struct vma *v = vma_find(mm, page);
	struct range *i = v ? rangemap_find(&mm->pmas, page) : NULL;
	const struct pma *p = i ? pma_of(i) : NULL;
	uint64_t e = PM_PRESENT;

	/* The host's page cache is not in the application's page tables before a fault. */
	if (!p || !mm_page_resident(mm, v, page))
		return 0;
	if (!p->priv)
		e |= PM_FILE;
	else if (!p->cow)
		e |= PM_EXCLUSIVE;
	return p->wp ? e | PM_UFFD_WP : e;
}

void mm_pagemap(struct mm *mm, uint64_t page, size_t n, uint64_t *ret)
{
	rwlock_rdlock(&mm->lock);
	for (size_t i = 0; i < n; i++)
		ret[i] = entry(mm, (page + i) << PAGE_SHIFT);
	rwlock_unlock(&mm->lock);
}

bool mm_next_file(struct mm *mm, uint64_t addr, bool exact, uint64_t *ret_start, uint64_t *ret_end, struct file **ret_file)
{
	struct range *i;

	rwlock_rdlock(&mm->lock);
	i = rangemap_find_next(&mm->vmas, addr);
	while (i && (i->start < addr || !vma_of(i)->file))
		i = i->next;
	if (i && exact && i->start != addr)
		i = NULL;
	if (i) {
		*ret_start = i->start;
		*ret_end = i->end;
		*ret_file = mm_file_get(vma_of(i)->file);
	}
	rwlock_unlock(&mm->lock);
	return i != NULL;
}

void mm_reset_peak(struct mm *mm)
{
	mm_wlock(mm);
	mm->hiwater_rss = 0; /* the next look counts anew */
	mm_wunlock(mm);
}
