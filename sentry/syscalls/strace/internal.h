/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the decoders of system-call arguments.
 *
 * A decoder prints one argument (or, at the end of a row, all that are left) into d->b, from the point of view of strace(1): what goes in is
 * printed when the call begins, what comes out when it has ended. It returns false, having printed nothing, when it must wait for the end.
 * Everything is read from application memory by bounded copies that may come short; nothing here fails.
 */
#ifndef SENTRY_SYSCALLS_STRACE_INTERNAL_H
#define SENTRY_SYSCALLS_STRACE_INTERNAL_H

#include "base/strbuf.h"
#include "sentry/syscalls/strace/strace.h"

#define STRACE_STR 32 /* bytes of a string that are shown */
#define STRACE_VEC 32 /* elements of an array that are shown */

struct dec {
	struct strbuf b;
	struct task *t;
	uint64_t nr, a[6];
	bool exit; /* the call has ended: ret is valid */
	int64_t ret; /* value or -errno */
	int i; /* index of the argument being printed */
	int next; /* index of the next one; a decoder that prints several moves it on */
	uint64_t save[2]; /* from entry to exit, for in-out arguments */
	bool saved;
	char note[640]; /* printed after the value, in parentheses: what poll and select found */
	char fmt; /* of the value: 'd' 'x' 'o'; 'F' descriptor flags, 'L' file status flags */
};

struct xlat {
	uint64_t v;
	const char *name;
};
#define X(n) { (uint64_t)(n), #n }
#define XEND { 0, NULL }

typedef bool (*dec_fn)(struct dec *d, uint64_t v);

/* Failed, so that output arguments mean nothing. */
static inline bool dec_failed(const struct dec *d)
{
	return d->ret < 0;
}

/* The separator of a further argument. */
void dec_comma(struct dec *d);
bool dec_read(struct dec *d, uint64_t addr, void *dst, size_t n); /* all of it */
void dec_ptr(struct dec *d, uint64_t v); /* NULL or hexadecimal */
void dec_hex(struct dec *d, uint64_t v);
/* @n bytes at @addr as a quoted string, cut; @nul: a C string of any length. */
void dec_str(struct dec *d, uint64_t addr, uint64_t n, bool nul);
void dec_bytes(struct dec *d, const void *p, size_t n, bool more);
void dec_hexstr(struct dec *d, uint64_t addr, uint64_t n);
/* The name of a value; unknown ones as "0x7 / * NAME_??? * /" with @unknown. */
void dec_value(struct dec *d, const struct xlat *x, uint64_t v, const char *unknown);
const char *xlat_name(const struct xlat *x, uint64_t v);
/* Names of bits, |-separated, the rest in hexadecimal; "0" or the name of 0. */
void dec_flags(struct dec *d, const struct xlat *x, uint64_t v, const char *unknown);
void dec_signame(struct dec *d, int sig);
void dec_sigset_val(struct dec *d, uint64_t set);
void dec_timespec(struct dec *d, uint64_t addr);
void dec_timespec_val(struct dec *d, int64_t sec, int64_t nsec);
void dec_timeval_val(struct dec *d, int64_t sec, int64_t usec);
void dec_sockaddr(struct dec *d, uint64_t addr, uint64_t len);
void dec_mode(struct dec *d, uint32_t mode); /* S_IFREG|0644 */
void dec_open_flags(struct dec *d, uint64_t v);
void dec_iov(struct dec *d, uint64_t addr, uint64_t n, int64_t limit); /* @limit: bytes that have content; -1 all */
void dec_siginfo(struct dec *d, const struct linux_siginfo *si);
void dec_wait_status(struct dec *d, int status);
void dec_rusage(struct dec *d, uint64_t addr);
void dec_dev(struct dec *d, uint64_t dev);
int dec_tid(const struct task *t);

/* Appends to the note. */
void dec_note(struct dec *d, const char *fmt, ...) _printf_(2, 3);

extern const struct xlat x_sock_families[], x_msg_flags[];

#define KIND(name) bool k_##name(struct dec *d, uint64_t v);
#include "sentry/syscalls/strace/kinds.def"
#undef KIND

#endif
