/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vDSO as a shared memory object that every address space maps read-only.
 *
 * Checkpoint: the pages travel in the image like any memory, so a restored application keeps the code it was running even when
 * the restoring build has another one; programs started later get the new build's.
 */
#include <string.h>
#include <sys/mman.h>

#include "sentry/kernel/kernel.h"
#include "sentry/loader/loader.h"
#include "sentry/mm/shmobj.h"

extern const uint8_t vdso_blob[], vdso_blob_end[];

static struct mutex vdso_mu = MUTEX_INIT("vdso_mu"); /* making and dropping k->vdso; above the memory file's lock */

static int fill(struct kernel *k, struct mappable *m)
{
	uint64_t len = (uint64_t)(vdso_blob_end - vdso_blob);
	struct backing b;
	int r = 0;

	for (uint64_t off = 0; r == 0 && off < len; off += b.len) {
		void *p;

		r = m->ops->translate(m, off, len - off, true, &b);
		if (r < 0)
			break;
		p = memfile_ptr(k->mf, b.off, b.len);
		if (p)
			memcpy(p, vdso_blob + off, b.len);
		memfile_unref(k->mf, b.off, b.len);
		r = p ? 0 : -ENOMEM;
	}
	return r;
}

/* A reference to it, made if there is none. */
static int vdso_get(struct kernel *k, struct mappable **ret)
{
	mutex_guard(&vdso_mu);
	if (!k->vdso) {
		struct mappable *m;
		int r = shmobj_new(k->mf, (uint64_t)(vdso_blob_end - vdso_blob), &m);

		if (r < 0)
			return r;
		r = fill(k, m);
		if (r < 0) {
			m->ops->put(m);
			return r;
		}
		k->vdso = m;
	}
	*ret = k->vdso;
	k->vdso->ops->get(k->vdso);
	return 0;
}

void vdso_forget(struct kernel *k)
{
	mutex_guard(&vdso_mu);
	if (k->vdso && mappable_nr_vmas(k->vdso) == 0) {
		k->vdso->ops->put(k->vdso);
		k->vdso = NULL;
	}
}

int vdso_map(struct task *t, struct mm *mm, uint64_t *ret_addr)
{
	uint64_t len = (uint64_t)(vdso_blob_end - vdso_blob);
	struct mappable *m;
	int r = vdso_get(t->k, &m);
	int64_t at;

	if (r < 0)
		return r;
	at = mm_map_object(mm, t, 0, len, PROT_READ | PROT_EXEC, MAP_SHARED, m, 0, "[vdso]");
	m->ops->put(m);
	if (at < 0)
		return (int)at;
	*ret_addr = (uint64_t)at;
	return 0;
}
