/* SPDX-License-Identifier: Apache-2.0 */
/* What all decoders print with: strings, names, flags, times. See internal.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/strace/internal.h"

void dec_comma(struct dec *d)
{
	strbuf_adds(&d->b, ", ");
}

bool dec_read(struct dec *d, uint64_t addr, void *dst, size_t n)
{
	return addr && d->t->mm && mm_copy_in_some(d->t->mm, dst, GADDR(addr), n) == n;
}

void dec_hex(struct dec *d, uint64_t v)
{
	strbuf_addf(&d->b, v ? "%#lx" : "%lx", (unsigned long)v);
}

void dec_ptr(struct dec *d, uint64_t v)
{
	if (v)
		strbuf_addf(&d->b, "%#lx", (unsigned long)v);
	else
		strbuf_adds(&d->b, "NULL");
}

void dec_bytes(struct dec *d, const void *p, size_t n, bool more)
{
	const unsigned char *s = p;

	strbuf_addc(&d->b, '"');
	for (size_t i = 0; i < n; i++) {
		static const char from[] = "\t\n\v\f\r\"\\", to[] = "tnvfr\"\\";
		const char *q = s[i] ? strchr(from, s[i]) : NULL;

		if (q)
			strbuf_addf(&d->b, "\\%c", to[q - from]);
		else if (s[i] >= ' ' && s[i] < 127)
			strbuf_addc(&d->b, (char)s[i]);
		else if (i + 1 < n && s[i + 1] >= '0' && s[i + 1] <= '7')
			strbuf_addf(&d->b, "\\%03o", s[i]); /* a digit that follows must not be read as part of it */
		else
			strbuf_addf(&d->b, "\\%o", s[i]);
	}
	strbuf_adds(&d->b, more ? "\"..." : "\"");
}

void dec_str(struct dec *d, uint64_t addr, uint64_t n, bool nul)
{
	char buf[4096];
	size_t want, got;
	char *end;

	if (!addr) {
		strbuf_adds(&d->b, "NULL");
		return;
	}
	/* Paths are shown whole, other strings cut. */
	want = nul ? sizeof(buf) : MIN(n, (uint64_t)STRACE_STR);
	got = want && d->t->mm ? mm_copy_in_some(d->t->mm, buf, GADDR(addr), want) : 0;
	if (want && !got) {
		dec_ptr(d, addr);
		return;
	}
	if (!nul) {
		dec_bytes(d, buf, got, n > got);
		return;
	}
	end = memchr(buf, '\0', got);
	dec_bytes(d, buf, end ? (size_t)(end - buf) : got, !end);
}

void dec_hexstr(struct dec *d, uint64_t addr, uint64_t n)
{
	unsigned char buf[STRACE_STR];
	size_t want = MIN(n, sizeof(buf));

	if (want && !dec_read(d, addr, buf, want)) {
		dec_ptr(d, addr);
		return;
	}
	strbuf_addc(&d->b, '"');
	for (size_t i = 0; i < want; i++)
		strbuf_addf(&d->b, "\\x%02x", buf[i]);
	strbuf_adds(&d->b, n > want ? "\"..." : "\"");
}

const char *xlat_name(const struct xlat *x, uint64_t v)
{
	for (; x->name; x++)
		if (x->v == v)
			return x->name;
	return NULL;
}

void dec_value(struct dec *d, const struct xlat *x, uint64_t v, const char *unknown)
{
	const char *n = xlat_name(x, v);

	if (n) {
		strbuf_adds(&d->b, n);
		return;
	}
	dec_hex(d, v);
	if (unknown)
		strbuf_addf(&d->b, " /* %s */", unknown);
}

void dec_flags(struct dec *d, const struct xlat *x, uint64_t v, const char *unknown)
{
	const char *zero = xlat_name(x, 0);
	bool any = false;

	if (!v) {
		strbuf_adds(&d->b, zero ? zero : "0");
		return;
	}
	for (; x->name; x++)
		if (x->v && (v & x->v) == x->v) {
			strbuf_addf(&d->b, "%s%s", any ? "|" : "", x->name);
			v &= ~x->v;
			any = true;
		}
	if (v) {
		strbuf_addf(&d->b, "%s%#lx", any ? "|" : "", (unsigned long)v);
		if (!any && unknown)
			strbuf_addf(&d->b, " /* %s */", unknown);
	}
}

void dec_signame(struct dec *d, int sig)
{
	if (sig == SIG_RTMIN)
		strbuf_adds(&d->b, "SIGRTMIN");
	else if (sig > SIG_RTMIN && sig <= NSIG_MAX)
		strbuf_addf(&d->b, "SIGRT_%d", sig - SIG_RTMIN);
	else if (sig == SIGIO)
		strbuf_adds(&d->b, "SIGIO"); /* libc says POLL */
	else if (sig > 0 && sigabbrev_np(sig))
		strbuf_addf(&d->b, "SIG%s", sigabbrev_np(sig));
	else
		strbuf_addf(&d->b, "%d", sig);
}

void dec_sigset_val(struct dec *d, uint64_t set)
{
	bool inverted = __builtin_popcountll(set) >= NSIG_MAX * 2 / 3, any = false;

	if (inverted)
		set = ~set;
	strbuf_adds(&d->b, inverted ? "~[" : "[");
	for (int sig = 1; sig <= NSIG_MAX; sig++) {
		if (!(set & SIGBIT(sig)))
			continue;
		if (any)
			strbuf_addc(&d->b, ' ');
		any = true;
		if (sig == SIG_RTMIN)
			strbuf_adds(&d->b, "RTMIN");
		else if (sig > SIG_RTMIN)
			strbuf_addf(&d->b, "RT_%d", sig - SIG_RTMIN);
		else
			strbuf_adds(&d->b, sig == SIGIO ? "IO" : sigabbrev_np(sig));
	}
	strbuf_addc(&d->b, ']');
}

void dec_timespec_val(struct dec *d, int64_t sec, int64_t nsec)
{
	strbuf_addf(&d->b, "{tv_sec=%ld, tv_nsec=%ld}", (long)sec, (long)nsec);
}

void dec_timeval_val(struct dec *d, int64_t sec, int64_t usec)
{
	strbuf_addf(&d->b, "{tv_sec=%ld, tv_usec=%ld}", (long)sec, (long)usec);
}

void dec_timespec(struct dec *d, uint64_t addr)
{
	struct linux_timespec ts;

	if (dec_read(d, addr, &ts, sizeof(ts)))
		dec_timespec_val(d, ts.tv_sec, ts.tv_nsec);
	else
		dec_ptr(d, addr);
}

void dec_dev(struct dec *d, uint64_t dev)
{
	strbuf_addf(&d->b, "makedev(%#lx, %#lx)", (unsigned long)((dev >> 8 & 0xfff) | (dev >> 32 & ~0xfffull)),
		    (unsigned long)((dev & 0xff) | (dev >> 12 & ~0xffull & 0xffffffff)));
}

int dec_tid(const struct task *t)
{
	return pid_nr_ns(t->pid, task_pid_ns(t));
}

void dec_note(struct dec *d, const char *fmt, ...)
{
	size_t n = strlen(d->note);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(d->note + n, sizeof(d->note) - n, fmt, ap);
	va_end(ap);
}
