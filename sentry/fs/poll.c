/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll(2), ppoll(2), select(2), pselect6(2).
 *
 * All four become one table of (file, events). The first look registers nothing; only when nothing is ready and the caller is
 * willing to wait is a waiter put on each file's queue, and the look repeated after every wake-up. References on the files
 * are held for the whole call, so a queue cannot go away under its waiter.
 *
 * Restarts: the deadline is kept by task_deadline(), so a re-run waits only for what is left. poll() restarts like Linux's restart block,
 * the others only when no handler ran.
 * Locks: none of its own. Checkpoint: nothing; the call is re-run.
 * Linux: fs/select.c.
 */
#include "sentry/fs/poll.h"

#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"

#define POLL_STACK_FDS 16
#define SELECT_MAX_FDS (1 << 20)
#define SEL_IN  (POLL_READ | LINUX_POLLRDBAND | LINUX_POLLHUP | LINUX_POLLERR | LINUX_POLLNVAL)
#define SEL_OUT (POLL_WRITE | LINUX_POLLWRBAND | LINUX_POLLERR | LINUX_POLLNVAL)
#define SEL_EX  (LINUX_POLLPRI | LINUX_POLLNVAL)

struct poll_entry {
	struct file *file; /* referenced; NULL: ignored, or revents already tells (POLLNVAL) */
	int fd;
	uint32_t want, revents;
	struct waiter w;
};

static int look(struct poll_entry *e, size_t n)
{
	int ready = 0;

	for (size_t i = 0; i < n; i++) {
		if (e[i].file)
			e[i].revents = file_poll(e[i].file) & e[i].want;
		ready += e[i].revents != 0;
	}
	return ready;
}

/* The number of entries with events, 0 at the deadline, -ERESTARTSYS, -EFREEZE. */
static int64_t poll_wait(struct task *t, struct poll_entry *e, size_t n, int64_t deadline)
{
	int64_t r = look(e, n);

	if (r || deadline <= 0)
		return r;
	task_block_prepare(t);
	for (size_t i = 0; i < n; i++) {
		struct waitq *q = e[i].file ? file_pollq(e[i].file) : NULL;

		if (!q)
			continue;
		task_waiter_init(&e[i].w, t, e[i].want);
		waitq_add(q, &e[i].w);
	}
	for (;;) {
		r = look(e, n);
		if (r)
			break;
		r = task_block(t, deadline);
		if (r < 0)
			break;
	}
	if (r == -ETIMEDOUT)
		r = look(e, n);
	for (size_t i = 0; i < n; i++)
		waitq_del(&e[i].w);
	return r;
}

static void entries_done(struct poll_entry *e, size_t n, const struct poll_entry *on_stack)
{
	for (size_t i = 0; i < n; i++)
		file_put(e[i].file);
	if (e != on_stack)
		free(e);
}

/* 0 stays 0 ("do not wait"): the clock never shows 0 to a running program. */
static int64_t deadline_of(struct task *t, int64_t rel_ns)
{
	return rel_ns == 0 ? 0 : task_deadline(t, rel_ns);
}

/* --- poll, ppoll --- */

static int64_t do_poll(struct task *t, gaddr_t ufds, uint32_t nfds, int64_t deadline)
{
	struct linux_pollfd pstack[POLL_STACK_FDS], *pfd = pstack;
	struct poll_entry estack[POLL_STACK_FDS], *e = estack;
	size_t bytes = (size_t)nfds * sizeof(*pfd);
	int64_t r;

	if (nfds > task_rlimit(t, 7 /* RLIMIT_NOFILE */))
		return -EINVAL;
	if (nfds > POLL_STACK_FDS) {
		pfd = malloc(bytes);
		e = malloc(nfds * sizeof(*e));
		if (!pfd || !e) {
			free(pfd);
			free(e);
			return -ENOMEM;
		}
	}
	r = nfds ? copy_in(t, pfd, ufds, bytes) : 0;
	if (r < 0) {
		nfds = 0;
		goto out;
	}
	for (uint32_t i = 0; i < nfds; i++) {
		memset(&e[i], 0, sizeof(e[i]));
		e[i].fd = pfd[i].fd;
		e[i].want = (uint16_t)pfd[i].events | LINUX_POLLERR | LINUX_POLLHUP;
		if (pfd[i].fd < 0)
			continue;
		e[i].file = fd_get(t, pfd[i].fd);
		if (!e[i].file)
			e[i].revents = LINUX_POLLNVAL;
	}
	r = poll_wait(t, e, nfds, deadline);
	if (r < 0)
		goto out;
	for (uint32_t i = 0; i < nfds; i++)
		pfd[i].revents = (int16_t)e[i].revents;
	/* Only revents is the kernel's to write; the rest is written back as it was read. */
	if (nfds) {
		int err = copy_out(t, ufds, pfd, bytes);

		if (err)
			r = err;
	}
out:
	entries_done(e, nfds, estack);
	if (pfd != pstack)
		free(pfd);
	return r;
}

int64_t sys_poll(struct task *t, const struct sys_args *a)
{
	int ms = ARG_INT(a, 2);
	int64_t r = do_poll(t, ARG_ADDR(a, 0), ARG_U32(a, 1), deadline_of(t, ms < 0 ? -1 : (int64_t)ms * 1000000));

	return r == -ERESTARTSYS ? -ERESTARTBLOCK : r;
}

/* How a restartable wait with a user-visible remaining time ends: the time left is stored, without failing the call. */
static int64_t finish_timed(struct task *t, int64_t r, gaddr_t ts, bool is_timeval, int64_t deadline)
{
	int64_t left;

	if (r == -EFREEZE)
		return r;
	if (r == -ERESTARTSYS)
		r = -ERESTARTNOHAND;
	if (!ts.v || deadline == TIME_FOREVER)
		return r;
	left = deadline ? MAX(deadline - ktime_mono(), (int64_t)0) : 0;
	if (is_timeval) {
		struct linux_timeval tv = { left / NSEC_PER_SEC, left % NSEC_PER_SEC / 1000 };

		if (!copy_out(t, ts, &tv, sizeof(tv)))
			return r;
	} else if (!copy_out_timespec(t, ts, left)) {
		return r;
	}
	return r == -ERESTARTNOHAND ? -EINTR : r;
}

int64_t sys_ppoll(struct task *t, const struct sys_args *a)
{
	gaddr_t ts = ARG_ADDR(a, 2), mask = ARG_ADDR(a, 3);
	int64_t rel = -1, deadline, r;
	sigset64_t set;

	if (ts.v) {
		r = copy_in_timespec(t, ts, &rel);
		if (r < 0)
			return r;
	}
	deadline = deadline_of(t, rel);
	if (mask.v) {
		r = copy_in_sigset(t, mask, a->a[4], &set);
		if (r < 0)
			return r;
		signal_set_temp_mask(t, set);
	}
	r = do_poll(t, ARG_ADDR(a, 0), ARG_U32(a, 1), deadline);
	return finish_timed(t, r, ts, false, deadline);
}

/* --- select, pselect6 --- */

enum { SET_IN, SET_OUT, SET_EX, NR_SETS };
static const uint32_t set_mask[NR_SETS] = { SEL_IN, SEL_OUT, SEL_EX };

static bool bit_test(const uint8_t *set, int fd)
{
	return set[fd / 8] >> (fd % 8) & 1;
}

/* Linux looks only at what the descriptor table has room for: bits beyond are ignored, not EBADF. */
static bool beyond_table(struct task *t, int fd)
{
	return fd >= 64 && fd_table_next(t->files, fd) < 0;
}

/* Builds one entry per descriptor named in any set; how many, or a negative errno (with *@ret_n entries to release). */
static int select_entries(struct task *t, int n, uint8_t *const in[NR_SETS], struct poll_entry *e, size_t *ret_n)
{
	*ret_n = 0;
	for (int fd = 0; fd < n; fd++) {
		uint32_t want = 0;
		struct file *f;

		if (fd % 8 == 0 && !in[0][fd / 8] && !in[1][fd / 8] && !in[2][fd / 8]) {
			fd += 7;
			continue;
		}
		for (int s = 0; s < NR_SETS; s++)
			if (bit_test(in[s], fd))
				want |= set_mask[s];
		if (!want)
			continue;
		f = fd_get(t, fd);
		if (!f) {
			if (beyond_table(t, fd))
				continue;
			return -EBADF;
		}
		e[*ret_n] = (struct poll_entry){ .file = f, .fd = fd, .want = want };
		(*ret_n)++;
	}
	return 0;
}

static size_t count_bits(const uint8_t *s, size_t bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < bytes; i++)
		n += (size_t)__builtin_popcount(s[i]);
	return n;
}

/* Turns the entries' events into bits in @out; returns how many bits. */
static int64_t select_bits(const struct poll_entry *e, size_t nr, uint8_t *const out[NR_SETS])
{
	/* One bit of each set's mask that is in no other: tells which sets asked. */
	static const uint32_t key[NR_SETS] = { LINUX_POLLRDNORM, LINUX_POLLWRNORM, LINUX_POLLPRI };
	int64_t total = 0;

	for (size_t i = 0; i < nr; i++)
		for (int s = 0; s < NR_SETS; s++) {
			if (!(e[i].want & key[s]) || !(e[i].revents & set_mask[s]))
				continue;
			out[s][e[i].fd / 8] |= (uint8_t)(1u << (e[i].fd % 8));
			total++;
		}
	return total;
}

static int64_t do_select(struct task *t, int n, const gaddr_t sets[NR_SETS], int64_t deadline)
{
	struct poll_entry estack[POLL_STACK_FDS], *e = estack;
	uint8_t *in[NR_SETS], *mem;
	size_t bytes, nr = 0, max = 0;
	int64_t r = 0;

	if (n < 0)
		return -EINVAL;
	n = MIN(n, SELECT_MAX_FDS);
	bytes = ((size_t)n + 63) / 64 * 8;
	mem = calloc(NR_SETS, bytes + 8);
	if (!mem)
		return -ENOMEM;
	for (int s = 0; s < NR_SETS; s++) {
		in[s] = mem + (size_t)s * (bytes + 8);
		if (sets[s].v && bytes) {
			r = copy_in(t, in[s], sets[s], bytes);
			if (r < 0)
				goto out;
		}
		/* Bits past n in the last word are not the caller's question. */
		for (size_t bit = (size_t)n; bit < bytes * 8; bit++)
			in[s][bit / 8] &= (uint8_t)~(1u << (bit % 8));
		max += count_bits(in[s], bytes);
	}
	if (max > POLL_STACK_FDS) {
		e = calloc(max, sizeof(*e));
		if (!e) {
			e = estack;
			r = -ENOMEM;
			goto out;
		}
	}
	r = select_entries(t, n, in, e, &nr);
	if (!r)
		r = poll_wait(t, e, nr, deadline);
	if (r < 0)
		goto out;
	memset(mem, 0, NR_SETS * (bytes + 8));
	r = select_bits(e, nr, in);
	for (int s = 0; s < NR_SETS && r >= 0; s++)
		if (sets[s].v && bytes) {
			int err = copy_out(t, sets[s], in[s], bytes);

			if (err)
				r = err;
		}
out:
	entries_done(e, nr, estack);
	free(mem);
	return r;
}

int64_t sys_select(struct task *t, const struct sys_args *a)
{
	const gaddr_t sets[NR_SETS] = { ARG_ADDR(a, 1), ARG_ADDR(a, 2), ARG_ADDR(a, 3) };
	gaddr_t tvp = ARG_ADDR(a, 4);
	int64_t rel = -1, deadline;

	if (tvp.v) {
		struct linux_timeval tv;
		int r = copy_in(t, &tv, tvp, sizeof(tv));

		if (r < 0)
			return r;
		/* Linux carries excess microseconds over before it checks. */
		if (add_overflow(tv.tv_sec, tv.tv_usec / 1000000, &tv.tv_sec) || tv.tv_sec < 0 || tv.tv_usec < 0)
			return -EINVAL;
		if (mul_overflow(tv.tv_sec, NSEC_PER_SEC, &rel) || add_overflow(rel, tv.tv_usec % 1000000 * 1000, &rel))
			rel = -1;
	}
	deadline = deadline_of(t, rel);
	return finish_timed(t, do_select(t, ARG_INT(a, 0), sets, deadline), tvp, true, deadline);
}

int64_t sys_pselect6(struct task *t, const struct sys_args *a)
{
	const gaddr_t sets[NR_SETS] = { ARG_ADDR(a, 1), ARG_ADDR(a, 2), ARG_ADDR(a, 3) };
	gaddr_t ts = ARG_ADDR(a, 4), sig = ARG_ADDR(a, 5);
	int64_t rel = -1, deadline, r;
	struct {
		uint64_t ptr, size;
	} mask = { 0 };

	if (sig.v) {
		r = copy_in(t, &mask, sig, sizeof(mask));
		if (r < 0)
			return r;
	}
	if (ts.v) {
		r = copy_in_timespec(t, ts, &rel);
		if (r < 0)
			return r;
	}
	deadline = deadline_of(t, rel);
	if (mask.ptr) {
		sigset64_t set;

		r = copy_in_sigset(t, GADDR(mask.ptr), mask.size, &set);
		if (r < 0)
			return r;
		signal_set_temp_mask(t, set);
	}
	return finish_timed(t, do_select(t, ARG_INT(a, 0), sets, deadline), ts, false, deadline);
}
