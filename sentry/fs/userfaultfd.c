/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptor of userfaultfd(2): handshake, registration and page requests by ioctl, messages by read. What it all does to address
 * spaces and faults is in sentry/mm/uffd*.c.
 *
 * Checkpoint: the file and its context. Linux: fs/userfaultfd.c.
 */
#include <stdlib.h>

#include "base/strbuf.h"
#include "schemas/userfaultfd.pb-c.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/mman.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/chrdev.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uffd.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

#define IOC_API		 0xc018aa3fu
#define IOC_REGISTER	 0xc020aa00u
#define IOC_UNREGISTER	 0x8010aa01u
#define IOC_WAKE	 0x8010aa02u
#define IOC_COPY	 0xc028aa03u
#define IOC_ZEROPAGE	 0xc020aa04u
#define IOC_WRITEPROTECT 0xc018aa06u
#define IOC_CONTINUE	 0xc020aa07u
#define IOC_NEW		 0x0000aa00u /* of /dev/userfaultfd */

#define UFFD_API	   0xaaULL
#define API_IOCTLS	   (1ULL << 0x3f | 1ULL << 0x00 | 1ULL << 0x01)
#define RANGE_IOCTLS	   (1ULL << 0x02 | 1ULL << 0x03 | 1ULL << 0x04 | 1ULL << 0x06 | 1ULL << 0x07)
#define IOCTL_WRITEPROTECT (1ULL << 0x06)
#define IOCTL_CONTINUE	   (1ULL << 0x07)
#define MODE_DONTWAKE	   1u /* of COPY, ZEROPAGE, CONTINUE */
#define COPY_MODE_WP	   2u
#define WP_MODE_WP	   1u
#define WP_MODE_DONTWAKE   2u

struct uffdio_range {
	uint64_t start, len;
};

struct userfaultfd { /* message: UserFaultFd */
	struct file file; /* saved: 1 file_base */
	struct uffd_ctx *ctx; /* saved: 2; referenced */
};

static const struct file_ops userfaultfd_ops;

static struct uffd_ctx *ctx_of(struct file *f)
{
	return container_of(f, struct userfaultfd, file)->ctx;
}

static void *userfaultfd_alloc(void)
{
	struct userfaultfd *u = calloc(1, sizeof(*u));

	if (u)
		ref_init(&u->file.ref);
	return u;
}

/* A descriptor for @c, whose reference it takes over on success. */
static int install(struct task *t, struct uffd_ctx *c, uint32_t flags)
{
	struct userfaultfd *u = userfaultfd_alloc();
	int fd;

	if (!u)
		return -ENOMEM;
	file_init(&u->file, &userfaultfd_ops, LINUX_O_RDONLY | (flags & LINUX_O_NONBLOCK), t, NULL, NULL);
	u->ctx = uffd_ctx_get(c);
	fd = fd_install(t, &u->file, 0, flags & LINUX_O_CLOEXEC);
	if (fd < 0)
		file_put(&u->file);
	else
		uffd_ctx_put(c);
	return fd;
}

static int64_t uffd_create(struct task *t, uint32_t flags)
{
	struct uffd_ctx *c;
	int64_t fd;

	if (flags & ~(uint32_t)(LINUX_UFFD_USER_MODE_ONLY | LINUX_O_CLOEXEC | LINUX_O_NONBLOCK))
		return -EINVAL;
	fd = uffd_ctx_new(t->mm, flags & LINUX_UFFD_USER_MODE_ONLY, &c);
	if (fd < 0)
		return fd;
	fd = install(t, c, flags);
	if (fd < 0)
		uffd_ctx_put(c);
	return fd;
}

int64_t sys_userfaultfd(struct task *t, const struct sys_args *a)
{
	uint32_t flags = ARG_U32(a, 0);

	if (!(flags & LINUX_UFFD_USER_MODE_ONLY) && !proc_sysctl_get("vm/unprivileged_userfaultfd", 0) &&
	    !task_capable(t, LINUX_CAP_SYS_PTRACE))
		return -EPERM;
	return uffd_create(t, flags);
}

/* --- ioctl --- */

static int64_t do_api(struct file *f, struct task *t, gaddr_t arg)
{
	struct {
		uint64_t api, features, ioctls;
	} m, zero = { 0 };
	int r = copy_in(t, &m, arg, sizeof(m));

	if (r < 0)
		return r;
	r = m.api != UFFD_API || (m.features & ~(uint64_t)UFFD_FEATURES) ? -EINVAL : 0;
	if (r == 0 && (m.features & LINUX_UFFD_FEATURE_EVENT_FORK) && !task_capable(t, LINUX_CAP_SYS_PTRACE))
		r = -EPERM;
	if (r == 0) {
		uint32_t wanted = (uint32_t)m.features;

		m.features = UFFD_FEATURES;
		m.ioctls = API_IOCTLS;
		if (copy_out(t, arg, &m, sizeof(m)) < 0)
			return -EFAULT;
		r = uffd_set_features(ctx_of(f), wanted);
	}
	if (r < 0 && copy_out(t, arg, &zero, sizeof(zero)) < 0)
		r = -EFAULT;
	return r;
}

static int check_range(uint64_t start, uint64_t len)
{
	if (!IS_ALIGNED(start | len, PAGE_SIZE) || len == 0 || start < LINUX_MMAP_MIN_ADDR || start >= LINUX_TASK_SIZE_MAX ||
	    len > LINUX_TASK_SIZE_MAX - start)
		return -EINVAL;
	return 0;
}

static int64_t do_register(struct file *f, struct task *t, gaddr_t arg)
{
	struct {
		struct uffdio_range range;
		uint64_t mode, ioctls;
	} m;
	int r = copy_in(t, &m, arg, sizeof(m) - sizeof(m.ioctls));

	if (r < 0)
		return r;
	if (!m.mode || (m.mode & ~(uint64_t)(LINUX_UFFD_MODE_MISSING | LINUX_UFFD_MODE_WP | LINUX_UFFD_MODE_MINOR)))
		return -EINVAL;
	r = check_range(m.range.start, m.range.len);
	if (r == 0)
		r = uffd_register(ctx_of(f), m.range.start, m.range.len, (uint32_t)m.mode);
	if (r < 0)
		return r;
	m.ioctls = RANGE_IOCTLS;
	if (!(m.mode & LINUX_UFFD_MODE_WP))
		m.ioctls &= ~IOCTL_WRITEPROTECT;
	if (!(m.mode & LINUX_UFFD_MODE_MINOR))
		m.ioctls &= ~IOCTL_CONTINUE;
	return copy_out(t, gaddr_add(arg, offsetof(__typeof__(m), ioctls)), &m.ioctls, sizeof(m.ioctls));
}

static int64_t on_range(struct file *f, struct task *t, gaddr_t arg, bool unregister)
{
	struct uffdio_range m;
	int r = copy_in(t, &m, arg, sizeof(m));

	if (r == 0)
		r = check_range(m.start, m.len);
	if (r < 0)
		return r;
	if (unregister)
		return uffd_unregister(ctx_of(f), m.start, m.len);
	uffd_wake(ctx_of(f), m.start, m.len);
	return 0;
}

/* A fill's result goes back into the structure; sleepers of what was done are woken. */
static int64_t filled(struct file *f, struct task *t, gaddr_t result, const struct uffdio_range *g, int64_t n, bool wake)
{
	if (copy_out(t, result, &n, sizeof(n)) < 0)
		return -EFAULT;
	if (n < 0)
		return n;
	if (wake)
		uffd_wake(ctx_of(f), g->start, (uint64_t)n);
	return (uint64_t)n == g->len ? 0 : -EAGAIN;
}

static int64_t do_copy(struct file *f, struct task *t, gaddr_t arg)
{
	struct {
		uint64_t dst, src, len, mode;
		int64_t copy;
	} m;
	struct uffdio_range g;
	int r;

	if (uffd_changing(ctx_of(f)))
		return -EAGAIN;
	r = copy_in(t, &m, arg, sizeof(m) - sizeof(m.copy));
	if (r == 0)
		r = check_range(m.dst, m.len);
	if (r < 0)
		return r;
	if (m.src + m.len <= m.src || (m.mode & ~(uint64_t)(MODE_DONTWAKE | COPY_MODE_WP)))
		return -EINVAL;
	g = (struct uffdio_range){ m.dst, m.len };
	return filled(f, t, gaddr_add(arg, offsetof(__typeof__(m), copy)), &g,
		      uffd_fill(ctx_of(f), t, UFFD_COPY, m.dst, m.len, m.src, m.mode & COPY_MODE_WP), !(m.mode & MODE_DONTWAKE));
}

/* ZEROPAGE and CONTINUE look the same. */
static int64_t do_fill(struct file *f, struct task *t, gaddr_t arg, enum uffd_fill how)
{
	struct {
		struct uffdio_range range;
		uint64_t mode;
		int64_t done;
	} m;
	int r;

	if (uffd_changing(ctx_of(f)))
		return -EAGAIN;
	r = copy_in(t, &m, arg, sizeof(m) - sizeof(m.done));
	if (r == 0)
		r = check_range(m.range.start, m.range.len);
	if (r < 0)
		return r;
	if (m.mode & ~(uint64_t)MODE_DONTWAKE)
		return -EINVAL;
	return filled(f, t, gaddr_add(arg, offsetof(__typeof__(m), done)), &m.range,
		      uffd_fill(ctx_of(f), t, how, m.range.start, m.range.len, 0, false), !(m.mode & MODE_DONTWAKE));
}

static int64_t do_writeprotect(struct file *f, struct task *t, gaddr_t arg)
{
	struct {
		struct uffdio_range range;
		uint64_t mode;
	} m;
	int r;

	if (uffd_changing(ctx_of(f)))
		return -EAGAIN;
	r = copy_in(t, &m, arg, sizeof(m));
	if (r == 0)
		r = check_range(m.range.start, m.range.len);
	if (r < 0)
		return r;
	if ((m.mode & ~(uint64_t)(WP_MODE_WP | WP_MODE_DONTWAKE)) || m.mode == (WP_MODE_WP | WP_MODE_DONTWAKE))
		return -EINVAL;
	r = uffd_writeprotect(ctx_of(f), m.range.start, m.range.len, m.mode & WP_MODE_WP);
	if (r == 0 && m.mode == 0)
		uffd_wake(ctx_of(f), m.range.start, m.range.len);
	return r;
}

static int64_t userfaultfd_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	if (cmd == IOC_API)
		return do_api(f, t, GADDR(arg));
	if (uffd_features(ctx_of(f)) < 0)
		return -EINVAL;
	switch (cmd) {
	case IOC_REGISTER:
		return do_register(f, t, GADDR(arg));
	case IOC_UNREGISTER:
		return on_range(f, t, GADDR(arg), true);
	case IOC_WAKE:
		return on_range(f, t, GADDR(arg), false);
	case IOC_COPY:
		return do_copy(f, t, GADDR(arg));
	case IOC_ZEROPAGE:
		return do_fill(f, t, GADDR(arg), UFFD_ZERO);
	case IOC_CONTINUE:
		return do_fill(f, t, GADDR(arg), UFFD_CONTINUE);
	case IOC_WRITEPROTECT:
		return do_writeprotect(f, t, GADDR(arg));
	default:
		return -EINVAL;
	}
}

/* --- read, poll --- */

static int64_t userfaultfd_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct uffd_ctx *child;
	struct uffd_msg m;
	int64_t done = 0, fd;

	if (uffd_features(ctx_of(f)) < 0)
		return -EINVAL;
	while (u->left >= sizeof(m) && uffd_next(ctx_of(f), &m, &child)) {
		if (child) {
			fd = install(t, child, atomic_load(&f->flags) & (LINUX_O_NONBLOCK | LINUX_O_CLOEXEC));
			if (fd < 0) {
				uffd_release(child);
				uffd_ctx_put(child);
				return done ? done : fd;
			}
			m.arg[0] = (uint32_t)fd;
		}
		if (uio_put(u, &m, sizeof(m)) != sizeof(m))
			return done ? done : -EFAULT;
		done += sizeof(m);
	}
	return done ? done : u->left < sizeof(m) ? -EINVAL : -EAGAIN;
}

static uint32_t userfaultfd_poll(struct file *f)
{
	/* A page may be filled, and its fault gone, before the read: only those who cannot block may poll. */
	if (uffd_features(ctx_of(f)) < 0 || !file_nonblock(f))
		return LINUX_POLLERR;
	return uffd_readable(ctx_of(f)) ? LINUX_POLLIN : 0;
}

static struct waitq *userfaultfd_pollq(struct file *f)
{
	return uffd_pollq(ctx_of(f));
}

static void userfaultfd_release(struct file *f)
{
	struct userfaultfd *u = container_of(f, struct userfaultfd, file);

	if (u->ctx) {
		uffd_release(u->ctx);
		uffd_ctx_put(u->ctx);
	}
	file_done(f);
	free(u);
}

static void userfaultfd_fdinfo(struct file *f, struct strbuf *b)
{
	int64_t features = uffd_features(ctx_of(f));
	uint32_t pending, total;

	uffd_count(ctx_of(f), &pending, &total);
	strbuf_addf(b, "pending:\t%u\ntotal:\t%u\nAPI:\t%lx:%x:%lx\n", pending, total, (unsigned long)UFFD_API,
		    features < 0 ? 0 : (unsigned)features | 1u << 31, (unsigned long)(API_IOCTLS | RANGE_IOCTLS));
}

static const struct file_ops userfaultfd_ops = {
	.name = "userfaultfd",
	.state = &userfaultfd_state_type,
	.release = userfaultfd_release,
	.read = userfaultfd_read,
	.poll = userfaultfd_poll,
	.pollq = userfaultfd_pollq,
	.ioctl = userfaultfd_ioctl,
	.llseek = file_noop_llseek,
	.show_fdinfo = userfaultfd_fdinfo,
};

/* --- /dev/userfaultfd: whoever may open it may have descriptors that serve the kernel's accesses, too --- */

#define MISC_MAJOR	10
#define USERFAULT_MINOR 126

struct uffd_dev { /* message: UffdDev */
	struct file file; /* saved: 1 file_base */
};

static int64_t uffd_dev_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	return cmd == IOC_NEW ? uffd_create(t, (uint32_t)arg) : -EINVAL;
}

static void uffd_dev_release(struct file *f)
{
	file_done(f);
	free(container_of(f, struct uffd_dev, file));
}

static const struct file_ops uffd_dev_ops = {
	.name = "userfaultfd_dev",
	.state = &uffd_dev_state_type,
	.release = uffd_dev_release,
	.ioctl = uffd_dev_ioctl,
	.llseek = file_noop_llseek,
};

static void *uffd_dev_alloc(void)
{
	struct uffd_dev *d = calloc(1, sizeof(*d));

	if (d)
		ref_init(&d->file.ref);
	return d;
}

static int uffd_dev_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct uffd_dev *d = uffd_dev_alloc();

	if (!d)
		return -ENOMEM;
	file_init(&d->file, &uffd_dev_ops, flags, t, p, i);
	*ret = &d->file;
	return 0;
}

static const struct dev_driver uffd_driver = {
	.name = "misc", .major = MISC_MAJOR, .minor_lo = USERFAULT_MINOR, .minor_hi = USERFAULT_MINOR, .open = uffd_dev_open
};
DEV_REGISTER(uffd_driver)

/* --- state --- */

static int userfaultfd_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct userfaultfd *u = obj;
	Sentry__UserFaultFd *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->ctx = state_ref(w, &uffd_ctx_state_type, u->ctx);
	return file_save_base(w, &u->file, m->file_base);
}

static int userfaultfd_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__UserFaultFd *m = msg;
	struct userfaultfd *u = obj;
	void *ctx = NULL;
	int err = state_deref(r, m->ctx, &uffd_ctx_state_type, &ctx);

	u->ctx = err ? NULL : ctx;
	if (!err)
		err = state_check(r, m->file_base && u->ctx, "userfaultfd");
	return err ? err : file_load_base(r, &u->file, &userfaultfd_ops, m->file_base);
}

const struct state_type userfaultfd_state_type = {
	.id = STATE_ID_userfaultfd,
	.name = "userfaultfd",
	.desc = &sentry__user_fault_fd__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = userfaultfd_alloc,
	.save = userfaultfd_save,
	.load = userfaultfd_load,
	.after_load = file_state_after_load,
	.get = file_state_get,
	.put = file_state_put,
};

static int uffd_dev_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct uffd_dev *d = obj;
	Sentry__UffdDev *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	return file_save_base(w, &d->file, m->file_base);
}

static int uffd_dev_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__UffdDev *m = msg;
	struct uffd_dev *d = obj;
	int err = state_check(r, m->file_base != NULL, "userfaultfd device");

	return err ? err : file_load_base(r, &d->file, &uffd_dev_ops, m->file_base);
}

const struct state_type uffd_dev_state_type = {
	.id = STATE_ID_uffd_dev,
	.name = "uffd_dev",
	.desc = &sentry__uffd_dev__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = uffd_dev_alloc,
	.save = uffd_dev_save,
	.load = uffd_dev_load,
	.after_load = file_state_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
