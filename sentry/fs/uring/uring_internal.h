/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring: what its files share. README.md tells the model.
 *
 * Locks, outermost first
 *   uring.sq_mu        taking entries off the submission queue (one group of links at a time)
 *   uring.mu           requests in flight, deferred ones, registered things, buffer groups
 *   uring.cq_mu        the completion ring and its overflow list
 *   queue lock         (queue.c) states of all requests, ready lists, workers; below any waitq.mu; leaf
 * No lock is held while a request's operation runs: a request in state RUNNING belongs to the thread that runs it.
 */
#ifndef SENTRY_FS_URING_INTERNAL_H
#define SENTRY_FS_URING_INTERNAL_H

#include "sentry/abi/io_uring.h"
#include "sentry/abi/mman.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/file.h"
#include "sentry/fs/uring/uring.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/kthread.h"

#define URING_MAX_ENTRIES    32768u
#define URING_MAX_CQ_ENTRIES (2 * URING_MAX_ENTRIES)
#define URING_RING_FDS	     16
#define URING_MAX_REQS	     (1u << 20) /* in flight in one ring; Linux is limited by memory only */
#define URING_MAX_FILES	     (1u << 15)
#define URING_MAX_BUFFERS    (1u << 14)
#define URING_MAX_BUF_LEN    (1ul << 30)

/* Offsets in the page(s) that hold both rings' heads, as Linux 6.1 lays them out. */
enum {
	RING_SQ_HEAD = 0,
	RING_SQ_TAIL = 64,
	RING_CQ_HEAD = 128,
	RING_CQ_TAIL = 192,
	RING_SQ_MASK = 256,
	RING_CQ_MASK = 260,
	RING_SQ_ENTRIES = 264,
	RING_CQ_ENTRIES = 268,
	RING_SQ_DROPPED = 272,
	RING_SQ_FLAGS = 276,
	RING_CQ_FLAGS = 280,
	RING_CQ_OVERFLOW = 284,
	RING_CQES = 320,
};

/* Where a request is. Guarded by the queue lock. */
enum ureq_state {
	UREQ_LINKED, /* waits for the request before it in its chain */
	UREQ_DEFERRED, /* waits for all before it (IOSQE_IO_DRAIN), on uring.defer */
	UREQ_ARMED, /* waits for its file or timer */
	UREQ_READY, /* on a ready list */
	UREQ_RUNNING, /* owned by the thread that runs or completes it */
};

/* ureq.flags: bits 0-7 are sqe.flags as submitted. */
#define UREQ_FAIL	 (1u << 8) /* what is linked behind it will not run */
#define UREQ_NOWAIT	 (1u << 9) /* "would block" is its result */
#define UREQ_SLOW	 (1u << 10) /* to be run by a worker that may sleep */
#define UREQ_SKIP_CQE	 (1u << 11) /* posts nothing */
#define UREQ_LTIMEOUT	 (1u << 12) /* the next in the chain is its LINK_TIMEOUT */
#define UREQ_DRAIN	 (1u << 13)
#define UREQ_FORCE_ASYNC (1u << 14)
#define UREQ_BUF	 (1u << 15) /* holds a provided buffer: buf_addr, buf_len, bid */
#define UREQ_BUF_RING	 (1u << 16) /* that came from a buffer ring */
#define UREQ_IN_PROGRESS (1u << 17) /* CONNECT under way */
#define UREQ_POLLED	 (1u << 18) /* the first event was waited for (POLL_FIRST) */
#define UREQ_TIMER	 (1u << 19) /* deadline is set */
#define UREQ_COUNTED	 (1u << 20) /* TIMEOUT that also ends after a number of completions */
#define UREQ_HAS_IOV	 (1u << 21) /* iov was read */
#define UREQ_ARMED_ONCE	 (1u << 22) /* timers and multishot requests: set up before */
#define UREQ_SKIP_LINKS	 (1u << 23) /* it failed and wanted silence for success: what is linked to it ends silently */
#define UREQ_SAVED_FLAGS ((1u << 24) - 1)

/* What an operation answers besides a result: the request lives on, its completion comes later. */
#define UREQ_PENDING (-700)
/* May not run here: give it to a worker that may sleep. */
#define UREQ_PUNT (-701)

struct uring;

struct ureq_msg { /* message: UreqMsg */
	uint64_t name, control; /* saved: 1, 2; addresses */
	int32_t namelen; /* saved: 3 */
	uint64_t controllen; /* saved: 4 */
	uint32_t addr_len; /* saved: 5; bytes of addr */
	uint8_t addr[128]; /* saved: 6; a destination that was read at submission */
};

struct ureq { /* message: Ureq */
	struct uring *r; /* derived: the ring that lists it */
	struct list node; /* derived: uring.reqs; guarded by uring.mu */
	struct list qnode; /* derived: a ready list or uring.defer */
	struct task *task; /* saved: 1, referenced; who submitted it */
	struct cred *cred; /* saved: 2, referenced */
	struct linux_io_uring_sqe sqe; /* saved: 3; what was submitted, read once */
	uint32_t flags; /* saved: 4 */
	enum ureq_state state; /* saved: 5 where; ARMED and READY are one */
	bool fired; /* nosave: its file or timer called while it ran; every armed request looks again after a restore */
	bool orphan; /* derived: set when its task has ended: its next event cancels it; guarded by the queue lock */
	bool cancel; /* saved: 6; to be completed with ECANCELED as soon as it can be taken */
	struct task *worker; /* nosave: the helper that runs it, to be woken by a cancel; guarded by the queue lock */
	struct ureq *link; /* saved: 7; the next in the chain */
	struct ureq *ltimeout; /* derived: from the timeout's head; guarded by uring.mu */
	struct ureq *head; /* saved: 8; LINK_TIMEOUT: what it limits; guarded by uring.mu */
	struct file *file; /* saved: 9, referenced */
	uint64_t seq; /* saved: 10; requests of the ring before it (drain) */
	int err; /* saved: 11; submission found it bad: its result */
	char *name[TASK_GIVEN_NAMES]; /* saved: 12 names; read at submission */
	struct linux_iovec *iov; /* saved: 13; read at submission */
	uint32_t nr_iov; /* derived: entries of iov */
	struct ureq_msg *msg; /* saved: 14; SENDMSG and kin */
	uint64_t done; /* saved: 15; bytes moved by earlier attempts */
	struct sysctx ctx; /* saved: 16; of a call that a freeze interrupted in a worker */
	int64_t deadline; /* saved: 17; on its clock */
	bool realtime; /* saved: 18; deadline's clock */
	uint32_t target; /* saved: 19; TIMEOUT: cq_posted at which it ends */
	struct ktimer timer; /* derived: armed when UREQ_TIMER */
	struct waiter w; /* nosave: registered again by the first attempt after a restore */
	uint64_t buf_addr; /* saved: 20 */
	uint32_t buf_len; /* saved: 21 */
	uint16_t bid; /* saved: 22 */
	uint16_t ring_entry; /* saved: 25; UREQ_BUF_RING: which entry it was */
	uint32_t events; /* saved: 23; POLL_ADD's */
	uint32_t spins; /* nosave: attempts in a row that a ready file refused */
	bool load_linked; /* nosave: while loading: already in a chain */
	uint64_t val[4]; /* saved: 24; the operation's own */
};

struct uring_cqe {
	struct list node;
	struct linux_io_uring_cqe cqe;
};

struct uring_file { /* message: UringSlot */
	struct file *file; /* saved: 1, referenced; NULL: empty */
	uint64_t tag; /* saved: 2 */
};

struct uring_buffer { /* message: UringBuffer */
	uint64_t addr, len; /* saved: 1, 2; 0, 0: empty */
	uint64_t tag; /* saved: 3 */
	struct mm *mm; /* saved: 4, referenced; whose memory */
};

struct uring_pbuf { /* message: UringPbuf */
	uint64_t addr; /* saved: 1 */
	uint32_t len; /* saved: 2 */
	uint16_t bid; /* saved: 3 */
};

/* A group of buffers the application provided, one by one or as a ring in its memory. */
struct uring_bgroup { /* message: UringBgroup */
	struct list node; /* derived: uring.bgroups */
	uint16_t bgid; /* saved: 1 */
	struct uring_pbuf *bufs; /* saved: 2; in the order they are handed out */
	uint32_t nr, cap; /* derived: used and allocated entries of bufs */
	uint32_t first; /* derived: index of the oldest; bufs[0..first) are gone */
	uint64_t ring_addr; /* saved: 3; 0: no ring */
	uint32_t ring_entries; /* saved: 4; power of two */
	uint16_t ring_head; /* saved: 5 */
};

struct uring_personality { /* message: UringPersonality */
	struct list node; /* derived: uring.personalities */
	uint32_t id; /* saved: 1 */
	struct cred *cred; /* saved: 2, referenced */
};

struct uring { /* message: Uring */
	struct file file; /* saved: 1 file_base */
	struct ref users; /* nosave: the file, its mappings' object, and requests in the hands of others keep the memory */
	struct list all; /* derived: the list of all rings */
	uint32_t setup; /* saved: 2; IORING_SETUP_*, R_DISABLED goes away */
	uint32_t sq_entries, cq_entries; /* saved: 3, 4 */
	struct mappable map; /* derived: what mmap gives; offsets as in mmap(2) */
	uint64_t rings_off, sqes_off; /* saved: 5, 6; in the memory file */
	uint64_t rings_len, sqes_len; /* derived: from the entries */
	bool adopted; /* nosave: while loading: the runs are ours, though not seen yet */
	char *rings, *sqes; /* derived: the Sentry's view; written by hostile code at any time */
	struct waitq wq; /* nosave: waiters re-run or register again */

	struct mutex sq_mu; /* nosave: free when frozen; guards the next two */
	uint32_t sq_head; /* saved: 7; the truth, whatever the application writes */
	uint64_t nr_submitted; /* saved: 8 */

	struct mutex mu; /* nosave: free when frozen; guards down to the empty line */
	struct list reqs; /* saved: 10; in flight, in order of submission */
	struct list defer; /* saved: 11; requests, in order */
	bool drain_active, drain_next, drain_disabled; /* saved: 9 drain, three bits */
	uint64_t nr_done; /* saved: 12; requests completed */
	uint32_t nr_counted; /* derived: requests with UREQ_COUNTED */
	struct uring_file *files; /* saved: 13 */
	uint32_t nr_files; /* derived: entries of files */
	uint32_t alloc_off, alloc_len, alloc_hint; /* saved: 14, 15, 16; IORING_REGISTER_FILE_ALLOC_RANGE */
	struct uring_buffer *buffers; /* saved: 17 */
	uint32_t nr_buffers; /* derived: entries of buffers */
	struct list bgroups; /* saved: 18 */
	struct list personalities; /* saved: 19 */
	uint32_t next_personality; /* saved: 20 */
	uint64_t allowed_ops; /* saved: 21; restrictions, when restricted */
	uint32_t allowed_register; /* saved: 22 */
	uint8_t allowed_flags, required_flags; /* saved: 23, 24 */
	bool has_restrictions, restricted; /* saved: 25, 26; registered; in force */
	struct task *issuer; /* saved: 27, referenced; IORING_SETUP_SINGLE_ISSUER */
	uint32_t max_workers[2]; /* saved: 28 */

	struct mutex cq_mu; /* nosave: free when frozen; guards down to the empty line */
	uint32_t cq_tail; /* saved: 29; the truth */
	uint32_t cq_timeouts; /* saved: 30; completions of timeouts, which timeouts do not count */
	struct list overflow; /* saved: 31; completions that found no room, in order */
	uint32_t nr_overflow; /* derived: length of overflow */
	bool cq_lost; /* saved: 37; a completion was lost, which io_uring_enter reports */
	struct file *eventfd; /* saved: 32, referenced */
	bool eventfd_async; /* saved: 33 */

	/* guarded by the queue lock */
	struct list ready; /* nosave: requests that a task inside io_uring_enter will run itself; part of reqs */
	struct list waiting; /* nosave: struct uring_wait of tasks in io_uring_enter */
	struct kwork end; /* nosave: what is left to do when the file is gone */
	bool tell; /* nosave: on the list of rings whose pollers are to be told; pollers look again after a restore */
	struct list tell_node; /* nosave: that list */

	struct task *sq_task; /* saved: 34, referenced; SQPOLL: whose requests they are */
	uint32_t sq_idle_ms; /* saved: 35 */
	bool sq_stop; /* saved: 36; guarded by the queue lock; the thread ends or has ended */
	struct task *sq_thread; /* nosave: guarded by the queue lock; started again by uring_restore() */
};

/* A task in io_uring_enter(GETEVENTS), which runs its own requests as they become ready. */
struct uring_wait {
	struct list node;
	struct task *task;
};

/* What a task has registered with IORING_REGISTER_RING_FDS. */
struct uring_task {
	struct file *rings[URING_RING_FDS]; /* referenced; saved with the task, as Task.ring_fds */
};

static inline struct uring *uring_of(struct file *f)
{
	return container_of(f, struct uring, file);
}

static inline uint32_t *uring_word(struct uring *r, uint32_t off)
{
	return (uint32_t *)(void *)(r->rings + off);
}

static inline uint32_t uring_load(struct uring *r, uint32_t off)
{
	return __atomic_load_n(uring_word(r, off), __ATOMIC_ACQUIRE);
}

static inline void uring_store(struct uring *r, uint32_t off, uint32_t v)
{
	__atomic_store_n(uring_word(r, off), v, __ATOMIC_RELEASE);
}

static inline size_t uring_cqe_size(const struct uring *r)
{
	return sizeof(struct linux_io_uring_cqe) << !!(r->setup & LINUX_IORING_SETUP_CQE32);
}

static inline size_t uring_sqe_size(const struct uring *r)
{
	return sizeof(struct linux_io_uring_sqe) << !!(r->setup & LINUX_IORING_SETUP_SQE128);
}

static inline uint32_t uring_sq_array(const struct uring *r)
{
	return (uint32_t)(RING_CQES + r->cq_entries * uring_cqe_size(r));
}

/* --- ring.c --- */
_must_check_ int uring_new(struct task *t, uint32_t setup, uint32_t sq_entries, uint32_t cq_entries, struct uring **ret);
struct uring *uring_get(struct uring *r);
void uring_put(struct uring *r);
/* The next ring after @r (whose reference is put), referenced; NULL at the end. Starts with NULL. */
struct uring *uring_next(struct uring *r);
/* Links a ring into the list of all; loaded ones too. */
void uring_link(struct uring *r);
struct uring *uring_alloc(void);
void uring_sizes(struct uring *r);
struct uring_task *uring_task_of(struct task *t); /* made on first use; NULL: out of memory */
void uring_free_tables(struct uring *r);

/* --- cq.c --- */
/* Posts one completion: to the ring or, when there is no room, to the overflow list. False: out of memory, it is lost (counted in cq_overflow). */
bool uring_post(struct uring *r, uint64_t user_data, int32_t res, uint32_t cflags, bool timeout);
/* The same only when it fits into the ring (multishot). */
bool uring_post_room(struct uring *r, uint64_t user_data, int32_t res, uint32_t cflags);
/* After completions were posted, with no lock held: tells eventfd, pollers, waiting tasks; ends counted timeouts. */
void uring_cq_notify(struct uring *r, bool async);
/* Moves overflowed completions into the ring; true when none is left. */
bool uring_flush_overflow(struct uring *r);
uint32_t uring_cq_ready(struct uring *r); /* completions the application has not taken, ring only */
/* Runs the requests of @t that are ready and left to it. */
void uring_run_ready(struct task *t, struct uring *r);
/* io_uring_enter's wait. */
int64_t uring_cq_wait(struct task *t, struct uring *r, uint32_t min, gaddr_t sig, uint64_t sigsz, gaddr_t ts);

/* --- submit.c --- */
/* Takes up to @n entries and starts them for @owner, who is @self or whom the polling thread @self has adopted. How many were taken, or an error. */
int64_t uring_submit(struct task *owner, struct task *self, struct uring *r, uint32_t n);
uint32_t uring_sq_pending(struct uring *r);

/* --- request.c --- */
struct ureq *ureq_alloc(struct uring *r);
void ureq_free(struct ureq *q);
/* Runs @q and what it leads to, in the context of @self, which is @q->task or has adopted it. @may_sleep: a worker's. */
void ureq_run(struct task *self, struct ureq *q, bool may_sleep);
/* Ends @q, which is RUNNING and owned by the caller. Returns the linked request to go on with, RUNNING, or NULL. */
struct ureq *ureq_finish(struct ureq *q, int64_t res, uint32_t cflags);
/* The same; what follows goes to a ready list. */
void ureq_end(struct ureq *q, int64_t res);
/* A failed submission: @q and its chain complete without running. */
void ureq_fail_chain(struct ureq *q);
/* @q, first of its chain, is submitted while the ring drains: it starts when its turn comes. */
void ureq_drain(struct ureq *q);
/* Nobody is told of completions that the calling thread posts to @r until the end, which says whether there were any. Batches nest. */
struct uring_batch {
	struct uring *r;
	bool posted;
};
struct uring_batch uring_batch_begin(struct uring *r);
bool uring_batch_end(struct uring_batch old);
/* A (LINK_)TIMEOUT request begins to count down. */
void ureq_timeout_begin(struct ureq *q);
/* @q is about to wait: its LINK_TIMEOUT starts to count. */
void ureq_start_ltimeout(struct ureq *q);
/* Deferred requests whose turn has come go to the ready list. */
void uring_kick_deferred(struct uring *r);
/* A further completion of a multishot request; false when there is no room, and the request must end. */
bool ureq_post_more(struct ureq *q, int64_t res, uint32_t cflags);

/* --- queue.c --- */
extern struct mutex uring_q_mu;
/* Owns @q or fails: true when it was waiting or ready, and is RUNNING now. A request that runs is told to end. */
bool ureq_claim(struct ureq *q, bool cancel);
/* @q, RUNNING and owned, goes to the end of a ready list. */
void ureq_make_ready(struct ureq *q);
/* @q, RUNNING, waits for its file; false when the file became ready meanwhile: look again. */
bool ureq_arm(struct ureq *q);
/* Registers on the file's queue, once. False: the file has none. */
bool ureq_watch(struct ureq *q, uint32_t mask);
void ureq_unwatch(struct ureq *q);
/* Sets its timer going at q->deadline. */
void ureq_timer_start(struct ureq *q);
void ureq_init_callbacks(struct ureq *q);
/* A task inside io_uring_enter takes a request of its own that is ready, RUNNING then; or NULL. */
struct ureq *uring_take_ready(struct uring *r, struct task *t);
void uring_wait_begin(struct uring *r, struct uring_wait *w, struct task *t);
void uring_wait_end(struct uring *r, struct uring_wait *w);
bool uring_has_ready(struct uring *r);
/* A frozen call of a worker: back to the front of its list. */
void ureq_requeue(struct ureq *q);
/* A loaded request: to the end of its list. */
void ureq_requeue_tail(struct ureq *q);
/* @self, a slow helper, is done with @q or hands it on: a cancel must not interrupt what @self does next. */
void uring_worker_done(struct task *self, struct ureq *q);
/* After a restore: helpers for what is on the lists. */
_must_check_ int uring_restore_helpers(void);
/* Makes sure that somebody will run ready requests. -EAGAIN, -ENOMEM. */
_must_check_ int uring_need_worker(void);

/* --- cancel.c --- */
struct ureq_match {
	uint64_t user_data;
	struct file *file;
	uint32_t flags; /* LINUX_IORING_ASYNC_CANCEL_* */
	int op; /* only this operation; -1: any */
	const struct ureq *self; /* not this one */
};
/* One match: 0 cancelled, -EALREADY told to end, -ENOENT none. */
int uring_cancel_one(struct uring *r, const struct ureq_match *m);
/* With ALL or ANY: how many. Else as uring_cancel_one(). */
int64_t uring_cancel(struct uring *r, const struct ureq_match *m);
/* All requests of @t (NULL: of anybody). */
void uring_cancel_all(struct uring *r, struct task *t);
/* @t ends: what workers have of its requests is cancelled; what waits for a file or a timer waits on, and is cancelled by its event. */
void uring_orphan(struct uring *r, struct task *t);
/* What @q waits for on its file: POLL* bits, 0: nothing. */
uint32_t ureq_wait_mask(const struct ureq *q);
int64_t uring_sync_cancel(struct task *t, struct uring *r, gaddr_t arg);

/* --- rsrc.c --- */
_must_check_ int uring_find_file(struct task *t, struct uring *r, int fd, bool fixed, struct file **ret);
/* Puts a new file where a "direct" request wants it: @slot as in sqe.file_index (0: an ordinary descriptor). Consumes @f. */
int64_t uring_install(struct task *t, struct uring *r, struct file *f, uint32_t slot, bool cloexec);
int uring_close_fixed(struct uring *r, uint32_t slot);
int64_t uring_files_update(struct task *t, struct uring *r, uint32_t off, gaddr_t fds, gaddr_t tags, uint32_t nr);
/* FILES_UPDATE with automatic slots: the numbers are written back. */
int64_t uring_files_alloc(struct task *t, struct uring *r, gaddr_t fds, uint32_t nr);
int64_t uring_buffers_update(struct task *t, struct uring *r, uint32_t off, gaddr_t iovs, gaddr_t tags, uint32_t nr);
int64_t uring_files_register(struct task *t, struct uring *r, gaddr_t fds, gaddr_t tags, uint32_t nr, bool sparse);
int64_t uring_files_unregister(struct uring *r);
int64_t uring_buffers_register(struct task *t, struct uring *r, gaddr_t iovs, gaddr_t tags, uint32_t nr, bool sparse);
int64_t uring_buffers_unregister(struct uring *r);
/* A transfer of [@addr, +@len) inside registered buffer @index: -EFAULT when it is not. @ret holds the memory; *@ret_mm is put by the caller. */
_must_check_ int uring_fixed_uio(struct uring *r, uint32_t index, uint64_t addr, uint64_t len, struct uio *ret, struct mm **ret_mm);

/* --- bufs.c --- */
/* Takes a buffer of the group for @q: sets buf_addr, buf_len (at most *@len; 0: all of it), bid. -ENOBUFS. */
_must_check_ int ureq_buf_take(struct task *t, struct ureq *q, uint32_t *len);
/* Puts an unused buffer back. */
void ureq_buf_return(struct ureq *q);
/* Flags for the completion; the buffer is the application's from here on. */
uint32_t ureq_buf_used(struct ureq *q);
int64_t uring_provide(struct uring *r, uint16_t bgid, uint64_t addr, uint32_t len, uint32_t nr, uint16_t bid);
int64_t uring_remove_bufs(struct uring *r, uint16_t bgid, uint32_t nr);
int64_t uring_pbuf_register(struct task *t, struct uring *r, gaddr_t arg, bool on);
void uring_bgroup_free(struct uring_bgroup *g);

/* --- sqpoll.c --- */
_must_check_ int uring_sqpoll_start(struct uring *r);
void uring_sqpoll_stop(struct uring *r);
void uring_sqpoll_wake(struct uring *r);
/* IORING_ENTER_SQ_WAIT. */
int64_t uring_sqpoll_wait_sq(struct task *t, struct uring *r);

/* --- the operations --- */
#define UOP_FILE      (1u << 0) /* sqe.fd names a file */
#define UOP_POLLIN    (1u << 1) /* waits for this when it would block */
#define UOP_POLLOUT   (1u << 2)
#define UOP_BUFSEL    (1u << 3) /* may take a provided buffer */
#define UOP_IOPRIO    (1u << 4) /* sqe.ioprio may be set */
#define UOP_SLOW      (1u << 5) /* may sleep in ways that cannot be tried: runs in a worker */
#define UOP_IOPOLL    (1u << 6) /* allowed on an IOPOLL ring */
#define UOP_NO_RETRY  (1u << 7) /* its EAGAIN is final */

struct uring_op {
	const char *name;
	uint32_t flags;
	/* Checks the entry: an error refuses the submission. NULL: nothing to check. */
	int (*prep)(struct task *t, struct ureq *q);
	/* Reads what the entry points at (iovecs, names, ...); an error is the result. NULL: nothing to read. */
	int (*import)(struct task *t, struct ureq *q);
	/* One attempt. Result, -EAGAIN (would block), -EFREEZE (workers), UREQ_PENDING. *@cflags: of the completion. */
	int64_t (*issue)(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags);
};

const struct uring_op *uring_op(unsigned opcode); /* opcode < LINUX_IORING_OP_LAST */

#endif
