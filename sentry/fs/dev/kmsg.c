/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/kmsg: one kernel message per read, one message per write. Linux: kernel/printk/printk.c, Documentation/ABI/testing/dev-kmsg.
 * Locks: f_lock guards the position. Checkpoint: the position; messages are sentry/kernel/klog.h's.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/dev.pb-c.h"
#include "schemas/file.pb-c.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/chrdev.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/klog.h"
#include "state/state.h"

#define KMSG_MINOR    11
#define FACILITY_USER (1u << 3)

struct kmsg_file {
	struct file file; /* saved: 1 file_base */
	uint64_t seq; /* saved: 2 */
};

static struct kmsg_file *kmsg_of(struct file *f)
{
	return container_of(f, struct kmsg_file, file);
}

/* "prio,sequence,microseconds,-;text" with control characters escaped. */
static size_t record(const struct klog_msg *m, char *buf, size_t size)
{
	int head = snprintf(buf, size, "%u,%lu,%ld,-;", m->prio, (unsigned long)m->seq, (long)(m->time / 1000));
	size_t n = head < 0 ? 0 : (size_t)head;

	for (size_t i = 0; i < m->len && n + 5 < size; i++) {
		unsigned char c = (unsigned char)m->text[i];

		if (c < ' ' || c >= 127 || c == '\\')
			n += (size_t)snprintf(buf + n, size - n, "\\x%02x", c);
		else
			buf[n++] = (char)c;
	}
	buf[n++] = '\n';
	return n;
}

static int64_t kmsg_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct kmsg_file *k = kmsg_of(f);
	char line[4 * KLOG_LINE + 64];
	struct klog_msg m;
	int64_t r;
	size_t n;

	mutex_guard(&f->f_lock);
	if (k->seq < klog_first()) { /* overwritten meanwhile */
		k->seq = klog_first();
		return -EPIPE;
	}
	if (!klog_get(k->seq, &m))
		return -EAGAIN;
	n = record(&m, line, sizeof(line));
	if (n > u->left)
		return -EINVAL;
	r = uio_put(u, line, n);
	if (r >= 0)
		k->seq = m.seq + 1;
	return r;
}

/* "<level>text"; the kernel's own facility is not to be had. */
static int64_t kmsg_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	char line[KLOG_LINE + 1], *text = line, *end;
	uint32_t prio = FACILITY_USER | 4;
	size_t n = u->left;
	int64_t r;

	if (n > KLOG_LINE)
		return -EINVAL;
	r = uio_get(u, line, n);
	if (r < 0)
		return r;
	line[r] = '\0';
	if (line[0] == '<') {
		unsigned long v = strtoul(line + 1, &end, 10);

		if (end != line + 1 && *end == '>') {
			prio = (uint32_t)v & 0xfff;
			if (!(prio >> 3))
				prio |= FACILITY_USER;
			text = end + 1;
		}
	}
	n = strlen(text);
	while (n && text[n - 1] == '\n')
		n--;
	klog_add(prio, text, n);
	return r;
}

static uint32_t kmsg_poll(struct file *f)
{
	struct kmsg_file *k = kmsg_of(f);
	uint32_t r = f->writable ? POLL_WRITE : 0;

	mutex_guard(&f->f_lock);
	if (k->seq < klog_first())
		return r | POLL_READ | LINUX_POLLERR | LINUX_POLLPRI;
	return k->seq < klog_next() ? r | POLL_READ : r;
}

static struct waitq *kmsg_pollq(struct file *f)
{
	return klog_wq();
}

static int64_t kmsg_llseek(struct file *f, struct task *t, int64_t off, int whence)
{
	struct kmsg_file *k = kmsg_of(f);

	if (off)
		return -ESPIPE;
	mutex_guard(&f->f_lock);
	switch (whence) {
	case LINUX_SEEK_SET:
		k->seq = klog_first();
		return 0;
	case LINUX_SEEK_DATA:
		k->seq = MAX(klog_first(), klog_cleared());
		return 0;
	case LINUX_SEEK_END:
		k->seq = klog_next();
		return 0;
	default:
		return -EINVAL;
	}
}

static void kmsg_release(struct file *f)
{
	file_done(f);
	free(kmsg_of(f));
}

static const struct file_ops kmsg_ops = {
	.name = "kmsg",
	.state = &kmsg_file_state_type,
	.release = kmsg_release,
	.read = kmsg_read,
	.write = kmsg_write,
	.poll = kmsg_poll,
	.pollq = kmsg_pollq,
	.llseek = kmsg_llseek,
};

static int kmsg_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct kmsg_file *k;

	/* Reading is for who may use syslog(2); dmesg_restrict is 0, which lets everybody read who can open the node. */
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	file_init(&k->file, &kmsg_ops, flags, t, p, i);
	k->seq = klog_first();
	*ret = &k->file;
	return 0;
}

static const struct dev_driver kmsg_driver = { .name = "mem", .major = 1, .minor_lo = KMSG_MINOR, .minor_hi = KMSG_MINOR, .open = kmsg_open };
DEV_REGISTER(kmsg_driver)

/* --- state --- */

static void *kmsg_alloc(void)
{
	struct kmsg_file *k = calloc(1, sizeof(*k));

	if (k)
		ref_init(&k->file.ref);
	return k;
}

static int kmsg_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct kmsg_file *k = obj;
	Sentry__KmsgFile *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->seq = k->seq;
	return file_save_base(w, &k->file, m->file_base);
}

static int kmsg_load(struct state_reader *r, void *obj, const void *msg)
{
	struct kmsg_file *k = obj;
	const Sentry__KmsgFile *m = msg;

	k->seq = m->seq; /* any number is a place: before the first, or after the last */
	return file_load_base(r, &k->file, &kmsg_ops, m->file_base);
}

static int kmsg_after_load(struct state_reader *r, void *obj)
{
	file_after_load_base(obj);
	return 0;
}

const struct state_type kmsg_file_state_type = {
	.id = STATE_ID_kmsg_file,
	.name = "kmsg_file",
	.desc = &sentry__kmsg_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = kmsg_alloc,
	.save = kmsg_save,
	.load = kmsg_load,
	.after_load = kmsg_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
