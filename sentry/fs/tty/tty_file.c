/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files of terminals: reading, writing, polling both sides of a pty.
 *
 * Transfers go through a buffer of the Sentry, so that tty.mu is never held over a copy to the application. A slave file that is older than the last
 * hang-up is dead: reads end, writes fail with EIO.
 * VMIN and VTIME: operations do not wait, so the time of a read that found nothing is kept by the terminal's timer, one for all its readers.
 * Locks: tty.mu. Checkpoint: the terminal, the side, the generation. Linux: n_tty_read(), pty.c.
 */
#include <stdlib.h>

#include "schemas/file.pb-c.h"
#include "schemas/tty.pb-c.h"
#include "sentry/abi/fs.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/tty/tty_internal.h"
#include "sentry/kernel/signal.h"
#include "state/state.h"

#define CHUNK 2048

static bool dead_locked(const struct tty_file *tf)
{
	return !tf->master && (tf->gen != tf->tty->gen || tf->tty->master_gone);
}

/* --- slave --- */

static void arm_vtime_locked(struct tty *tty)
{
	if (tty->vtime_armed)
		return;
	tty->vtime_armed = true;
	ktimer_arm(&tty->vtimer, ktime_mono() + tty->ld.tio.c_cc[CC_TIME] * (NSEC_PER_SEC / 10));
}

/* Bytes a raw read may take now, 0 for "the time is over, nothing came", or -EAGAIN. */
static int64_t raw_ready_locked(struct tty *tty, size_t want, bool nonblock)
{
	size_t have = ldisc_avail(&tty->ld), min = tty->ld.tio.c_cc[CC_MIN];
	bool timed = tty->ld.tio.c_cc[CC_TIME], over;

	if (nonblock)
		return have ? (int64_t)have : min || timed ? -EAGAIN : 0;
	over = tty->vtime_expired;
	if (min) {
		if (have >= MIN(min, want) || (have && timed && over))
			return (int64_t)have;
		if (timed && have) /* the clock runs from the first byte */
			arm_vtime_locked(tty);
		return -EAGAIN;
	}
	if (have || !timed || over)
		return (int64_t)have;
	arm_vtime_locked(tty);
	return -EAGAIN;
}

static int64_t slave_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct tty_file *tf = tty_f(f);
	struct tty *tty = tf->tty;
	bool nonblock = file_nonblock(f) || rwf & LINUX_RWF_NOWAIT || !t;
	uint8_t buf[LDISC_IN];
	int64_t r;

	mutex_lock(&tty->mu);
	if (dead_locked(tf)) {
		mutex_unlock(&tty->mu);
		return 0;
	}
	mutex_unlock(&tty->mu);
	r = tty_check_change(tty, t, SIGTTIN);
	if (r || !u->left)
		return r;
	mutex_lock(&tty->mu);
	if (ldisc_icanon(&tty->ld))
		r = ldisc_line_ready(&tty->ld) ? 1 : -EAGAIN;
	else
		r = raw_ready_locked(tty, u->left, nonblock);
	if (r == 0 || r > 0) {
		if (tty->vtime_armed)
			ktimer_cancel(&tty->vtimer, false);
		tty->vtime_armed = tty->vtime_expired = false;
	}
	if (r > 0)
		r = (int64_t)ldisc_read(&tty->ld, buf, MIN(u->left, sizeof(buf)));
	mutex_unlock(&tty->mu);
	if (r <= 0)
		return r;
	if (tty->is_console)
		console_input_room(tty);
	else
		waitq_wake(&tty->master_wq, POLL_WRITE);
	return uio_put(u, buf, (size_t)r);
}

static int64_t slave_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct tty_file *tf = tty_f(f);
	struct tty *tty = tf->tty;
	uint8_t buf[CHUNK];
	int64_t done = 0, r;
	size_t put = 0, n;

	mutex_lock(&tty->mu);
	r = dead_locked(tf) ? -EIO : tty->ld.tio.c_lflag & TL_TOSTOP ? 1 : 0;
	mutex_unlock(&tty->mu);
	if (r > 0)
		r = tty_check_change(tty, t, SIGTTOU);
	if (r)
		return r;
	while (u->left) {
		struct uio mark = uio_mark(u);

		r = uio_get(u, buf, MIN(u->left, sizeof(buf)));
		if (r <= 0)
			break;
		n = (size_t)r;
		mutex_lock(&tty->mu);
		put = ldisc_write(&tty->ld, buf, n);
		mutex_unlock(&tty->mu);
		done += (int64_t)put;
		if (put)
			tty_output_ready(tty);
		if (put < n) {
			*u = mark;
			uio_advance(u, put);
			/* A console takes output at once, so that there may be room again. */
			if (!tty->is_console || !put)
				break;
		}
	}
	if (done)
		return done;
	return r < 0 ? r : u->left ? -EAGAIN : 0;
}

static uint32_t slave_poll(struct file *f)
{
	struct tty_file *tf = tty_f(f);
	struct tty *tty = tf->tty;
	uint32_t r = 0;

	mutex_guard(&tty->mu);
	if (dead_locked(tf))
		return POLL_READ | POLL_WRITE | LINUX_POLLERR | LINUX_POLLHUP;
	if (ldisc_icanon(&tty->ld)) {
		if (ldisc_line_ready(&tty->ld))
			r |= POLL_READ;
	} else {
		const uint8_t *cc = tty->ld.tio.c_cc;
		size_t min = !cc[CC_TIME] && cc[CC_MIN] ? cc[CC_MIN] : 1;

		/* A reader whose time is over is woken as if there were bytes. */
		if (ldisc_avail(&tty->ld) >= min || tty->vtime_expired)
			r |= POLL_READ;
	}
	if (ldisc_write_room(&tty->ld))
		r |= POLL_WRITE;
	return r;
}

static struct waitq *slave_pollq(struct file *f)
{
	return &tty_f(f)->tty->slave_wq;
}

static void slave_release(struct file *f)
{
	struct tty_file *tf = tty_f(f);
	struct tty *tty = tf->tty;
	bool last = false;

	if (tty) {
		mutex_lock(&tty->mu);
		if (tf->gen == tty->gen && tty->slaves) {
			last = --tty->slaves == 0;
			tty->other_closed = last;
			if (last)
				tty->excl = false;
		}
		mutex_unlock(&tty->mu);
		if (last) {
			waitq_wake(&tty->master_wq, POLL_READ | LINUX_POLLHUP);
			if (tty->is_console)
				console_slaves_gone(tty);
		}
		tty_put(tty);
	}
	file_done(f);
	free(tf);
}

/* --- master --- */

static int64_t master_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct tty *tty = tty_f(f)->tty;
	uint8_t buf[CHUNK], *p = buf;
	size_t n, max;
	bool pkt;

	if (!u->left)
		return 0;
	mutex_lock(&tty->mu);
	pkt = tty->pkt;
	if (pkt && tty->pktstatus) {
		buf[0] = tty->pktstatus;
		tty->pktstatus = 0;
		mutex_unlock(&tty->mu);
		return uio_put(u, buf, 1);
	}
	max = MIN(u->left, sizeof(buf));
	if (pkt) {
		*p++ = 0;
		max--;
	}
	n = ldisc_out_peek(&tty->ld, p, max);
	ldisc_out_drop(&tty->ld, n);
	if (!n && (!pkt || !ldisc_out_len(&tty->ld))) {
		bool closed = tty->other_closed;

		mutex_unlock(&tty->mu);
		return closed ? -EIO : -EAGAIN;
	}
	mutex_unlock(&tty->mu);
	waitq_wake(&tty->slave_wq, POLL_WRITE);
	return uio_put(u, buf, n + (pkt ? 1 : 0));
}

static int64_t master_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct tty *tty = tty_f(f)->tty;
	uint8_t buf[CHUNK];
	int64_t done = 0, r = 0;

	while (u->left) {
		struct uio mark = uio_mark(u);
		size_t put;

		r = uio_get(u, buf, MIN(u->left, sizeof(buf)));
		if (r <= 0)
			break;
		put = tty_receive(tty, buf, (size_t)r);
		done += (int64_t)put;
		if (put < (size_t)r) {
			*u = mark;
			uio_advance(u, put);
			break;
		}
	}
	if (done)
		return done;
	return r < 0 ? r : u->left ? -EAGAIN : 0;
}

static uint32_t master_poll(struct file *f)
{
	struct tty *tty = tty_f(f)->tty;
	uint32_t r = 0;

	mutex_guard(&tty->mu);
	if (ldisc_out_len(&tty->ld))
		r |= POLL_READ;
	if (tty->pkt && tty->pktstatus)
		r |= POLL_READ | LINUX_POLLPRI;
	if (tty->other_closed)
		r |= LINUX_POLLHUP;
	if (ldisc_input_room(&tty->ld))
		r |= POLL_WRITE;
	return r;
}

static struct waitq *master_pollq(struct file *f)
{
	return &tty_f(f)->tty->master_wq;
}

static void master_release(struct file *f)
{
	struct tty_file *tf = tty_f(f);
	struct tty *tty = tf->tty;

	if (tty) {
		mutex_lock(&tty->mu);
		tty->master_gone = true;
		mutex_unlock(&tty->mu);
		devpts_remove(tty);
		tty_hangup(tty);
		tty_put(tty);
	}
	file_done(f);
	free(tf);
}

const struct file_ops tty_slave_ops = {
	.name = "tty",
	.state = &tty_file_state_type,
	.release = slave_release,
	.read = slave_read,
	.write = slave_write,
	.poll = slave_poll,
	.pollq = slave_pollq,
	.ioctl = tty_ioctl,
};

const struct file_ops tty_master_ops = {
	.name = "ptmx",
	.state = &tty_file_state_type,
	.release = master_release,
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.pollq = master_pollq,
	.ioctl = tty_ioctl,
};

int tty_file_new(struct tty *tty, bool master, struct task *t, const struct path *p, struct inode *i, uint32_t flags, struct file **ret)
{
	struct tty_file *tf = calloc(1, sizeof(*tf));

	if (!tf)
		return -ENOMEM;
	file_init(&tf->file, master ? &tty_master_ops : &tty_slave_ops, flags, t, p, i);
	tf->tty = tty_get(tty);
	tf->master = master;
	mutex_lock(&tty->mu);
	tf->gen = tty->gen;
	if (!master) {
		tty->slaves++;
		tty->other_closed = false;
	}
	mutex_unlock(&tty->mu);
	*ret = &tf->file;
	return 0;
}

/* --- state --- */

static void *tty_file_alloc(void)
{
	struct tty_file *tf = calloc(1, sizeof(*tf));

	if (tf)
		ref_init(&tf->file.ref);
	return tf;
}

static int tty_file_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct tty_file *tf = obj;
	Sentry__TtyFile *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->tty = state_ref(w, &tty_state_type, tf->tty);
	m->master = tf->master;
	m->gen = tf->gen;
	return file_save_base(w, &tf->file, m->file_base);
}

static int tty_file_load(struct state_reader *r, void *obj, const void *msg)
{
	struct tty_file *tf = obj;
	const Sentry__TtyFile *m = msg;
	void *tty = NULL;
	int err = file_load_base(r, &tf->file, m->master ? &tty_master_ops : &tty_slave_ops, m->file_base);

	if (!err)
		err = state_deref(r, m->tty, &tty_state_type, &tty);
	if (!err)
		err = state_check(r, tty != NULL, "terminal file without terminal");
	if (err)
		return err;
	tf->tty = tty;
	tf->master = m->master;
	tf->gen = m->gen;
	return 0;
}

static int tty_file_after_load(struct state_reader *r, void *obj)
{
	struct tty_file *tf = obj;

	file_after_load_base(&tf->file);
	if (!tf->master && tf->gen == tf->tty->gen)
		tf->tty->slaves++;
	return 0;
}

const struct state_type tty_file_state_type = {
	.id = STATE_ID_tty_file,
	.name = "tty_file",
	.desc = &sentry__tty_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = tty_file_alloc,
	.save = tty_file_save,
	.load = tty_file_load,
	.after_load = tty_file_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
