/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket filters: classic BPF programs of the application (SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF), run over messages on their way to a socket.
 * A program is immutable once checked and counted. Linux: net/core/filter.c.
 */
#ifndef SENTRY_NET_SOCK_FILTER_H
#define SENTRY_NET_SOCK_FILTER_H

#include "base/cleanup.h"
#include "base/ref.h"
#include "sentry/abi/types.h"

struct task;

#define SOCK_FILTER_MAX 4096u /* BPF_MAXINSNS */

struct sock_filter_insn { /* struct sock_filter */
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};
_Static_assert(sizeof(struct sock_filter_insn) == 8, "struct sock_filter layout");

struct sock_filter_prog {
	struct ref ref;
	uint32_t n;
	struct sock_filter_insn insn[];
};

/* What a program may ask besides the bytes. */
struct sock_filter_ctx {
	uint16_t protocol; /* ETH_P_* */
	uint32_t pkttype, ifindex, mark, cpu, rxhash;
};

/* A checked copy of @n instructions: -EINVAL, -ENOMEM. */
_must_check_ int sock_filter_new(const struct sock_filter_insn *insn, uint32_t n, struct sock_filter_prog **ret);
/* The same from struct sock_fprog at @val: also -EFAULT, and -EINVAL for another @len. */
_must_check_ int sock_filter_copy_in(struct task *t, gaddr_t val, uint32_t len, struct sock_filter_prog **ret);
struct sock_filter_prog *sock_filter_get(struct sock_filter_prog *p); /* NULL is fine */
void sock_filter_put(struct sock_filter_prog *p); /* NULL is fine */
/* The program's return value: for a filter how many bytes pass, 0: drop. Reading outside the message returns 0. */
uint32_t sock_filter_run(const struct sock_filter_prog *p, const uint8_t *data, uint32_t len, const struct sock_filter_ctx *c);

#endif
