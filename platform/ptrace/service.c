/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service thread: it traces the template and every address space's leader, and so is the one thread that can fork a new
 * address space, add a stub thread to one, or carry out an operation for a caller who has no stub of its own there. Callers
 * queue a request on their stack and wait for it; requests run in order.
 *
 * The thread is started by the first request - after the sandbox's seccomp filter is in place, which it inherits.
 */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "platform/ptrace/ptrace_internal.h"

enum request_kind { REQ_CALL, REQ_THREAD };

struct request {
	enum request_kind kind;
	struct list node;
	struct plat_as *as;
	bool make;
	long nr;
	const uint64_t *args;
	int64_t ret;
	int err;
	bool done;
};

static int make_leader(struct plat_as *as)
{
	int64_t pid;
	int r, status;

	if (as->leader)
		return as->leader < 0 ? -ESRCH : 0;
	r = tracee_clone(as->p->template, STUB_FORK_FLAGS, as->p->sentry, &pid);
	if (r < 0)
		return r;
	if (pid < 0)
		return (int)pid;
	/* CLONE_PTRACE: it is ours from birth and stops before its first instruction. */
	if (tracee_wait((pid_t)pid, &status) < 0)
		return -EAGAIN;
	as->leader = (pid_t)pid;
	return 0;
}

static int serve(struct request *q)
{
	struct plat_as *as = q->as;
	int r;

	if (q->kind == REQ_CALL && !q->make && as->leader == 0)
		return 0;
	r = make_leader(as);
	if (r < 0)
		return r;
	if (q->kind == REQ_CALL)
		r = tracee_call(as->leader, q->nr, q->args, &q->ret);
	else
		r = tracee_clone(as->leader, STUB_THREAD_FLAGS, as->p->sentry, &q->ret);
	if (r == -ESRCH)
		as->leader = -1;
	return r;
}

static void *service_main(void *arg)
{
	struct platform *p = arg;
	struct request *q;
	int up;

	(void)prctl(PR_SET_NAME, "ptrace-service");
	up = tracee_attach(p->template);
	mutex_lock(&p->mu);
	while (!p->service_stop || !list_empty(&p->reqs)) {
		q = list_first(&p->reqs, struct request, node);
		if (!q) {
			cond_wait(&p->work, &p->mu);
			continue;
		}
		list_del(&q->node);
		mutex_unlock(&p->mu);
		q->err = up < 0 ? up : serve(q);
		mutex_lock(&p->mu);
		q->done = true;
		cond_broadcast(&p->done);
	}
	mutex_unlock(&p->mu);
	if (up == 0)
		tracee_kill(p->template);
	return NULL;
}

static int service_start_locked(struct platform *p)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	mutex_assert_held(&p->mu);
	if (p->service_up)
		return 0;
	sigfillset(&all);
	if (pthread_attr_init(&attr))
		return -ENOMEM;
	(void)pthread_attr_setstacksize(&attr, 256 << 10);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&p->service, &attr, service_main, p);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	if (r)
		return -r;
	p->service_up = true;
	return 0;
}

static int submit(struct platform *p, struct request *q)
{
	int r;

	mutex_guard(&p->mu);
	r = service_start_locked(p);
	if (r < 0)
		return r;
	list_add_tail(&p->reqs, &q->node);
	cond_signal(&p->work);
	while (!q->done)
		cond_wait(&p->done, &p->mu);
	return q->err;
}

int service_call(struct plat_as *as, bool make, long nr, const uint64_t args[6], int64_t *ret)
{
	struct request q = { .kind = REQ_CALL, .as = as, .make = make, .nr = nr, .args = args };
	int r = submit(as->p, &q);

	if (r == 0)
		*ret = q.ret;
	return r;
}

int service_thread(struct plat_as *as)
{
	struct request q = { .kind = REQ_THREAD, .as = as };
	int r = submit(as->p, &q);

	return r < 0 ? r : (int)q.ret;
}

void service_stop(struct platform *p)
{
	mutex_lock(&p->mu);
	p->service_stop = true;
	cond_signal(&p->work);
	mutex_unlock(&p->mu);
	if (p->service_up)
		(void)pthread_join(p->service, NULL);
	else if (p->template > 0) /* it was started */
		tracee_kill(p->template);
	p->service_up = false;
}
