/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory-like character devices: null, zero, full, random, urandom.
 *
 * Random bytes always come fresh from the host, also right after a restore: clones of one image do not share them.
 * Checkpoint: which device. Linux: drivers/char/mem.c, drivers/char/random.c.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/dev.pb-c.h"
#include "schemas/file.pb-c.h"
#include "sentry/abi/fs.h"
#include "sentry/abi/mman.h"
#include "sentry/fs/chrdev.h"
#include "sentry/fs/fs_type.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/shmobj.h"
#include "state/state.h"

#define MEM_MAJOR 1u
enum { MEM_NULL = 3, MEM_ZERO = 5, MEM_FULL = 7, MEM_RANDOM = 8, MEM_URANDOM = 9 };

struct mem_file {
	struct file file; /* saved: 1 file_base */
	uint32_t minor; /* saved: 2 */
};

#define RNDGETENTCNT   0x80045200u
#define RNDADDTOENTCNT 0x40045201u
#define RNDADDENTROPY  0x40085203u
#define RNDCLEARPOOL   0x5206u
#define RNDRESEEDCRNG  0x5207u

static int64_t read_random(struct uio *u)
{
	uint8_t buf[1024];
	int64_t done = 0;

	while (u->left) {
		size_t n = MIN(u->left, sizeof(buf));
		int64_t r;

		kernel_random(buf, n);
		r = uio_put(u, buf, n);
		if (r < 0)
			return done ? done : r;
		done += r;
		if ((size_t)r < n)
			break;
	}
	explicit_bzero(buf, sizeof(buf));
	return done;
}

static int64_t mem_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	switch (container_of(f, struct mem_file, file)->minor) {
	case MEM_NULL:
		return 0;
	case MEM_ZERO:
	case MEM_FULL:
		return uio_put_zero(u, u->left);
	default:
		return read_random(u);
	}
}

static int64_t mem_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	int64_t n = (int64_t)u->left;

	if (container_of(f, struct mem_file, file)->minor == MEM_FULL)
		return n ? -ENOSPC : 0;
	uio_advance(u, u->left); /* not even looked at; the host's entropy needs no help */
	return n;
}

static int64_t mem_llseek(struct file *f, struct task *t, int64_t off, int whence)
{
	f->pos = 0; /* as null_lseek() */
	return 0;
}

static int64_t mem_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	uint32_t minor = container_of(f, struct mem_file, file)->minor;
	int bits = 256;

	if (minor != MEM_RANDOM && minor != MEM_URANDOM)
		return -ENOTTY;
	switch (cmd) {
	case RNDGETENTCNT:
		return copy_out(t, GADDR(arg), &bits, sizeof(bits));
	case RNDADDTOENTCNT:
	case RNDADDENTROPY:
	case RNDCLEARPOOL:
	case RNDRESEEDCRNG:
		return -EPERM; /* the pool is the host's */
	default:
		return -ENOTTY;
	}
}

static int mem_mmap(struct file *f, struct task *t, struct vma_request *req)
{
	if (container_of(f, struct mem_file, file)->minor != MEM_ZERO)
		return -ENODEV;
	if (!(req->flags & LINUX_MAP_SHARED)) {
		req->anon = true;
		return 0;
	}
	req->obj_off = 0;
	return shmobj_new(the_kernel->mf, ALIGN_UP(req->len, PAGE_SIZE), &req->obj);
}

static int mem_fsync(struct file *f, struct task *t, bool datasync)
{
	return -EINVAL;
}

static void mem_release(struct file *f)
{
	file_done(f);
	free(container_of(f, struct mem_file, file));
}

static const struct file_ops mem_ops = {
	.name = "mem",
	.state = &mem_file_state_type,
	.release = mem_release,
	.read = mem_read,
	.write = mem_write,
	.llseek = mem_llseek,
	.ioctl = mem_ioctl,
	.mmap = mem_mmap,
	.fsync = mem_fsync,
};

static bool minor_known(uint32_t minor)
{
	return minor == MEM_NULL || minor == MEM_ZERO || minor == MEM_FULL || minor == MEM_RANDOM || minor == MEM_URANDOM;
}

static int mem_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	uint32_t minor = dev_minor(i->rdev);
	struct mem_file *mf;

	if (!minor_known(minor))
		return -ENXIO;
	mf = calloc(1, sizeof(*mf));
	if (!mf)
		return -ENOMEM;
	file_init(&mf->file, &mem_ops, flags, t, p, i);
	mf->file.seekable = true;
	mf->minor = minor;
	*ret = &mf->file;
	return 0;
}

static const struct dev_driver mem_driver = {
	.name = "mem", .major = MEM_MAJOR, .minor_lo = MEM_NULL, .minor_hi = MEM_URANDOM, .open = mem_open
};
DEV_REGISTER(mem_driver)

/* --- state --- */

static void *mem_file_alloc(void)
{
	struct mem_file *mf = calloc(1, sizeof(*mf));

	if (mf)
		ref_init(&mf->file.ref);
	return mf;
}

static int mem_file_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct mem_file *mf = obj;
	Sentry__MemFile *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->minor = mf->minor;
	return file_save_base(w, &mf->file, m->file_base);
}

static int mem_file_load(struct state_reader *r, void *obj, const void *msg)
{
	struct mem_file *mf = obj;
	const Sentry__MemFile *m = msg;
	int err = state_check(r, minor_known(m->minor), "unknown memory device");

	if (!err)
		err = file_load_base(r, &mf->file, &mem_ops, m->file_base);
	mf->minor = m->minor;
	return err;
}

static int mem_file_after_load(struct state_reader *r, void *obj)
{
	file_after_load_base(obj);
	return 0;
}

const struct state_type mem_file_state_type = {
	.id = STATE_ID_mem_file,
	.name = "mem_file",
	.desc = &sentry__mem_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = mem_file_alloc,
	.save = mem_file_save,
	.load = mem_file_load,
	.after_load = mem_file_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
