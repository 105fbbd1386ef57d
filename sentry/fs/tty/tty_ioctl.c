/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to terminals, from either side of a pty. Settings always are the slave's.
 * Locks: tty.mu; tasks_mu for job control. Checkpoint: stateless. Linux: tty_ioctl.c, tty_jobctrl.c, pty.c.
 */
#include <string.h>

#include "sentry/abi/fs.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/tty/tty_internal.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pid.h"

#define NOT_MINE (-515) /* no result of any request */

static int put_int(struct task *t, uint64_t arg, int v)
{
	return copy_out(t, GADDR(arg), &v, sizeof(v));
}

static int get_int(struct task *t, uint64_t arg, int *v)
{
	return copy_in(t, v, GADDR(arg), sizeof(*v));
}

/* --- settings --- */

/* Takes back what TIOCSLCKTRMIOS forbids to change. */
static void keep_locked(struct linux_termios *tio, const struct linux_termios *old, const struct linux_termios *lock)
{
	tio->c_iflag = (tio->c_iflag & ~lock->c_iflag) | (old->c_iflag & lock->c_iflag);
	tio->c_oflag = (tio->c_oflag & ~lock->c_oflag) | (old->c_oflag & lock->c_oflag);
	tio->c_cflag = (tio->c_cflag & ~lock->c_cflag) | (old->c_cflag & lock->c_cflag);
	tio->c_lflag = (tio->c_lflag & ~lock->c_lflag) | (old->c_lflag & lock->c_lflag);
	if (lock->c_line)
		tio->c_line = old->c_line;
	for (size_t i = 0; i < ARRAY_SIZE(tio->c_cc); i++)
		if (lock->c_cc[i])
			tio->c_cc[i] = old->c_cc[i];
}

static void apply(struct tty *tty, struct linux_termios *tio, bool flush)
{
	uint32_t events = 0;
	bool was_ext;

	mutex_lock(&tty->mu);
	keep_locked(tio, &tty->ld.tio, &tty->lock);
	was_ext = tty->ld.tio.c_lflag & TL_EXTPROC;
	if (flush) {
		ldisc_flush_input(&tty->ld);
		if (tty->pkt)
			tty->pktstatus |= PKT_FLUSHREAD;
	}
	if (tty->pkt) {
		const uint8_t *cc = tio->c_cc, *occ = tty->ld.tio.c_cc;
		bool old = tty->ld.tio.c_iflag & TI_IXON && occ[CC_STOP] == 19 && occ[CC_START] == 17;
		bool new = tio->c_iflag & TI_IXON && cc[CC_STOP] == 19 && cc[CC_START] == 17;

		if (old != new)
			tty->pktstatus = (uint8_t)((tty->pktstatus & ~(PKT_DOSTOP | PKT_NOSTOP)) | (new ? PKT_DOSTOP : PKT_NOSTOP));
		if (was_ext || tio->c_lflag & TL_EXTPROC)
			tty->pktstatus |= PKT_IOCTL;
	}
	ldisc_set_termios(&tty->ld, tio, &events);
	mutex_unlock(&tty->mu);
	tty_events(tty, events);
	waitq_wake(&tty->slave_wq, POLL_READ | POLL_WRITE);
	waitq_wake(&tty->master_wq, POLL_READ | POLL_WRITE | LINUX_POLLPRI);
}

static struct linux_termios current_termios(struct tty *tty)
{
	mutex_guard(&tty->mu);
	return tty->ld.tio;
}

static int64_t get_termios(struct tty *tty, struct task *t, uint64_t arg, size_t size)
{
	struct linux_termios tio = current_termios(tty);

	return copy_out(t, GADDR(arg), &tio, size);
}

static int64_t set_termios(struct tty *tty, struct task *t, uint64_t arg, size_t size, bool flush)
{
	struct linux_termios tio = current_termios(tty);
	int r = tty_check_change(tty, t, SIGTTOU);

	if (!r)
		r = copy_in(t, &tio, GADDR(arg), size);
	if (!r)
		apply(tty, &tio, flush);
	return r;
}

static int64_t get_termio(struct tty *tty, struct task *t, uint64_t arg)
{
	struct linux_termios tio = current_termios(tty);
	struct linux_termio o = { .c_iflag = (uint16_t)tio.c_iflag, .c_oflag = (uint16_t)tio.c_oflag, .c_cflag = (uint16_t)tio.c_cflag,
				  .c_lflag = (uint16_t)tio.c_lflag, .c_line = tio.c_line };

	memcpy(o.c_cc, tio.c_cc, sizeof(o.c_cc));
	return copy_out(t, GADDR(arg), &o, sizeof(o));
}

static int64_t set_termio(struct tty *tty, struct task *t, uint64_t arg, bool flush)
{
	struct linux_termios tio = current_termios(tty);
	struct linux_termio o;
	int r = tty_check_change(tty, t, SIGTTOU);

	if (!r)
		r = copy_in(t, &o, GADDR(arg), sizeof(o));
	if (r)
		return r;
	tio.c_iflag = (tio.c_iflag & 0xffff0000u) | o.c_iflag;
	tio.c_oflag = (tio.c_oflag & 0xffff0000u) | o.c_oflag;
	tio.c_cflag = (tio.c_cflag & 0xffff0000u) | o.c_cflag;
	tio.c_lflag = (tio.c_lflag & 0xffff0000u) | o.c_lflag;
	memcpy(tio.c_cc, o.c_cc, sizeof(o.c_cc));
	apply(tty, &tio, flush);
	return 0;
}

static int64_t get_lock(struct tty *tty, struct task *t, uint64_t arg)
{
	struct linux_termios lock;

	mutex_lock(&tty->mu);
	lock = tty->lock;
	mutex_unlock(&tty->mu);
	return copy_out(t, GADDR(arg), &lock, LINUX_TERMIOS_SIZE);
}

static int64_t set_lock(struct tty *tty, struct task *t, uint64_t arg)
{
	struct linux_termios lock = { 0 };

	if (!task_capable(t, LINUX_CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_in(t, &lock, GADDR(arg), LINUX_TERMIOS_SIZE) < 0)
		return -EFAULT;
	mutex_lock(&tty->mu);
	tty->lock = lock;
	mutex_unlock(&tty->mu);
	return 0;
}

/* A carrier that is always there: CLOCAL under another name. */
static int64_t set_softcar(struct tty *tty, struct task *t, uint64_t arg)
{
	struct linux_termios tio = current_termios(tty);
	int v, r = get_int(t, arg, &v);

	if (r)
		return r;
	tio.c_cflag = v ? tio.c_cflag | TC_CLOCAL : tio.c_cflag & ~TC_CLOCAL;
	apply(tty, &tio, false);
	return 0;
}

/* --- flow and flush --- */

static void flush_queues(struct tty_file *tf, uint64_t what)
{
	struct tty *tty = tf->tty;
	/* The master's input is the slave's output. */
	bool in = what == 2 || what == (tf->master ? 1u : 0u), out = what == 2 || what == (tf->master ? 0u : 1u);

	mutex_lock(&tty->mu);
	if (in) {
		ldisc_flush_input(&tty->ld);
		if (tty->pkt)
			tty->pktstatus |= PKT_FLUSHREAD;
	}
	if (out) {
		ldisc_flush_output(&tty->ld);
		if (tty->pkt)
			tty->pktstatus |= PKT_FLUSHWRITE;
	}
	mutex_unlock(&tty->mu);
	waitq_wake(&tty->slave_wq, POLL_WRITE);
	waitq_wake(&tty->master_wq, POLL_READ | POLL_WRITE | LINUX_POLLPRI);
	if (in && tty->is_console)
		console_input_room(tty);
}

static int64_t do_tcflsh(struct tty_file *tf, struct task *t, uint64_t what)
{
	int r = tf->master ? 0 : tty_check_change(tf->tty, t, SIGTTOU);

	if (r)
		return r;
	if (what > 2)
		return -EINVAL;
	flush_queues(tf, what);
	return 0;
}

static int64_t do_tcxonc(struct tty *tty, struct task *t, uint64_t what)
{
	uint32_t events = 0;
	int r = tty_check_change(tty, t, SIGTTOU);
	uint8_t c;

	if (r)
		return r;
	switch (what) {
	case 0:
	case 1:
		mutex_lock(&tty->mu);
		tty->ld.app_stopped = what == 0;
		if (what == 0)
			ldisc_stop(&tty->ld, &events);
		else
			ldisc_start(&tty->ld, &events);
		mutex_unlock(&tty->mu);
		tty_events(tty, events);
		tty_output_ready(tty);
		return 0;
	case 2:
	case 3:
		mutex_lock(&tty->mu);
		c = tty->ld.tio.c_cc[what == 2 ? CC_STOP : CC_START];
		if (c && ldisc_out_len(&tty->ld) < LDISC_OUT) {
			tty->ld.out[tty->ld.out_head & (LDISC_OUT - 1)] = c;
			tty->ld.out_head++;
		}
		mutex_unlock(&tty->mu);
		tty_output_ready(tty);
		return 0;
	default:
		return -EINVAL;
	}
}

/* --- job control --- */

static int64_t get_pgrp(struct tty_file *tf, struct task *t, uint64_t arg)
{
	int nr;

	if (!tf->master && !tty_is_ctty_of(tf->tty, t))
		return -ENOTTY;
	mutex_lock(&t->k->tasks_mu);
	nr = tf->tty->fg ? pid_nr(((struct pgrp *)tf->tty->fg)->id, t) : 0;
	mutex_unlock(&t->k->tasks_mu);
	return put_int(t, arg, nr);
}

static int64_t set_pgrp(struct tty *tty, struct task *t, uint64_t arg)
{
	struct session *s;
	struct pgrp *old = NULL, *pg;
	struct pid *p;
	int nr, r = tty_check_change(tty, t, SIGTTOU);

	if (r)
		return r == -EIO ? -ENOTTY : r;
	if (get_int(t, arg, &nr) < 0)
		return -EFAULT;
	mutex_lock(&t->k->tasks_mu);
	s = t->tg->session;
	if (!s || s->ctty != tty || tty->session != s) {
		r = -ENOTTY;
	} else if (nr < 0) {
		r = -EINVAL;
	} else {
		p = pid_find_locked(task_pid_ns(t), nr);
		pg = p ? p->pgrp : NULL;
		if (!p)
			r = -ESRCH;
		else if (!pg || pg->session != s)
			r = -EPERM;
		else {
			old = tty->fg;
			tty->fg = pgrp_get(pg);
			pgrp_put(old);
		}
	}
	mutex_unlock(&t->k->tasks_mu);
	return r;
}

static int64_t get_sid(struct tty_file *tf, struct task *t, uint64_t arg)
{
	int nr = -1;

	mutex_lock(&t->k->tasks_mu);
	if (tf->tty->session && (tf->master || t->tg->session == tf->tty->session))
		nr = pid_nr(tf->tty->session->id, t);
	mutex_unlock(&t->k->tasks_mu);
	return nr < 0 ? -ENOTTY : put_int(t, arg, nr);
}

static int64_t set_ctty(struct file *f, struct task *t, uint64_t arg)
{
	if (!f->readable && !task_capable(t, LINUX_CAP_SYS_ADMIN))
		return -EPERM;
	if (arg == 1 && task_capable(t, LINUX_CAP_SYS_ADMIN))
		return tty_set_ctty_steal(t->tg, f);
	return tty_set_ctty(t->tg, f);
}

static int64_t give_up_ctty(struct tty *tty, struct task *t)
{
	bool leads;

	if (!tty_is_ctty_of(tty, t))
		return -ENOTTY;
	mutex_lock(&t->k->tasks_mu);
	leads = t->tg->session->leader == t->tg;
	if (leads) {
		struct pgrp *pg = tty->fg;
		struct thread_group *m;

		if (pg)
			list_for_each(m, &pg->members, pgrp_node) {
				(void)signal_send_group(m, SIGHUP, NULL);
				(void)signal_send_group(m, SIGCONT, NULL);
			}
		tty_detach_locked(tty);
	}
	mutex_unlock(&t->k->tasks_mu);
	return 0;
}

/* --- the master's own --- */

/* The place of the slave in a mount of its file system that the caller sees. */
static int slave_path(struct tty_file *tf, struct task *t, struct path *ret)
{
	struct dentry *d = devpts_dentry(tf->tty);
	struct mount *m = NULL;

	if (!d)
		return -EIO;
	if (tf->file.path.mnt && tf->file.path.mnt->sb == d->sb)
		m = mount_get(tf->file.path.mnt);
	else if (t->ns && t->ns->mnt)
		while ((m = mnt_ns_next(t->ns->mnt, m)) && m->sb != d->sb)
			;
	if (!m) {
		dentry_put(d);
		return -ENODEV;
	}
	*ret = (struct path){ .mnt = m, .dentry = d };
	return 0;
}

static int64_t open_peer(struct tty_file *tf, struct task *t, uint64_t flags)
{
	struct path p _cleanup_path_ = { 0 };
	struct file *f = NULL;
	int r = slave_path(tf, t, &p);

	if (!r)
		r = tty_slave_open(tf->tty, p.dentry->inode, t, &p, (uint32_t)flags & ~LINUX_O_CLOEXEC, &f);
	if (r)
		return r;
	r = fd_install(t, f, 0, flags & LINUX_O_CLOEXEC);
	if (r < 0)
		file_put(f);
	return r;
}

static int64_t master_ioctl(struct tty_file *tf, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct tty *tty = tf->tty;
	int v, r;

	switch (cmd) {
	case LINUX_TIOCGPTN:
		return put_int(t, arg, (int)tty->index);
	case LINUX_TIOCSPTLCK:
		r = get_int(t, arg, &v);
		if (!r) {
			mutex_lock(&tty->mu);
			tty->locked = v != 0;
			mutex_unlock(&tty->mu);
		}
		return r;
	case LINUX_TIOCGPTLCK:
		return put_int(t, arg, tty->locked);
	case LINUX_TIOCPKT:
		r = get_int(t, arg, &v);
		if (!r) {
			mutex_lock(&tty->mu);
			if (v && !tty->pkt)
				tty->pktstatus = 0;
			tty->pkt = v != 0;
			mutex_unlock(&tty->mu);
		}
		return r;
	case LINUX_TIOCGPKT:
		return put_int(t, arg, tty->pkt);
	case LINUX_TIOCGPTPEER:
		return open_peer(tf, t, arg);
	case LINUX_TIOCSIG:
		if (arg != SIGINT && arg != SIGQUIT && arg != SIGTSTP)
			return -EINVAL;
		tty_signal_fg(tty, (int)arg);
		return 0;
	default:
		return NOT_MINE;
	}
}

static int64_t sti(struct tty *tty, struct file *f, struct task *t, uint64_t arg)
{
	uint8_t c;

	if (!tty_is_ctty_of(tty, t) && !task_capable(t, LINUX_CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_in(t, &c, GADDR(arg), 1) < 0)
		return -EFAULT;
	(void)tty_receive(tty, &c, 1);
	return 0;
}

static int64_t queue_ioctl(struct tty_file *tf, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct tty *tty = tf->tty;
	int n;

	mutex_lock(&tty->mu);
	if (cmd == LINUX_FIONREAD)
		n = (int)(tf->master ? ldisc_out_len(&tty->ld) : ldisc_inq(&tty->ld));
	else
		n = tf->master || tty->is_console ? 0 : (int)ldisc_out_len(&tty->ld);
	mutex_unlock(&tty->mu);
	return put_int(t, arg, n);
}

int64_t tty_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct tty_file *tf = tty_f(f);
	struct tty *tty = tf->tty;
	struct linux_winsize ws;
	int64_t r;
	int v;

	if (!tf->master && (tf->gen != tty->gen || tty->master_gone))
		return cmd == LINUX_TIOCSPGRP ? -ENOTTY : -EIO;
	if (tf->master) {
		r = master_ioctl(tf, t, cmd, arg);
		if (r != NOT_MINE)
			return r;
	}
	switch (cmd) {
	case LINUX_TCGETS:
		return get_termios(tty, t, arg, LINUX_TERMIOS_SIZE);
	case LINUX_TCGETS2:
		return get_termios(tty, t, arg, sizeof(struct linux_termios));
	case LINUX_TCSETS:
	case LINUX_TCSETSW:
	case LINUX_TCSETSF:
		return set_termios(tty, t, arg, LINUX_TERMIOS_SIZE, cmd == LINUX_TCSETSF);
	case LINUX_TCSETS2:
	case LINUX_TCSETSW2:
	case LINUX_TCSETSF2:
		return set_termios(tty, t, arg, sizeof(struct linux_termios), cmd == LINUX_TCSETSF2);
	case LINUX_TCGETA:
		return get_termio(tty, t, arg);
	case LINUX_TCSETA:
	case LINUX_TCSETAW:
	case LINUX_TCSETAF:
		return set_termio(tty, t, arg, cmd == LINUX_TCSETAF);
	case LINUX_TIOCGLCKTRMIOS:
		return get_lock(tty, t, arg);
	case LINUX_TIOCSLCKTRMIOS:
		return set_lock(tty, t, arg);
	case LINUX_TIOCGSOFTCAR:
		return put_int(t, arg, (current_termios(tty).c_cflag & TC_CLOCAL) != 0);
	case LINUX_TIOCSSOFTCAR:
		return set_softcar(tty, t, arg);
	case LINUX_TCSBRK:
	case LINUX_TCSBRKP:
	case LINUX_TIOCSBRK:
	case LINUX_TIOCCBRK:
		return tty_check_change(tty, t, SIGTTOU); /* ptys have no line to break, and output is never "in the wire" */
	case LINUX_TCXONC:
		return do_tcxonc(tty, t, arg);
	case LINUX_TCFLSH:
		return do_tcflsh(tf, t, arg);
	case LINUX_FIONREAD:
	case LINUX_TIOCOUTQ:
		return queue_ioctl(tf, t, cmd, arg);
	case LINUX_TIOCGWINSZ:
		mutex_lock(&tty->mu);
		ws = tty->ws;
		mutex_unlock(&tty->mu);
		return copy_out(t, GADDR(arg), &ws, sizeof(ws));
	case LINUX_TIOCSWINSZ:
		if (copy_in(t, &ws, GADDR(arg), sizeof(ws)) < 0)
			return -EFAULT;
		tty_resize(tty, &ws);
		return 0;
	case LINUX_TIOCSTI:
		return sti(tty, f, t, arg);
	case LINUX_TIOCEXCL:
	case LINUX_TIOCNXCL:
		mutex_lock(&tty->mu);
		tty->excl = cmd == LINUX_TIOCEXCL;
		mutex_unlock(&tty->mu);
		return 0;
	case LINUX_TIOCGEXCL:
		return put_int(t, arg, tty->excl);
	case LINUX_TIOCSCTTY:
		return set_ctty(f, t, arg);
	case LINUX_TIOCNOTTY:
		return give_up_ctty(tty, t);
	case LINUX_TIOCGPGRP:
		return get_pgrp(tf, t, arg);
	case LINUX_TIOCSPGRP:
		return set_pgrp(tty, t, arg);
	case LINUX_TIOCGSID:
		return get_sid(tf, t, arg);
	case LINUX_TIOCGETD:
		return put_int(t, arg, 0);
	case LINUX_TIOCSETD:
		r = get_int(t, arg, &v);
		return r ? r : v == 0 ? 0 : -EINVAL;
	case LINUX_TIOCGDEV:
		return put_int(t, arg, tf->master ? (int)dev_encode(dev_make(PTMX_MAJOR, PTMX_MINOR)) : (int)tty_dev(tty));
	case LINUX_TIOCVHANGUP:
		if (!task_capable(t, LINUX_CAP_SYS_ADMIN))
			return -EPERM;
		tty_hangup(tty);
		return 0;
	default:
		return -ENOTTY;
	}
}
