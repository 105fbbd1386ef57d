/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signalfd(2): reading takes signals out of the reader's own queues.
 *
 * Which signals are there depends on who asks, so readiness is that of the calling task (current_task). To have a queue of its own with the
 * file's lifetime, a signalfd relays: for each sighand of a task that has used it, a waiter on the sighand's queue wakes the file's.
 * Relays of dead sighands (nobody else has a reference) are dropped when the next is made.
 *
 * Locks: signalfd.mu (relays, mask) > waitq.mu. A relay's callback takes only waitq.mu. sighand.mu is taken inside signal_*().
 * Checkpoint: the mask, and which sighands it relays (an epoll set hears of signals only through them).
 * Linux: fs/signalfd.c.
 */
#include "sentry/fs/signalfd.h"

#include <string.h>

#include "base/strbuf.h"
#include "schemas/signalfd.pb-c.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

extern const struct state_type sighand_state_type; /* also when this build has no tasks */
extern __thread struct task *current_task;

struct relay {
	struct list node; /* signalfd.relays */
	struct waiter w;
	struct sighand *sighand; /* referenced */
	struct signalfd *s;
};

struct signalfd {
	struct file file; /* saved: 1 file_base */
	struct waitq wq; /* nosave: waiters re-run or register again */
	struct mutex mu; /* nosave: nobody runs */
	sigset64_t mask; /* saved: 2; guarded by mu */
	struct list relays; /* saved: 3 sighands; guarded by mu */
};

struct linux_signalfd_siginfo {
	uint32_t signo;
	int32_t err, code;
	uint32_t pid, uid;
	int32_t fd;
	uint32_t tid, band, overrun, trapno;
	int32_t status, int_val;
	uint64_t ptr, utime, stime, addr;
	uint16_t addr_lsb, _pad2;
	int32_t syscall;
	uint64_t call_addr;
	uint32_t arch;
	uint8_t _pad[28];
};
_Static_assert(sizeof(struct linux_signalfd_siginfo) == 128, "signalfd_siginfo layout");

static const struct file_ops signalfd_ops;

static struct signalfd *signalfd_of(struct file *f)
{
	return container_of(f, struct signalfd, file);
}

bool file_is_signalfd(const struct file *f)
{
	return f->ops == &signalfd_ops;
}

static bool relay_event(struct waiter *w, uint32_t mask)
{
	waitq_wake(&container_of(w, struct relay, w)->s->wq, POLL_READ);
	return false; /* others may have signalfds on the same queue */
}

static void relay_free(struct relay *rl)
{
	waitq_del(&rl->w);
	list_del(&rl->node);
	sighand_put(rl->sighand);
	free(rl);
}

static struct relay *relay_new_locked(struct signalfd *s, struct sighand *sh)
{
	struct relay *rl = calloc(1, sizeof(*rl));

	if (!rl)
		return NULL;
	rl->s = s;
	rl->sighand = sh;
	rl->w.mask = ~0u;
	rl->w.fn = relay_event;
	list_add_tail(&s->relays, &rl->node);
	return rl;
}

/* Makes signals sent to @t wake this file. Without memory the file just never wakes: polls with a timeout still work. */
static void relay_ensure(struct signalfd *s, struct task *t)
{
	struct relay *rl, *tmp;

	mutex_lock(&s->mu);
	list_for_each(rl, &s->relays, node)
		if (rl->sighand == t->sighand) {
			mutex_unlock(&s->mu);
			return;
		}
	list_for_each_safe(rl, tmp, &s->relays, node)
		if (ref_count(&rl->sighand->ref) == 1)
			relay_free(rl);
	rl = relay_new_locked(s, t->sighand);
	if (rl) {
		(void)sighand_get(rl->sighand);
		waitq_add(&rl->sighand->signalfd_wq, &rl->w);
	}
	mutex_unlock(&s->mu);
}

static sigset64_t mask_of(struct signalfd *s)
{
	sigset64_t m;

	mutex_lock(&s->mu);
	m = s->mask;
	mutex_unlock(&s->mu);
	return m;
}

static void convert(struct linux_signalfd_siginfo *o, const struct linux_siginfo *si)
{
	memset(o, 0, sizeof(*o));
	o->signo = (uint32_t)si->si_signo;
	o->err = si->si_errno;
	o->code = si->si_code;
	if (si->si_code == SI_TIMER) {
		o->tid = (uint32_t)si->timer.tid;
		o->overrun = (uint32_t)si->timer.overrun;
		o->ptr = si->timer.value;
		o->int_val = (int32_t)si->timer.value;
	} else if (si->si_code <= 0 || si->si_code == SI_KERNEL) {
		o->pid = (uint32_t)si->rt.pid;
		o->uid = si->rt.uid;
		if (si->si_code < 0 && si->si_code != SI_TKILL) {
			o->ptr = si->rt.value;
			o->int_val = (int32_t)si->rt.value;
		}
	} else if (si->si_signo == SIGCHLD) {
		o->pid = (uint32_t)si->chld.pid;
		o->uid = si->chld.uid;
		o->status = si->chld.status;
		o->utime = (uint64_t)si->chld.utime;
		o->stime = (uint64_t)si->chld.stime;
	} else if (si->si_signo == SIGSYS) {
		o->call_addr = si->sys.call_addr;
		o->syscall = si->sys.syscall;
		o->arch = si->sys.arch;
	} else if (si->si_signo == SIGSEGV || si->si_signo == SIGBUS || si->si_signo == SIGILL || si->si_signo == SIGFPE ||
		   si->si_signo == SIGTRAP) {
		o->addr = si->fault.addr;
		o->addr_lsb = (uint16_t)si->fault.addr_lsb;
	} else {
		o->band = (uint32_t)si->poll.band;
		o->fd = si->poll.fd;
	}
}

static int64_t signalfd_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct signalfd *s = signalfd_of(f);
	struct linux_signalfd_siginfo out;
	int64_t done = 0;

	if (u->left < sizeof(out))
		return -EINVAL;
	if (!t)
		return -EAGAIN;
	relay_ensure(s, t);
	while (u->left >= sizeof(out)) {
		struct linux_siginfo si;

		if (!signal_dequeue(t, mask_of(s), &si))
			break;
		convert(&out, &si);
		if (uio_put(u, &out, sizeof(out)) != sizeof(out))
			return done ? done : -EFAULT;
		done += sizeof(out);
	}
	return done ? done : -EAGAIN;
}

static uint32_t signalfd_poll(struct file *f)
{
	struct signalfd *s = signalfd_of(f);
	struct task *t = current_task;

	if (!t || !t->sighand)
		return 0;
	relay_ensure(s, t);
	return signal_pending_set(t) & mask_of(s) ? LINUX_POLLIN : 0;
}

static struct waitq *signalfd_pollq(struct file *f)
{
	return &signalfd_of(f)->wq;
}

static void signalfd_release(struct file *f)
{
	struct signalfd *s = signalfd_of(f);
	struct relay *rl, *tmp;

	list_for_each_safe(rl, tmp, &s->relays, node)
		relay_free(rl);
	waitq_done(&s->wq);
	mutex_destroy(&s->mu);
	file_done(f);
	free(s);
}

static void signalfd_show_fdinfo(struct file *f, struct strbuf *b)
{
	strbuf_addf(b, "sigmask:\t%016lx\n", (unsigned long)mask_of(signalfd_of(f)));
}

static const struct file_ops signalfd_ops = {
	.name = "signalfd",
	.state = &signalfd_state_type,
	.release = signalfd_release,
	.read = signalfd_read,
	.poll = signalfd_poll,
	.pollq = signalfd_pollq,
	.llseek = file_noop_llseek,
	.show_fdinfo = signalfd_show_fdinfo,
};

static void *signalfd_alloc(void)
{
	struct signalfd *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	ref_init(&s->file.ref);
	mutex_init(&s->mu, "signalfd.mu");
	waitq_init(&s->wq);
	list_init(&s->relays);
	return s;
}

int signalfd_new(struct task *t, sigset64_t mask, uint32_t flags, struct file **ret)
{
	struct signalfd *s = signalfd_alloc();

	if (!s)
		return -ENOMEM;
	file_init(&s->file, &signalfd_ops, LINUX_O_RDWR | flags, t, NULL, NULL);
	s->mask = mask;
	if (t->sighand)
		relay_ensure(s, t);
	*ret = &s->file;
	return 0;
}

static int64_t do_signalfd(struct task *t, int fd, gaddr_t mask_addr, uint64_t size, uint32_t flags)
{
	_cleanup_file_ struct file *old = NULL;
	sigset64_t mask;
	struct file *f;
	int r;

	if (flags & ~(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK))
		return -EINVAL;
	r = copy_in_sigset(t, mask_addr, size, &mask);
	if (r)
		return r;
	mask &= ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP));
	if (fd == -1) {
		r = signalfd_new(t, mask, flags & LINUX_O_NONBLOCK, &f);
		if (r)
			return r;
		r = fd_install(t, f, 0, flags & LINUX_O_CLOEXEC);
		if (r < 0)
			file_put(f);
		return r;
	}
	old = fd_get(t, fd);
	if (!old)
		return -EBADF;
	if (!file_is_signalfd(old))
		return -EINVAL;
	mutex_lock(&signalfd_of(old)->mu);
	signalfd_of(old)->mask = mask;
	mutex_unlock(&signalfd_of(old)->mu);
	waitq_wake(&signalfd_of(old)->wq, POLL_READ);
	return fd;
}

int64_t sys_signalfd(struct task *t, const struct sys_args *a)
{
	return do_signalfd(t, ARG_INT(a, 0), ARG_ADDR(a, 1), a->a[2], 0);
}

int64_t sys_signalfd4(struct task *t, const struct sys_args *a)
{
	return do_signalfd(t, ARG_INT(a, 0), ARG_ADDR(a, 1), a->a[2], ARG_U32(a, 3));
}

/* --- state --- */

static int signalfd_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct signalfd *s = obj;
	Sentry__SignalFd *m = msg;
	const struct relay *rl;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->mask = s->mask;
	list_for_each(rl, &s->relays, node)
		m->n_sighands++;
	m->sighands = state_zalloc(w, m->n_sighands, sizeof(*m->sighands));
	m->n_sighands = 0;
	list_for_each(rl, &s->relays, node)
		m->sighands[m->n_sighands++] = state_ref(w, &sighand_state_type, rl->sighand);
	return file_save_base(w, &s->file, m->file_base);
}

static int signalfd_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__SignalFd *m = msg;
	struct signalfd *s = obj;

	int err = file_load_base(r, &s->file, &signalfd_ops, m->file_base);

	s->mask = m->mask & ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP));
	for (size_t i = 0; !err && i < m->n_sighands; i++) {
		void *sh;

		err = state_deref(r, m->sighands[i], &sighand_state_type, &sh);
		if (!err)
			err = state_check(r, sh != NULL, "no sighand");
		if (!err && !relay_new_locked(s, sh)) /* takes over the reference */
			err = -ENOMEM;
	}
	return err;
}

static int signalfd_after_load(struct state_reader *r, void *obj)
{
	struct signalfd *s = obj;
	struct relay *rl;

	list_for_each(rl, &s->relays, node)
		waitq_add(&rl->sighand->signalfd_wq, &rl->w);
	file_after_load_base(&s->file);
	return 0;
}

const struct state_type signalfd_state_type = {
	.id = STATE_ID_signalfd,
	.name = "signalfd",
	.desc = &sentry__signal_fd__descriptor,
	.prio = STATE_PRIO_TIMER, /* after the sighands */
	.alloc = signalfd_alloc,
	.save = signalfd_save,
	.load = signalfd_load,
	.after_load = signalfd_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
