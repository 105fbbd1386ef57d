/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of numbers, strings and buffers. */
#include <fcntl.h>

#include "sentry/syscalls/strace/internal.h"

/* A call without arguments. */
bool k_NONE(struct dec *d, uint64_t v)
{
	d->next = 6;
	return true;
}

bool k_FD(struct dec *d, uint64_t v)
{
	strbuf_addf(&d->b, "%d", (int)v);
	return true;
}

bool k_INT(struct dec *d, uint64_t v)
{
	return k_FD(d, v);
}

bool k_DIRFD(struct dec *d, uint64_t v)
{
	if ((int)v != AT_FDCWD)
		return k_FD(d, v);
	strbuf_adds(&d->b, "AT_FDCWD");
	return true;
}

bool k_UINT(struct dec *d, uint64_t v)
{
	strbuf_addf(&d->b, "%u", (uint32_t)v);
	return true;
}

bool k_LONG(struct dec *d, uint64_t v)
{
	strbuf_addf(&d->b, "%ld", (long)v);
	return true;
}

bool k_SIZE(struct dec *d, uint64_t v)
{
	strbuf_addf(&d->b, "%lu", (unsigned long)v);
	return true;
}

bool k_PTR(struct dec *d, uint64_t v)
{
	dec_ptr(d, v);
	return true;
}

bool k_HEX(struct dec *d, uint64_t v)
{
	dec_hex(d, v);
	return true;
}

/* User and group ids: all ones means "leave". */
bool k_UID(struct dec *d, uint64_t v)
{
	if ((uint32_t)v == UINT32_MAX)
		strbuf_adds(&d->b, "-1");
	else
		strbuf_addf(&d->b, "%u", (uint32_t)v);
	return true;
}

bool k_SIG(struct dec *d, uint64_t v)
{
	dec_signame(d, (int)v);
	return true;
}

bool k_PATH(struct dec *d, uint64_t v)
{
	dec_str(d, v, 0, true);
	return true;
}

bool k_STR(struct dec *d, uint64_t v)
{
	return k_PATH(d, v);
}

/* The length is the next argument. */
bool k_IN_BUF(struct dec *d, uint64_t v)
{
	dec_str(d, v, d->i < 5 ? d->a[d->i + 1] : 0, false);
	return true;
}

/* What came in: as many bytes as the call returned. */
bool k_OUT_BUF(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		dec_str(d, v, (uint64_t)d->ret, false);
	return true;
}

/* A string that the call returned (getcwd, readlink): shown whole. getcwd counts its NUL. */
bool k_OUT_STR(struct dec *d, uint64_t v)
{
	char buf[4096];
	size_t n;

	if (!d->exit)
		return false;
	n = dec_failed(d) ? 0 : MIN((size_t)d->ret, sizeof(buf));
	if (!n || !dec_read(d, v, buf, n)) {
		dec_ptr(d, v);
		return true;
	}
	dec_bytes(d, buf, buf[n - 1] == '\0' ? n - 1 : n, false);
	return true;
}

bool k_OUT_HEXBUF(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		dec_hexstr(d, v, (uint64_t)d->ret);
	return true;
}

bool k_OUT_INT(struct dec *d, uint64_t v)
{
	int n;

	if (!d->exit)
		return false;
	if (dec_failed(d) || !dec_read(d, v, &n, sizeof(n)))
		dec_ptr(d, v);
	else
		strbuf_addf(&d->b, "[%d]", n);
	return true;
}

bool k_OUT_PIPE(struct dec *d, uint64_t v)
{
	int fds[2];

	if (!d->exit)
		return false;
	if (dec_failed(d) || !dec_read(d, v, fds, sizeof(fds)))
		dec_ptr(d, v);
	else
		strbuf_addf(&d->b, "[%d, %d]", fds[0], fds[1]);
	return true;
}

/* getresuid: one id behind each pointer. */
bool k_OUT_UIDS(struct dec *d, uint64_t v)
{
	return k_OUT_INT(d, v);
}

void dec_iov(struct dec *d, uint64_t addr, uint64_t n, int64_t limit)
{
	uint64_t left = limit < 0 ? UINT64_MAX : (uint64_t)limit;

	if (!addr || n > 1024) {
		dec_ptr(d, addr);
		return;
	}
	strbuf_addc(&d->b, '[');
	for (uint64_t i = 0; i < n; i++) {
		struct linux_iovec v;

		if (i)
			dec_comma(d);
		if (i == STRACE_VEC) {
			strbuf_adds(&d->b, "...");
			break;
		}
		if (!dec_read(d, addr + i * sizeof(v), &v, sizeof(v))) {
			strbuf_adds(&d->b, "...");
			break;
		}
		strbuf_adds(&d->b, "{iov_base=");
		dec_str(d, v.iov_base, MIN(v.iov_len, left), false);
		strbuf_addf(&d->b, ", iov_len=%lu}", (unsigned long)v.iov_len);
		left -= MIN(v.iov_len, left);
	}
	strbuf_addc(&d->b, ']');
}

bool k_IOV(struct dec *d, uint64_t v)
{
	dec_iov(d, v, d->a[d->i + 1], -1);
	return true;
}

bool k_OUT_IOV(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		dec_iov(d, v, d->a[d->i + 1], d->ret);
	return true;
}
