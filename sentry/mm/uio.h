/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data transfer's other end: a list of application ranges, or one Sentry buffer. File operations move bytes through it and
 * never see guest addresses. Moves advance it.
 */
#ifndef SENTRY_MM_UIO_H
#define SENTRY_MM_UIO_H

#include <sys/uio.h>

#include "base/cleanup.h"
#include "sentry/abi/types.h"

struct mm;
struct task;

#define LINUX_UIO_MAXIOV 1024
#define UIO_FASTIOV  8
#define MAX_RW_COUNT 0x7ffff000UL /* Linux: INT_MAX rounded down to pages */

struct uio {
	struct mm *mm; /* NULL: kernel buffer */
	struct linux_iovec *iov; /* remaining; never written to, so that a mark can be restored */
	size_t nr_iov;
	size_t skip; /* bytes of iov[0] already consumed */
	size_t left; /* bytes remaining over all */
	struct linux_iovec fast[UIO_FASTIOV];
	struct linux_iovec *heap; /* owned array when more than UIO_FASTIOV */
	struct uio_pinned *pins; /* what uio_pin() holds; NULL: nothing */
	int nr_pins;
};

/* One application range. Lengths are cut to MAX_RW_COUNT; a range outside user space is -EFAULT. */
_must_check_ int uio_user(struct uio *u, struct mm *mm, gaddr_t buf, size_t len);
/* readv-style array in application memory: -EINVAL for too many or negative lengths. */
_must_check_ int uio_user_iov(struct uio *u, struct mm *mm, gaddr_t iov, size_t n);
/* The same for an array that was read before; it is copied. */
_must_check_ int uio_user_vec(struct uio *u, struct mm *mm, const struct linux_iovec *iov, size_t n);
void uio_kernel(struct uio *u, void *buf, size_t len);
void uio_done(struct uio *u);

/* Copy up to @n bytes out to / in from the other end; returns bytes moved (may be short of min(n, left) only on a fault), or
 * -EFAULT when nothing could be moved. */
int64_t uio_put(struct uio *u, const void *src, size_t n);
int64_t uio_get(struct uio *u, void *dst, size_t n);
int64_t uio_put_zero(struct uio *u, size_t n);
/* Steps back over the last @n moved bytes of the current transfer (kept iovecs only); used to undo a copy whose commit failed. */
struct uio uio_mark(const struct uio *u); /* shallow copy to restore by assignment; owns nothing */
/* Direct pointers: fills @host with Sentry-addressable pieces of the next bytes (write: the other end will be written),
 * at most @max pieces, faulting pages in; returns the number of pieces (0: nothing left) or -EFAULT. The pieces stay usable
 * until uio_unpin(). Then uio_advance() by what was transferred. */
int uio_pin(struct uio *u, bool write, struct iovec *host, int max);
void uio_unpin(struct uio *u);
void uio_advance(struct uio *u, size_t n);

#endif
