/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/sysgenid: the generation as a counter, with the interface that was proposed for Linux ("System Generation ID", 2021) and that libraries
 * (AWS-LC, s2n-tls) look for: a page to map, whose first word is the counter, costs nothing to look at before every use of a secret.
 *
 * read gives the counter when it is another than the one this description knows, and blocks until then; writing the new one back says that it is
 * known now. poll tells the same by POLLIN. Descriptions opened later know the counter of that moment.
 * DEVIATION: no ioctls: counting watchers and triggering a change by hand are for a controller, which is outside here.
 *
 * Locks: mu is a leaf. Checkpoint: the count that is known. After a restore the counter is another, so everybody is told.
 */
#include <stdlib.h>

#include "schemas/dev.pb-c.h"
#include "schemas/file.pb-c.h"
#include "sentry/abi/mman.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/chrdev.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/pseudo/watch.h"
#include "sentry/kernel/generation.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mappable.h"
#include "state/state.h"

struct sysgenid_file {
	struct file file; /* saved: 1 file_base */
	_Atomic uint32_t known; /* saved: 2 */
};

static struct sysgenid_file *sysgenid_of(struct file *f)
{
	return container_of(f, struct sysgenid_file, file);
}

static int64_t sysgenid_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	uint32_t now = the_kernel->generation;

	if (u->left < sizeof(now))
		return -EINVAL;
	if (atomic_load(&sysgenid_of(f)->known) == now)
		return -EAGAIN;
	return uio_put(u, &now, sizeof(now)) == sizeof(now) ? (int64_t)sizeof(now) : -EFAULT;
}

static int64_t sysgenid_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	uint32_t v;

	if (u->left != sizeof(v))
		return -EINVAL;
	if (uio_get(u, &v, sizeof(v)) != sizeof(v))
		return -EFAULT;
	if (v != the_kernel->generation)
		return -EINVAL;
	atomic_store(&sysgenid_of(f)->known, v);
	return sizeof(v);
}

static uint32_t sysgenid_poll(struct file *f)
{
	return atomic_load(&sysgenid_of(f)->known) != the_kernel->generation ? POLL_READ : 0;
}

static struct waitq *sysgenid_pollq(struct file *f)
{
	return &generation_watch()->wq;
}

static int sysgenid_mmap(struct file *f, struct task *t, struct vma_request *req)
{
	int r;

	if (req->off != 0 || req->len > PAGE_SIZE)
		return -EINVAL;
	if (req->prot & LINUX_PROT_WRITE)
		return -EPERM;
	r = generation_page(the_kernel, &req->obj);
	if (r < 0)
		return r;
	req->obj->ops->get(req->obj);
	req->deny_write = true;
	return 0;
}

static void sysgenid_release(struct file *f)
{
	file_done(f);
	free(sysgenid_of(f));
}

static const struct file_ops sysgenid_ops = {
	.name = "sysgenid",
	.state = &sysgenid_file_state_type,
	.release = sysgenid_release,
	.read = sysgenid_read,
	.write = sysgenid_write,
	.poll = sysgenid_poll,
	.pollq = sysgenid_pollq,
	.mmap = sysgenid_mmap,
};

static int sysgenid_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct sysgenid_file *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	file_init(&s->file, &sysgenid_ops, flags, t, p, i);
	s->known = the_kernel->generation;
	*ret = &s->file;
	return 0;
}

static const struct dev_driver sysgenid_driver = {
	.name = "misc", .major = 10, .minor_lo = SYSGENID_MINOR, .minor_hi = SYSGENID_MINOR, .open = sysgenid_open
};
DEV_REGISTER(sysgenid_driver)

/* --- state --- */

static void *sysgenid_alloc(void)
{
	struct sysgenid_file *s = calloc(1, sizeof(*s));

	if (s)
		ref_init(&s->file.ref);
	return s;
}

static int sysgenid_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct sysgenid_file *s = obj;
	Sentry__SysgenidFile *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->known = s->known;
	return file_save_base(w, &s->file, m->file_base);
}

static int sysgenid_load(struct state_reader *r, void *obj, const void *msg)
{
	struct sysgenid_file *s = obj;
	const Sentry__SysgenidFile *m = msg;

	s->known = m->known;
	return file_load_base(r, &s->file, &sysgenid_ops, m->file_base);
}

const struct state_type sysgenid_file_state_type = {
	.id = STATE_ID_sysgenid_file,
	.name = "sysgenid_file",
	.desc = &sentry__sysgenid_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = sysgenid_alloc,
	.save = sysgenid_save,
	.load = sysgenid_load,
	.after_load = file_state_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
