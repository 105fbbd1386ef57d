/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ptrace(2) the system call: finding the tracee, and one function per request.
 *
 * A request on a stopped tracee holds it in its stop (pt->frozen) instead of holding a lock, since it may touch the memory of both.
 * Linux: ptrace_request() in kernel/ptrace.c, arch_ptrace() in arch/x86/kernel/ptrace.c.
 */
#include <string.h>

#include "sentry/fs/landlock.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/syscalls/syscalls.h"

enum {
	REQ_TRACEME = 0,
	REQ_PEEKTEXT = 1,
	REQ_PEEKDATA = 2,
	REQ_PEEKUSER = 3,
	REQ_POKETEXT = 4,
	REQ_POKEDATA = 5,
	REQ_POKEUSER = 6,
	REQ_CONT = 7,
	REQ_KILL = 8,
	REQ_SINGLESTEP = 9,
	REQ_GETREGS = 12,
	REQ_SETREGS = 13,
	REQ_GETFPREGS = 14,
	REQ_SETFPREGS = 15,
	REQ_ATTACH = 16,
	REQ_DETACH = 17,
	REQ_OLDSETOPTIONS = 21,
	REQ_SYSCALL = 24,
	REQ_ARCH_PRCTL = 30,
	REQ_SYSEMU = 31,
	REQ_SYSEMU_SINGLESTEP = 32,
	REQ_SETOPTIONS = 0x4200,
	REQ_GETEVENTMSG = 0x4201,
	REQ_GETSIGINFO = 0x4202,
	REQ_SETSIGINFO = 0x4203,
	REQ_GETREGSET = 0x4204,
	REQ_SETREGSET = 0x4205,
	REQ_SEIZE = 0x4206,
	REQ_INTERRUPT = 0x4207,
	REQ_LISTEN = 0x4208,
	REQ_PEEKSIGINFO = 0x4209,
	REQ_GETSIGMASK = 0x420a,
	REQ_SETSIGMASK = 0x420b,
	REQ_SECCOMP_GET_FILTER = 0x420c,
	REQ_SECCOMP_GET_METADATA = 0x420d,
	REQ_GET_SYSCALL_INFO = 0x420e,
	REQ_GET_RSEQ_CONFIGURATION = 0x420f,
};

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

#define AUDIT_ARCH_X86_64_L 0xc000003eu
#define PEEK_SHARED         1u /* PTRACE_PEEKSIGINFO_SHARED */

/* --- becoming a tracee --- */

/* The thread that would be the tracer of a PTRACE_TRACEME: the one that forked us, or a live one in its place. */
static struct task *real_parent_locked(struct task *t)
{
	struct thread_group *p = t->tg->parent;
	struct task *o;

	if (!p)
		return NULL;
	if (t->tg->parent_task && !t->tg->parent_task->is_zombie && !t->tg->parent_task->exiting)
		return t->tg->parent_task;
	list_for_each(o, &p->tasks, tg_node)
		if (!o->is_zombie && !o->exiting)
			return o;
	return NULL;
}

static bool traceme_allowed(struct task *tracer, struct task *t)
{
	struct cred *c = task_cred_get(tracer);
	bool ok = c && landlock_may_trace(c, t->cred);

	cred_put(c);
	return ok;
}

static int traceme(struct task *t)
{
	struct sighand *s;
	struct task *p;
	int r = ptrace_prepare(t);

	if (r < 0)
		return r;
	mutex_lock(&t->k->tasks_mu);
	p = real_parent_locked(t);
	if (ptraced(t) || !p || !traceme_allowed(p, t)) {
		r = -EPERM;
	} else {
		s = sighand_lock(t);
		ptrace_link_locked(t, p, false, 0);
		mutex_unlock(&s->mu);
	}
	mutex_unlock(&t->k->tasks_mu);
	return r;
}

static int check_options(struct task *t, uint64_t opt, int bad)
{
	if (opt & ~(uint64_t)PTRACE_O_ALL)
		return bad;
	if ((opt & PTRACE_O_SUSPEND_SECCOMP_L) && (!task_capable(t, LINUX_CAP_SYS_ADMIN) || t->seccomp_mode || ptrace_suspends_seccomp(t)))
		return -EPERM;
	return 0;
}

static int attach(struct task *t, struct task *c, bool seize, uint64_t addr, uint64_t opt)
{
	struct sighand *s;
	int r = 0;

	if (seize) {
		r = addr ? -EIO : check_options(t, opt, -EIO);
		if (r < 0)
			return r;
	}
	if (c->tg == t->tg)
		return -EPERM;
	r = task_ptrace_may_access(t, c, true);
	if (r == 0)
		r = ptrace_prepare(c);
	if (r < 0)
		return r == -ESRCH ? -EPERM : r;
	mutex_lock(&t->k->tasks_mu);
	if (c->is_zombie || c->exiting || ptraced(c)) {
		mutex_unlock(&t->k->tasks_mu);
		return -EPERM;
	}
	s = sighand_lock(c);
	ptrace_link_locked(c, t, seize, seize ? (uint32_t)opt : 0);
	mutex_unlock(&s->mu);
	if (!seize)
		(void)signal_send_task(c, SIGSTOP, NULL);
	s = sighand_lock(c);
	if (c->stopped) {
		c->pt->trap_stop = true;
		task_set_work(c, WORK_SIGNAL);
		task_wake(c);
	}
	mutex_unlock(&s->mu);
	mutex_unlock(&t->k->tasks_mu);
	return 0;
}

/* --- holding a stopped tracee --- */

/* @c is @t's tracee and, unless @any, stopped and now held. -ESRCH. */
static int hold(struct task *t, struct task *c, bool any)
{
	struct ptrace *pt = task_pt(c);
	struct sighand *s;
	int r = -ESRCH;

	if (!pt)
		return r;
	s = sighand_lock(c);
	if (pt->tracer == t && !c->is_zombie) {
		bool dying = c->tg->group_exiting || (c->pending.set & SIGBIT(SIGKILL));

		if (any || (pt->stopped && !pt->listening && (!dying || (pt->kind == PTS_DEATH && pt->final)))) {
			pt->frozen = !any;
			r = 0;
		}
	}
	mutex_unlock(&s->mu);
	return r;
}

static void release(struct task *c)
{
	struct sighand *s = sighand_lock(c);

	c->pt->frozen = false;
	task_wake(c);
	mutex_unlock(&s->mu);
}

/* --- running --- */

static int resume(struct task *c, enum ptrace_mode mode, bool step, uint64_t sig)
{
	struct ptrace *pt = c->pt;
	struct sighand *s;

	if (sig > NSIG_MAX)
		return -EIO;
	s = sighand_lock(c);
	pt->mode = mode;
	pt->step = step;
	pt->code = (int)sig;
	pt->stopped = false;
	mutex_unlock(&s->mu);
	return 0;
}

static int detach(struct task *t, struct task *c, uint64_t sig)
{
	struct sighand *s;

	if (sig > NSIG_MAX)
		return -EIO;
	mutex_lock(&t->k->tasks_mu);
	s = sighand_lock(c);
	c->pt->code = (int)sig;
	mutex_unlock(&s->mu);
	ptrace_detach_locked(c);
	mutex_unlock(&t->k->tasks_mu);
	return 0;
}

static int interrupt(struct task *c)
{
	struct ptrace *pt = c->pt;
	struct sighand *s = sighand_lock(c);
	int r = -EIO;

	if (pt->seized) {
		pt->trap_stop = true;
		task_set_work(c, WORK_SIGNAL);
		if (pt->listening)
			task_wake(c);
		r = 0;
	}
	mutex_unlock(&s->mu);
	return r;
}

static int listen(struct task *c)
{
	struct ptrace *pt = c->pt;
	struct sighand *s = sighand_lock(c);
	int r = -EIO;

	if (pt->seized && pt->kind == PTS_EVENT_STOP) {
		pt->listening = true;
		r = 0;
	}
	mutex_unlock(&s->mu);
	return r;
}

/* --- memory and registers --- */

static int access_word(struct task *c, uint64_t addr, uint64_t *v, bool write)
{
	struct mm *mm = task_mm_get(c);
	int64_t n;

	if (!mm)
		return -EIO;
	n = mm_access(mm, GADDR(addr), v, sizeof(*v), write, true);
	mm_put(mm);
	return n == (int64_t)sizeof(*v) ? 0 : -EIO;
}

static int out_word(struct task *t, int r, uint64_t v, uint64_t data)
{
	return r < 0 ? r : copy_out(t, GADDR(data), &v, sizeof(v));
}

/* A whole register set to or from @buf of the tracer. */
static int regset(struct task *t, struct task *c, uint32_t type, gaddr_t buf, size_t *len, bool set)
{
	_cleanup_free_ uint8_t *tmp = NULL;
	size_t n = MIN(*len, (size_t)ARCH_XSAVE_MAX);
	int r;

	tmp = calloc(1, ARCH_XSAVE_MAX);
	if (!tmp)
		return -ENOMEM;
	if (*len % 8)
		return -EINVAL;
	if (set) {
		r = copy_in(t, tmp, buf, n);
		if (r == 0)
			r = ptrace_set_regset(c, type, tmp, &n);
	} else {
		r = ptrace_get_regset(c, type, tmp, &n);
		if (r == 0)
			r = copy_out(t, buf, tmp, n);
	}
	*len = n;
	return r;
}

static int regset_whole(struct task *t, struct task *c, uint32_t type, uint64_t data, bool set)
{
	size_t len = type == NT_PRSTATUS_L ? sizeof(struct arch_regs) : 512;
	int r = regset(t, c, type, GADDR(data), &len, set);

	return r == -EFAULT ? -EIO : r;
}

static int regset_iov(struct task *t, struct task *c, uint64_t type, uint64_t data, bool set)
{
	struct { uint64_t base, len; } iov;
	size_t len;
	int r = copy_in(t, &iov, GADDR(data), sizeof(iov));

	if (r < 0)
		return r;
	if (type != NT_PRSTATUS_L && type != NT_PRFPREG_L && type != NT_X86_XSTATE_L)
		return -EINVAL;
	len = iov.len;
	/* Linux takes as much as the set has; the sizes that matter are checked by the set. */
	r = regset(t, c, (uint32_t)type, GADDR(iov.base), &len, set);
	if (r < 0)
		return r;
	iov.len = len;
	return copy_out(t, gaddr_add(GADDR(data), 8), &iov.len, sizeof(iov.len));
}

static int arch_prctl(struct task *t, struct task *c, uint64_t addr, uint64_t code)
{
	const uint64_t fs = offsetof(struct arch_regs, fs_base), gs = offsetof(struct arch_regs, gs_base);
	uint64_t v;
	int r;

	switch (code) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		r = ptrace_poke_user(c, code == ARCH_SET_FS ? fs : gs, addr);
		return r == -EIO ? -EPERM : r;
	case ARCH_GET_FS:
	case ARCH_GET_GS:
		r = ptrace_peek_user(c, code == ARCH_GET_FS ? fs : gs, &v);
		return out_word(t, r, v, addr);
	default:
		return -EINVAL;
	}
}

/* --- signals --- */

static int get_siginfo(struct task *t, struct task *c, uint64_t data)
{
	struct sighand *s = sighand_lock(c);
	struct linux_siginfo si = c->pt->info;
	bool have = c->pt->has_info;

	mutex_unlock(&s->mu);
	return have ? copy_out(t, GADDR(data), &si, sizeof(si)) : -EINVAL;
}

static int set_siginfo(struct task *t, struct task *c, uint64_t data)
{
	struct linux_siginfo si;
	struct sighand *s;
	int r = copy_in(t, &si, GADDR(data), sizeof(si));

	if (r < 0)
		return r;
	s = sighand_lock(c);
	if (c->pt->has_info)
		c->pt->info = si;
	else
		r = -EINVAL;
	mutex_unlock(&s->mu);
	return r;
}

static int get_sigmask(struct task *t, struct task *c, uint64_t size, uint64_t data)
{
	sigset64_t set;
	struct sighand *s;

	if (size != sizeof(set))
		return -EINVAL;
	s = sighand_lock(c);
	set = c->restore_mask ? c->saved_mask : c->blocked;
	mutex_unlock(&s->mu);
	return copy_out(t, GADDR(data), &set, sizeof(set));
}

static int set_sigmask(struct task *t, struct task *c, uint64_t size, uint64_t data)
{
	sigset64_t set;
	int r;

	if (size != sizeof(set))
		return -EINVAL;
	r = copy_in(t, &set, GADDR(data), sizeof(set));
	if (r < 0)
		return r;
	c->restore_mask = false;
	signal_set_blocked(c, set);
	return 0;
}

static bool nth_siginfo(struct task *c, bool shared, uint64_t n, struct linux_siginfo *ret)
{
	struct sighand *s = sighand_lock(c);
	const struct sigpending *p = shared ? &c->tg->pending : &c->pending;
	const struct sigqueue *q;
	bool found = false;

	list_for_each(q, &p->queue, node)
		if (n-- == 0) {
			*ret = q->info;
			found = true;
			break;
		}
	mutex_unlock(&s->mu);
	return found;
}

static int peek_siginfo(struct task *t, struct task *c, uint64_t addr, uint64_t data)
{
	struct { uint64_t off; uint32_t flags; int32_t nr; } a;
	struct linux_siginfo si;
	int r = copy_in(t, &a, GADDR(addr), sizeof(a));

	if (r < 0)
		return r;
	if ((a.flags & ~PEEK_SHARED) || a.nr < 0)
		return -EINVAL;
	for (int i = 0; i < a.nr; i++) {
		if (!nth_siginfo(c, a.flags & PEEK_SHARED, a.off + (uint64_t)i, &si))
			return i;
		if (copy_out(t, GADDR(data + (uint64_t)i * sizeof(si)), &si, sizeof(si)) < 0)
			return i ? i : -EFAULT;
	}
	return a.nr;
}

/* --- what is it doing --- */

struct syscall_info {
	uint8_t op, pad[3];
	uint32_t arch;
	uint64_t ip, sp;
	union {
		struct { uint64_t nr, args[6]; } entry;
		struct { int64_t rval; uint8_t is_error; } exit;
		struct { uint64_t nr, args[6]; uint32_t ret_data; } seccomp;
	};
};

static int64_t get_syscall_info(struct task *t, struct task *c, uint64_t size, uint64_t data)
{
	const struct arch_regs *r = &c->k->pops->regs(c->pctx, true)->r;
	struct syscall_info si = { .arch = AUDIT_ARCH_X86_64_L, .ip = r->rip, .sp = r->rsp };
	size_t len = offsetof(struct syscall_info, entry);

	bool seccomp = c->pt->has_info && c->pt->info.si_code == (SIGTRAP | PTRACE_EVENT_SECCOMP_L << 8);

	/* As Linux, which tells by the siginfo: only with PTRACE_O_TRACESYSGOOD. */
	if (seccomp || (c->pt->has_info && c->pt->info.si_code == (SIGTRAP | 0x80) && c->pt->kind == PTS_ENTRY)) {
		si.op = seccomp ? 3 : 1;
		si.entry.nr = (uint64_t)(int64_t)(int32_t)r->orig_rax; /* as Linux: the number, not the register */
		si.entry.args[0] = r->rdi;
		si.entry.args[1] = r->rsi;
		si.entry.args[2] = r->rdx;
		si.entry.args[3] = r->r10;
		si.entry.args[4] = r->r8;
		si.entry.args[5] = r->r9;
		len += sizeof(si.entry);
		if (seccomp) {
			si.seccomp.ret_data = (uint32_t)c->pt->message;
			len += sizeof(si.seccomp.ret_data);
		}
	} else if (c->pt->has_info && c->pt->info.si_code == (SIGTRAP | 0x80) && c->pt->kind == PTS_EXIT) {
		si.op = 2;
		si.exit.rval = (int64_t)r->rax;
		si.exit.is_error = r->rax > (uint64_t)-4096;
		len = offsetof(struct syscall_info, exit.is_error) + 1;
	}
	if (copy_out(t, GADDR(data), &si, MIN(size, len)) < 0)
		return -EFAULT;
	return (int64_t)len;
}

static int64_t get_rseq(struct task *t, struct task *c, uint64_t size, uint64_t data)
{
	struct { uint64_t ptr; uint32_t size, sig, flags, pad; } v = { c->rseq_addr, c->rseq_len, c->rseq_sig, 0, 0 };

	size = MIN(size, sizeof(v));
	return copy_out(t, GADDR(data), &v, size) < 0 ? -EFAULT : (int64_t)size;
}

/* --- seccomp --- */

static int64_t get_filter(struct task *t, struct task *c, uint64_t n, uint64_t data, bool meta)
{
	struct { uint64_t off, flags; } m = { 0 };
	struct seccomp_filter *f;
	uint64_t size = n;
	int64_t r;

	if (!task_capable(t, LINUX_CAP_SYS_ADMIN) || t->seccomp_mode)
		return -EACCES;
	if (meta) {
		size = MIN(size, sizeof(m));
		if (size < sizeof(m.off))
			return -EINVAL;
		if (copy_in(t, &m.off, GADDR(data), sizeof(m.off)) < 0)
			return -EFAULT;
		n = m.off;
	}
	r = seccomp_nth_filter(c, n, &f);
	if (r < 0)
		return r;
	if (meta) {
		m.flags = f->log ? SECCOMP_L_FLAG_LOG : 0;
		r = copy_out(t, GADDR(data), &m, size) < 0 ? -EFAULT : (int64_t)size;
	} else {
		r = data && copy_out(t, GADDR(data), f->prog, f->len * sizeof(*f->prog)) < 0 ? -EFAULT : (int64_t)f->len;
	}
	seccomp_filter_put(f);
	return r;
}

static int set_options(struct task *t, struct task *c, uint64_t opt)
{
	int r = check_options(t, opt, -EINVAL);
	struct sighand *s;

	if (r < 0)
		return r;
	s = sighand_lock(c);
	c->pt->options = (uint32_t)opt;
	mutex_unlock(&s->mu);
	return 0;
}

/* --- dispatch --- */

static int64_t request_stopped(struct task *t, struct task *c, int64_t req, uint64_t addr, uint64_t data)
{
	uint64_t v = data;
	int r;

	switch (req) {
	case REQ_PEEKTEXT:
	case REQ_PEEKDATA:
		r = access_word(c, addr, &v, false);
		return out_word(t, r, v, data);
	case REQ_POKETEXT:
	case REQ_POKEDATA:
		return access_word(c, addr, &v, true);
	case REQ_PEEKUSER:
		r = ptrace_peek_user(c, addr, &v);
		return out_word(t, r, v, data);
	case REQ_POKEUSER:
		return ptrace_poke_user(c, addr, data);
	case REQ_CONT:
		return resume(c, PTM_CONT, false, data);
	case REQ_SYSCALL:
		return resume(c, PTM_SYSCALL, false, data);
	case REQ_SINGLESTEP:
		return resume(c, PTM_CONT, true, data);
	case REQ_SYSEMU:
		return resume(c, PTM_SYSEMU, false, data);
	case REQ_SYSEMU_SINGLESTEP:
		return resume(c, PTM_SYSEMU, true, data);
	case REQ_DETACH:
		return detach(t, c, data);
	case REQ_LISTEN:
		return listen(c);
	case REQ_GETREGS:
	case REQ_SETREGS:
		return regset_whole(t, c, NT_PRSTATUS_L, data, req == REQ_SETREGS);
	case REQ_GETFPREGS:
	case REQ_SETFPREGS:
		return regset_whole(t, c, NT_PRFPREG_L, data, req == REQ_SETFPREGS);
	case REQ_GETREGSET:
	case REQ_SETREGSET:
		return regset_iov(t, c, addr, data, req == REQ_SETREGSET);
	case REQ_ARCH_PRCTL:
		return arch_prctl(t, c, addr, data);
	case REQ_OLDSETOPTIONS:
	case REQ_SETOPTIONS:
		return set_options(t, c, data);
	case REQ_GETEVENTMSG:
		return out_word(t, 0, c->pt->message, data);
	case REQ_GETSIGINFO:
		return get_siginfo(t, c, data);
	case REQ_SETSIGINFO:
		return set_siginfo(t, c, data);
	case REQ_PEEKSIGINFO:
		return peek_siginfo(t, c, addr, data);
	case REQ_GETSIGMASK:
		return get_sigmask(t, c, addr, data);
	case REQ_SETSIGMASK:
		return set_sigmask(t, c, addr, data);
	case REQ_SECCOMP_GET_FILTER:
	case REQ_SECCOMP_GET_METADATA:
		return get_filter(t, c, addr, data, req == REQ_SECCOMP_GET_METADATA);
	case REQ_GET_SYSCALL_INFO:
		return get_syscall_info(t, c, addr, data);
	case REQ_GET_RSEQ_CONFIGURATION:
		return get_rseq(t, c, addr, data);
	default:
		return -EIO;
	}
}

static int64_t request(struct task *t, struct task *c, int64_t req, uint64_t addr, uint64_t data)
{
	bool any = req == REQ_KILL || req == REQ_INTERRUPT;
	int64_t r;

	if (req == REQ_ATTACH || req == REQ_SEIZE)
		return attach(t, c, req == REQ_SEIZE, addr, data);
	r = hold(t, c, any);
	if (r < 0)
		return r;
	if (req == REQ_KILL)
		return signal_send_task(c, SIGKILL, NULL);
	if (req == REQ_INTERRUPT)
		return interrupt(c);
	r = request_stopped(t, c, req, addr, data);
	release(c);
	return r;
}

int64_t sys_ptrace(struct task *t, const struct sys_args *a)
{
	int64_t req = (int64_t)a->a[0], r;
	struct task *c;

	if (req == REQ_TRACEME)
		return traceme(t);
	c = task_find(t->k, task_pid_ns(t), ARG_INT(a, 1));
	if (!c)
		return -ESRCH;
	r = request(t, c, req, a->a[2], a->a[3]);
	task_put(c);
	return r;
}
