/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host descriptors as files of a container. See hostfile.h.
 *
 * Transfers never block in the host: RWF_NOWAIT where the descriptor supports it, else poll(2) first and at most PIPE_BUF bytes at a time,
 * under io_mu so that two tasks of the sandbox cannot both believe one poll. Regular files transfer at the host's own file position,
 * which is what a shell's redirection shares between commands.
 *
 * Locks: io_mu (held over the host call) > waitq.mu. Checkpoint: see hostfile.h.
 */
#include "sentry/fs/host/hostfile.h"

#include "base/strbuf.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <termios.h>

#include "schemas/hostfile.pb-c.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/host/poller.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/kernel.h"
#include "state/state.h"

#define MAX_INDEX 1024
#define IO_PIECES 16

struct hostfile {
	struct file file; /* saved: 1 fbase */
	int fd; /* nosave: given by start or restore; -1: none was given, reads end and writes vanish */
	int index; /* saved: 2 */
	uint32_t mode; /* saved: 3 */
	bool can_nowait; /* nosave: RWF_NOWAIT has not been refused */
	struct mutex io_mu; /* nosave: a lock */
	struct waitq wq; /* nosave: waiters run again */
	struct host_watch watch; /* nosave: armed again */
};

static const struct file_ops hostfile_ops;
static int restore_fds[MAX_INDEX];
static bool restore_fd_given[MAX_INDEX];

void hostfile_set_restore_fd(int index, int fd)
{
	if (index < 0 || index >= MAX_INDEX)
		return;
	restore_fds[index] = fd;
	restore_fd_given[index] = true;
}

static void watch_fired(struct host_watch *w, uint32_t events)
{
	struct hostfile *h = container_of(w, struct hostfile, watch);

	waitq_wake(&h->wq, events | (events & (LINUX_POLLHUP | LINUX_POLLERR) ? POLL_READ | POLL_WRITE : 0));
}

static bool is_regular(const struct hostfile *h)
{
	return S_ISREG(h->mode) || S_ISBLK(h->mode);
}

static uint32_t host_poll(struct hostfile *h, short events)
{
	struct pollfd p = { .fd = h->fd, .events = events };

	if (h->fd < 0 || poll(&p, 1, 0) < 0)
		return (uint32_t)events;
	return (uint32_t)(uint16_t)p.revents;
}

/* Asks for a wakeup when @want comes, or what another task may wait for. Fires at once if it is there by now. */
static int arm(struct file *f, uint32_t want, uint32_t ready)
{
	struct hostfile *h = container_of(f, struct hostfile, file);
	uint32_t missing = (f->readable ? LINUX_POLLIN : 0u) | (f->writable ? LINUX_POLLOUT : 0u);

	return host_watch_arm(&h->watch, want | (missing & ~ready) | LINUX_POLLRDHUP);
}

static int64_t host_transfer(struct hostfile *h, bool write, struct iovec *iov, int n)
{
	ssize_t r;

	if (is_regular(h)) {
		r = write ? writev(h->fd, iov, n) : readv(h->fd, iov, n);
		return r < 0 ? -errno : r;
	}
	if (h->can_nowait) {
		r = write ? pwritev2(h->fd, iov, n, -1, RWF_NOWAIT) : preadv2(h->fd, iov, n, -1, RWF_NOWAIT);
		if (r >= 0 || errno != EOPNOTSUPP)
			return r < 0 ? -errno : r;
		h->can_nowait = false;
	}
	if (!(host_poll(h, write ? POLLOUT : POLLIN) & (write ? POLLOUT | POLLERR | POLLHUP : POLLIN | POLLERR | POLLHUP)))
		return -EAGAIN;
	if (write)
		iov[0].iov_len = MIN(iov[0].iov_len, (size_t)PIPE_BUF);
	r = write ? writev(h->fd, iov, 1) : readv(h->fd, iov, n);
	return r < 0 ? -errno : r;
}

static int64_t transfer(struct file *f, struct uio *u, bool write)
{
	struct hostfile *h = container_of(f, struct hostfile, file);
	struct iovec iov[IO_PIECES];
	int64_t done = 0;

	if (h->fd < 0) {
		if (write) {
			done = (int64_t)u->left;
			uio_advance(u, u->left);
		}
		return done;
	}
	mutex_guard(&h->io_mu);
	while (u->left) {
		int n = uio_pin(u, !write, iov, IO_PIECES);
		size_t want = 0;
		int64_t r;

		if (n <= 0)
			return done ? done : n;
		for (int i = 0; i < n; i++)
			want += iov[i].iov_len;
		r = host_transfer(h, write, iov, n);
		uio_unpin(u);
		if (r == -EAGAIN && !done && !file_nonblock(f)) {
			/* The caller is about to wait, for what nobody may have polled for. */
			int e = arm(f, write ? LINUX_POLLOUT : LINUX_POLLIN, host_poll(h, POLLIN | POLLOUT));

			return e < 0 ? e : r;
		}
		if (r <= 0)
			return done ? done : r;
		uio_advance(u, (size_t)r);
		done += r;
		if (!write && (size_t)r < want)
			break;
		if (!write && !is_regular(h))
			break;
	}
	return done;
}

static int64_t hostfile_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	return transfer(f, u, false);
}

static int64_t hostfile_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	return transfer(f, u, true);
}

static uint32_t hostfile_poll(struct file *f)
{
	struct hostfile *h = container_of(f, struct hostfile, file);
	uint32_t ready, missing;

	if (h->fd < 0 || is_regular(h))
		return POLL_READ | POLL_WRITE;
	ready = host_poll(h, POLLIN | POLLOUT | POLLPRI | POLLRDHUP);
	if (ready & LINUX_POLLIN)
		ready |= LINUX_POLLRDNORM;
	if (ready & LINUX_POLLOUT)
		ready |= LINUX_POLLWRNORM;
	/* Whoever asks may be about to wait for what is not ready. */
	missing = (f->readable ? LINUX_POLLIN : 0u) | (f->writable ? LINUX_POLLOUT : 0u);
	missing &= ~ready;
	if (missing && !(ready & (LINUX_POLLHUP | LINUX_POLLERR)) && arm(f, missing, ready) < 0)
		ready |= missing; /* cannot be watched: never make anybody wait */
	return ready;
}

static struct waitq *hostfile_pollq(struct file *f)
{
	return &container_of(f, struct hostfile, file)->wq;
}

/* Harmless requests about a terminal or the amount of data are the host's to answer. */
static int64_t hostfile_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct hostfile *h = container_of(f, struct hostfile, file);
	uint8_t buf[64] = { 0 };
	size_t in = 0, out = 0;

	switch (cmd) {
	case TCGETS:
		out = 36;
		break;
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		in = 36;
		break;
	case TIOCGWINSZ:
		out = sizeof(struct winsize);
		break;
	case FIONREAD:
		out = sizeof(int);
		break;
	default:
		return -ENOTTY;
	}
	if (h->fd < 0)
		return -ENOTTY;
	if (in && copy_in(t, buf, GADDR(arg), in) < 0)
		return -EFAULT;
	if (ioctl(h->fd, cmd, buf) < 0)
		return -errno;
	return out ? copy_out(t, GADDR(arg), buf, out) : 0;
}

static int64_t hostfile_llseek(struct file *f, struct task *t, int64_t off, int whence)
{
	struct hostfile *h = container_of(f, struct hostfile, file);
	off_t r;

	if (h->fd < 0 || !is_regular(h))
		return -ESPIPE;
	r = lseek(h->fd, off, whence);
	return r < 0 ? -errno : r;
}

static int hostfile_fsync(struct file *f, struct task *t, bool datasync)
{
	struct hostfile *h = container_of(f, struct hostfile, file);

	if (!is_regular(h))
		return -EINVAL;
	return h->fd >= 0 && (datasync ? fdatasync(h->fd) : fsync(h->fd)) < 0 ? -errno : 0;
}

static void hostfile_release(struct file *f)
{
	struct hostfile *h = container_of(f, struct hostfile, file);

	host_watch_done(&h->watch);
	if (h->fd >= 0)
		(void)close(h->fd);
	waitq_done(&h->wq);
	mutex_destroy(&h->io_mu);
	file_done(f);
	free(h);
}

static void hostfile_show_name(struct file *f, struct strbuf *b)
{
	struct hostfile *h = container_of(f, struct hostfile, file);
	unsigned long ino = f->inode ? f->inode->ino : 0;

	if (S_ISFIFO(h->mode))
		strbuf_addf(b, "pipe:[%lu]", ino);
	else if (S_ISSOCK(h->mode))
		strbuf_addf(b, "socket:[%lu]", ino);
	else
		strbuf_addf(b, "host:[%d]", h->index);
}

static const struct file_ops hostfile_ops = {
	.name = "host",
	.state = &hostfile_state_type,
	.release = hostfile_release,
	.read = hostfile_read,
	.write = hostfile_write,
	.poll = hostfile_poll,
	.pollq = hostfile_pollq,
	.ioctl = hostfile_ioctl,
	.llseek = hostfile_llseek,
	.fsync = hostfile_fsync,
	.show_name = hostfile_show_name,
};

static struct hostfile *hostfile_make(void)
{
	struct hostfile *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->fd = -EBADF;
	h->can_nowait = true;
	mutex_init(&h->io_mu, "hostfile.io_mu");
	waitq_init(&h->wq);
	return h;
}

int hostfile_new(struct container *c, int fd, int index, struct file **ret)
{
	int flags = fcntl(fd, F_GETFL);
	struct hostfile *h;
	struct inode *inode;
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	inode = anon_inode_new(NULL, st.st_mode, LINUX_PIPEFS_MAGIC);
	h = inode ? hostfile_make() : NULL;
	if (!h) {
		if (inode)
			inode_put(inode);
		return -ENOMEM;
	}
	h->fd = fd;
	h->index = index;
	h->mode = st.st_mode;
	inode->rdev = dev_make(major(st.st_rdev), minor(st.st_rdev));
	inode->uid = st.st_uid;
	inode->gid = st.st_gid;
	inode->size = (uint64_t)st.st_size;
	file_init(&h->file, &hostfile_ops, (uint32_t)flags & (O_ACCMODE | O_APPEND), NULL, NULL, inode);
	inode_put(inode);
	host_watch_init(&h->watch, fd, watch_fired);
	*ret = &h->file;
	return 0;
}

/* --- state --- */

static void *hostfile_alloc(void)
{
	struct hostfile *h = hostfile_make();

	if (h)
		ref_init(&h->file.ref);
	return h;
}

static int hostfile_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct hostfile *h = obj;
	Sentry__HostFile *m = msg;

	m->fbase = state_new_msg(w, &sentry__file_base__descriptor);
	m->index = h->index;
	m->mode = h->mode;
	return file_save_base(w, &h->file, m->fbase);
}

static int hostfile_load(struct state_reader *r, void *obj, const void *msg)
{
	struct hostfile *h = obj;
	const Sentry__HostFile *m = msg;
	int e = state_check(r, m->fbase && m->index >= 0 && m->index < MAX_INDEX, "bad descriptor index");
	struct stat st;

	if (e >= 0)
		e = file_load_base(r, &h->file, &hostfile_ops, m->fbase);
	if (e < 0)
		return e;
	h->index = m->index;
	h->mode = m->mode;
	/* The standard error of a container may be the same host file as its output: every object has its own descriptor. */
	if (restore_fd_given[h->index] && restore_fds[h->index] >= 0) {
		h->fd = dup(restore_fds[h->index]);
		if (h->fd < 0)
			return -errno; /* rather than a container whose output is lost */
	}
	if (h->fd >= 0 && fstat(h->fd, &st) == 0)
		h->mode = st.st_mode;
	host_watch_init(&h->watch, h->fd, watch_fired);
	return 0;
}

const struct state_type hostfile_state_type = {
	.id = STATE_ID_hostfile,
	.name = "hostfile",
	.desc = &sentry__host_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = hostfile_alloc,
	.save = hostfile_save,
	.load = hostfile_load,
	.load_late = true, /* the descriptors given to the restore */
	.get = file_state_get,
	.put = file_state_put,
};
