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

int vdso_init(struct kernel *k)
{
	uint64_t len = (uint64_t)(vdso_blob_end - vdso_blob);
	struct backing b;
	void *p;
	int r = shmobj_new(k->mf, len, &k->vdso);

	if (r < 0)
		return r;
	k->vdso_len = len;
	for (uint64_t off = 0; off < len; off += b.len) {
		r = k->vdso->ops->translate(k->vdso, off, len - off, true, &b);
		if (r < 0)
			return r;
		p = memfile_ptr(k->mf, b.off, b.len);
		if (!p)
			return -ENOMEM;
		memcpy(p, vdso_blob + off, b.len);
		memfile_unref(k->mf, b.off, b.len);
	}
	return 0;
}

int vdso_map(struct task *t, struct mm *mm, uint64_t *ret_addr)
{
	struct kernel *k = t->k;
	int64_t at = mm_map_object(mm, t, 0, k->vdso_len, PROT_READ | PROT_EXEC, MAP_SHARED, k->vdso, 0, "[vdso]");

	if (at < 0)
		return (int)at;
	*ret_addr = (uint64_t)at;
	return 0;
}
