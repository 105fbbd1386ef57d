/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Application address spaces.
 *
 * VMAs say what the application asked for; page mappings (pmas) say which backing pages are there and whether a write must
 * copy first. The platform's address space is a cache of the pmas, filled by faults in windows.
 *
 * Locks: mm.lock (VMAs and pmas; a sleeping rwlock: faults of several threads go in parallel where possible) > mappable.mu >
 * memfile.mu. No file-system lock is taken under mm.lock except inside mappable->translate(). Copy functions take mm.lock: call them
 * with no lock held that translate() may need (no inode page lock).
 *
 * Checkpoint: VMAs, pmas, brk and the other fields of Linux's mm_struct that are visible in /proc or prctl(PR_SET_MM).
 */
#ifndef SENTRY_MM_MM_H
#define SENTRY_MM_MM_H

#include "base/cleanup.h"
#include "platform/platform.h"
#include "sentry/abi/types.h"
#include "sentry/mm/mappable.h"
#include "sentry/mm/memfile.h"
#include "sentry/mm/uio.h"

struct file;
struct kernel;
struct mm;
struct strbuf;
struct task;

/* Where the loader put things; read by /proc/pid/stat, prctl(PR_SET_MM_*). */
struct mm_layout {
	uint64_t start_code, end_code, start_data, end_data, start_brk, start_stack, arg_start, arg_end, env_start, env_end;
	uint64_t vdso;
	uint64_t auxv[64]; /* as placed on the stack, AT_NULL-terminated */
};

_must_check_ int mm_new(struct kernel *k, struct mm **ret);
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm); /* NULL is fine */
/* Users are tasks (as opposed to mere references): when the last leaves, all mappings are dropped and no context may run in it any more. Each
 * user holds a reference of its own besides the pointer's: exit does mm_user_put() and mm_put(). */
void mm_user_get(struct mm *mm);
void mm_user_put(struct mm *mm);
/* The caller, a user, leaves next: if it is the last, its own context @self empties the platform's address space, which is cheaper
 * than what the end of the mm would do. */
void mm_user_leaving(struct mm *mm, struct plat_ctx *self);
/* execve: the platform's address space, emptied, passes from @src, whose last user is the caller with context @self, to @dst, which has
 * none yet. Nothing happens when @src has other users. */
void mm_take_as(struct mm *dst, struct mm *src, struct plat_ctx *self);
bool mm_shared(const struct mm *mm); /* more than one user */
uint32_t mm_users(const struct mm *mm);
/* fork: a copy-on-write twin, which comes with its first user. @self is the caller's platform context. */
_must_check_ int mm_fork(struct mm *mm, struct plat_ctx *self, struct mm **ret);
/* The platform's address space, made on first use. */
_must_check_ int mm_as(struct mm *mm, struct plat_as **ret);
struct mm_layout *mm_layout(struct mm *mm); /* guarded by the task that execs; readers tolerate change */
struct memfile *kernel_memfile(struct kernel *k);

/* Says that the calling thread runs a task whose mm is @mm with context @self (NULL, NULL: none), so that its own accesses to @mm may
 * use the cheap form of platform operations. mm_handle_fault() with a context does it, too; execve should. */
void mm_bind_thread(struct mm *mm, struct plat_ctx *self);
/* Chooses where mappings and the stack go in a fresh mm: @stack_rlimit is RLIMIT_STACK's soft limit. execve calls it first; without it
 * defaults apply. */
void mm_pick_layout(struct mm *mm, uint64_t stack_rlimit, bool randomize);
uint64_t mm_stack_top(const struct mm *mm); /* end (exclusive, page-aligned) of the initial stack's VMA */
uint64_t mm_mmap_base(const struct mm *mm);
/* Where a position-independent executable of @len bytes goes: low part of the address space (ELF_ET_DYN_BASE), randomised. */
uint64_t mm_pie_base(const struct mm *mm);
/* Sets where the heap begins (page-aligned inside) and that it is empty. */
void mm_set_brk(struct mm *mm, uint64_t start);
/* prctl(PR_SET_MM): the present break; where the heap begins and ends, as told; is there a mapping that ends above @addr; is the program's
 * file still mapped? */
uint64_t mm_brk_end(struct mm *mm);
void mm_move_brk(struct mm *mm, uint64_t start, uint64_t end);
bool mm_mapped_above(struct mm *mm, uint64_t addr);
bool mm_exe_mapped(struct mm *mm);
struct kernel *mm_kernel(const struct mm *mm);

/* The result of a fault that could not be resolved. */
struct mm_fault {
	int sig, code; /* SIGSEGV SEGV_MAPERR/SEGV_ACCERR, SIGBUS BUS_ADRERR */
	uint64_t addr;
};

/* Resolves an application fault at @addr. 0: retry the instruction. -EFAULT: *@ret says which signal. @sp: stack growth check. */
_must_check_ int mm_handle_fault(struct mm *mm, struct plat_ctx *self, uint64_t addr, uint32_t access, struct mm_fault *ret);

/* May the application fetch instructions at @addr? */
bool mm_executable(struct mm *mm, uint64_t addr);

/* mmap(2) and friends with Linux's checks and results (address or negative errno). @f NULL: anonymous. */
int64_t mm_mmap(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, uint32_t prot, uint32_t flags, struct file *f, uint64_t off);
int64_t mm_munmap(struct mm *mm, struct plat_ctx *self, uint64_t addr, uint64_t len);
int64_t mm_mprotect(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, uint32_t prot);
int64_t mm_mremap(struct mm *mm, struct task *t, uint64_t old, uint64_t old_len, uint64_t new_len, uint32_t flags, uint64_t new_addr);
int64_t mm_madvise(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, int advice);
int64_t mm_brk(struct mm *mm, struct task *t, uint64_t addr);
int64_t mm_mlock(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, bool on, bool onfault);
int64_t mm_mlockall(struct mm *mm, struct task *t, uint32_t mcl); /* 0: munlockall */
int64_t mm_msync(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, uint32_t flags);
int64_t mm_mincore(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, gaddr_t vec);
/* PR_SET_VMA_ANON_NAME; @name NULL removes. */
int64_t mm_set_anon_name(struct mm *mm, uint64_t addr, uint64_t len, const char *name);
/* Maps a mappable directly (vDSO, SysV shm, loader): @flags as for mmap(2). @name shows in /proc/pid/maps; one in
 * brackets marks a mapping of the kernel's own: without PROT_WRITE it is private, whatever @flags say. */
int64_t mm_map_object(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, uint32_t prot, uint32_t flags, struct mappable *obj,
		      uint64_t off, const char *name);
#define MM_MAP_NEVER_WRITE (1u << 31) /* among @flags: mprotect() cannot make it writable either */
/* Removes every mapping (execve on a sole-user mm, exit). */
void mm_clear(struct mm *mm, struct plat_ctx *self);

/* What a core file has of the address space, in order. */
struct mm_core_area {
	uint64_t start, end;
	uint64_t dump; /* bytes of it from @start that are written */
	uint32_t prot; /* LINUX_PROT_* */
	uint64_t off; /* in the file */
	char *name; /* of the mapped file; NULL: none */
};
/* An array of them, malloc'd, names too: mm_core_areas_free(). */
_must_check_ int mm_core_areas(struct mm *mm, struct mm_core_area **ret, size_t *n);
void mm_core_areas_free(struct mm_core_area *v, size_t n);
/* The next stretch of [@start, @end) that was ever touched: false when there is none. */
bool mm_core_present(struct mm *mm, uint64_t start, uint64_t end, uint64_t *ret_start, uint64_t *ret_end);

/* Copies between Sentry and application memory. -EFAULT when any byte is not accessible with the VMA's protection; what was
 * copied before stays. May block on file-backed pages. */
_must_check_ int mm_copy_in(struct mm *mm, void *dst, gaddr_t src, size_t n);
_must_check_ int mm_copy_out(struct mm *mm, gaddr_t dst, const void *src, size_t n);
_must_check_ int mm_zero_out(struct mm *mm, gaddr_t dst, size_t n);
/* As ptrace and /proc/pid/mem do it: @force ignores protection (copies private pages). Returns bytes moved or -EFAULT/-EIO. */
int64_t mm_access(struct mm *mm, gaddr_t addr, void *buf, size_t n, bool write, bool force);
/* Partial-tolerant forms used by uio: bytes copied before the first inaccessible byte. */
size_t mm_copy_in_some(struct mm *mm, void *dst, gaddr_t src, size_t n);
size_t mm_zero_out_some(struct mm *mm, gaddr_t dst, size_t n);
size_t mm_copy_out_some(struct mm *mm, gaddr_t dst, const void *src, size_t n);
/* Reads a NUL-terminated string into @dst (capacity @cap incl. NUL): its length, -EFAULT, or -ENAMETOOLONG when it does not fit. */
int64_t mm_copy_in_str(struct mm *mm, char *dst, gaddr_t src, size_t cap);

/* Futex words: 4-byte aligned atomic access to application memory. */
_must_check_ int mm_load_u32(struct mm *mm, gaddr_t a, uint32_t *ret);
/* *@ret_old is what was there; the store happened iff it equals @old. */
_must_check_ int mm_cmpxchg_u32(struct mm *mm, gaddr_t a, uint32_t old, uint32_t new_val, uint32_t *ret_old);

/* The identity of a word for futexes: private: (mm, address); shared: (backing object, offset), the same in all processes. */
struct futex_key {
	uint64_t a, b, c;
};
_must_check_ int mm_futex_key(struct mm *mm, gaddr_t a, bool shared, bool write, struct futex_key *ret);

/* PR_SET_THP_DISABLE: remembered, kept over fork and execve. */
bool mm_thp_disabled(const struct mm *mm);
void mm_set_thp_disabled(struct mm *mm, bool on);
/* remap_file_pages(2): [addr, +len) of a shared mapping shows the object from page @pgoff on. */
int64_t mm_remap_file_pages(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, uint32_t prot, uint64_t pgoff, uint32_t flags);
/* process_mrelease(2): gives back the private memory of an address space whose last tasks are being killed. */
void mm_reap(struct mm *mm);

/* The contexts of native AIO; see sentry/fs/aio.h. */
struct list *mm_aio(struct mm *mm);

/* Text for /proc. */
int mm_show_maps(struct mm *mm, struct strbuf *b);
int mm_show_smaps(struct mm *mm, struct strbuf *b, bool rollup);
/* pagemap entries of @n pages from page number @page on. */
void mm_pagemap(struct mm *mm, uint64_t page, size_t n, uint64_t *ret);
/* The first mapping of a file that begins at or above @addr (@exact: at @addr): its bounds and file (referenced). */
bool mm_next_file(struct mm *mm, uint64_t addr, bool exact, uint64_t *ret_start, uint64_t *ret_end, struct file **ret_file);
void mm_reset_peak(struct mm *mm); /* VmHWM begins anew */
struct mm_usage {
	uint64_t vm, vm_peak, locked, rss, rss_file, rss_shmem, rss_peak, data, stack, exec, lib, pte;
};
void mm_usage(struct mm *mm, struct mm_usage *ret);
/* A snapshot is about to begin: protects what is mapped, piece by piece while the application runs, or it would all be done while it stands still.
 * @complete: the snapshot will not be incremental. */
void mm_expect_snapshot(struct mm *mm, bool complete);
/* The high-water mark alone, for getrusage(): costs nothing. */
uint64_t mm_rss_peak(const struct mm *mm);
/* The mapped executable (referenced) or NULL. */
struct file *mm_exe_file(struct mm *mm);
void mm_set_exe_file(struct mm *mm, struct file *f); /* takes its own reference */

#endif
