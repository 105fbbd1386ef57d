/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of memory calls. */
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "sentry/syscalls/strace/internal.h"

static const struct xlat x_prot[] = { X(PROT_NONE), X(PROT_READ), X(PROT_WRITE), X(PROT_EXEC), X(PROT_GROWSDOWN), X(PROT_GROWSUP), XEND };
static const struct xlat x_map[] = {
	X(MAP_FIXED), X(MAP_ANONYMOUS), X(MAP_32BIT), X(MAP_NORESERVE), X(MAP_POPULATE), X(MAP_NONBLOCK), X(MAP_GROWSDOWN), X(MAP_DENYWRITE),
	X(MAP_EXECUTABLE), X(MAP_LOCKED), X(MAP_STACK), X(MAP_HUGETLB), X(MAP_SYNC), X(MAP_FIXED_NOREPLACE), XEND,
};
static const struct xlat x_map_type[] = { X(MAP_SHARED), X(MAP_PRIVATE), X(MAP_SHARED_VALIDATE), { 0, "MAP_FILE" }, XEND };

bool k_PROT(struct dec *d, uint64_t v)
{
	dec_flags(d, x_prot, v, "PROT_???");
	return true;
}

bool k_MFLAGS(struct dec *d, uint64_t v)
{
	dec_value(d, x_map_type, v & MAP_TYPE, "MAP_???");
	if (v & ~(uint64_t)MAP_TYPE) {
		strbuf_addc(&d->b, '|');
		dec_flags(d, x_map, v & ~(uint64_t)MAP_TYPE, NULL);
	}
	return true;
}

bool k_MAPOFF(struct dec *d, uint64_t v)
{
	dec_hex(d, v);
	return true;
}

static const struct xlat x_madv[] = {
	X(MADV_NORMAL), X(MADV_RANDOM), X(MADV_SEQUENTIAL), X(MADV_WILLNEED), X(MADV_DONTNEED), X(MADV_FREE), X(MADV_REMOVE), X(MADV_DONTFORK),
	X(MADV_DOFORK), X(MADV_MERGEABLE), X(MADV_UNMERGEABLE), X(MADV_HUGEPAGE), X(MADV_NOHUGEPAGE), X(MADV_DONTDUMP), X(MADV_DODUMP), X(MADV_WIPEONFORK),
	X(MADV_KEEPONFORK), X(MADV_COLD), X(MADV_PAGEOUT), X(MADV_POPULATE_READ), X(MADV_POPULATE_WRITE), { 24, "MADV_DONTNEED_LOCKED" },
	{ 25, "MADV_COLLAPSE" }, X(MADV_HWPOISON), XEND,
};
static const struct xlat x_ms[] = { X(MS_ASYNC), X(MS_INVALIDATE), X(MS_SYNC), XEND };
static const struct xlat x_mremap[] = { X(MREMAP_MAYMOVE), X(MREMAP_FIXED), X(MREMAP_DONTUNMAP), XEND };
static const struct xlat x_mlockall[] = { X(MCL_CURRENT), X(MCL_FUTURE), X(MCL_ONFAULT), XEND };
static const struct xlat x_mlock2[] = { { 1, "MLOCK_ONFAULT" }, XEND };

bool k_MADVICE(struct dec *d, uint64_t v)
{
	dec_value(d, x_madv, (uint32_t)v, "MADV_???");
	return true;
}

bool k_MSFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_ms, (uint32_t)v, "MS_???");
	return true;
}

bool k_MREMAPFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_mremap, v, "MREMAP_???");
	return true;
}

/* Only there when the flags before it ask for a place. */
bool k_MREMAPNEW(struct dec *d, uint64_t v)
{
	if (d->a[d->i - 1] & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		dec_ptr(d, v);
	return true;
}

bool k_MLOCKALL(struct dec *d, uint64_t v)
{
	dec_flags(d, x_mlockall, (uint32_t)v, "MCL_???");
	return true;
}

bool k_MLOCK2(struct dec *d, uint64_t v)
{
	dec_flags(d, x_mlock2, (uint32_t)v, "MLOCK_???");
	return true;
}

static const struct xlat x_shmget[] = { X(IPC_CREAT), X(IPC_EXCL), X(SHM_HUGETLB), X(SHM_NORESERVE), XEND };
static const struct xlat x_shmat[] = { X(SHM_RDONLY), X(SHM_RND), X(SHM_REMAP), X(SHM_EXEC), XEND };

bool k_SHMFLAGS(struct dec *d, uint64_t v)
{
	if (v & ~(uint64_t)0777) {
		dec_flags(d, x_shmget, (uint32_t)v & ~0777u, NULL);
		strbuf_addc(&d->b, '|');
	}
	return k_MODE(d, v & 0777);
}

bool k_SHMATFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_shmat, (uint32_t)v, "SHM_???");
	return true;
}

static const struct xlat x_mpol[] = { X(MPOL_DEFAULT), X(MPOL_PREFERRED), X(MPOL_BIND), X(MPOL_INTERLEAVE), X(MPOL_LOCAL), XEND };

bool k_MPOL(struct dec *d, uint64_t v)
{
	dec_value(d, x_mpol, (uint32_t)v, "MPOL_???");
	return true;
}

static const struct xlat x_membarrier[] = {
	X(MEMBARRIER_CMD_QUERY), X(MEMBARRIER_CMD_GLOBAL), X(MEMBARRIER_CMD_GLOBAL_EXPEDITED), X(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED),
	X(MEMBARRIER_CMD_PRIVATE_EXPEDITED), X(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED), X(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE),
	X(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE), X(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ), X(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ),
	XEND,
};

bool k_MEMBARRIER(struct dec *d, uint64_t v)
{
	dec_value(d, x_membarrier, (uint32_t)v, "MEMBARRIER_CMD_???");
	return true;
}
