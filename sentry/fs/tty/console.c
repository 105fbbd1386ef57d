/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master side of a container's terminal: a relay between a pty of the sandbox and a host descriptor.
 *
 * What the application writes goes to the host at once, by the writing thread, as far as the host takes it; the rest, and everything typed, is
 * moved by the kernel's timer thread, which a readiness event of the host wakes. So nothing of it moves while the kernel is frozen, and no
 * thread of its own waits. Host calls never block: a host terminal is made non-blocking (its open file is ours alone), anything else is
 * polled and given PIPE_BUF bytes at most.
 *
 * The relay ends when the host side hangs up (the terminal hangs up) or the last slave is closed and all output was shown (the host
 * descriptor is closed, which tells its other end).
 * Locks: con.mu (over host calls) > tty.mu. Checkpoint: nothing but the tty's being a console; a restore gives the descriptor.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd_util.h"
#include "base/log.h"
#include "sentry/abi/fs.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/host/poller.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/tty/tty_internal.h"
#include "sentry/kernel/nsproxy.h"

#define CHUNK 2048

struct console {
	struct mutex mu;
	struct tty *tty; /* owns this; referenced by us until the end of the relay */
	int fd; /* -EBADF: ended */
	bool is_tty;
	bool in_eof; /* the host has no more input */
	bool in_pump; /* the relay is ending on the timer thread: */
	pthread_t pump_thread; /* which must not wait for itself */
	struct host_watch watch;
	struct ktimer pump;
};

static int restore_fd = -EBADF;

void console_set_restore_fd(int host_fd)
{
	restore_fd = host_fd;
}

/* From the poller's thread: it must not arm the watch, and the kernel may be frozen. */
static void watch_fired(struct host_watch *w, uint32_t events)
{
	struct console *con = container_of(w, struct console, watch);

	ktimer_arm(&con->pump, 0);
}

static bool host_ready(struct console *con, short events)
{
	struct pollfd p = { .fd = con->fd, .events = events };

	return poll(&p, 1, 0) > 0;
}

/* --- output --- */

/* Shows what there is. True: the host takes no more now. con->mu held. */
static bool show_locked(struct console *con)
{
	struct tty *tty = con->tty;
	uint8_t buf[CHUNK];
	bool moved = false, full = false;

	while (con->fd >= 0) {
		ssize_t r;
		size_t n;

		mutex_lock(&tty->mu);
		n = ldisc_out_peek(&tty->ld, buf, con->is_tty ? sizeof(buf) : MIN(sizeof(buf), (size_t)PIPE_BUF));
		mutex_unlock(&tty->mu);
		if (!n)
			break;
		full = !host_ready(con, POLLOUT);
		if (full)
			break;
		r = write(con->fd, buf, n);
		if (r < 0 && (errno == EAGAIN || errno == EINTR)) {
			full = true;
			break;
		}
		if (r < 0)
			r = (ssize_t)n; /* nobody looks: output vanishes, as on a closed window */
		mutex_lock(&tty->mu);
		ldisc_out_drop(&tty->ld, (size_t)r);
		mutex_unlock(&tty->mu);
		moved = true;
	}
	if (moved)
		waitq_wake(&tty->slave_wq, POLL_WRITE);
	return full;
}

/* --- input --- */

static bool room(struct tty *tty)
{
	mutex_guard(&tty->mu);
	return ldisc_input_room(&tty->ld);
}

static size_t room_for(struct tty *tty)
{
	size_t used;

	mutex_guard(&tty->mu);
	/* A line too long loses bytes as on Linux, so there "room" is not a number. */
	if (!ldisc_input_room(&tty->ld))
		return 0;
	used = tty->ld.read_head - tty->ld.read_tail;
	return used + 3 < LDISC_IN ? LDISC_IN - 2 - used : 1;
}

/* Takes what was typed. True: the host hung up. con->mu held; dropped over the delivery, which may show echoes. */
static bool take_locked(struct console *con)
{
	struct tty *tty = con->tty;
	uint8_t buf[CHUNK];

	while (con->fd >= 0 && !con->in_eof) {
		size_t max = MIN(room_for(tty), sizeof(buf));
		ssize_t r;

		if (!max || !host_ready(con, POLLIN))
			return false;
		/* Bytes that would be doubled (PARMRK) need twice their room. */
		r = read(con->fd, buf, max > 1 ? max / 2 : 1);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		if (r <= 0) {
			con->in_eof = true;
			return con->is_tty;
		}
		mutex_unlock(&con->mu);
		(void)tty_receive(tty, buf, (size_t)r);
		mutex_lock(&con->mu);
	}
	return false;
}

/* --- the relay --- */

static void arm_locked(struct console *con, bool want_out)
{
	uint32_t want = (want_out ? LINUX_POLLOUT : 0u) | (!con->in_eof && room(con->tty) ? LINUX_POLLIN : 0u);

	if (con->fd < 0 || !want)
		return;
	if (host_watch_arm(&con->watch, want) < 0)
		ktimer_arm(&con->pump, ktime_mono() + NSEC_PER_SEC / 20); /* a regular file or /dev/null: always ready */
}

/* Ends the relay; the object itself goes with the tty. con->mu held. */
static void end_locked(struct console *con)
{
	int fd = con->fd;

	con->fd = -EBADF;
	if (fd >= 0) {
		host_watch_done(&con->watch);
		(void)close(fd);
	}
}

static bool finished(struct console *con)
{
	mutex_guard(&con->tty->mu);
	return con->tty->other_closed && !ldisc_out_len(&con->tty->ld);
}

static void pump_fired(struct ktimer *kt)
{
	struct console *con = container_of(kt, struct console, pump);
	struct tty *tty = con->tty;
	bool hup, full, ended = false;

	mutex_lock(&con->mu);
	if (con->fd < 0) {
		mutex_unlock(&con->mu);
		return;
	}
	hup = take_locked(con);
	full = show_locked(con);
	if (hup || finished(con)) {
		end_locked(con);
		ended = true;
	} else {
		arm_locked(con, full);
	}
	mutex_unlock(&con->mu);
	if (!ended)
		return;
	mutex_lock(&tty->mu);
	tty->master_gone = true;
	mutex_unlock(&tty->mu);
	devpts_remove(tty);
	tty_hangup(tty);
	con->pump_thread = pthread_self();
	con->in_pump = true;
	tty_put(tty); /* may be the end of @con */
}

/* The tty is being freed: nobody else can arm the timer any more. */
void console_free(struct console *con)
{
	if (!con)
		return;
	ktimer_cancel(&con->pump, !(con->in_pump && pthread_equal(con->pump_thread, pthread_self())));
	mutex_destroy(&con->mu);
	free(con);
}

void console_output(struct tty *tty)
{
	struct console *con = tty->console;

	if (!con)
		return;
	mutex_lock(&con->mu);
	if (con->fd >= 0 && show_locked(con))
		arm_locked(con, true);
	mutex_unlock(&con->mu);
}

void console_input_room(struct tty *tty)
{
	struct console *con = tty->console;

	if (con)
		ktimer_arm(&con->pump, 0);
}

void console_slaves_gone(struct tty *tty)
{
	console_input_room(tty);
}

int console_attach(struct tty *tty, int host_fd)
{
	struct console *con = calloc(1, sizeof(*con));
	struct termios tio;

	if (!con)
		return -ENOMEM;
	mutex_init(&con->mu, "console.mu");
	con->tty = tty_get(tty);
	con->fd = host_fd;
	con->is_tty = tcgetattr(host_fd, &tio) == 0;
	if (con->is_tty) {
		int fl = fcntl(host_fd, F_GETFL);

		if (fl >= 0)
			(void)fcntl(host_fd, F_SETFL, fl | O_NONBLOCK);
	}
	host_watch_init(&con->watch, host_fd, watch_fired);
	ktimer_init(&con->pump, KCLOCK_MONOTONIC, pump_fired);
	tty->is_console = true;
	tty->console = con;
	ktimer_arm(&con->pump, 0);
	return 0;
}

int console_restored(struct tty *tty)
{
	int fd = restore_fd >= 0 ? fcntl(restore_fd, F_DUPFD_CLOEXEC, 3) : -1, err;
	struct winsize ws;

	if (fd < 0 && restore_fd >= 0)
		return -errno;
	if (fd < 0) {
		log_info("console of pty %u: no descriptor given, its output is lost", tty->index);
		fd = -EBADF;
	}
	if (fd >= 0 && ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_row && ws.ws_col)
		tty->ws = (struct linux_winsize){ ws.ws_row, ws.ws_col, ws.ws_xpixel, ws.ws_ypixel };
	err = console_attach(tty, fd);
	if (err < 0 && fd >= 0)
		(void)close(fd);
	return err;
}

/* --- a new container's --- */

/* The devpts that a container shows at /dev/pts, and where; else one that nobody sees. */
static int find_devpts(struct container *c, struct devpts_sb **ret, struct path *ret_path)
{
	struct path root _cleanup_path_ = { 0 };

	fs_ctx_root(c->fs, &root);
	if (namei_at(NULL, &root, &root, "/dev/pts", LOOKUP_FOLLOW | LOOKUP_DIRECTORY, ret_path) == 0) {
		*ret = devpts_of(ret_path->dentry->sb);
		if (*ret) {
			(void)sb_get(devpts_super(*ret));
			return 0;
		}
		path_put(ret_path);
	}
	return devpts_internal(ret);
}

/* As runc does: the slave is also mounted on /dev/console. Failing that is no reason not to start. */
static void show_as_console(struct container *c, const struct path *slave)
{
	struct path root _cleanup_path_ = { 0 }, dev _cleanup_path_ = { 0 }, con _cleanup_path_ = { 0 };
	int err;

	fs_ctx_root(c->fs, &root);
	if (namei_at(NULL, &root, &root, "/dev", LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &dev) < 0)
		return;
	err = namei_at(NULL, &root, &dev, "console", LOOKUP_FOLLOW, &con);
	if (err == -ENOENT)
		err = vfs_mknod(NULL, &dev, "console", LINUX_S_IFREG | 0600, 0, &con);
	if (err == 0)
		err = mount_bind(c->ns->mnt, slave, &con, false, 0);
	if (err < 0)
		log_info("console: /dev/console: %s", strerror(-err));
}

int console_new(struct container *c, int host_fd, uint16_t rows, uint16_t cols, struct file **ret)
{
	struct path dir _cleanup_path_ = { 0 }, slave _cleanup_path_ = { 0 };
	struct devpts_sb *ds;
	struct dentry *d;
	struct tty *tty;
	int err = find_devpts(c, &ds, &dir);

	if (err)
		return err;
	err = devpts_new_pty(ds, NULL, &tty);
	if (err) {
		sb_put(devpts_super(ds));
		return err;
	}
	tty->locked = false;
	tty->ws = (struct linux_winsize){ .ws_row = rows, .ws_col = cols };
	d = devpts_dentry(tty);
	if (d && dir.mnt)
		slave = (struct path){ .mnt = mount_get(dir.mnt), .dentry = dentry_get(d) };
	err = tty_file_new(tty, false, NULL, slave.dentry ? &slave : NULL, d ? (struct inode *)d->inode : NULL, LINUX_O_RDWR, ret);
	if (!err) {
		err = console_attach(tty, host_fd);
		if (err)
			file_put(TAKE_PTR(*ret));
	}
	if (err)
		devpts_remove(tty);
	else if (!c->init && slave.dentry)
		show_as_console(c, &slave);
	dentry_put(d);
	tty_put(tty);
	sb_put(devpts_super(ds));
	return err;
}
