/* SPDX-License-Identifier: Apache-2.0 */
/* See klog.h. */
#include "sentry/kernel/klog.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/cgroup.pb-c.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

#define TEXT_MAX     (128 << 10) /* of all messages together */
#define DEFAULT_PRIO 4

struct klog_slot { /* message: KlogEntry */
	uint64_t seq; /* saved: 1 */
	int64_t time; /* saved: 2; since boot */
	uint32_t prio; /* saved: 3 */
	uint32_t len; /* derived: of text */
	char *text; /* saved: 4; owned */
};

struct klog {
	struct mutex mu; /* nosave: a lock */
	/* below: protected by mu */
	struct klog_slot slots[KLOG_SLOTS]; /* saved: 1 entries; slot of message n is n % KLOG_SLOTS */
	uint64_t first; /* derived: of the entries */
	uint64_t next; /* saved: 2 next_seq */
	uint64_t clear; /* saved: 3 clear_seq */
	uint64_t read; /* saved: 4 read_seq */
	uint32_t console_level; /* saved: 5 */
	size_t bytes; /* derived: of texts */
	struct waitq wq; /* nosave: readers run again */
};

static struct klog the_klog = { .mu = MUTEX_INIT("klog.mu"), .console_level = 7 };

static void __attribute__((constructor)) klog_init(void)
{
	waitq_init(&the_klog.wq);
}

static void drop_oldest_locked(struct klog *l)
{
	struct klog_slot *s = &l->slots[l->first % KLOG_SLOTS];

	l->bytes -= s->len;
	free(TAKE_PTR(s->text));
	l->first++;
}

/* As uptime counts. */
static int64_t since_boot(void)
{
	return the_kernel ? ktime_mono() - the_kernel->boot_mono : 0;
}

void klog_add(uint32_t prio, const char *text, size_t n)
{
	struct klog *l = &the_klog;
	char *copy;

	n = MIN(n, (size_t)KLOG_LINE);
	copy = malloc(n + 1);
	if (!copy)
		return;
	memcpy(copy, text, n);
	copy[n] = '\0';
	mutex_lock(&l->mu);
	while (l->first < l->next && (l->next - l->first == KLOG_SLOTS || l->bytes + n > TEXT_MAX))
		drop_oldest_locked(l);
	l->slots[l->next % KLOG_SLOTS] = (struct klog_slot){ l->next, since_boot(), prio, (uint32_t)n, copy };
	l->bytes += n;
	l->next++;
	mutex_unlock(&l->mu);
	waitq_wake(&l->wq, ~0u);
}

void klog(uint32_t prio, const char *fmt, ...)
{
	char line[KLOG_LINE + 1];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		klog_add(prio, line, MIN((size_t)n, sizeof(line) - 1));
}

bool klog_get(uint64_t seq, struct klog_msg *ret)
{
	struct klog *l = &the_klog;
	const struct klog_slot *s;

	mutex_guard(&l->mu);
	seq = MAX(seq, l->first);
	if (seq >= l->next)
		return false;
	s = &l->slots[seq % KLOG_SLOTS];
	*ret = (struct klog_msg){ .seq = s->seq, .time = s->time, .prio = s->prio, .len = s->len };
	memcpy(ret->text, s->text, s->len);
	return true;
}

uint64_t klog_first(void)
{
	mutex_guard(&the_klog.mu);
	return the_klog.first;
}

uint64_t klog_next(void)
{
	mutex_guard(&the_klog.mu);
	return the_klog.next;
}

uint64_t klog_cleared(void)
{
	mutex_guard(&the_klog.mu);
	return the_klog.clear;
}

struct waitq *klog_wq(void)
{
	return &the_klog.wq;
}

void *klog_object(void)
{
	return &the_klog;
}

void klog_boot(const struct kernel *k)
{
	klog(5, "Linux version 6.1.0 (runsc)");
	klog(6, "Memory: %luK available", (unsigned long)(k->cfg.total_memory >> 10));
	klog(6, "smp: Brought up 1 node, %zu CPU%s", k->cfg.nr_cpus, k->cfg.nr_cpus == 1 ? "" : "s");
}

/* --- syslog(2) --- */

/* As "<6>[    1.234567] text\n", one message after another. */
static size_t format(const struct klog_msg *m, char *buf, size_t size)
{
	int64_t us = m->time / 1000;
	int n = snprintf(buf, size, "<%u>[%5ld.%06ld] %.*s\n", m->prio, (long)(us / 1000000), (long)(us % 1000000), (int)m->len, m->text);

	return n < 0 ? 0 : MIN((size_t)n, size - 1);
}

/* Where the last @room bytes of messages from @from on begin. */
static uint64_t tail_of(uint64_t from, size_t room)
{
	char line[KLOG_LINE + 64];
	struct klog_msg m;
	size_t all = 0;
	uint64_t seq;

	for (seq = from; klog_get(seq, &m); seq = m.seq + 1)
		all += format(&m, line, sizeof(line));
	for (seq = from; all > room && klog_get(seq, &m); seq = m.seq + 1)
		all -= format(&m, line, sizeof(line));
	return seq;
}

static int64_t copy_messages(struct task *t, gaddr_t dst, size_t room, uint64_t seq, uint64_t *ret_next)
{
	char line[KLOG_LINE + 64];
	struct klog_msg m;
	size_t done = 0;

	while (klog_get(seq, &m)) {
		size_t n = format(&m, line, sizeof(line));

		if (n > room - done)
			break;
		if (copy_out(t, gaddr_add(dst, done), line, n) < 0)
			return done ? (int64_t)done : -EFAULT;
		done += n;
		seq = m.seq + 1;
	}
	*ret_next = seq;
	return (int64_t)done;
}

static int64_t have_unread(void *arg)
{
	mutex_guard(&the_klog.mu);
	return MAX(the_klog.read, the_klog.first) < the_klog.next;
}

static int64_t do_read(struct task *t, gaddr_t dst, size_t room)
{
	struct klog *l = &the_klog;
	uint64_t from, next;
	int64_t r = task_wait_on(t, &l->wq, ~0u, TIME_FOREVER, have_unread, NULL);

	if (r < 0)
		return r;
	mutex_lock(&l->mu);
	from = MAX(l->read, l->first);
	mutex_unlock(&l->mu);
	next = from;
	r = copy_messages(t, dst, room, from, &next);
	mutex_lock(&l->mu);
	l->read = MAX(l->read, next);
	mutex_unlock(&l->mu);
	return r;
}

static int64_t do_read_all(struct task *t, gaddr_t dst, size_t room, bool clear)
{
	struct klog *l = &the_klog;
	uint64_t from, next;
	int64_t r;

	mutex_lock(&l->mu);
	from = MAX(l->clear, l->first);
	mutex_unlock(&l->mu);
	r = copy_messages(t, dst, room, tail_of(from, room), &next);
	if (clear && r >= 0) {
		mutex_lock(&l->mu);
		l->clear = l->next;
		mutex_unlock(&l->mu);
	}
	return r;
}

static int64_t unread_bytes(void)
{
	char line[KLOG_LINE + 64];
	struct klog_msg m;
	int64_t n = 0;

	for (uint64_t seq = the_klog.read; klog_get(seq, &m); seq = m.seq + 1)
		n += (int64_t)format(&m, line, sizeof(line));
	return n;
}

/* READ_ALL and SIZE_BUFFER are open to all unless dmesg_restrict is set. */
int64_t sys_syslog(struct task *t, const struct sys_args *a)
{
	int type = ARG_INT(a, 0), len = ARG_INT(a, 2);
	struct klog *l = &the_klog;

	if (type != 3 && type != 10 && !task_capable(t, LINUX_CAP_SYSLOG) && !task_capable(t, LINUX_CAP_SYS_ADMIN))
		return -EPERM;
	switch (type) {
	case 0:
	case 1:
		return 0;
	case 2:
	case 3:
	case 4:
		if (!a->a[1] || len < 0)
			return -EINVAL;
		if (!len)
			return 0;
		return type == 2 ? do_read(t, ARG_ADDR(a, 1), (size_t)len) : do_read_all(t, ARG_ADDR(a, 1), (size_t)len, type == 4);
	case 5:
		mutex_lock(&l->mu);
		l->clear = l->next;
		mutex_unlock(&l->mu);
		return 0;
	case 6:
	case 7:
		return 0; /* there is no console to silence */
	case 8:
		if (len < 1 || len > 8)
			return -EINVAL;
		l->console_level = (uint32_t)len;
		return 0;
	case 9:
		return unread_bytes();
	case 10:
		return TEXT_MAX;
	default:
		return -EINVAL;
	}
}

/* --- state --- */

static void *klog_alloc(void)
{
	return &the_klog;
}

static int klog_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct klog *l = obj;
	Sentry__Klog *m = msg;

	m->entries = state_zalloc(w, l->next - l->first, sizeof(m->entries[0]));
	for (uint64_t seq = l->first; seq < l->next; seq++) {
		const struct klog_slot *s = &l->slots[seq % KLOG_SLOTS];
		Sentry__KlogEntry *e = state_new_msg(w, &sentry__klog_entry__descriptor);

		e->seq = s->seq;
		e->time = s->time;
		e->prio = s->prio;
		e->text.len = s->len;
		e->text.data = state_zalloc(w, 1, s->len + 1);
		memcpy(e->text.data, s->text, s->len);
		m->entries[m->n_entries++] = e;
	}
	m->next_seq = l->next;
	m->clear_seq = l->clear;
	m->read_seq = l->read;
	m->console_level = l->console_level;
	return 0;
}

static int klog_load(struct state_reader *r, void *obj, const void *msg)
{
	struct klog *l = obj;
	const Sentry__Klog *m = msg;
	size_t bytes = 0;
	int e = state_check(r, m->n_entries <= KLOG_SLOTS && m->next_seq >= m->n_entries && m->next_seq < INT64_MAX, "bad kernel messages");

	while (l->first < l->next) /* what this boot said */
		drop_oldest_locked(l);
	for (size_t i = 0; e == 0 && i < m->n_entries; i++) {
		const Sentry__KlogEntry *k = m->entries[i];
		uint64_t seq = m->next_seq - m->n_entries + i;
		struct klog_slot *s = &l->slots[seq % KLOG_SLOTS];

		bytes += k->text.len;
		e = state_check(r, k->seq == seq && k->text.len <= KLOG_LINE && bytes <= TEXT_MAX, "bad kernel message");
		if (e)
			break;
		s->text = malloc(k->text.len + 1);
		if (!s->text)
			return -ENOMEM;
		if (k->text.len)
			memcpy(s->text, k->text.data, k->text.len);
		s->text[k->text.len] = '\0';
		s->seq = seq;
		s->time = k->time;
		s->prio = k->prio;
		s->len = (uint32_t)k->text.len;
		/* What has been loaded is in the ring at any time, so a failure leaks nothing. */
		l->first = m->next_seq - m->n_entries;
		l->next = seq + 1;
		l->bytes = bytes;
	}
	if (e)
		return e;
	l->first = m->next_seq - m->n_entries;
	l->next = m->next_seq;
	l->bytes = bytes;
	l->clear = MIN(m->clear_seq, l->next);
	l->read = MIN(m->read_seq, l->next);
	l->console_level = m->console_level >= 1 && m->console_level <= 8 ? m->console_level : 7;
	return 0;
}

static void klog_nothing(void *obj)
{
}

const struct state_type klog_state_type = {
	.id = STATE_ID_klog,
	.name = "klog",
	.desc = &sentry__klog__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = klog_alloc,
	.save = klog_save,
	.load = klog_load,
	.get = klog_nothing,
	.put = klog_nothing,
};
