/* SPDX-License-Identifier: Apache-2.0 */
/* Memory system calls: flags and values of Linux x86-64. */
#ifndef SENTRY_ABI_MMAN_H
#define SENTRY_ABI_MMAN_H

#define LINUX_PROT_NONE      0x0u
#define LINUX_PROT_READ      0x1u
#define LINUX_PROT_WRITE     0x2u
#define LINUX_PROT_EXEC      0x4u
#define LINUX_PROT_SEM       0x8u
#define LINUX_PROT_GROWSDOWN 0x01000000u
#define LINUX_PROT_GROWSUP   0x02000000u
#define LINUX_PROT_RWX       0x7u

#define LINUX_MAP_SHARED          0x01u
#define LINUX_MAP_PRIVATE         0x02u
#define LINUX_MAP_SHARED_VALIDATE 0x03u
#define LINUX_MAP_DROPPABLE       0x08u
#define LINUX_MAP_TYPE            0x0fu
#define LINUX_MAP_FIXED           0x10u
#define LINUX_MAP_ANONYMOUS       0x20u
#define LINUX_MAP_32BIT           0x40u
#define LINUX_MAP_ABOVE4G         0x80u
#define LINUX_MAP_GROWSDOWN       0x0100u
#define LINUX_MAP_DENYWRITE       0x0800u
#define LINUX_MAP_EXECUTABLE      0x1000u
#define LINUX_MAP_LOCKED          0x2000u
#define LINUX_MAP_NORESERVE       0x4000u
#define LINUX_MAP_POPULATE        0x8000u
#define LINUX_MAP_NONBLOCK        0x10000u
#define LINUX_MAP_STACK           0x20000u
#define LINUX_MAP_HUGETLB         0x40000u
#define LINUX_MAP_HUGE_SHIFT      26
#define LINUX_MAP_SYNC            0x80000u
#define LINUX_MAP_FIXED_NOREPLACE 0x100000u
/* What MAP_SHARED_VALIDATE accepts. */
#define LINUX_LEGACY_MAP_MASK                                                                                                         \
	(LINUX_MAP_SHARED | LINUX_MAP_PRIVATE | LINUX_MAP_FIXED | LINUX_MAP_ANONYMOUS | LINUX_MAP_DENYWRITE | LINUX_MAP_EXECUTABLE |   \
	 LINUX_MAP_GROWSDOWN | LINUX_MAP_LOCKED | LINUX_MAP_NORESERVE | LINUX_MAP_POPULATE | LINUX_MAP_NONBLOCK | LINUX_MAP_STACK |    \
	 LINUX_MAP_HUGETLB | LINUX_MAP_32BIT | LINUX_MAP_ABOVE4G | 0xfc000000u)

#define LINUX_MREMAP_MAYMOVE   1u
#define LINUX_MREMAP_FIXED     2u
#define LINUX_MREMAP_DONTUNMAP 4u

#define LINUX_MADV_NORMAL         0
#define LINUX_MADV_RANDOM         1
#define LINUX_MADV_SEQUENTIAL     2
#define LINUX_MADV_WILLNEED       3
#define LINUX_MADV_DONTNEED       4
#define LINUX_MADV_FREE           8
#define LINUX_MADV_REMOVE         9
#define LINUX_MADV_DONTFORK       10
#define LINUX_MADV_DOFORK         11
#define LINUX_MADV_MERGEABLE      12
#define LINUX_MADV_UNMERGEABLE    13
#define LINUX_MADV_HUGEPAGE       14
#define LINUX_MADV_NOHUGEPAGE     15
#define LINUX_MADV_DONTDUMP       16
#define LINUX_MADV_DODUMP         17
#define LINUX_MADV_WIPEONFORK     18
#define LINUX_MADV_KEEPONFORK     19
#define LINUX_MADV_COLD           20
#define LINUX_MADV_PAGEOUT        21
#define LINUX_MADV_POPULATE_READ  22
#define LINUX_MADV_POPULATE_WRITE 23
#define LINUX_MADV_DONTNEED_LOCKED 24
#define LINUX_MADV_COLLAPSE       25

#define LINUX_MS_ASYNC      1u
#define LINUX_MS_INVALIDATE 2u
#define LINUX_MS_SYNC       4u

#define LINUX_MCL_CURRENT 1u
#define LINUX_MCL_FUTURE  2u
#define LINUX_MCL_ONFAULT 4u
#define LINUX_MLOCK_ONFAULT 1u

#define LINUX_SEGV_MAPERR 1
#define LINUX_SEGV_ACCERR 2
#define LINUX_BUS_ADRERR  2

#define LINUX_TASK_SIZE_MAX  0x7ffffffff000ULL
#define LINUX_MMAP_MIN_ADDR  65536ULL
#define LINUX_MAX_MAP_COUNT  65530
#define LINUX_STACK_GAP      (256 * 4096ULL) /* stack_guard_gap */

#endif
