/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of sentry/mm share: VMAs, page mappings, the mm itself. Nobody outside sentry/mm includes this.
 *
 * mm.lock is a sleeping rwlock over everything below it: held for writing to change VMAs or pmas, for reading to use them. The
 * order is mm.lock > mappable.mu > memfile.mu; an object's own page lock is taken by translate() under mm.lock.
 */
#ifndef SENTRY_MM_MM_INTERNAL_H
#define SENTRY_MM_MM_INTERNAL_H

#include "base/list.h"
#include "base/mutex.h"
#include "base/rangemap.h"
#include "base/ref.h"
#include "sentry/abi/mman.h"
#include "sentry/abi/rlimit.h"
#include "sentry/mm/mempolicy.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/shmobj.h"
#include "sentry/mm/uffd.h"

/* A name shown in /proc/pid/maps; immutable. */
struct vma_name {
	struct ref ref;
	char s[];
};

#define VMA_SHARED      (1u << 0)
#define VMA_GROWSDOWN   (1u << 1)
#define VMA_LOCKED      (1u << 2)
#define VMA_LOCKONFAULT (1u << 3)
#define VMA_DONTFORK    (1u << 4)
#define VMA_WIPEONFORK  (1u << 5)
#define VMA_NORESERVE   (1u << 6)
#define VMA_HUGEPAGE    (1u << 7)
#define VMA_NOHUGEPAGE  (1u << 8)
#define VMA_DONTDUMP    (1u << 9)
#define VMA_RANDOM      (1u << 10)
#define VMA_SEQUENTIAL  (1u << 11)
#define VMA_SPECIAL     (1u << 12) /* vDSO and friends: not expandable, not merged, DONTEXPAND */
#define VMA_ANON_NAME   (1u << 13) /* name was given by PR_SET_VMA: shown as [anon:...] */
#define VMA_UFFD_MISSING (1u << 14) /* vma.uffd wants faults at missing pages */
#define VMA_UFFD_WP     (1u << 15) /* writes to pages it has write-protected */
#define VMA_UFFD_MINOR  (1u << 16) /* faults at pages that the object has and the mapping has not */
#define VMA_UFFD        (VMA_UFFD_MISSING | VMA_UFFD_WP | VMA_UFFD_MINOR)
#define VMA_ALL         ((1u << 17) - 1)

/* What the application asked for. */
struct vma {
	struct range r; /* saved: 1 start, 2 end */
	struct mm *mm; /* derived: the mm that holds it */
	uint32_t prot, max_prot; /* saved: 3, 4 (LINUX_PROT_*) */
	uint32_t flags; /* saved: 5 (VMA_*) */
	struct mappable *obj; /* saved: 6; NULL: private anonymous */
	uint64_t off; /* saved: 7; offset of r.start in obj */
	struct file *file; /* saved: 8; for /proc only; NULL: none */
	struct vma_name *name; /* saved: 9 */
	struct mempolicy pol; /* saved: 11; MPOL_DEFAULT: the task's */
	struct uffd_ctx *uffd; /* saved: 12, referenced; with VMA_UFFD flags */
	uint8_t source; /* saved: 10; set only while loading: where obj comes from */
	struct list map_node; /* derived: obj->vmas, guarded by obj->mu */
	uint64_t inval_gen; /* nosave: last mappable_invalidate() that has seen it; guarded by obj->mu */
};

/* Backing pages that are there. */
struct pma {
	struct range r; /* saved: 1 start, 2 end */
	bool priv; /* derived: only private ones are saved; pages of the memory file that belong to the application (not to an object) */
	bool cow; /* saved: 4; priv: another mm may share them, a write must look first */
	bool wp; /* saved: 5; a write is vma.uffd's business first */
	bool wr; /* derived from translate(): !priv: shared mappings may write in place */
	bool warm; /* nosave: new, few, and all present: worth to be in the page tables at once. Until it is mapped */
	bool mapped; /* nosave: (partly) in the platform's address space */
	int fd; /* nosave: host file, or -1: the memory file. Host pages are translated anew after a restore */
	uint64_t off; /* saved: 3; in the memory file or host file */
};

#define FAULT_MEMOS 8

struct mm {
	struct ref ref; /* nosave: counted again by state_deref() */
	_Atomic int32_t users; /* derived: by loaded tasks */
	struct kernel *k; /* nosave: the restoring kernel */
	struct memfile *mf; /* derived: of the kernel */

	struct rwlock lock; /* nosave: free when frozen */
	struct rangemap vmas; /* saved: 1; struct vma */
	struct rangemap pmas; /* saved: 2; struct pma */
	struct vma *dead; /* nosave: removed VMAs whose references mm_wunlock() drops */
	uint64_t lo, hi; /* derived: usable addresses [lo, hi) of the platform */
	uint64_t brk; /* saved: 3 */
	uint64_t mmap_base; /* saved: 4 */
	uint64_t stack_top; /* saved: 5 */
	uint64_t locked; /* derived: bytes in VMA_LOCKED VMAs */
	uint64_t data; /* derived: bytes of private writable VMAs */
	uint64_t stack_limit; /* saved: 11; RLIMIT_STACK at execve, bounds stack growth */
	uint64_t stack, exec; /* derived: bytes of growsdown VMAs; of executable file VMAs */
	uint32_t def_flags; /* saved: 6; VMA_LOCKED / VMA_LOCKONFAULT of mlockall(MCL_FUTURE) */
	uint64_t hiwater_vm, hiwater_rss; /* saved: 7, 8 */
	struct mm_layout layout; /* saved: 9 */
	struct file *exe_file; /* saved: 10; guarded by lock */

	struct plat_as *as; /* nosave: made on first use; guarded by lock */
	bool thp_disable; /* saved: 12; PR_SET_THP_DISABLE */
	struct list aio; /* saved: 20; contexts of io_setup(2); guarded by sentry/fs/aio.c's lock */
	bool defunct; /* nosave: its last user is gone: nothing runs in it, so nothing need be unmapped */
	bool broken; /* nosave: the platform could not remove a mapping: the application must not run on */
	uint64_t unmap_gen; /* nosave: counts removals of mapped rights */
	_Atomic uint64_t guard_gen; /* nosave: memfile_guard_gen() that the platform's mappings obey */
	struct {
		uint64_t start, end;
	} owned; /* nosave: what pma_resolve() made writable just now, for the pma_map_platform() that follows; end 0: nothing in particular */
	/* For platforms that cannot tell reads from writes: what was done for a context's last fault. */
	struct fault_memo {
		const void *self;
		uint64_t page, gen;
		bool write; /* mapped with all rights of the VMA */
	} memo[FAULT_MEMOS]; /* nosave: a guess that one more fault makes again */
	uint32_t memo_next; /* nosave: as memo */
	/* What counting resident pages gave, where that takes long; see procmaps.c. */
	struct rss_memo {
		int64_t until; /* host's monotonic clock; 0: nothing is known */
		uint64_t covered; /* pmas.total then */
		uint64_t rss, file, shmem;
	} counted; /* nosave: counted again; guarded by usage_mu */
	struct mutex usage_mu; /* nosave: free when frozen */
};

#define vma_of(rp) container_of(rp, struct vma, r)
#define pma_of(rp) container_of(rp, struct pma, r)

static inline struct vma *vma_next(const struct vma *v)
{
	return v->r.next ? vma_of(v->r.next) : NULL;
}

/* --- tasks and files (mm_task.c) --- */
struct plat_ctx *mm_task_ctx(const struct mm *mm, const struct task *t);
uint64_t mm_stack_limit(const struct mm *mm); /* RLIMIT_STACK of the calling task, else as it was at execve */
uint64_t mm_task_rlimit(const struct task *t, int resource); /* soft limit; @t NULL: unlimited */
bool mm_task_may_lock(const struct task *t); /* CAP_IPC_LOCK */
struct file *mm_file_get(struct file *f); /* NULL is fine, for both */
void mm_file_put(struct file *f);
void mm_aio_exit(struct mm *mm); /* the last user leaves: ends its AIO contexts; no lock held */
struct kstat;
/* Device and inode number for /proc/pid/maps; called under mm.lock, so it asks nobody. */
void mm_file_stat(struct file *f, struct kstat *ret);
void mm_random(void *buf, size_t n);
/* Does the instruction at which the calling task, one of @mm, has just faulted look like a store? mm.lock not held. */
bool mm_fault_writes(struct mm *mm);
/* The context given, or the calling thread's if it runs a task of @mm (mm_bind_thread), or NULL. */
struct plat_ctx *mm_self(const struct mm *mm, struct plat_ctx *self);

/* An mm that belongs to no kernel yet: loading. */
struct mm *mm_alloc_empty(void);
void mm_set_kernel(struct mm *mm, struct kernel *k);

/* --- platform address space (mm.c); lock held for writing --- */
int as_map(struct mm *mm, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot, int fd, uint64_t off, uint32_t flags);
void as_unmap(struct mm *mm, struct plat_ctx *self, uint64_t addr, uint64_t len);
void as_protect(struct mm *mm, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot);

/* --- VMAs (vma.c); lock held --- */
extern const struct rangemap_ops vma_map_ops;
/* The write side of mm.lock; unlocking also releases what removed VMAs held. */
void mm_wlock(struct mm *mm);
void mm_wunlock(struct mm *mm);
struct vma_name *vma_name_new(const char *s);
struct vma_name *vma_name_get(struct vma_name *n);
void vma_name_put(struct vma_name *n);
struct vma *vma_find(const struct mm *mm, uint64_t addr); /* containing */
struct vma *vma_first_in(const struct mm *mm, uint64_t start, uint64_t end);
/* What a new VMA looks like; the references stay the caller's. */
struct vma_spec {
	uint32_t prot, max_prot, flags;
	struct mappable *obj;
	uint64_t off;
	struct file *file;
	struct vma_name *name;
	struct mempolicy pol;
	struct uffd_ctx *uffd;
};
/* What a VMA is that shows the same as @v from @at on. */
static inline struct vma_spec vma_spec_of(const struct vma *v, uint64_t at)
{
	return (struct vma_spec){ v->prot, v->max_prot, v->flags, v->obj, v->off + (at - v->r.start), v->file, v->name, v->pol, v->uffd };
}
/* Inserts [start, end), which must be free, and merges. */
_must_check_ int vma_add(struct mm *mm, uint64_t start, uint64_t end, const struct vma_spec *s);
/* Takes @v out of its mm and frees it; its pmas are gone already. */
void vma_drop(struct mm *mm, struct vma *v);
/* Removes VMAs and pmas of the range. */
_must_check_ int vma_unmap_range(struct mm *mm, struct plat_ctx *self, uint64_t start, uint64_t end);
void vma_account(struct mm *mm, const struct vma *v, int sign);
/* A free place for @len bytes below mmap_base (or anywhere above when full). -ENOMEM. */
_must_check_ int vma_find_gap(struct mm *mm, uint64_t hint, uint64_t len, uint32_t map_flags, uint64_t align, uint64_t *ret);
bool vma_range_free(struct mm *mm, uint64_t start, uint64_t end);
/* RLIMIT_AS and RLIMIT_DATA for @grow more bytes. 0 or -ENOMEM. */
_must_check_ int mm_may_expand(struct mm *mm, const struct task *t, bool data, uint64_t grow);
/* RLIMIT_MEMLOCK. */
_must_check_ int mm_may_lock_more(struct mm *mm, const struct task *t, uint64_t grow);

/* --- page mappings (pma.c); lock held for writing --- */
extern const struct rangemap_ops pma_map_ops;
/* How far around the fault a mapping reaches at most. */
#define WINDOW_MIN  (64ULL << 10)
#define WINDOW_MAX  (2ULL << 20)
#define COW_WINDOW  (16ULL << 10)
#define WARM_WINDOW (256ULL << 10) /* up to here kept pages are taken, and all are mapped at once */

/* Pages at @addr (in @v) usable for reading, or for writing with @write. On success *@ret is a pma that contains @addr. -EFAULT:
 * beyond the object's end (SIGBUS). Protection was checked by the caller. When a copy replaces pages that the platform shows, they
 * are replaced there too, unless the caller promises to call pma_map_platform() at once (@will_map) and no other thread runs there. */
_must_check_ int pma_resolve(struct mm *mm, struct plat_ctx *self, struct vma *v, uint64_t addr, bool write, bool will_map, struct pma **ret);
bool pma_writable(const struct pma *p, const struct vma *v);
/* The same, and the page at @addr may be written in the memory file without further ado. */
bool pma_writable_at(const struct mm *mm, const struct pma *p, const struct vma *v, uint64_t addr);
/* Removes pmas: from the platform first, then their references. @keep_priv: private copies stay. */
_must_check_ int pma_drop_range(struct mm *mm, struct plat_ctx *self, uint64_t start, uint64_t end, bool keep_priv);
/* Brings the platform's protections in line with the VMA's for what is mapped in the range. */
void pma_reprotect(struct mm *mm, struct plat_ctx *self, struct vma *v, uint64_t start, uint64_t end);
struct pma_shown {
	uint64_t end; /* mapped up to here */
	bool full; /* with all rights of the VMA */
};
/* Maps what is there around @addr, within a window of WINDOW_MAX, into the platform. @ret may be NULL. */
_must_check_ int pma_map_platform(struct mm *mm, struct plat_ctx *self, struct vma *v, struct pma *p, uint64_t addr, uint32_t flags,
				  struct pma_shown *ret);
/* Takes the platform's write permission to pages of the memory file away where memfile_guard_gen() says so. */
void pma_guard(struct mm *mm, struct plat_ctx *self);
/* The same for [*pos, ...) as far as takes a fraction of a millisecond, with the pages prepared for a snapshot (memfile_expect_snapshot()). *@pos is where to
 * go on; false: that was all. */
bool pma_expect_snapshot(struct mm *mm, uint64_t *pos, bool complete);
/* For userfaultfd, where nothing is at @page: a private page with @content (NULL: zero); and the page of @v's object, after giving it
 * @content (NULL: zero) if @touch. mm.lock held for writing. -ENOMEM, -EFAULT. */
_must_check_ int pma_insert_private(struct mm *mm, uint64_t page, const void *content, bool wp);
_must_check_ int pma_insert_object(struct mm *mm, struct vma *v, uint64_t page, const void *content, bool touch);
/* New anonymous memory that is likely to be touched next: saves its first fault. @v and @addr as for pma_resolve(). Best effort. */
void pma_expect(struct mm *mm, struct plat_ctx *self, struct vma *v, uint64_t addr);
struct pma *pma_new(void);
/* The VMA that contains @addr, growing a stack down to it if that is allowed, or NULL. */
struct vma *mm_find_or_grow(struct mm *mm, uint64_t addr);
/* Fills a range as if touched (mlock, MAP_POPULATE, MADV_POPULATE_*): bytes done or a negative errno. */
_must_check_ int mm_populate_locked(struct mm *mm, struct plat_ctx *self, uint64_t start, uint64_t end, bool write);

/* --- direct access (copy.c) --- */
struct mm_pin {
	void *ptr; /* Sentry address of the bytes */
	size_t len;
	struct memfile *mf;
	uint64_t off, off_len; /* referenced pages of the memory file */
	void *host; /* or a mapping of host file pages */
	size_t host_len;
};
/* Pins at most @n bytes at @a that are contiguous for the Sentry. -EFAULT. */
_must_check_ int mm_pin_page(struct mm *mm, uint64_t a, size_t n, bool write, struct mm_pin *ret);
void mm_unpin(struct mm_pin *p);

/* Is the page of the application really there? Windows are filled ahead, so a pma alone does not say so. Lock held. */
bool mm_page_resident(struct mm *mm, const struct vma *v, uint64_t page);

/* Unlocked workers, for callers that hold the lock for writing. */
int64_t mm_mmap_locked(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, uint32_t map_flags, struct vma_spec *s, bool *populate);

#endif
