/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which parts of an address space go into a core file: Linux's default coredump_filter (private and shared anonymous memory, changed private file
 * pages, ELF headers). Linux: fs/coredump.c vma_dump_size().
 *
 * Checkpoint: stateless.
 */
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"
#include "sentry/mm/mm_internal.h"

static bool has_private_pages(struct mm *mm, const struct vma *v)
{
	for (struct range *i = rangemap_first_in(&mm->pmas, v->r.start, v->r.end); i && i->start < v->r.end; i = i->next)
		if (pma_of(i)->priv)
			return true;
	return false;
}

static uint64_t dump_size(struct mm *mm, const struct vma *v)
{
	uint64_t len = v->r.end - v->r.start;

	if (v->flags & VMA_SPECIAL)
		return len; /* the vDSO, for unwinding */
	if (v->flags & VMA_DONTDUMP)
		return 0;
	if (!v->obj)
		return has_private_pages(mm, v) ? len : 0;
	if (v->flags & VMA_SHARED)
		return mappable_is_shmobj(v->obj) || (v->file && v->file->inode && !v->file->inode->nlink) ? len : 0;
	if (has_private_pages(mm, v))
		return len;
	return v->file && !v->off && v->prot & LINUX_PROT_READ ? PAGE_SIZE : 0; /* maybe an ELF header: build ids */
}

static char *name_of(const struct vma *v)
{
	struct strbuf b _cleanup_strbuf_ = STRBUF_INIT;

	if (!v->file || !v->file->path.dentry || path_text(&v->file->path, NULL, true, &b) < 0)
		return NULL;
	return strbuf_take(&b);
}

int mm_core_areas(struct mm *mm, struct mm_core_area **ret, size_t *n)
{
	struct mm_core_area *v;
	size_t max = 0;

	*n = 0;
	rwlock_rdlock(&mm->lock);
	for (struct range *i = mm->vmas.first; i; i = i->next)
		max++;
	v = calloc(max + 1, sizeof(*v));
	for (struct range *i = v ? mm->vmas.first : NULL; i; i = i->next) {
		const struct vma *a = vma_of(i);

		v[(*n)++] = (struct mm_core_area){ .start = a->r.start, .end = a->r.end, .prot = a->prot, .off = a->off,
						   .dump = dump_size(mm, a), .name = name_of(a) };
	}
	rwlock_unlock(&mm->lock);
	*ret = v;
	return v ? 0 : -ENOMEM;
}

void mm_core_areas_free(struct mm_core_area *v, size_t n)
{
	for (size_t k = 0; v && k < n; k++)
		free(v[k].name);
	free(v);
}

bool mm_core_present(struct mm *mm, uint64_t start, uint64_t end, uint64_t *ret_start, uint64_t *ret_end)
{
	struct range *i;
	bool found = false;

	rwlock_rdlock(&mm->lock);
	i = rangemap_first_in(&mm->pmas, start, end);
	if (i && i->start < end) {
		*ret_start = MAX(i->start, start);
		*ret_end = MIN(i->end, end);
		found = true;
	}
	rwlock_unlock(&mm->lock);
	return found;
}
