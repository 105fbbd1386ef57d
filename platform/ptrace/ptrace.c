/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ptrace platform: contexts, address spaces and the switch.
 *
 * A context owns one stub thread in the address space it last ran in, made at the first switch there; the Sentry thread that
 * switched first traces it. Between switches the stub is stopped, and its owner may run host calls in it (tracee_call) to
 * change its address space; everybody else asks the service thread, which does so in the address space's leader.
 *
 * Registers are cached in the context: pulled at most once per stop, pushed only when changed or destroyed by an injected call.
 * A checkpoint sees arch_state and nothing else; stubs are made anew.
 *
 * DEVIATION: the host does not tell a tracer the page fault error code, so the access of a fault is mostly unknown. A fault of
 * an instruction fetch that crosses into the next page is reported as unknown, too.
 */
#include "platform/ptrace/ptrace.h"

#include <linux/audit.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/log.h"
#include "platform/ptrace/ptrace_internal.h"

#define SIG_INTERRUPT SIGCHLD /* default-ignored: harmless if it hits anything but a traced stub */
#define TRAPNO_DE 0
#define TRAPNO_DB 1
#define TRAPNO_BP 3
#define TRAPNO_UD 6
#define TRAPNO_GP 13
#define TRAPNO_PF 14
#define TRAPNO_MF 16
#define TRAPNO_AC 17

/* gettid(), which is a host call, once per thread. */
static pid_t own_tid(void)
{
	static __thread pid_t tid;

	if (unlikely(tid == 0))
		tid = gettid();
	return tid;
}

static uint64_t min_addr(void)
{
	static atomic_ulong cached;
	uint64_t v = atomic_load(&cached);

	if (v == 0) {
		FILE *f = fopen("/proc/sys/vm/mmap_min_addr", "re");

		v = 65536;
		if (f) {
			if (fscanf(f, "%lu", &v) != 1)
				v = 65536;
			(void)fclose(f);
		}
		v = MAX(ALIGN_UP(v, PAGE_SIZE), PAGE_SIZE);
		atomic_store(&cached, v);
	}
	return v;
}

/* ---- platform ---- */

static void as_put(struct plat_as *as);
static int ctx_pull(struct plat_ctx *c);
static void ctx_lost(struct plat_ctx *c);

/* The last reference is gone, or the platform goes. */
static void as_destroy(struct plat_as *as)
{
	while (as->nparked)
		tracee_kill(as->parked[--as->nparked]);
	if (as->leader > 0)
		tracee_kill(as->leader);
	ranges_done(&as->mapped);
	mutex_destroy(&as->mu);
	free(as);
}

static int pt_new(struct platform **ret, struct error **err)
{
	struct platform *p = calloc(1, sizeof(*p));

	if (!p)
		return error_set(err, -ENOMEM, "ptrace platform");
	(void)min_addr();
	mutex_init(&p->mu, "ptrace.service");
	cond_init(&p->work);
	cond_init(&p->done);
	list_init(&p->reqs);
	list_init(&p->pool);
	*ret = p;
	return 0;
}

static int pt_start(struct platform *p, struct error **err)
{
	struct sigaction chld;

	/* Or every stop of every stub would send us a SIGCHLD. */
	if (sigaction(SIGCHLD, NULL, &chld) == 0 && !(chld.sa_flags & SA_NOCLDSTOP)) {
		chld.sa_flags |= SA_NOCLDSTOP;
		(void)sigaction(SIGCHLD, &chld, NULL);
	}
	return ptrace_template_start(p, err);
}

static void pt_free(struct platform *p)
{
	if (!p)
		return;
	for (struct plat_as *as; (as = list_first(&p->pool, struct plat_as, pool));) {
		list_del(&as->pool);
		as_destroy(as);
	}
	service_stop(p);
	cond_destroy(&p->work);
	cond_destroy(&p->done);
	mutex_destroy(&p->mu);
	free(p);
}

static void pt_caps(const struct platform *p, struct plat_caps *ret)
{
	*ret = (struct plat_caps){
		.name = "ptrace",
		.lazy_regs = true,
		.fault_access_known = false,
		.min_addr = min_addr(),
		.max_addr = PTRACE_STUB_ADDR,
	};
}

/* ---- address spaces ---- */

/* A host call in @as by whoever can. 0 and its result in *@ret, or -errno when there was no way to run it. */
static int as_call(struct plat_as *as, struct plat_ctx *self, bool make, long nr, const uint64_t args[6], int64_t *ret)
{
	int r;

	*ret = 0;
	if (!self || !self->tid || self->as != as || self->owner != own_tid())
		return service_call(as, make, nr, args, ret);
	r = ctx_pull(self);
	if (r < 0)
		return r;
	self->regs_dirty = true;
	r = tracee_call(self->tid, nr, args, ret);
	if (r < 0)
		ctx_lost(self);
	return r;
}

static bool range_ok(uint64_t addr, uint64_t len)
{
	uint64_t end;

	return len && IS_ALIGNED(addr, PAGE_SIZE) && IS_ALIGNED(len, PAGE_SIZE) && !add_overflow(addr, len, &end) &&
	       addr >= min_addr() && end <= PTRACE_STUB_ADDR;
}

static int unmap_locked(struct plat_as *as, struct plat_ctx *self, uint64_t addr, uint64_t len)
{
	const uint64_t a[6] = { addr, len };
	int64_t ret;
	int r = as_call(as, self, false, SYS_munmap, a, &ret);

	return r < 0 ? r : (int)ret;
}

static int pt_unmap(struct plat_as *as, struct plat_ctx *self, uint64_t addr, uint64_t len)
{
	struct addr_range got;
	int r;

	if (!range_ok(addr, len))
		return -EINVAL;
	mutex_guard(&as->mu);
	if (!ranges_next(&as->mapped, addr, addr + len, &got))
		return 0;
	r = unmap_locked(as, self, addr, len);
	/* Out of memory here only makes later operations ask the host for a hole. */
	if (r == 0)
		(void)ranges_del(&as->mapped, addr, addr + len);
	return r;
}

static int pt_map(struct plat_as *as, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot, int fd, uint64_t off,
		  uint32_t flags)
{
	const uint64_t a[6] = { addr, len, prot & (PROT_READ | PROT_WRITE | PROT_EXEC),
				MAP_SHARED | MAP_FIXED | (flags & PLAT_MAP_PRECOMMIT ? MAP_POPULATE : 0), (uint64_t)fd, off };
	int64_t ret;
	int r;

	if (!range_ok(addr, len) || fd < 0 || !IS_ALIGNED(off, PAGE_SIZE))
		return -EINVAL;
	mutex_guard(&as->mu);
	r = ranges_add(&as->mapped, addr, addr + len);
	if (r < 0)
		return r;
	r = as_call(as, self, true, SYS_mmap, a, &ret);
	if (r < 0)
		return r;
	if ((uint64_t)ret == addr)
		return 0;
	if (unmap_locked(as, self, addr, len) == 0)
		(void)ranges_del(&as->mapped, addr, addr + len);
	return ret < 0 && ret >= -4095 ? (int)ret : -EIO;
}

static int pt_protect(struct plat_as *as, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot)
{
	struct addr_range part;

	if (!range_ok(addr, len))
		return -EINVAL;
	mutex_guard(&as->mu);
	/* Part by part: the host's mprotect() stops at the first hole. */
	for (uint64_t at = addr; ranges_next(&as->mapped, at, addr + len, &part); at = part.end) {
		const uint64_t a[6] = { part.start, part.end - part.start, prot & (PROT_READ | PROT_WRITE | PROT_EXEC) };
		int64_t ret;
		int r = as_call(as, self, false, SYS_mprotect, a, &ret);

		if (r < 0 || (ret < 0 && ret != -ENOMEM))
			return r < 0 ? r : (int)ret;
	}
	return 0;
}

static int pt_as_new(struct platform *p, struct plat_as **ret)
{
	struct plat_as *as;

	mutex_lock(&p->mu);
	as = list_first(&p->pool, struct plat_as, pool);
	if (as) {
		list_del(&as->pool);
		p->npool--;
	}
	mutex_unlock(&p->mu);
	if (!as) {
		as = calloc(1, sizeof(*as));
		if (!as)
			return -ENOMEM;
		as->p = p;
		mutex_init(&as->mu, "ptrace.as");
	}
	as->refs = 1;
	*ret = as;
	return 0;
}

static void as_put(struct plat_as *as)
{
	struct platform *p = as ? as->p : NULL;
	bool keep;

	if (!as || atomic_fetch_sub(&as->refs, 1) != 1)
		return;
	mutex_lock(&p->mu);
	keep = as->leader > 0 && p->npool < POOL_SPACES;
	if (keep) {
		list_add(&p->pool, &as->pool);
		p->npool++;
	}
	mutex_unlock(&p->mu);
	if (!keep)
		as_destroy(as);
}

static void pt_as_free(struct plat_as *as)
{
	if (!as)
		return;
	/* Contexts still bound keep their stopped stubs until they are freed or switch elsewhere; those never run again. */
	mutex_lock(&as->mu);
	if (as->mapped.n && unmap_locked(as, NULL, min_addr(), PTRACE_STUB_ADDR - min_addr()) < 0) {
		if (as->leader > 0)
			tracee_kill(as->leader);
		as->leader = -1;
	}
	ranges_done(&as->mapped);
	mutex_unlock(&as->mu);
	as_put(as);
}

/* ---- contexts ---- */

static int pt_ctx_new(struct platform *p, struct plat_ctx **ret)
{
	struct plat_ctx *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->p = p;
	mutex_init(&c->cpu_mu, "plat_ctx.cpu_mu");
	c->regs_valid = c->fpu_valid = true;
	c->st.r.orig_rax = UINT64_MAX;
	*ret = c;
	return 0;
}

static int64_t stub_cpu(pid_t tid)
{
	struct timespec ts = { 0 };

	/* Every stub is a process of its own: its process CPU clock may be read by anybody. */
	if (tid == 0 || clock_gettime((clockid_t)((~(unsigned)tid << 3) | 2), &ts) < 0)
		return 0;
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int pt_cpu_time(struct plat_ctx *c, int64_t *ret_ns)
{
	mutex_lock(&c->cpu_mu);
	*ret_ns = c->cpu_base + stub_cpu(c->cpu_tid);
	mutex_unlock(&c->cpu_mu);
	return 0;
}

/* From now on the clock of stub @tid counts (0: none), from its present value. */
static void ctx_count_cpu(struct plat_ctx *c, pid_t tid)
{
	mutex_lock(&c->cpu_mu);
	c->cpu_base += stub_cpu(c->cpu_tid) - stub_cpu(tid);
	c->cpu_tid = tid;
	mutex_unlock(&c->cpu_mu);
}

/* The stub is gone and reaped; what was cached stays. */
static void ctx_lost(struct plat_ctx *c)
{
	mutex_lock(&c->cpu_mu);
	c->cpu_tid = 0; /* the number may be another process's soon */
	mutex_unlock(&c->cpu_mu);
	c->tid = 0;
	c->debug_armed = false;
	as_put(c->as);
	c->as = NULL;
	c->regs_valid = c->fpu_valid = true;
}

static int ctx_pull(struct plat_ctx *c)
{
	if (c->regs_valid)
		return 0;
	if (c->owner != own_tid()) {
		log_error("ptrace: thread %d asks for registers that only thread %d can read", own_tid(), c->owner);
		return -EPERM;
	}
	if (tracee_getregs(c->tid, &c->st.r) < 0) {
		ctx_lost(c);
		return -ESRCH;
	}
	if (!c->in_syscall)
		c->st.r.orig_rax = UINT64_MAX;
	if (c->ret_set) {
		c->st.r.rax = c->ret;
		c->ret_set = false;
		c->regs_dirty = true;
	}
	c->regs_valid = true;
	return 0;
}

static int ctx_pull_fpu(struct plat_ctx *c)
{
	if (!c->st.fpu.data) {
		c->st.fpu.data = calloc(1, ARCH_XSAVE_MAX);
		if (!c->st.fpu.data)
			return -ENOMEM;
	}
	if (c->fpu_valid)
		return 0;
	if (c->owner != own_tid())
		return -EPERM;
	if (tracee_getfpu(c->tid, c->st.fpu.data, &c->st.fpu.size) < 0) {
		ctx_lost(c);
		return -ESRCH;
	}
	c->fpu_valid = true;
	return 0;
}

static void ctx_unbind(struct plat_ctx *c)
{
	struct plat_as *as = c->as;
	bool done = false;

	if (!c->tid)
		return;
	ctx_count_cpu(c, 0);
	/* Only its tracer can park it: not when the context is freed after its thread. Nor with breakpoints, which would stay. */
	if (c->owner == own_tid() && !c->debug_armed) {
		mutex_guard(&as->mu);
		if (as->nparked < POOL_STUBS) {
			if (tracee_park(c->tid, c->p->sentry) == 0)
				as->parked[as->nparked++] = c->tid;
			done = true;
		}
	}
	if (!done)
		tracee_kill(c->tid);
	ctx_lost(c);
}

/* A stopped stub thread in @as that the caller traces: a parked one or a new one. */
static int stub_get(struct plat_as *as)
{
	int tid, r;

	for (;;) {
		bool reused = false;

		mutex_lock(&as->mu);
		if (as->nparked) {
			tid = as->parked[--as->nparked];
			reused = true;
		}
		mutex_unlock(&as->mu);
		if (!reused) {
			tid = service_thread(as);
			if (tid < 0)
				return tid;
		}
		r = tracee_attach(tid);
		if (r == 0)
			return tid;
		if (!reused)
			return r;
	}
}

static void pt_ctx_free(struct plat_ctx *c)
{
	if (!c)
		return;
	ctx_unbind(c);
	mutex_destroy(&c->cpu_mu);
	free(c->st.fpu.data);
	free(c);
}

/* Gives @c a stopped stub in @as, taking the state along from the one it had. */
static int ctx_bind(struct plat_ctx *c, struct plat_as *as)
{
	int tid, r;

	if (c->tid) {
		if (ctx_pull(c) < 0)
			return -ESRCH;
		r = ctx_pull_fpu(c);
		if (r < 0)
			return r;
		ctx_unbind(c);
	}
	tid = stub_get(as);
	if (tid < 0)
		return tid;
	atomic_fetch_add(&as->refs, 1);
	c->as = as;
	c->tid = tid;
	c->owner = own_tid();
	c->regs_dirty = c->fpu_dirty = true;
	c->debug_dirty = c->debug.control != 0;
	ctx_count_cpu(c, tid);
	return 0;
}

/* -ESRCH or 0: registers that the host has not (any more) are only missing. */
static int push_debug(struct plat_ctx *c)
{
	int r = tracee_setdebug(c->tid, &c->debug);

	if (r == -ESRCH)
		return r;
	if (r < 0)
		log_debug("ptrace: the host has no debug registers for us: %s", strerror(-r));
	c->debug_dirty = false;
	c->debug_armed = c->debug.control != 0;
	return 0;
}

static int ctx_push(struct plat_ctx *c)
{
	/* Results that look like the host's restart codes go with a full push, which tells the host there is nothing to restart. */
	if (c->ret_set && c->ret > (uint64_t)-600 && c->ret < (uint64_t)-500 && ctx_pull(c) < 0)
		return -ESRCH;
	if (c->fpu_dirty) {
		if (tracee_setfpu(c->tid, c->st.fpu.data, c->st.fpu.data ? c->st.fpu.size : 0, c->p->xsave_size) < 0)
			return -ESRCH;
		c->fpu_dirty = false;
	}
	if (c->regs_dirty) {
		if (tracee_setregs(c->tid, &c->st.r) < 0)
			return -ESRCH;
		c->regs_dirty = false;
	} else if (c->ret_set) {
		if (ptrace(PTRACE_POKEUSER, c->tid, (void *)offsetof(struct arch_regs, rax), (void *)c->ret) < 0) {
			tracee_kill(c->tid);
			return -ESRCH;
		}
	}
	c->ret_set = false;
	return c->debug_dirty ? push_debug(c) : 0;
}

static struct arch_state *pt_regs(struct plat_ctx *c, bool fpu)
{
	/* A stub that died leaves the last state known; the next switch reports it. */
	if (ctx_pull(c) != -EPERM)
		c->regs_dirty = true;
	if (fpu && ctx_pull_fpu(c) == 0)
		c->fpu_dirty = true;
	return &c->st;
}

static void pt_set_ret(struct plat_ctx *c, uint64_t val)
{
	if (c->regs_valid) {
		c->st.r.rax = val;
		c->regs_dirty = true;
		return;
	}
	c->ret = val;
	c->ret_set = true;
}

static void pt_set_step(struct plat_ctx *c, bool on)
{
	c->step = on;
}

static int pt_try_debug(struct plat_ctx *self, const struct plat_debug *d)
{
	int r;

	if (!self->tid || self->owner != own_tid())
		return -EPERM;
	r = ctx_pull(self);
	if (r < 0)
		return r;
	self->debug_armed = true;
	r = tracee_setdebug(self->tid, d);
	if (r == -ESRCH) {
		ctx_lost(self);
		return -ENOSPC;
	}
	/* No trace of the attempt: who has none of its own must not keep these. */
	if (push_debug(self) < 0)
		ctx_lost(self);
	return r;
}

static void pt_set_debug(struct plat_ctx *c, const struct plat_debug *d)
{
	if (memcmp(&c->debug, d, sizeof(*d)) == 0)
		return;
	c->debug = *d;
	c->debug_dirty = true;
}

static void pt_interrupt(struct plat_ctx *c)
{
	pid_t tid;

	/*
	 * Either switch_to() sees irq after it has set running, or we see running after we have set irq. The signal may hit a
	 * stub that has just stopped for another reason, then ends its next run: spurious, swallowed.
	 */
	atomic_store(&c->irq, true);
	tid = atomic_load(&c->running);
	if (tid)
		(void)tgkill(tid, tid, SIG_INTERRUPT);
}

/* ---- events ---- */

static void fault_gp(struct plat_trap *t, uint32_t err)
{
	*t = (struct plat_trap){ .event = PLAT_FAULT, .sig = SIGSEGV, .code = SI_KERNEL, .trapno = TRAPNO_GP, .err = err,
				 .access = PLAT_ACCESS_UNKNOWN };
}

static int on_syscall(struct plat_ctx *c, struct plat_trap *t)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, c->tid, (void *)sizeof(info), &info) < 0)
		return -ESRCH;
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return 0;
	if (info.arch != AUDIT_ARCH_X86_64) {
		/* int 0x80, or code that far-jumped to 32-bit mode: what a kernel without 32-bit calls does. */
		fault_gp(t, 0x80 * 8 + 2);
		c->in_syscall = true;
		if (ctx_pull(c) < 0)
			return -ESRCH;
		c->st.r.rax = c->st.r.orig_rax;
		c->st.r.orig_rax = UINT64_MAX;
		c->st.r.rip -= 2;
		c->regs_dirty = true;
		c->in_syscall = false;
		t->ip = c->st.r.rip;
		t->sp = c->st.r.rsp;
		return 1;
	}
	*t = (struct plat_trap){ .event = PLAT_SYSCALL, .nr = info.entry.nr, .ip = info.instruction_pointer, .sp = info.stack_pointer };
	for (size_t i = 0; i < ARRAY_SIZE(t->args); i++)
		t->args[i] = info.entry.args[i];
	c->in_syscall = true;
	return 1;
}

/* A call into the vsyscall page: the host has already returned from it; what is left is the system call. */
static int on_vsyscall(struct plat_ctx *c, struct plat_trap *t)
{
	const struct arch_regs *r = &c->st.r;

	if (ctx_pull(c) < 0)
		return -ESRCH;
	*t = (struct plat_trap){ .event = PLAT_SYSCALL, .nr = r->rax, .ip = r->rip, .sp = r->rsp,
				 .args = { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 } };
	c->st.r.orig_rax = r->rax;
	c->st.r.rax = (uint64_t)-ENOSYS;
	c->regs_dirty = true;
	c->in_syscall = true;
	return 1;
}

static int on_signal(struct plat_ctx *c, int sig, struct plat_trap *t)
{
	siginfo_t si;

	if (ptrace(PTRACE_GETSIGINFO, c->tid, NULL, &si) < 0)
		return -ESRCH;
	if (si.si_code <= 0)
		return 0; /* sent by somebody outside */
	switch (sig) {
	case SIGSYS:
		return si.si_code == 1 /* SYS_SECCOMP */ ? on_vsyscall(c, t) : 0;
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
		break;
	default:
		return 0;
	}
	if (ctx_pull(c) < 0)
		return -ESRCH;
	*t = (struct plat_trap){ .event = PLAT_FAULT, .sig = sig, .code = si.si_code, .ip = c->st.r.rip, .sp = c->st.r.rsp,
				 .access = PLAT_ACCESS_UNKNOWN };
	t->addr = sig == SIGTRAP && si.si_code == SI_KERNEL ? 0 : (uint64_t)(uintptr_t)si.si_addr;
	if (sig == SIGSEGV && si.si_code == SI_KERNEL) {
		t->trapno = TRAPNO_GP;
		t->addr = 0;
	} else if (sig == SIGSEGV || (sig == SIGBUS && si.si_code != BUS_ADRALN)) {
		t->trapno = TRAPNO_PF;
		t->err = 4 | (si.si_code == SEGV_ACCERR && sig == SIGSEGV ? 1 : 0);
		if (t->addr == c->st.r.rip) {
			t->access = PLAT_ACCESS_EXEC;
			t->err |= 16;
		}
	} else if (sig == SIGBUS) {
		t->trapno = TRAPNO_AC;
	} else if (sig == SIGFPE) {
		t->trapno = si.si_code == FPE_INTDIV ? TRAPNO_DE : TRAPNO_MF;
	} else if (sig == SIGILL) {
		t->trapno = TRAPNO_UD;
	} else {
		t->trapno = si.si_code == SI_KERNEL ? TRAPNO_BP : TRAPNO_DB;
		if (c->debug_armed && t->trapno == TRAPNO_DB && tracee_debug_status(c->tid, &t->debug_status) < 0) {
			ctx_lost(c);
			return -ESRCH;
		}
	}
	return 1;
}

static int ctx_dead(struct plat_ctx *c, struct plat_trap *t, bool reaped)
{
	if (!reaped)
		tracee_kill(c->tid);
	if (c->tid)
		ctx_lost(c);
	*t = (struct plat_trap){ .event = PLAT_DEAD };
	return 0;
}

/* Stepping over a system call: the trap comes when the call is done, before the next instruction (as user_single_step_report()). */
static int step_after_syscall(struct plat_ctx *c, struct plat_trap *t)
{
	if (ctx_pull(c) < 0)
		return -ESRCH;
	c->in_syscall = false;
	c->st.r.orig_rax = UINT64_MAX;
	c->regs_dirty = true;
	*t = (struct plat_trap){ .event = PLAT_FAULT, .sig = SIGTRAP, .code = TRAP_BRKPT, .ip = c->st.r.rip, .sp = c->st.r.rsp,
				 .addr = c->st.r.rip, .access = PLAT_ACCESS_UNKNOWN, .trapno = TRAPNO_DB };
	return 0;
}

static int pt_switch_to(struct plat_ctx *c, struct plat_as *as, struct plat_trap *t)
{
	int r, status, sig;

	if (!c->tid || c->as != as) {
		r = ctx_bind(c, as);
		if (r == -ESRCH)
			return ctx_dead(c, t, true);
		if (r < 0)
			return r;
	}
	if (c->step && c->in_syscall)
		return step_after_syscall(c, t) < 0 ? ctx_dead(c, t, true) : 0;
	if (ctx_push(c) < 0)
		return ctx_dead(c, t, true);
	for (;;) {
		atomic_store(&c->running, c->tid);
		if (atomic_exchange(&c->irq, false)) {
			atomic_store(&c->running, 0);
			*t = (struct plat_trap){ .event = PLAT_INTERRUPTED };
			return 0;
		}
		c->regs_valid = c->fpu_valid = c->in_syscall = false;
		if (ptrace(c->step ? PTRACE_SYSEMU_SINGLESTEP : PTRACE_SYSEMU, c->tid, NULL, NULL) < 0) {
			atomic_store(&c->running, 0);
			return ctx_dead(c, t, false);
		}
		r = tracee_wait(c->tid, &status);
		atomic_store(&c->running, 0);
		if (r < 0)
			return ctx_dead(c, t, true);
		sig = status >> 8;
		if (sig == (SIGTRAP | 0x80))
			r = on_syscall(c, t);
		else if (sig == SIG_INTERRUPT || sig > 0xff)
			r = 0; /* ours, or a group stop */
		else
			r = on_signal(c, sig, t);
		if (r > 0)
			return 0;
		if (r < 0)
			return ctx_dead(c, t, c->tid == 0);
	}
}

const struct platform_ops ptrace_platform_ops = {
	.name = "ptrace",
	.new = pt_new,
	.start = pt_start,
	.free = pt_free,
	.caps = pt_caps,
	.as_new = pt_as_new,
	.as_free = pt_as_free,
	.map = pt_map,
	.unmap = pt_unmap,
	.protect = pt_protect,
	.ctx_new = pt_ctx_new,
	.ctx_free = pt_ctx_free,
	.switch_to = pt_switch_to,
	.interrupt = pt_interrupt,
	.regs = pt_regs,
	.set_ret = pt_set_ret,
	.set_step = pt_set_step,
	.try_debug = pt_try_debug,
	.set_debug = pt_set_debug,
	.cpu_time = pt_cpu_time,
};
