/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink messages. See nlattr.h. Linux: lib/nlattr.c. */
#include "sentry/net/netlink/nlattr.h"

#include <errno.h>
#include <string.h>

static const uint8_t zero[4];

static void pad(struct strbuf *b, size_t n)
{
	strbuf_add(b, zero, LINUX_NLMSG_ALIGN(n) - n);
}

size_t nl_begin(struct strbuf *b, uint16_t type, uint16_t flags, uint32_t seq, uint32_t portid)
{
	struct linux_nlmsghdr h = { .type = type, .flags = flags, .seq = seq, .pid = portid };
	size_t at = b->len;

	strbuf_add(b, &h, sizeof(h));
	return at;
}

void nl_end(struct strbuf *b, size_t at)
{
	uint32_t len = (uint32_t)(b->len - at);

	if (b->err)
		return;
	memcpy(b->data + at, &len, sizeof(len));
	pad(b, len);
}

void nl_put(struct strbuf *b, uint16_t type, const void *data, size_t n)
{
	struct linux_nlattr h = { (uint16_t)(sizeof(h) + n), type };

	strbuf_add(b, &h, sizeof(h));
	strbuf_add(b, data, n);
	pad(b, n);
}

void nl_put_str(struct strbuf *b, uint16_t type, const char *s)
{
	nl_put(b, type, s, strlen(s) + 1);
}

void nl_put_u8(struct strbuf *b, uint16_t type, uint8_t v)
{
	nl_put(b, type, &v, sizeof(v));
}

void nl_put_u16(struct strbuf *b, uint16_t type, uint16_t v)
{
	nl_put(b, type, &v, sizeof(v));
}

void nl_put_u32(struct strbuf *b, uint16_t type, uint32_t v)
{
	nl_put(b, type, &v, sizeof(v));
}

size_t nl_nest(struct strbuf *b, uint16_t type)
{
	struct linux_nlattr h = { 0, type };
	size_t at = b->len;

	strbuf_add(b, &h, sizeof(h));
	return at;
}

void nl_nest_end(struct strbuf *b, size_t at)
{
	uint16_t len = (uint16_t)(b->len - at);

	if (!b->err)
		memcpy(b->data + at, &len, sizeof(len));
}

int nl_parse(const uint8_t *p, size_t n, struct nl_attr *ret, size_t max)
{
	memset(ret, 0, (max + 1) * sizeof(*ret));
	while (n >= sizeof(struct linux_nlattr)) {
		struct linux_nlattr h;
		size_t step;

		memcpy(&h, p, sizeof(h));
		if (h.len < sizeof(h) || h.len > n)
			return -EINVAL;
		h.type &= LINUX_NLA_TYPE_MASK;
		if (h.type <= max)
			ret[h.type] = (struct nl_attr){ p + sizeof(h), h.len - sizeof(h) };
		step = LINUX_NLMSG_ALIGN((size_t)h.len);
		if (step >= n)
			return 0;
		p += step;
		n -= step;
	}
	return 0;
}

uint32_t nl_u32(const struct nl_attr *a, uint32_t dflt)
{
	uint32_t v;

	if (!a->data || a->len < sizeof(v))
		return dflt;
	memcpy(&v, a->data, sizeof(v));
	return v;
}

bool nl_str(const struct nl_attr *a, char *buf, size_t size)
{
	size_t n;

	if (!a->data)
		return false;
	n = strnlen((const char *)a->data, a->len);
	if (!n || n >= size)
		return false;
	memcpy(buf, a->data, n);
	buf[n] = 0;
	return true;
}
