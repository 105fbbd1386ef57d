/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tty object: life, job control, hang-up, size. Contract in tty.h; transfers are in tty_file.c, requests in tty_ioctl.c.
 *
 * Invariants: session == NULL implies fg == NULL; session->ctty == this tty iff this->session == session. A session holds a reference
 * on its tty, so that whoever frees a tty finds no session.
 * Locks: kernel.tasks_mu (session, fg) > tty.mu > waitq.mu. Nothing is sent to the foreground with mu held.
 * Checkpoint: everything a process can see, with what is buffered. Linux: tty_io.c, tty_jobctrl.c, pty.c. DEVIATIONS: the controlling
 * terminal belongs to the session, so TIOCNOTTY of a process that does not lead it changes nothing; a hang-up signals the
 * foreground at once and not when the leader dies of it.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/tty.pb-c.h"
#include "sentry/abi/fs.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/tty/tty_internal.h"
#include "sentry/kernel/pid.h"
#include "state/state.h"

static void vtimer_fired(struct ktimer *kt)
{
	struct tty *tty = container_of(kt, struct tty, vtimer);

	mutex_lock(&tty->mu);
	tty->vtime_armed = false;
	tty->vtime_expired = true;
	mutex_unlock(&tty->mu);
	waitq_wake(&tty->slave_wq, POLL_READ);
}

static struct tty *tty_make(void)
{
	struct tty *tty = calloc(1, sizeof(*tty));

	if (!tty)
		return NULL;
	ref_init(&tty->ref);
	mutex_init(&tty->mu, "tty.mu");
	waitq_init(&tty->slave_wq);
	waitq_init(&tty->master_wq);
	ktimer_init(&tty->vtimer, KCLOCK_MONOTONIC, vtimer_fired);
	ldisc_init(&tty->ld);
	return tty;
}

struct tty *tty_new(struct devpts_sb *ds, uint32_t index)
{
	struct tty *tty = tty_make();

	if (tty) {
		tty->index = index;
		tty->locked = true;
		tty->ds = ds;
	}
	return tty;
}

struct tty *tty_get(struct tty *tty)
{
	ref_get(&tty->ref);
	return tty;
}

void tty_put(struct tty *tty)
{
	if (!tty || !ref_put(&tty->ref))
		return;
	ktimer_cancel(&tty->vtimer, true);
	console_free(tty->console);
	waitq_done(&tty->slave_wq);
	waitq_done(&tty->master_wq);
	mutex_destroy(&tty->mu);
	free(tty);
}

uint32_t tty_dev(const struct tty *tty)
{
	return tty ? (uint32_t)dev_encode(dev_make(PTS_MAJOR + tty->index / 256, tty->index % 256)) : 0;
}

struct pgrp *tty_foreground(const struct tty *tty)
{
	return tty ? tty->fg : NULL;
}

/* --- signals --- */

static void signal_pgrp_locked(struct pgrp *pg, int sig)
{
	struct thread_group *tg;

	list_for_each(tg, &pg->members, pgrp_node)
		(void)signal_send_group(tg, sig, NULL);
}

void tty_signal_fg(struct tty *tty, int sig)
{
	struct kernel *k = the_kernel;

	if (!tty->fg)
		return;
	mutex_lock(&k->tasks_mu);
	if (tty->fg)
		signal_pgrp_locked(tty->fg, sig);
	mutex_unlock(&k->tasks_mu);
}

static void set_fg_locked(struct tty *tty, struct pgrp *pg)
{
	struct pgrp *old = tty->fg;

	tty->fg = pg ? pgrp_get(pg) : NULL;
	pgrp_put(old);
}

void tty_detach_locked(struct tty *tty)
{
	struct session *s = tty->session;

	set_fg_locked(tty, NULL);
	tty->session = NULL;
	if (s) {
		s->ctty = NULL;
		tty_put(tty);
	}
}

void tty_session_leader_exit_locked(struct session *s)
{
	struct tty *tty = s->ctty;

	if (!tty)
		return;
	(void)tty_get(tty);
	if (tty->fg)
		signal_pgrp_locked(tty->fg, SIGHUP);
	tty_detach_locked(tty);
	tty_put(tty);
}

void tty_hangup(struct tty *tty)
{
	struct kernel *k = the_kernel;

	mutex_lock(&k->tasks_mu);
	if (tty->session) {
		struct thread_group *leader = tty->session->leader;

		if (leader) {
			(void)signal_send_group(leader, SIGHUP, NULL);
			(void)signal_send_group(leader, SIGCONT, NULL);
		}
		if (tty->fg && (!leader || leader->pgrp != tty->fg)) {
			signal_pgrp_locked(tty->fg, SIGHUP);
			signal_pgrp_locked(tty->fg, SIGCONT);
		}
		tty_detach_locked(tty);
	}
	mutex_unlock(&k->tasks_mu);
	mutex_lock(&tty->mu);
	tty->gen++;
	tty->slaves = 0;
	tty->excl = false;
	ldisc_flush_input(&tty->ld);
	mutex_unlock(&tty->mu);
	waitq_wake(&tty->slave_wq, ~0u);
	waitq_wake(&tty->master_wq, ~0u);
}

void tty_events(struct tty *tty, uint32_t events)
{
	static const struct {
		uint32_t bit;
		int sig;
	} sigs[] = { { LDISC_SIGINT, SIGINT }, { LDISC_SIGQUIT, SIGQUIT }, { LDISC_SIGTSTP, SIGTSTP } };

	for (size_t n = 0; n < ARRAY_SIZE(sigs); n++)
		if (events & sigs[n].bit)
			tty_signal_fg(tty, sigs[n].sig);
	if (events & (LDISC_STOP | LDISC_START | LDISC_FLUSHED)) {
		mutex_lock(&tty->mu);
		if (tty->pkt) {
			if (events & LDISC_STOP)
				tty->pktstatus = (uint8_t)((tty->pktstatus & ~PKT_START) | PKT_STOP);
			if (events & LDISC_START)
				tty->pktstatus = (uint8_t)((tty->pktstatus & ~PKT_STOP) | PKT_START);
			if (events & LDISC_FLUSHED)
				tty->pktstatus |= PKT_FLUSHREAD | PKT_FLUSHWRITE;
		}
		mutex_unlock(&tty->mu);
		waitq_wake(&tty->master_wq, POLL_READ | POLL_WRITE | LINUX_POLLPRI);
		waitq_wake(&tty->slave_wq, POLL_WRITE);
	}
}

/* --- job control --- */

bool tty_is_ctty_of(struct tty *tty, struct task *t)
{
	bool r;

	mutex_lock(&t->k->tasks_mu);
	r = t->tg->session && t->tg->session->ctty == tty;
	mutex_unlock(&t->k->tasks_mu);
	return r;
}

static bool ignores(struct task *t, int sig)
{
	bool r;

	mutex_guard(&t->sighand->mu);
	r = t->blocked & SIGBIT(sig) || t->sighand->action[sig - 1].handler == 1 /* SIG_IGN */;
	return r;
}

static bool orphaned_locked(struct pgrp *pg)
{
	struct thread_group *m;

	list_for_each(m, &pg->members, pgrp_node) {
		if (m->state >= TG_ZOMBIE || !m->parent)
			continue;
		if (m->parent->pgrp != pg && m->parent->session == m->session)
			return false;
	}
	return true;
}

int tty_check_change(struct tty *tty, struct task *t, int sig)
{
	struct kernel *k;
	int r = 0;

	if (!t || tty->fg == t->tg->pgrp)
		return 0;
	k = t->k;
	mutex_lock(&k->tasks_mu);
	if (t->tg->session && t->tg->session->ctty == tty && tty->fg && tty->fg != t->tg->pgrp) {
		if (ignores(t, sig)) {
			r = sig == SIGTTIN ? -EIO : 0;
		} else if (orphaned_locked(t->tg->pgrp)) {
			r = -EIO;
		} else {
			signal_pgrp_locked(t->tg->pgrp, sig);
			r = -ERESTARTSYS;
		}
	}
	mutex_unlock(&k->tasks_mu);
	return r;
}

/* Makes @tty the controlling terminal of @tg's session. tasks_mu held. */
static void set_ctty_locked(struct tty *tty, struct thread_group *tg)
{
	tg->session->ctty = tty_get(tty);
	tty->session = tg->session;
	set_fg_locked(tty, tg->pgrp);
}

static int try_set_ctty(struct tty *tty, struct thread_group *tg, bool steal)
{
	int r = 0;

	mutex_lock(&tg->k->tasks_mu);
	if (!tg->session)
		r = -EPERM;
	else if (tg->session->leader == tg && tty->session == tg->session)
		r = 0;
	else if (tg->session->leader != tg || tg->session->ctty || (tty->session && !steal))
		r = -EPERM;
	else {
		if (tty->session)
			tty_detach_locked(tty);
		set_ctty_locked(tty, tg);
	}
	mutex_unlock(&tg->k->tasks_mu);
	return r;
}

int tty_set_ctty(struct thread_group *tg, struct file *f)
{
	if (f->ops != &tty_slave_ops)
		return -ENOTTY;
	return try_set_ctty(tty_f(f)->tty, tg, false);
}

int tty_set_ctty_steal(struct thread_group *tg, struct file *f)
{
	if (f->ops != &tty_slave_ops)
		return -ENOTTY;
	return try_set_ctty(tty_f(f)->tty, tg, true);
}

int tty_slave_open(struct tty *tty, struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	bool dead, excl;
	int err;

	mutex_lock(&tty->mu);
	dead = tty->locked || tty->master_gone;
	excl = tty->excl;
	mutex_unlock(&tty->mu);
	if (dead)
		return -EIO;
	if (excl && !(t && task_capable(t, LINUX_CAP_SYS_ADMIN)))
		return -EBUSY;
	err = tty_file_new(tty, false, t, p, i, flags, ret);
	if (!err && t && !(flags & LINUX_O_NOCTTY) && (flags & LINUX_O_ACCMODE) != LINUX_O_WRONLY)
		(void)try_set_ctty(tty, t->tg, false); /* only a leader without terminal gets one */
	return err;
}

/* --- size --- */

void tty_resize(struct tty *tty, const struct linux_winsize *ws)
{
	bool changed;

	mutex_lock(&tty->mu);
	changed = memcmp(&tty->ws, ws, sizeof(*ws)) != 0;
	tty->ws = *ws;
	mutex_unlock(&tty->mu);
	if (changed)
		tty_signal_fg(tty, SIGWINCH);
}

int tty_set_winsize(struct thread_group *tg, uint16_t rows, uint16_t cols)
{
	struct linux_winsize ws = { .ws_row = rows, .ws_col = cols };
	struct tty *tty = NULL;

	mutex_lock(&tg->k->tasks_mu);
	if (tg->session && tg->session->ctty)
		tty = tty_get(tg->session->ctty);
	mutex_unlock(&tg->k->tasks_mu);
	if (!tty)
		return -ENOTTY;
	tty_resize(tty, &ws);
	tty_put(tty);
	return 0;
}

/* --- master side --- */

void tty_output_ready(struct tty *tty)
{
	if (tty->is_console)
		console_output(tty);
	else
		waitq_wake(&tty->master_wq, POLL_READ);
}

size_t tty_receive(struct tty *tty, const uint8_t *p, size_t n)
{
	uint32_t events = 0;
	size_t done;
	bool out;

	mutex_lock(&tty->mu);
	done = ldisc_input(&tty->ld, p, n, &events);
	out = ldisc_out_len(&tty->ld) > 0;
	if (done && tty->vtime_armed && tty->ld.tio.c_cc[CC_MIN]) /* the time between bytes begins again */
		ktimer_arm(&tty->vtimer, ktime_mono() + tty->ld.tio.c_cc[CC_TIME] * (NSEC_PER_SEC / 10));
	mutex_unlock(&tty->mu);
	tty_events(tty, events);
	if (done)
		waitq_wake(&tty->slave_wq, POLL_READ);
	if (out)
		tty_output_ready(tty);
	return done;
}

/* --- state --- */

static void bytes_save(struct state_writer *w, ProtobufCBinaryData *ret, const uint8_t *ring, uint32_t size, uint32_t from, uint32_t n)
{
	ret->len = n;
	ret->data = state_zalloc(w, n ? n : 1, 1);
	for (uint32_t i = 0; i < n; i++)
		ret->data[i] = ring[(from + i) & (size - 1)];
}

static void ldisc_save(struct state_writer *w, const struct ldisc *l, Sentry__Ldisc *m)
{
	uint32_t n = l->read_head - l->read_tail;

	m->tio.len = sizeof(l->tio);
	m->tio.data = state_zalloc(w, sizeof(l->tio), 1);
	memcpy(m->tio.data, &l->tio, sizeof(l->tio));
	bytes_save(w, &m->in, l->in, LDISC_IN, l->read_tail, n);
	m->ends = state_zalloc(w, n ? n : 1, sizeof(m->ends[0]));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = (l->read_tail + i) & (LDISC_IN - 1);

		if (l->ends[at / 64] >> (at & 63) & 1)
			m->ends[m->n_ends++] = i;
	}
	m->push = l->push;
	m->lnext = l->lnext;
	m->erasing = l->erasing;
	m->column = l->column;
	m->canon_column = l->canon_column;
	bytes_save(w, &m->out, l->out, LDISC_OUT, l->out_tail, l->out_head - l->out_tail);
	m->stopped = l->stopped;
	m->app_stopped = l->app_stopped;
	bytes_save(w, &m->held, l->held, LDISC_HELD, 0, l->nr_held);
	m->canon_len = l->canon_head - l->read_tail;
}

static int ldisc_load(struct state_reader *r, struct ldisc *l, const Sentry__Ldisc *m)
{
	int err = state_check(r, m && m->tio.len == sizeof(l->tio) && m->in.len <= LDISC_IN && m->out.len <= LDISC_OUT && m->held.len <= LDISC_HELD &&
				      m->canon_len <= m->in.len, "bad line discipline");

	if (err)
		return err;
	memcpy(&l->tio, m->tio.data, sizeof(l->tio));
	if (m->in.len)
		memcpy(l->in, m->in.data, m->in.len);
	l->read_head = (uint32_t)m->in.len;
	l->canon_head = m->canon_len;
	for (size_t i = 0; i < m->n_ends && !err; i++) {
		err = state_check(r, m->ends[i] < m->in.len, "an end outside the line");
		if (!err)
			l->ends[m->ends[i] / 64] |= 1ULL << (m->ends[i] & 63);
	}
	l->push = m->push;
	l->lnext = m->lnext;
	l->erasing = m->erasing;
	l->column = m->column;
	l->canon_column = m->canon_column;
	if (m->out.len)
		memcpy(l->out, m->out.data, m->out.len);
	l->out_head = (uint32_t)m->out.len;
	l->stopped = m->stopped;
	l->app_stopped = m->app_stopped;
	if (m->held.len)
		memcpy(l->held, m->held.data, m->held.len);
	l->nr_held = (uint32_t)m->held.len;
	return err;
}

static void *tty_alloc(void)
{
	return tty_make();
}

static int tty_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct tty *tty = obj;
	Sentry__Tty *m = msg;

	m->index = tty->index;
	m->ld = state_new_msg(w, &sentry__ldisc__descriptor);
	ldisc_save(w, &tty->ld, m->ld);
	m->rows = tty->ws.ws_row;
	m->cols = tty->ws.ws_col;
	m->xpixel = tty->ws.ws_xpixel;
	m->ypixel = tty->ws.ws_ypixel;
	m->lock.len = sizeof(tty->lock);
	m->lock.data = state_zalloc(w, sizeof(tty->lock), 1);
	memcpy(m->lock.data, &tty->lock, sizeof(tty->lock));
	m->locked = tty->locked;
	m->excl = tty->excl;
	m->pkt = tty->pkt;
	m->pktstatus = tty->pktstatus;
	m->master_gone = tty->master_gone;
	m->gen = tty->gen;
	m->other_closed = tty->other_closed;
	m->session = state_ref(w, &session_state_type, tty->session);
	m->fg = state_ref(w, &pgrp_state_type, tty->fg);
	m->sb = tty->ds ? sb_state_ref(w, devpts_super(tty->ds)) : 0;
	m->is_console = tty->is_console;
	return 0;
}

static int tty_load(struct state_reader *r, void *obj, const void *msg)
{
	struct tty *tty = obj;
	const Sentry__Tty *m = msg;
	struct super_block *sb = NULL;
	void *session = NULL, *fg = NULL;
	int err = ldisc_load(r, &tty->ld, m->ld);

	if (!err)
		err = state_check(r, m->index < PTY_MAX && m->rows <= UINT16_MAX && m->cols <= UINT16_MAX && m->xpixel <= UINT16_MAX &&
				     m->ypixel <= UINT16_MAX && m->pktstatus <= UINT8_MAX && (!m->fg || m->session) &&
				     (!m->lock.len || m->lock.len == sizeof(tty->lock)), "bad terminal");
	if (!err)
		err = state_deref(r, m->session, &session_state_type, &session);
	if (!err)
		err = state_deref(r, m->fg, &pgrp_state_type, &fg);
	if (!err && m->sb)
		err = sb_state_deref(r, m->sb, &sb);
	if (err)
		return err;
	tty->index = m->index;
	tty->ws = (struct linux_winsize){ (uint16_t)m->rows, (uint16_t)m->cols, (uint16_t)m->xpixel, (uint16_t)m->ypixel };
	if (m->lock.len)
		memcpy(&tty->lock, m->lock.data, sizeof(tty->lock));
	tty->locked = m->locked;
	tty->excl = m->excl;
	tty->pkt = m->pkt;
	tty->pktstatus = (uint8_t)m->pktstatus;
	tty->master_gone = m->master_gone;
	tty->gen = m->gen;
	tty->other_closed = m->other_closed;
	tty->session = session;
	tty->fg = fg;
	tty->ds = (struct devpts_sb *)sb; /* the embedding struct; its kind is checked when everything is loaded */
	tty->is_console = m->is_console;
	return 0;
}

static int tty_after_load(struct state_reader *r, void *obj)
{
	struct tty *tty = obj;
	int err = state_check(r, !tty->session || tty->session->ctty == tty, "a terminal and its session disagree");

	if (!err && tty->ds)
		err = state_check(r, sb_is_devpts((struct super_block *)tty->ds), "terminal of a wrong super block");
	if (err)
		return err;
	if (tty->session)
		session_put(tty->session); /* not counted at run time: the session holds the terminal */
	return tty->is_console && !tty->master_gone ? console_restored(tty) : 0;
}

static void tty_get_state(void *obj)
{
	(void)tty_get(obj);
}

static void tty_put_state(void *obj)
{
	tty_put(obj);
}

const struct state_type tty_state_type = {
	.id = STATE_ID_tty,
	.name = "tty",
	.desc = &sentry__tty__descriptor,
	.prio = STATE_PRIO_TIMER,
	.alloc = tty_alloc,
	.save = tty_save,
	.load = tty_load,
	.after_load = tty_after_load,
	.get = tty_get_state,
	.put = tty_put_state,
};
