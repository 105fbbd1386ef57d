/* SPDX-License-Identifier: Apache-2.0 */
/* Building and taking apart netlink messages. Native byte order; everything aligned to four bytes. */
#ifndef SENTRY_NET_NLATTR_H
#define SENTRY_NET_NLATTR_H

#include "base/strbuf.h"
#include "sentry/abi/netlink.h"

/* --- building: appends to @b; failure to allocate is sticky there --- */

/* Begins a message with header fields of the request it answers; returns its place for nl_end(). */
size_t nl_begin(struct strbuf *b, uint16_t type, uint16_t flags, uint32_t seq, uint32_t portid);
void nl_end(struct strbuf *b, size_t at); /* patches the length */
void nl_put(struct strbuf *b, uint16_t type, const void *data, size_t n);
void nl_put_str(struct strbuf *b, uint16_t type, const char *s); /* with NUL */
void nl_put_u8(struct strbuf *b, uint16_t type, uint8_t v);
void nl_put_u16(struct strbuf *b, uint16_t type, uint16_t v);
void nl_put_u32(struct strbuf *b, uint16_t type, uint32_t v);
size_t nl_nest(struct strbuf *b, uint16_t type); /* begins a nested attribute */
void nl_nest_end(struct strbuf *b, size_t at);

/* --- taking apart --- */

struct nl_attr {
	const uint8_t *data; /* NULL: not there */
	size_t len;
};

/* Fills ret[0..max] by type from the @n bytes at @p; later ones win, types above @max are skipped. -EINVAL when one is cut off or shorter
 * than its header. Nested and byte order bits of types are ignored. */
_must_check_ int nl_parse(const uint8_t *p, size_t n, struct nl_attr *ret, size_t max);
/* Value of @a, or @dflt when it is absent or of another size. */
uint32_t nl_u32(const struct nl_attr *a, uint32_t dflt);
/* Copies a string attribute without NUL; false when absent, empty or longer than @size - 1. */
bool nl_str(const struct nl_attr *a, char *buf, size_t size);

#endif
