/* SPDX-License-Identifier: Apache-2.0 */
/* Transfers between the Sentry and a list of application ranges or one Sentry buffer. */
#include "sentry/mm/uio.h"

#include <stdlib.h>
#include <string.h>

#include "sentry/mm/mm_internal.h"

struct uio_pinned {
	struct mm_pin p;
};

int uio_user(struct uio *u, struct mm *mm, gaddr_t buf, size_t len)
{
	len = MIN(len, MAX_RW_COUNT);
	if (buf.v > LINUX_TASK_SIZE_MAX || len > LINUX_TASK_SIZE_MAX - buf.v)
		return -EFAULT;
	memset(u, 0, sizeof(*u));
	u->mm = mm;
	u->iov = u->fast;
	u->nr_iov = 1;
	u->left = len;
	u->fast[0] = (struct linux_iovec){ buf.v, len };
	return 0;
}

/* Entries of u->iov as readv(2) takes them. */
static int check_iov(struct uio *u, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		if ((int64_t)u->iov[i].iov_len < 0)
			return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		struct linux_iovec *v = &u->iov[i];

		if (v->iov_base > LINUX_TASK_SIZE_MAX || v->iov_len > LINUX_TASK_SIZE_MAX - v->iov_base)
			return -EFAULT;
		v->iov_len = MIN(v->iov_len, MAX_RW_COUNT - total);
		total += v->iov_len;
	}
	u->nr_iov = n;
	u->left = total;
	return 0;
}

/* From application memory at @iov, or from the Sentry's @copy. */
static int set_iov(struct uio *u, struct mm *mm, gaddr_t iov, const struct linux_iovec *copy, size_t n)
{
	int r = 0;

	memset(u, 0, sizeof(*u));
	if (n > UIO_MAXIOV)
		return -EINVAL;
	u->mm = mm;
	u->iov = u->fast;
	if (n > UIO_FASTIOV) {
		u->iov = u->heap = calloc(n, sizeof(*u->heap));
		if (!u->heap)
			return -ENOMEM;
	}
	if (n > 0 && copy)
		memcpy(u->iov, copy, n * sizeof(*u->iov));
	else if (n > 0)
		r = mm_copy_in(mm, u->iov, iov, n * sizeof(*u->iov));
	if (r == 0)
		r = check_iov(u, n);
	if (r < 0) {
		uio_done(u);
		memset(u, 0, sizeof(*u));
	}
	return r;
}

int uio_user_iov(struct uio *u, struct mm *mm, gaddr_t iov, size_t n)
{
	return set_iov(u, mm, iov, NULL, n);
}

int uio_user_vec(struct uio *u, struct mm *mm, const struct linux_iovec *iov, size_t n)
{
	return set_iov(u, mm, GADDR_NULL, iov, n);
}

void uio_kernel(struct uio *u, void *buf, size_t len)
{
	memset(u, 0, sizeof(*u));
	u->iov = u->fast;
	u->nr_iov = 1;
	u->left = len;
	u->fast[0] = (struct linux_iovec){ (uint64_t)(uintptr_t)buf, len };
}

void uio_done(struct uio *u)
{
	uio_unpin(u);
	free(u->heap);
	u->heap = NULL;
}

void uio_advance(struct uio *u, size_t n)
{
	n = MIN(n, u->left);
	u->left -= n;
	while (u->nr_iov > 0) {
		size_t in = u->iov->iov_len - u->skip;

		if (n < in) {
			u->skip += n;
			return;
		}
		n -= in;
		u->skip = 0;
		u->iov++;
		u->nr_iov--;
	}
}

/* The next piece of at most @n bytes; 0 at the end. */
static size_t next_piece(struct uio *u, size_t n, uint64_t *ret)
{
	while (u->nr_iov > 0 && u->iov->iov_len == u->skip)
		uio_advance(u, 0);
	if (u->nr_iov == 0)
		return 0;
	*ret = u->iov->iov_base + u->skip;
	return MIN(n, u->iov->iov_len - u->skip);
}

enum dir { PUT, GET, ZERO };

static int64_t transfer(struct uio *u, char *buf, size_t n, enum dir d)
{
	size_t done = 0;

	n = MIN(n, u->left);
	while (done < n) {
		uint64_t a;
		size_t want = next_piece(u, n - done, &a), got = want;

		if (want == 0)
			break;
		if (!u->mm) {
			void *p = (void *)(uintptr_t)a;

			if (d == PUT)
				memcpy(p, buf + done, want);
			else if (d == GET)
				memcpy(buf + done, p, want);
			else
				memset(p, 0, want);
		} else if (d == PUT) {
			got = mm_copy_out_some(u->mm, GADDR(a), buf + done, want);
		} else if (d == GET) {
			got = mm_copy_in_some(u->mm, buf + done, GADDR(a), want);
		} else {
			got = mm_zero_out_some(u->mm, GADDR(a), want);
		}
		uio_advance(u, got);
		done += got;
		if (got < want)
			return done ? (int64_t)done : -EFAULT;
	}
	return (int64_t)done;
}

int64_t uio_put(struct uio *u, const void *src, size_t n)
{
	return transfer(u, (char *)(uintptr_t)src, n, PUT);
}

int64_t uio_get(struct uio *u, void *dst, size_t n)
{
	return transfer(u, dst, n, GET);
}

int64_t uio_put_zero(struct uio *u, size_t n)
{
	return transfer(u, NULL, n, ZERO);
}

struct uio uio_mark(const struct uio *u)
{
	return *u;
}

int uio_pin(struct uio *u, bool write, struct iovec *host, int max)
{
	struct uio at = *u; /* a cursor: pinning does not consume */
	int n = 0;

	uio_unpin(u);
	if (max <= 0)
		return 0;
	if (u->mm) {
		u->pins = calloc((size_t)max, sizeof(*u->pins));
		if (!u->pins)
			return -EFAULT;
	}
	while (n < max && at.left > 0) {
		uint64_t a;
		size_t want = next_piece(&at, at.left, &a);

		if (want == 0)
			break;
		if (u->mm) {
			struct mm_pin *p = &u->pins[n].p;

			if (mm_pin_page(u->mm, a, want, write, p) < 0)
				break;
			host[n] = (struct iovec){ p->ptr, p->len };
			u->nr_pins = n + 1;
		} else {
			host[n] = (struct iovec){ (void *)(uintptr_t)a, want };
		}
		uio_advance(&at, host[n].iov_len);
		n++;
	}
	if (n == 0 && at.left > 0) {
		uio_unpin(u);
		return -EFAULT;
	}
	return n;
}

void uio_unpin(struct uio *u)
{
	for (int i = 0; i < u->nr_pins; i++)
		mm_unpin(&u->pins[i].p);
	free(u->pins);
	u->pins = NULL;
	u->nr_pins = 0;
}
