/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring by raw system calls, for the guest programs about it. */
#ifndef GUEST_URING_H
#define GUEST_URING_H

#include "guest.h"
#include <linux/io_uring.h>

struct ring {
	int fd;
	struct io_uring_params p;
	char *sq, *cqm;
	size_t sqsz, sqesz;
	struct io_uring_sqe *sqes;
	unsigned tail; /* ours, published by ring_submit */
};

/* A completion without the tail that IORING_SETUP_CQE32 gives it. */
struct cqe {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};

static inline int io_uring_setup(unsigned n, struct io_uring_params *p)
{
	return (int)syscall(SYS_io_uring_setup, n, p);
}

static inline int io_uring_enter(int fd, unsigned submit, unsigned wait, unsigned flags, const void *arg, size_t sz)
{
	return (int)syscall(SYS_io_uring_enter, fd, submit, wait, flags, arg, sz);
}

static inline int io_uring_register(int fd, unsigned op, const void *arg, unsigned nr)
{
	return (int)syscall(SYS_io_uring_register, fd, op, arg, nr);
}

#define RWORD(r, off) ((unsigned *)(void *)((r)->sq + (off)))

static inline unsigned rload(struct ring *r, unsigned off)
{
	return __atomic_load_n(RWORD(r, off), __ATOMIC_ACQUIRE);
}

static inline void ring_map(struct ring *r)
{
	size_t cq = r->p.cq_off.cqes + r->p.cq_entries * (sizeof(struct io_uring_cqe) << !!(r->p.flags & IORING_SETUP_CQE32));

	r->sqsz = r->p.sq_off.array + r->p.sq_entries * 4;
	if (cq > r->sqsz)
		r->sqsz = cq;
	r->sqesz = r->p.sq_entries * (sizeof(struct io_uring_sqe) << !!(r->p.flags & IORING_SETUP_SQE128));
	r->sq = OK((char *)mmap(NULL, r->sqsz, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQ_RING));
	r->sqes = OK((struct io_uring_sqe *)mmap(NULL, r->sqesz, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQES));
	r->tail = rload(r, r->p.sq_off.tail);
}

/* False when the kernel does not know the flags. */
static inline bool ring_try(struct ring *r, unsigned n, unsigned flags, unsigned cq)
{
	memset(r, 0, sizeof(*r));
	r->p.flags = flags | (cq ? IORING_SETUP_CQSIZE : 0);
	r->p.cq_entries = cq;
	r->fd = io_uring_setup(n, &r->p);
	if (r->fd < 0 && (errno == ENOSYS || errno == EPERM))
		SKIP("no io_uring");
	if (r->fd < 0)
		return false;
	ring_map(r);
	return true;
}

static inline void ring_init(struct ring *r, unsigned n, unsigned flags)
{
	if (!ring_try(r, n, flags, 0))
		guest_fail(__FILE__, __LINE__, "io_uring_setup: errno %d", errno);
}

static inline void ring_done(struct ring *r)
{
	munmap(r->sq, r->sqsz);
	munmap(r->sqes, r->sqesz);
	close(r->fd);
}

/* The next entry, zeroed, with an operation and user_data; published by ring_submit(). */
static inline struct io_uring_sqe *sqe(struct ring *r, int op, int fd, uint64_t data)
{
	unsigned i = r->tail & (r->p.sq_entries - 1);
	size_t sz = sizeof(struct io_uring_sqe) << !!(r->p.flags & IORING_SETUP_SQE128);
	struct io_uring_sqe *s = (void *)((char *)r->sqes + i * sz);

	memset(s, 0, sz);
	s->opcode = (uint8_t)op;
	s->fd = fd;
	s->user_data = data;
	RWORD(r, r->p.sq_off.array)[i] = i;
	r->tail++;
	return s;
}

static inline unsigned ring_publish(struct ring *r)
{
	unsigned n = r->tail - rload(r, r->p.sq_off.tail);

	__atomic_store_n(RWORD(r, r->p.sq_off.tail), r->tail, __ATOMIC_RELEASE);
	return n;
}

static inline int ring_submit(struct ring *r, unsigned wait)
{
	unsigned n = ring_publish(r);

	return io_uring_enter(r->fd, n, wait, wait ? IORING_ENTER_GETEVENTS : 0, NULL, 8);
}

static inline unsigned ring_ready(struct ring *r)
{
	return rload(r, r->p.cq_off.tail) - rload(r, r->p.cq_off.head);
}

static inline bool ring_peek(struct ring *r, struct cqe *ret)
{
	unsigned head = rload(r, r->p.cq_off.head);
	size_t sz = sizeof(struct io_uring_cqe) << !!(r->p.flags & IORING_SETUP_CQE32);

	if (head == rload(r, r->p.cq_off.tail))
		return false;
	memcpy(ret, r->sq + r->p.cq_off.cqes + (head & (r->p.cq_entries - 1)) * sz, sizeof(*ret));
	__atomic_store_n(RWORD(r, r->p.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return true;
}

/* Waits for one completion. */
static inline struct cqe ring_wait(struct ring *r)
{
	struct cqe c;

	while (!ring_peek(r, &c))
		if (io_uring_enter(r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 8) < 0 && errno != EINTR)
			guest_fail(__FILE__, __LINE__, "io_uring_enter: errno %d", errno);
	return c;
}

/* The next completion is of @data with result @want. */
#define CQE(r, data, want)                                                                                             \
	({                                                                                                             \
		struct cqe c_ = ring_wait(r);                                                                 \
		AT();                                                                                                  \
		if (c_.user_data != (uint64_t)(data) || c_.res != (want))                                              \
			guest_fail(__FILE__, __LINE__, "cqe data %lld res %d flags %x, want data %lld res %d",        \
				   (long long)c_.user_data, c_.res, c_.flags, (long long)(data), (int)(want));         \
		c_;                                                                                                    \
	})

/* Submits what was queued, one request, and returns its result. */
static inline int ring_one(struct ring *r)
{
	if (ring_submit(r, 1) != 1)
		guest_fail(__FILE__, __LINE__, "submit: errno %d", errno);
	return ring_wait(r).res;
}

#define UPTR(p) ((uint64_t)(uintptr_t)(p))

#endif
