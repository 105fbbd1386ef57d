/* SPDX-License-Identifier: Apache-2.0 */
/* Copying arguments of system calls in and out of the calling task's memory. */
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/task.h"

#define PATH_MAX_L 4096

int copy_in(struct task *t, void *dst, gaddr_t src, size_t n)
{
	return mm_copy_in(t->mm, dst, src, n);
}

int copy_out(struct task *t, gaddr_t dst, const void *src, size_t n)
{
	return mm_copy_out(t->mm, dst, src, n);
}

int copy_in_struct(struct task *t, void *dst, size_t have, gaddr_t src, size_t usize)
{
	int r = copy_in(t, dst, src, MIN(have, usize));

	if (r < 0)
		return r;
	if (usize < have)
		memset((char *)dst + usize, 0, have - usize);
	for (size_t off = have; off < usize; off += 64) {
		uint8_t buf[64];
		size_t n = MIN(sizeof(buf), usize - off);

		r = copy_in(t, buf, gaddr_add(src, off), n);
		if (r < 0)
			return r;
		for (size_t i = 0; i < n; i++)
			if (buf[i])
				return -E2BIG;
	}
	return 0;
}

/* A name that was read before (task_given), or NULL. */
static const char *given_name(const struct task *t, gaddr_t src)
{
	for (int i = 0; t->given && i < TASK_GIVEN_NAMES; i++)
		if (t->given->name[i] && t->given->addr[i].v == src.v)
			return t->given->name[i];
	return NULL;
}

static int dup_given(const char *name, char **ret)
{
	char *p = strdup(name);

	if (!p)
		return -ENOMEM;
	*ret = p;
	return 0;
}

int copy_in_path(struct task *t, gaddr_t src, char **ret)
{
	const char *given = given_name(t, src);
	char buf[PATH_MAX_L];
	int64_t n;
	char *p;

	if (given)
		return dup_given(given, ret);
	n = mm_copy_in_str(t->mm, buf, src, sizeof(buf));
	if (n < 0)
		return (int)n;
	p = malloc((size_t)n + 1);
	if (!p)
		return -ENOMEM;
	memcpy(p, buf, (size_t)n + 1);
	*ret = p;
	return 0;
}

int copy_in_string(struct task *t, gaddr_t src, size_t max, char **ret)
{
	size_t cap = MIN(max + 1, (size_t)256);
	const char *given = given_name(t, src);

	if (given)
		return dup_given(given, ret);
	for (;;) {
		_cleanup_free_ char *p = malloc(cap);
		int64_t n;

		if (!p)
			return -ENOMEM;
		n = mm_copy_in_str(t->mm, p, src, cap);
		if (n >= 0) {
			*ret = TAKE_PTR(p);
			return 0;
		}
		if (n != -ENAMETOOLONG || cap > max)
			return (int)n;
		cap = MIN(cap * 4, max + 1);
	}
}

int copy_in_timespec(struct task *t, gaddr_t src, int64_t *ret_ns)
{
	struct linux_timespec ts;
	int r = copy_in(t, &ts, src, sizeof(ts));

	if (r < 0)
		return r;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= NSEC_PER_SEC)
		return -EINVAL;
	if (mul_overflow(ts.tv_sec, NSEC_PER_SEC, ret_ns) || add_overflow(*ret_ns, ts.tv_nsec, ret_ns))
		*ret_ns = TIME_FOREVER;
	return 0;
}

int copy_out_timespec(struct task *t, gaddr_t dst, int64_t ns)
{
	struct linux_timespec ts = { ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };

	return copy_out(t, dst, &ts, sizeof(ts));
}
