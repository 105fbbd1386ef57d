/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User notification: a filter's listener answers system calls in the name of the kernel.
 *
 * A task that must wait puts a request on its filter's list and sleeps on it; the listener's ioctls look requests up by id. The own thread alone
 * removes its request. Over a freeze the request stays where it is, and the re-run of the call finds it.
 *
 * Locks: filter.mu. A descriptor is put into the table of the waiting task under filter.mu (the task cannot leave while it is held), what
 * it replaces is let go afterwards. Checkpoint: requests in the filter's record; the listener refers to its filter.
 */
#include <string.h>

#include "base/strbuf.h"
#include "schemas/seccomp.pb-c.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/run.h"
#include "sentry/kernel/seccomp.h"
#include "state/state.h"

#define IOCTL_RECV	   0xc0502100u
#define IOCTL_SEND	   0xc0182101u
#define IOCTL_ID_VALID	   0x40082102u
#define IOCTL_ID_VALID_OLD 0x80082102u /* with the direction wrong, as first published */
#define IOCTL_ADDFD	   0x40182103u
#define IOCTL_NO_SIZE(cmd) ((cmd) & 0xffffu) /* nor the direction: later versions may have another */
#define IOCTL_SIZE(cmd)	   ((cmd) >> 16 & 0x3fff)

#define NOTIF_CONTINUE	1u
#define ADDFD_SETFD	1u
#define ADDFD_SEND	2u
#define MAX_REQUESTS	65536
#define REQUEST_DATA_NR 8

enum request_state { REQ_INIT, REQ_SENT, REQ_REPLIED };

struct request {
	struct list node;
	struct task *task; /* not counted: removes its request before it ends. Not valid unless live */
	bool live;
	uint64_t id;
	enum request_state state;
	struct bpf_seccomp_data data;
	int32_t error;
	int64_t val;
	uint32_t flags;
};

struct seccomp_listener {
	struct file file; /* saved: 1 file_base */
	struct seccomp_filter *filter; /* saved: 2 */
};

struct seccomp_notif {
	uint64_t id;
	uint32_t pid, flags;
	struct bpf_seccomp_data data;
};
_Static_assert(sizeof(struct seccomp_notif) == 80, "seccomp_notif layout");

struct seccomp_notif_resp {
	uint64_t id;
	int64_t val;
	int32_t error;
	uint32_t flags;
};
_Static_assert(sizeof(struct seccomp_notif_resp) == 24, "seccomp_notif_resp layout");

struct seccomp_notif_addfd {
	uint64_t id;
	uint32_t flags, srcfd, newfd, newfd_flags;
};
_Static_assert(sizeof(struct seccomp_notif_addfd) == 24, "seccomp_notif_addfd layout");

/* --- the side of the task that asks --- */

static struct request *request_of(struct seccomp_filter *f, const struct task *t)
{
	struct request *q;

	list_for_each(q, &f->requests, node)
		if (q->task == t)
			return q;
	return NULL;
}

struct seccomp_filter *seccomp_asked(struct task *t)
{
	for (struct seccomp_filter *f = __atomic_load_n(&t->filter, __ATOMIC_ACQUIRE); f; f = f->prev) {
		mutex_guard(&f->mu);
		if (request_of(f, t))
			return f;
	}
	return NULL;
}

static struct request *request_new_locked(struct seccomp_filter *f, struct task *t, const struct bpf_seccomp_data *d)
{
	struct request *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->task = t;
	q->live = true;
	q->id = f->next_id++;
	q->data = *d;
	list_add_tail(&f->requests, &q->node);
	return q;
}

static void request_free(struct request *q)
{
	list_del(&q->node);
	free(q);
}

void seccomp_drop_requests(struct seccomp_filter *f)
{
	struct request *q, *tmp;

	list_for_each_safe(q, tmp, &f->requests, node)
		request_free(q);
}

void seccomp_adopt_request(struct task *t)
{
	struct seccomp_filter *f = t->sysctx.seccomp == SECCOMP_NOTIFY && t->sysctx.redo ? seccomp_asked(t) : NULL;

	if (f)
		request_of(f, t)->live = true;
}

/* Sleeps until the request is answered: 0, -ERESTARTSYS or -EFREEZE. */
static int wait_answer(struct task *t, struct seccomp_filter *f, struct request *q)
{
	int r = 0;

	for (;;) {
		enum request_state s;

		mutex_lock(&f->mu);
		s = q->state;
		mutex_unlock(&f->mu);
		if (s == REQ_REPLIED)
			return 0;
		if (r < 0)
			return r;
		r = f->wait_killable && s == REQ_SENT ? task_block_killable(t, TIME_FOREVER) : task_block(t, TIME_FOREVER);
		/* A signal that came while the listener was just taking the request waits for the answer too. */
		if (r == -ERESTARTSYS && f->wait_killable && s == REQ_INIT) {
			mutex_lock(&f->mu);
			r = q->state == REQ_SENT ? 0 : r;
			mutex_unlock(&f->mu);
		}
	}
}

bool seccomp_ask_listener(struct task *t, struct seccomp_filter *f, const struct bpf_seccomp_data *d, int64_t *ret)
{
	struct request *q;
	bool run = false;
	int r;

	task_block_prepare(t);
	mutex_lock(&f->mu);
	q = request_of(f, t);
	if (!q && !f->listening) {
		mutex_unlock(&f->mu);
		*ret = -ENOSYS;
		return false;
	}
	if (!q)
		q = request_new_locked(f, t, d);
	mutex_unlock(&f->mu);
	if (!q) {
		*ret = -ENOMEM;
		return false;
	}
	if (d)
		waitq_wake(&f->wq, LINUX_POLLIN | LINUX_POLLRDNORM);
	r = wait_answer(t, f, q);
	*ret = r;
	if (r == -EFREEZE)
		return false;
	mutex_lock(&f->mu);
	if (r == 0) {
		run = q->flags & NOTIF_CONTINUE;
		*ret = q->error ? q->error : q->val;
	}
	request_free(q);
	mutex_unlock(&f->mu);
	/* The listener's word is the result whatever it is: what looks like one of our internal codes must not act as one. */
	if (r == 0 && !run && *ret <= -ERESTARTSYS) {
		t->k->pops->set_ret(t->pctx, (uint64_t)*ret);
		*ret = SYS_NO_RETURN_VALUE;
	}
	return run;
}

/* --- the listener's side --- */

static struct seccomp_listener *listener_of(struct file *file)
{
	return container_of(file, struct seccomp_listener, file);
}

static struct request *find_locked(struct seccomp_filter *f, uint64_t id)
{
	struct request *q;

	list_for_each(q, &f->requests, node)
		if (q->live && q->id == id)
			return q;
	return NULL;
}

static bool any_locked(struct seccomp_filter *f, enum request_state s)
{
	struct request *q;

	list_for_each(q, &f->requests, node)
		if (q->live && q->state == s)
			return true;
	return false;
}

struct recv_arg {
	struct seccomp_filter *f;
	struct task *t;
	struct seccomp_notif n;
};

static int64_t try_recv(void *arg)
{
	struct recv_arg *a = arg;
	struct request *q;

	mutex_guard(&a->f->mu);
	list_for_each(q, &a->f->requests, node)
		if (q->live && q->state == REQ_INIT) {
			a->n = (struct seccomp_notif){ .id = q->id, .pid = (uint32_t)pid_nr(q->task->pid, a->t), .data = q->data };
			q->state = REQ_SENT;
			return 1;
		}
	return -EAGAIN;
}

static int64_t do_recv(struct seccomp_filter *f, struct task *t, gaddr_t addr)
{
	static const struct seccomp_notif zero;
	struct recv_arg a = { .f = f, .t = t };
	struct request *q;
	int64_t r;

	if (copy_in(t, &a.n, addr, sizeof(a.n)) < 0)
		return -EFAULT;
	if (memcmp(&a.n, &zero, sizeof(zero)) != 0)
		return -EINVAL;
	r = task_wait_on(t, &f->wq, LINUX_POLLIN, TIME_FOREVER, try_recv, &a);
	if (r < 0)
		return r;
	waitq_wake(&f->wq, LINUX_POLLOUT | LINUX_POLLWRNORM);
	if (copy_out(t, addr, &a.n, sizeof(a.n)) == 0)
		return 0;
	/* The request is not lost with a bad pointer. */
	mutex_lock(&f->mu);
	q = find_locked(f, a.n.id);
	if (q && q->state == REQ_SENT)
		q->state = REQ_INIT;
	mutex_unlock(&f->mu);
	waitq_wake(&f->wq, LINUX_POLLIN | LINUX_POLLRDNORM);
	return -EFAULT;
}

static void answer_locked(struct request *q, int32_t error, int64_t val, uint32_t flags)
{
	q->state = REQ_REPLIED;
	q->error = error;
	q->val = val;
	q->flags = flags;
	task_wake(q->task);
}

static int64_t do_send(struct seccomp_filter *f, struct task *t, gaddr_t addr)
{
	struct seccomp_notif_resp a;
	struct request *q;

	if (copy_in(t, &a, addr, sizeof(a)) < 0)
		return -EFAULT;
	if ((a.flags & ~NOTIF_CONTINUE) || ((a.flags & NOTIF_CONTINUE) && (a.error || a.val)))
		return -EINVAL;
	mutex_guard(&f->mu);
	q = find_locked(f, a.id);
	if (!q)
		return -ENOENT;
	if (q->state != REQ_SENT)
		return -EINPROGRESS;
	answer_locked(q, a.error, a.val, a.flags);
	return 0;
}

static int64_t do_id_valid(struct seccomp_filter *f, struct task *t, gaddr_t addr)
{
	struct request *q;
	uint64_t id;

	if (copy_in(t, &id, addr, sizeof(id)) < 0)
		return -EFAULT;
	mutex_guard(&f->mu);
	q = find_locked(f, id);
	return q && q->state == REQ_SENT ? 0 : -ENOENT;
}

/* Puts @src into the table of the task that waits in @q. What was there, and its table, are for the caller to let go. */
static int give_fd_locked(struct request *q, const struct seccomp_notif_addfd *a, struct file *src, struct file **ret_old,
			  struct fd_table **ret_ft)
{
	bool cloexec = a->newfd_flags & LINUX_O_CLOEXEC;
	int r;

	if (!q->task->files)
		return -ENOENT;
	*ret_ft = fd_table_get(q->task->files);
	if (a->flags & ADDFD_SETFD)
		r = fd_replace(q->task, file_get(src), (int)a->newfd, cloexec, ret_old);
	else
		r = fd_install(q->task, file_get(src), 0, cloexec);
	if (r < 0)
		file_put(src);
	return r;
}

static int give_fd(struct seccomp_filter *f, const struct seccomp_notif_addfd *a, struct file *src, struct file **ret_old,
		   struct fd_table **ret_ft)
{
	struct request *q;
	int r;

	mutex_guard(&f->mu);
	q = find_locked(f, a->id);
	if (!q)
		return -ENOENT;
	if (q->state != REQ_SENT)
		return -EINPROGRESS;
	r = give_fd_locked(q, a, src, ret_old, ret_ft);
	if (r >= 0 && (a->flags & ADDFD_SEND))
		answer_locked(q, 0, r, 0);
	return r;
}

static int64_t do_addfd(struct seccomp_filter *f, struct task *t, gaddr_t addr, uint32_t size)
{
	_cleanup_file_ struct file *src = NULL;
	struct seccomp_notif_addfd a;
	struct file *old = NULL;
	struct fd_table *ft = NULL;
	int r;

	if (size < sizeof(a) || size >= PAGE_SIZE)
		return -EINVAL;
	r = copy_in_struct(t, &a, sizeof(a), addr, size);
	if (r < 0)
		return r;
	if ((a.newfd_flags & ~LINUX_O_CLOEXEC) || (a.flags & ~(ADDFD_SETFD | ADDFD_SEND)) || (a.newfd && !(a.flags & ADDFD_SETFD)))
		return -EINVAL;
	src = fd_get(t, (int)a.srcfd);
	if (!src)
		return -EBADF;
	r = give_fd(f, &a, src, &old, &ft);
	if (old)
		fd_table_closed(ft, old, t);
	if (ft)
		fd_table_put(ft, NULL);
	return r;
}

static int64_t listener_ioctl(struct file *file, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct seccomp_filter *f = listener_of(file)->filter;

	switch (cmd) {
	case IOCTL_RECV:
		return do_recv(f, t, GADDR(arg));
	case IOCTL_SEND:
		return do_send(f, t, GADDR(arg));
	case IOCTL_ID_VALID:
	case IOCTL_ID_VALID_OLD:
		return do_id_valid(f, t, GADDR(arg));
	default:
		if (IOCTL_NO_SIZE(cmd) == IOCTL_NO_SIZE(IOCTL_ADDFD))
			return do_addfd(f, t, GADDR(arg), IOCTL_SIZE(cmd));
		return -EINVAL;
	}
}

static uint32_t listener_poll(struct file *file)
{
	struct seccomp_filter *f = listener_of(file)->filter;
	uint32_t ev = 0;

	mutex_lock(&f->mu);
	if (any_locked(f, REQ_INIT))
		ev |= LINUX_POLLIN | LINUX_POLLRDNORM;
	if (any_locked(f, REQ_SENT))
		ev |= LINUX_POLLOUT | LINUX_POLLWRNORM;
	mutex_unlock(&f->mu);
	return atomic_load(&f->users) ? ev : ev | LINUX_POLLHUP;
}

void seccomp_wake_listener(struct seccomp_filter *f)
{
	waitq_wake(&f->wq, LINUX_POLLHUP);
}

static struct waitq *listener_pollq(struct file *file)
{
	return &listener_of(file)->filter->wq;
}

static void listener_release(struct file *file)
{
	struct seccomp_listener *l = listener_of(file);
	struct seccomp_filter *f = l->filter;
	struct request *q;

	if (f) {
		mutex_lock(&f->mu);
		f->listening = false;
		list_for_each(q, &f->requests, node)
			if (q->live && q->state != REQ_REPLIED)
				answer_locked(q, -ENOSYS, 0, 0);
		mutex_unlock(&f->mu);
	}
	file_done(file);
	seccomp_filter_put(f);
	free(l);
}

static void listener_show_name(struct file *f, struct strbuf *b)
{
	strbuf_adds(b, "anon_inode:seccomp notify");
}

static const struct file_ops listener_ops = {
	.name = "seccomp notify",
	.state = &seccomp_listener_state_type,
	.release = listener_release,
	.poll = listener_poll,
	.pollq = listener_pollq,
	.ioctl = listener_ioctl,
	.llseek = file_noop_llseek,
	.show_name = listener_show_name,
};

static void *listener_alloc(void)
{
	struct seccomp_listener *l = calloc(1, sizeof(*l));

	if (l)
		ref_init(&l->file.ref);
	return l;
}

int seccomp_listener_new(struct task *t, struct seccomp_filter *f, struct file **ret)
{
	struct seccomp_listener *l = listener_alloc();

	if (!l)
		return -ENOMEM;
	file_init(&l->file, &listener_ops, LINUX_O_RDWR, t, NULL, NULL);
	l->filter = seccomp_filter_get(f);
	*ret = &l->file;
	return 0;
}

/* --- state --- */

static void *filter_alloc(void)
{
	return seccomp_filter_new(NULL, 0, 0);
}

static Sentry__SeccompRequest *save_request(struct state_writer *w, const struct request *q)
{
	Sentry__SeccompRequest *m = state_new_msg(w, &sentry__seccomp_request__descriptor);

	m->task = state_ref(w, &task_state_type, q->task);
	m->id = q->id;
	m->state = q->state;
	m->error = q->error;
	m->val = q->val;
	m->flags = q->flags;
	m->n_data = REQUEST_DATA_NR;
	m->data = state_zalloc(w, REQUEST_DATA_NR, sizeof(*m->data));
	memcpy(m->data, &q->data, sizeof(q->data));
	return m;
}

static int filter_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct seccomp_filter *f = obj;
	Sentry__SeccompFilter *m = msg;
	const struct request *q;
	size_t n = 0;

	m->prev = state_ref(w, &seccomp_filter_state_type, f->prev);
	m->n_prog = f->len;
	m->prog = state_zalloc(w, f->len, sizeof(*m->prog));
	memcpy(m->prog, f->prog, f->len * sizeof(*m->prog));
	m->log = f->log;
	m->wait_killable = f->wait_killable;
	m->listening = f->listening;
	m->next_id = f->next_id;
	list_for_each(q, &f->requests, node)
		n += q->live;
	m->requests = state_zalloc(w, n, sizeof(*m->requests));
	list_for_each(q, &f->requests, node)
		if (q->live)
			m->requests[m->n_requests++] = save_request(w, q);
	return 0;
}

static int load_request(struct state_reader *r, struct seccomp_filter *f, const Sentry__SeccompRequest *m)
{
	static const struct bpf_seccomp_data none;
	struct request *q;
	void *task;
	int e = state_check(r, m->state <= REQ_REPLIED && m->n_data == REQUEST_DATA_NR && !(m->flags & ~NOTIF_CONTINUE) && m->error <= 0,
			    "malformed seccomp request");

	if (e == 0)
		e = state_deref(r, m->task, &task_state_type, &task);
	if (e == 0)
		e = state_check(r, task != NULL, "a seccomp request without a task");
	if (e < 0)
		return e;
	q = request_new_locked(f, task, &none);
	task_state_type.put(task); /* not counted, as at run time */
	if (!q)
		return -ENOMEM;
	q->live = false; /* until its task is seen to wait */
	q->id = m->id;
	q->state = m->state;
	q->error = m->error;
	q->val = m->val;
	q->flags = m->flags;
	memcpy(&q->data, m->data, sizeof(q->data));
	return 0;
}

static int filter_load(struct state_reader *r, void *obj, const void *msg)
{
	struct seccomp_filter *f = obj;
	const Sentry__SeccompFilter *m = msg;
	int e = state_check(r, m->n_prog >= 1 && m->n_prog <= BPF_MAX_INSNS && m->n_requests <= MAX_REQUESTS, "malformed seccomp filter");

	if (e < 0)
		return e;
	f->prog = calloc(m->n_prog, sizeof(*f->prog));
	if (!f->prog)
		return -ENOMEM;
	memcpy(f->prog, m->prog, m->n_prog * sizeof(*f->prog));
	f->len = (uint32_t)m->n_prog;
	f->log = m->log;
	f->wait_killable = m->wait_killable;
	f->listening = m->listening;
	e = state_check(r, bpf_check(f->prog, f->len) == 0, "a seccomp filter that is none");
	for (size_t i = 0; i < m->n_requests && e == 0; i++)
		e = load_request(r, f, m->requests[i]);
	f->next_id = m->next_id;
	return e < 0 ? e : state_deref(r, m->prev, &seccomp_filter_state_type, (void **)&f->prev);
}

static void filter_get_state(void *obj)
{
	(void)seccomp_filter_get(obj);
}

static void filter_put_state(void *obj)
{
	seccomp_filter_put(obj);
}

const struct state_type seccomp_filter_state_type = {
	.id = STATE_ID_seccomp_filter,
	.name = "seccomp_filter",
	.desc = &sentry__seccomp_filter__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = filter_alloc,
	.save = filter_save,
	.load = filter_load,
	.get = filter_get_state,
	.put = filter_put_state,
};

static int listener_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct seccomp_listener *l = obj;
	Sentry__SeccompListener *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->filter = state_ref(w, &seccomp_filter_state_type, l->filter);
	return file_save_base(w, &l->file, m->file_base);
}

static int listener_load(struct state_reader *r, void *obj, const void *msg)
{
	struct seccomp_listener *l = obj;
	const Sentry__SeccompListener *m = msg;
	int e = file_load_base(r, &l->file, &listener_ops, m->file_base);

	if (e == 0)
		e = state_deref(r, m->filter, &seccomp_filter_state_type, (void **)&l->filter);
	return e < 0 ? e : state_check(r, l->filter != NULL, "a seccomp listener without a filter");
}

const struct state_type seccomp_listener_state_type = {
	.id = STATE_ID_seccomp_listener,
	.name = "seccomp_listener",
	.desc = &sentry__seccomp_listener__descriptor,
	.prio = STATE_PRIO_TIMER,
	.alloc = listener_alloc,
	.save = listener_save,
	.load = listener_load,
	.after_load = file_state_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
