/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and loading address spaces (apart from mm.c for size only).
 *
 * Private pages travel with their place in the memory file; an object's pages are found again by the first fault, so they are not saved
 * for the mapping. The platform's address space is made anew when a task first runs.
 */
#include <string.h>

#include "base/log.h"
#include "schemas/mm.pb-c.h"
#include "sentry/fs/aio.h"
#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm_internal.h"
#include "state/state.h"

#define MAX_NAME 256

static void *mm_alloc(void)
{
	return mm_alloc_empty();
}

static int vma_save(struct state_writer *w, const struct vma *v, Sentry__Vma *m)
{
	m->start = v->r.start;
	m->end = v->r.end;
	m->prot = v->prot;
	m->max_prot = v->max_prot;
	m->flags = v->flags;
	m->off = v->off;
	m->file = file_state_ref(w, v->file);
	m->pol = mempolicy_save(w, &v->pol);
	m->uffd = state_ref(w, &uffd_ctx_state_type, v->uffd);
	if (v->name)
		m->name = state_strdup(w, v->name->s);
	if (!v->obj) {
		m->source = SENTRY__VMA__SOURCE__ANON;
	} else if (mappable_is_shmobj(v->obj)) {
		m->source = SENTRY__VMA__SOURCE__SHMOBJ;
		m->obj = state_ref(w, &shmobj_state_type, v->obj);
	} else if (v->file && v->file->inode && v->file->inode->mapping == v->obj) {
		m->source = SENTRY__VMA__SOURCE__INODE;
	} else if (v->file && v->file->ops->mmap) {
		m->source = SENTRY__VMA__SOURCE__FILE_OP;
	} else {
		log_error("mapping %lx-%lx (%s): no way to save what it maps", v->r.start, v->r.end, v->name ? v->name->s : "?");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int mm_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct mm *mm = obj;
	const struct mm_layout *l = &mm->layout;
	Sentry__Mm *m = msg;
	Sentry__MmLayout *ml = state_new_msg(w, &sentry__mm_layout__descriptor);
	size_t n = 0, aux = 0;

	m->vmas = state_zalloc(w, mm->vmas.nr, sizeof(*m->vmas));
	m->pmas = state_zalloc(w, mm->pmas.nr, sizeof(*m->pmas));
	for (struct range *i = mm->vmas.first; i && n < mm->vmas.nr; i = i->next) {
		Sentry__Vma *v = state_new_msg(w, &sentry__vma__descriptor);
		int r;

		r = vma_save(w, vma_of(i), v);
		if (r < 0)
			return r;
		m->vmas[n++] = v;
	}
	m->n_vmas = n;
	n = 0;
	for (struct range *i = mm->pmas.first; i; i = i->next) {
		const struct pma *p = pma_of(i);
		Sentry__Pma *pm;

		if (!p->priv)
			continue;
		pm = state_new_msg(w, &sentry__pma__descriptor);
		pm->start = i->start;
		pm->end = i->end;
		pm->off = p->off;
		pm->cow = p->cow;
		pm->wp = p->wp;
		m->pmas[n++] = pm;
	}
	m->n_pmas = n;
	m->brk = mm->brk;
	m->mmap_base = mm->mmap_base;
	m->stack_top = mm->stack_top;
	m->def_flags = mm->def_flags;
	m->hiwater_vm = mm->hiwater_vm;
	m->hiwater_rss = mm->hiwater_rss;
	m->exe_file = file_state_ref(w, mm->exe_file);
	m->aio = aio_mm_save(w, mm, &m->n_aio);
	m->stack_limit = mm->stack_limit;
	m->thp_disable = mm->thp_disable;
	m->layout = ml;
	ml->start_code = l->start_code;
	ml->end_code = l->end_code;
	ml->start_data = l->start_data;
	ml->end_data = l->end_data;
	ml->start_brk = l->start_brk;
	ml->start_stack = l->start_stack;
	ml->arg_start = l->arg_start;
	ml->arg_end = l->arg_end;
	ml->env_start = l->env_start;
	ml->env_end = l->env_end;
	ml->vdso = l->vdso;
	for (size_t i = 0; i < ARRAY_SIZE(l->auxv); i++)
		if (l->auxv[i])
			aux = i + 1;
	ml->auxv = state_zalloc(w, aux, sizeof(*ml->auxv));
	memcpy(ml->auxv, l->auxv, aux * sizeof(*ml->auxv));
	ml->n_auxv = aux;
	return 0;
}

static bool bounds_ok(uint64_t start, uint64_t end)
{
	return IS_ALIGNED(start | end, PAGE_SIZE) && start < end && end <= LINUX_TASK_SIZE_MAX;
}

/* The object of a VMA is linked in after_load; until then only the reference to a Shmobj is held in v->obj. */
static int vma_load(struct state_reader *r, struct mm *mm, const Sentry__Vma *m)
{
	struct vma *v;
	void *obj = NULL;
	uint64_t end;
	int e;

	e = state_check(r, bounds_ok(m->start, m->end), "mapping: bad address range");
	if (e == 0)
		e = state_check(r, !(m->prot & ~LINUX_PROT_RWX) && !(m->max_prot & ~LINUX_PROT_RWX) && !(m->prot & ~m->max_prot),
				"mapping: bad protection");
	if (e == 0)
		e = state_check(r, !(m->flags & ~VMA_ALL), "mapping: unknown flag");
	if (e == 0)
		e = state_check(r, (unsigned)m->source <= SENTRY__VMA__SOURCE__FILE_OP, "mapping: unknown source");
	if (e == 0)
		e = state_check(r, (m->source != SENTRY__VMA__SOURCE__ANON || !(m->flags & VMA_SHARED)) &&
				   (m->source == SENTRY__VMA__SOURCE__SHMOBJ) == (m->obj != 0) &&
				   (m->source < SENTRY__VMA__SOURCE__INODE || m->file != 0), "mapping: source does not fit");
	if (e == 0)
		e = state_check(r, IS_ALIGNED(m->off, PAGE_SIZE) && !add_overflow(m->off, m->end - m->start, &end) && end <= INT64_MAX,
				"mapping: bad offset");
	if (e == 0)
		e = state_check(r, strlen(m->name) <= MAX_NAME, "mapping: name too long");
	if (e == 0)
		e = state_check(r, !(m->flags & VMA_UFFD) == !m->uffd, "mapping: userfaultfd");
	if (e < 0)
		return e;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->mm = mm;
	v->r.start = m->start;
	v->r.end = m->end;
	v->prot = m->prot;
	v->max_prot = m->max_prot;
	v->flags = m->flags;
	v->off = m->off;
	v->source = (uint8_t)m->source;
	e = state_check(r, rangemap_insert(&mm->vmas, &v->r), "mappings overlap");
	if (e < 0) {
		free(v);
		return e;
	}
	if (m->name[0]) {
		v->name = vma_name_new(m->name);
		if (!v->name)
			return -ENOMEM;
	}
	if (m->obj) {
		e = state_deref(r, m->obj, &shmobj_state_type, &obj);
		v->obj = obj;
		obj = NULL;
	}
	if (e == 0)
		e = mempolicy_load(r, &v->pol, m->pol);
	if (e == 0) {
		e = state_deref(r, m->uffd, &uffd_ctx_state_type, &obj);
		v->uffd = e == 0 ? obj : NULL;
	}
	return e < 0 ? e : file_state_deref(r, m->file, &v->file);
}

static int pma_load(struct state_reader *r, struct mm *mm, const Sentry__Pma *m)
{
	struct pma *p = pma_new();
	uint64_t end;
	int e;

	if (!p)
		return -ENOMEM;
	p->r.start = m->start;
	p->r.end = m->end;
	p->priv = true;
	p->cow = m->cow;
	p->wp = m->wp;
	p->off = m->off;
	e = state_check(r, bounds_ok(m->start, m->end) && IS_ALIGNED(m->off, PAGE_SIZE) && !add_overflow(m->off, m->end - m->start, &end),
			"page run: bad range");
	if (e == 0)
		e = state_check(r, rangemap_insert(&mm->pmas, &p->r), "page runs overlap");
	if (e < 0)
		free(p);
	return e;
}

static int mm_load(struct state_reader *r, void *obj, const void *msg)
{
	struct mm *mm = obj;
	const Sentry__Mm *m = msg;
	const Sentry__MmLayout *ml = m->layout;
	struct mm_layout *l = &mm->layout;
	int e = state_check(r, m->n_vmas <= LINUX_MAX_MAP_COUNT + 8, "too many mappings");

	for (size_t i = 0; e == 0 && i < m->n_vmas; i++)
		e = vma_load(r, mm, m->vmas[i]);
	for (size_t i = 0; e == 0 && i < m->n_pmas; i++)
		e = pma_load(r, mm, m->pmas[i]);
	if (e == 0)
		e = state_check(r, m->brk <= LINUX_TASK_SIZE_MAX && m->mmap_base <= LINUX_TASK_SIZE_MAX && m->stack_top <= LINUX_TASK_SIZE_MAX &&
				   IS_ALIGNED(m->mmap_base | m->stack_top, PAGE_SIZE), "address out of range");
	if (e == 0)
		e = state_check(r, !(m->def_flags & ~(VMA_LOCKED | VMA_LOCKONFAULT)), "def_flags");
	if (e == 0)
		e = state_check(r, ml && ml->n_auxv <= ARRAY_SIZE(l->auxv), "layout");
	if (e < 0)
		return e;
	mm->brk = m->brk;
	mm->mmap_base = m->mmap_base;
	mm->stack_top = m->stack_top;
	mm->def_flags = m->def_flags;
	mm->hiwater_vm = m->hiwater_vm;
	mm->hiwater_rss = m->hiwater_rss;
	mm->stack_limit = m->stack_limit;
	mm->thp_disable = m->thp_disable;
	l->start_code = ml->start_code;
	l->end_code = ml->end_code;
	l->start_data = ml->start_data;
	l->end_data = ml->end_data;
	l->start_brk = ml->start_brk;
	l->start_stack = ml->start_stack;
	l->arg_start = ml->arg_start;
	l->arg_end = ml->arg_end;
	l->env_start = ml->env_start;
	l->env_end = ml->env_end;
	l->vdso = ml->vdso;
	if (ml->n_auxv)
		memcpy(l->auxv, ml->auxv, ml->n_auxv * sizeof(*l->auxv));
	e = aio_mm_load(r, mm, m->aio, m->n_aio);
	return e < 0 ? e : file_state_deref(r, m->exe_file, &mm->exe_file);
}

/* Finds what a file's VMA maps and links the VMA to it. */
static int vma_after(struct state_reader *r, struct vma *v)
{
	struct vma_request req = { .off = v->off, .len = v->r.end - v->r.start, .prot = v->prot, .obj_off = v->off };
	int e = 0;

	if (v->source == SENTRY__VMA__SOURCE__INODE) {
		v->obj = v->file->inode ? v->file->inode->mapping : NULL;
		if (v->obj && v->obj->ops->get)
			v->obj->ops->get(v->obj);
	} else if (v->source == SENTRY__VMA__SOURCE__FILE_OP) {
		req.flags = v->flags & VMA_SHARED ? LINUX_MAP_SHARED : LINUX_MAP_PRIVATE;
		e = v->file->ops->mmap ? v->file->ops->mmap(v->file, NULL, &req) : -ENODEV;
		v->obj = e == 0 ? req.obj : NULL;
	}
	e = state_check(r, v->source == SENTRY__VMA__SOURCE__ANON || v->obj, "mapping: its file cannot be mapped any more");
	if (e == 0 && v->obj) {
		mutex_lock(&v->obj->mu);
		list_add_tail(&v->obj->vmas, &v->map_node);
		mutex_unlock(&v->obj->mu);
	}
	return e;
}

static int mm_after_load(struct state_reader *r, void *obj)
{
	struct mm *mm = obj;
	struct kernel *k = state_reader_ctx(r);
	int e;

	mm_set_kernel(mm, k);
	e = state_check(r, !mm->vmas.first || (mm->vmas.first->start >= mm->lo && mm->vmas.last->end <= mm->hi),
			"mapping: this platform cannot place it at that address");
	for (struct range *i = mm->vmas.first; e == 0 && i; i = i->next) {
		vma_account(mm, vma_of(i), 1);
		e = vma_after(r, vma_of(i));
	}
	for (struct range *i = mm->vmas.first; e == 0 && i; i = i->next)
		e = state_check(r, !vma_of(i)->uffd || uffd_mm(vma_of(i)->uffd) == mm, "mapping: another address space's userfaultfd");
	for (struct range *i = mm->pmas.first; e == 0 && i; i = i->next) {
		e = state_check(r, rangemap_covers(&mm->vmas, i->start, i->end), "page run outside of any mapping");
		if (e == 0)
			e = state_check(r, memfile_adopt(mm->mf, pma_of(i)->off, i->end - i->start) == 0, "page run: bad place in the memory file");
	}
	return e;
}

static void mm_state_get(void *obj)
{
	(void)mm_get(obj);
}

static void mm_state_put(void *obj)
{
	mm_put(obj);
}

const struct state_type mm_state_type = {
	.id = STATE_ID_mm,
	.name = "mm",
	.desc = &sentry__mm__descriptor,
	.prio = STATE_PRIO_MM,
	.alloc = mm_alloc,
	.save = mm_save,
	.load = mm_load,
	.after_load = mm_after_load,
	.get = mm_state_get,
	.put = mm_state_put,
};
