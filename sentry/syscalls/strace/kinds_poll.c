/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of poll, select and epoll. */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/poll.h>

#include "sentry/syscalls/strace/internal.h"

static const struct xlat x_poll[] = {
	X(POLLIN), X(POLLPRI), X(POLLOUT), X(POLLRDNORM), X(POLLRDBAND), X(POLLWRNORM), X(POLLWRBAND), X(POLLERR), X(POLLHUP), X(POLLNVAL), { 0x400, "POLLMSG" },
	{ 0x2000, "POLLRDHUP" }, XEND,
};

/* What is asked goes among the arguments, what was found into the note. */
static void found(struct dec *d, uint64_t v, uint64_t n)
{
	struct strbuf keep = d->b;
	bool any = false;

	d->b = (struct strbuf)STRBUF_INIT;
	for (uint64_t i = 0; i < n && i < 4096; i++) {
		struct pollfd p;

		if (!dec_read(d, v + i * sizeof(p), &p, sizeof(p)))
			break;
		if (!p.revents)
			continue;
		strbuf_addf(&d->b, "%s{fd=%d, revents=", any ? ", " : "[", p.fd);
		dec_flags(d, x_poll, (uint16_t)p.revents, "POLL???");
		strbuf_addc(&d->b, '}');
		any = true;
	}
	strbuf_addc(&d->b, ']');
	if (any && !strbuf_error(&d->b))
		dec_note(d, "%s", d->b.data);
	strbuf_done(&d->b);
	d->b = keep;
}

bool k_POLLFDS(struct dec *d, uint64_t v)
{
	uint64_t n = (uint32_t)d->a[d->i + 1];

	if (!v) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_addc(&d->b, '[');
	for (uint64_t i = 0; i < n; i++) {
		struct pollfd p;

		if (i)
			dec_comma(d);
		if (i == STRACE_VEC || !dec_read(d, v + i * sizeof(p), &p, sizeof(p))) {
			strbuf_adds(&d->b, "...");
			break;
		}
		strbuf_addf(&d->b, "{fd=%d", p.fd);
		if (p.fd >= 0) {
			strbuf_adds(&d->b, ", events=");
			dec_flags(d, x_poll, (uint16_t)p.events, "POLL???");
		}
		strbuf_addc(&d->b, '}');
	}
	strbuf_addc(&d->b, ']');
	return true;
}

/* The last arguments of poll (milliseconds) and ppoll (timespec, set, size). */
bool k_POLLTS(struct dec *d, uint64_t v)
{
	bool ppoll = !strcmp(syscall_name(d->nr), "ppoll");

	if (!d->exit)
		return false;
	if (!ppoll) {
		strbuf_addf(&d->b, "%d", (int)v);
	} else {
		dec_timespec(d, v);
		dec_comma(d);
		(void)k_SIGSET(d, d->a[3]);
		strbuf_addf(&d->b, ", %lu", (unsigned long)d->a[4]);
	}
	d->next = 6;
	if (d->ret == 0)
		dec_note(d, "Timeout");
	else if (d->ret > 0)
		found(d, d->a[0], (uint32_t)d->a[1]);
	if (ppoll && d->ret > 0 && d->a[2]) {
		struct linux_timespec ts;

		if (dec_read(d, d->a[2], &ts, sizeof(ts)))
			dec_note(d, "%sleft {tv_sec=%ld, tv_nsec=%ld}", d->note[0] ? ", " : "", (long)ts.tv_sec, (long)ts.tv_nsec);
	}
	return true;
}

static size_t set_text(struct dec *d, uint64_t addr, uint64_t nfds, char *buf, size_t size)
{
	uint8_t set[128];
	size_t n = 0, bytes = (MIN(nfds, sizeof(set) * 8) + 7) / 8;
	bool any = false;

	if (!dec_read(d, addr, set, bytes))
		return 0;
	n += (size_t)snprintf(buf, size, "[");
	for (uint64_t i = 0; i < bytes * 8 && i < nfds && n < size - 8; i++)
		if (set[i / 8] >> i % 8 & 1) {
			n += (size_t)snprintf(buf + n, size - n, "%s%lu", any ? " " : "", (unsigned long)i);
			any = true;
		}
	(void)snprintf(buf + n, size - n, "]");
	return any ? n : 1;
}

/* readfds, writefds, exceptfds and the time-out of select and pselect6. */
bool k_FDSETS(struct dec *d, uint64_t v)
{
	static const char *const names[] = { "in ", "out ", "except " };
	bool pselect = !strcmp(syscall_name(d->nr), "pselect6");
	char buf[1024];

	if (!d->exit) { /* keeps the text of what is asked: the call overwrites it */
		struct strbuf keep = d->b;

		d->b = (struct strbuf)STRBUF_INIT;
		for (int i = 1; i <= 3; i++) {
			if (i > 1)
				dec_comma(d);
			if (set_text(d, d->a[i], d->a[0], buf, sizeof(buf)))
				strbuf_adds(&d->b, buf);
			else
				dec_ptr(d, d->a[i]);
		}
		dec_comma(d);
		if (pselect)
			dec_timespec(d, d->a[4]);
		else
			(void)k_TIMEVAL(d, d->a[4]);
		if (!strbuf_error(&d->b) && !strbuf_error(&keep))
			strbuf_adds(&keep, d->b.data);
		strbuf_done(&d->b);
		d->b = keep;
		d->next = 5;
		return true;
	}
	for (int i = 1; i <= 3 && d->ret > 0; i++)
		if (d->a[i] && set_text(d, d->a[i], d->a[0], buf, sizeof(buf)) > 1)
			dec_note(d, "%s%s%s", d->note[0] ? ", " : "", names[i - 1], buf);
	if (d->ret == 0)
		dec_note(d, "Timeout");
	if (d->ret > 0 && d->a[4]) {
		int64_t t[2];

		if (dec_read(d, d->a[4], t, sizeof(t)))
			dec_note(d, "%sleft {tv_sec=%ld, tv_%csec=%ld}", d->note[0] ? ", " : "", (long)t[0], pselect ? 'n' : 'u', (long)t[1]);
	}
	return true;
}

/* pselect6's last argument, and what select found. */
bool k_PSELSIG(struct dec *d, uint64_t v)
{
	uint64_t p[2];

	if (!d->exit)
		return false;
	(void)k_FDSETS(d, 0);
	if (strcmp(syscall_name(d->nr), "pselect6") != 0)
		return true;
	if (!dec_read(d, v, p, sizeof(p))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_adds(&d->b, "{sigmask=");
	(void)k_SIGSET(d, p[0]);
	strbuf_addf(&d->b, ", sigsetsize=%lu}", (unsigned long)p[1]);
	return true;
}

static const struct xlat x_epop[] = { X(EPOLL_CTL_ADD), X(EPOLL_CTL_MOD), X(EPOLL_CTL_DEL), XEND };
static const struct xlat x_epoll[] = {
	X(EPOLLIN), X(EPOLLPRI), X(EPOLLOUT), X(EPOLLRDNORM), X(EPOLLRDBAND), X(EPOLLWRNORM), X(EPOLLWRBAND), X(EPOLLMSG), X(EPOLLERR), X(EPOLLHUP),
	X(EPOLLRDHUP), X(EPOLLEXCLUSIVE), X(EPOLLWAKEUP), X(EPOLLONESHOT), X(EPOLLET), XEND,
};
static const struct xlat x_epflags[] = { X(EPOLL_CLOEXEC), XEND };

bool k_EPOP(struct dec *d, uint64_t v)
{
	dec_value(d, x_epop, (uint32_t)v, "EPOLL_CTL_???");
	return true;
}

static void put_event(struct dec *d, const struct epoll_event *e)
{
	strbuf_adds(&d->b, "{events=");
	dec_flags(d, x_epoll, e->events, "EPOLL???");
	strbuf_addf(&d->b, ", data={u32=%u, u64=%lu}}", (uint32_t)e->data.u64, (unsigned long)e->data.u64);
}

bool k_EPEVENT(struct dec *d, uint64_t v)
{
	struct epoll_event e;

	if ((int)d->a[1] != EPOLL_CTL_DEL && dec_read(d, v, &e, sizeof(e)))
		put_event(d, &e);
	else
		dec_ptr(d, v);
	return true;
}

bool k_OUT_EPEVENTS(struct dec *d, uint64_t v)
{
	struct epoll_event e;

	if (!d->exit)
		return false;
	if (dec_failed(d)) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_addc(&d->b, '[');
	for (int64_t i = 0; i < d->ret; i++) {
		if (i)
			dec_comma(d);
		if (i == STRACE_VEC || !dec_read(d, v + (uint64_t)i * sizeof(e), &e, sizeof(e))) {
			strbuf_adds(&d->b, "...");
			break;
		}
		put_event(d, &e);
	}
	strbuf_addc(&d->b, ']');
	return true;
}

bool k_EPFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_epflags, (uint32_t)v, "EPOLL_???");
	return true;
}
