/* SPDX-License-Identifier: Apache-2.0 */
/* Bare messages over a socket, for tests that are one side of the protocol themselves. */
#ifndef TESTS_GOFER_RAW_H
#define TESTS_GOFER_RAW_H

#include "tests/gofer/fixture.h"

static uint8_t raw_buf[P9_MSIZE_MAX + 1];
static uint8_t raw_in[P9_MSIZE_MAX + 1];

static inline void raw_send(int sock, const struct p9_msg *m)
{
	int64_t n = p9_encode(m, raw_buf, sizeof(raw_buf));

	assert_true(n > 0);
	assert_int_equal(send(sock, raw_buf, (size_t)n, MSG_NOSIGNAL), n);
}

/* Receives one message; false at the end of the connection. Works on both socket types. */
static inline bool raw_recv(int sock, struct p9_msg *m)
{
	ssize_t n = recv(sock, raw_in, 4, MSG_PEEK | MSG_WAITALL);
	uint32_t size;

	if (n <= 0)
		return false;
	assert_int_equal(n, 4);
	size = p9_peek_size(raw_in);
	assert_true(size >= P9_HDR_SIZE && size <= sizeof(raw_in));
	assert_int_equal(recv(sock, raw_in, size, MSG_WAITALL), size);
	assert_int_equal(p9_decode(raw_in, size, m), 0);
	return true;
}

/* One request, one reply: 0 and @m is the reply, or the negative errno of an Rlerror. */
static inline int raw_rpc(int sock, struct p9_msg *m)
{
	uint8_t want = m->type + 1;
	uint16_t tag = m->tag;

	raw_send(sock, m);
	assert_true(raw_recv(sock, m));
	assert_int_equal(m->tag, tag);
	if (m->type == P9_rlerror) {
		assert_true(m->rlerror.ecode > 0 && m->rlerror.ecode < 4096);
		return -(int)m->rlerror.ecode;
	}
	assert_int_equal(m->type, want);
	return 0;
}

#define RPC(sock, ...) ({ m = (struct p9_msg){ .tag = 3, __VA_ARGS__ }; raw_rpc(sock, &m); })
#define S(str)         { str, sizeof(str) - 1 }

#endif
