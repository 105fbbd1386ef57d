/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The task loop: run the application, handle what it trapped with, deliver signals, stop and park where asked.
 *
 * A task is always in one of two places when it parks: on the edge to the application (registers complete), or with sysctx.redo
 * set, holding a system call to be dispatched again. Both are savable; nothing on the host stack matters.
 *
 *   dispatch -> value            -> rax, edge
 *            -> ERESTART*        -> sysctx.restart, signal decision: handler (EINTR or rewind) or redo
 *            -> EFREEZE          -> redo with the whole sysctx, park before anything else
 */
#include "sentry/kernel/run.h"

#include <setjmp.h>
#include <string.h>

#include "base/log.h"
#include "sentry/abi/mman.h"
#include "sentry/arch/insn.h"
#include "sentry/arch/sigframe.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/freeze.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/syscalls/strace/strace.h"
#include "sentry/syscalls/syscalls.h"

#define SYSCALL_INSN_LEN 2

static bool is_restart(int64_t ret)
{
	return ret <= -ERESTARTSYS && ret >= -ERESTARTBLOCK;
}

static void restore_mask(struct task *t)
{
	if (t->restore_mask) {
		t->restore_mask = false;
		signal_set_blocked(t, t->saved_mask);
	}
}

/* Runs the handler of @sig: decides about an interrupted system call, then builds the frame. */
static void deliver(struct task *t, int sig, const struct linux_sigaction *ka, const struct linux_siginfo *info)
{
	struct sysctx *c = &t->sysctx;
	struct arch_regs *r = &t->k->pops->regs(t->pctx, true)->r;
	sigset64_t mask = t->restore_mask ? t->saved_mask : t->blocked, block;

	if (c->restart) {
		bool rerun = c->restart == ERESTARTNOINTR || (c->restart == ERESTARTSYS && (ka->flags & SA_RESTART));

		if (rerun) {
			r->rax = c->nr;
			r->rip -= SYSCALL_INSN_LEN;
		} else {
			r->rax = (uint64_t)-EINTR;
		}
		c->restart = 0;
		c->redo = false;
	}
	t->restore_mask = false;
	block = t->blocked | ka->mask;
	if (!(ka->flags & SA_NODEFER))
		block |= SIGBIT(sig);
	if (sigframe_push(t, sig, ka, info, mask) < 0) {
		struct linux_siginfo si = { .si_signo = SIGSEGV, .si_code = SI_KERNEL };

		if (sig == SIGSEGV) {
			struct sighand *s = sighand_lock(t);

			s->action[SIGSEGV - 1].handler = (uint64_t)(uintptr_t)SIG_DFL;
			mutex_unlock(&s->mu);
		}
		signal_force(t, &si);
		return;
	}
	signal_set_blocked(t, block);
	if (t->pt)
		ptrace_handler_entered(t);
}

/* Handles WORK_SIGNAL and a system call waiting for the restart decision. */
static void do_signal(struct task *t)
{
	struct linux_sigaction ka;
	struct linux_siginfo info;
	struct sysctx *c = &t->sysctx;
	int sig = signal_get(t, &ka, &info);

	if (sig < 0)
		return;
	if (sig) {
		strace_signal(t, sig, &info);
		deliver(t, sig, &ka, &info);
		return;
	}
	if (c->restart) {
		/* Nothing ran: the call is dispatched again without visiting the application. */
		c->again = c->restart == ERESTARTBLOCK;
		if (!c->again) {
			c->seccomp = SECCOMP_NEW; /* Linux enters the call anew */
			c->has_deadline = false;
			c->progress = 0;
			memset(c->val, 0, sizeof(c->val));
		}
		c->restart = 0;
		c->redo = true;
	}
	restore_mask(t);
}

static void finish_syscall(struct task *t, int64_t ret)
{
	struct sysctx *c = &t->sysctx;

	if (t->refault) {
		t->refault = false;
		if (ret == -EFAULT)
			ret = -EFREEZE; /* a copy that waited for userfaultfd when a freeze came */
	}
	if (ret == -EFREEZE) {
		c->redo = c->again = true;
		return;
	}
	c->redo = c->again = false;
	if (is_restart(ret)) {
		c->restart = (int)-ret;
		task_set_work(t, WORK_SIGNAL);
		return;
	}
	c->has_deadline = false;
	c->progress = 0;
	if (t->restore_mask) {
		if (ret == -EINTR)
			task_set_work(t, WORK_SIGNAL); /* the handler's frame, or do_signal, puts the mask back */
		else
			restore_mask(t);
	}
	if (ret != SYS_NO_RETURN_VALUE)
		t->k->pops->set_ret(t->pctx, (uint64_t)ret);
}

static void run_syscall(struct task *t)
{
	struct sysctx *c = &t->sysctx;
	struct sys_args a;
	int64_t ret;

	if (t->pt && !ptrace_syscall_enter(t))
		return;
	c->redo = false;
	if (__atomic_load_n(&t->seccomp_mode, __ATOMIC_ACQUIRE) && c->seccomp != SECCOMP_PASSED && !seccomp_enter(t, &ret)) {
		finish_syscall(t, ret);
		if (t->pt)
			ptrace_syscall_exit(t, ret);
		return;
	}
	memcpy(a.a, c->args, sizeof(a.a));
	strace_enter(t, c->nr, &a);
	atomic_store_explicit(&t->in_call, true, memory_order_relaxed);
	ret = syscall_dispatch(t, c->nr, &a);
	atomic_store_explicit(&t->in_call, false, memory_order_relaxed);
	strace_exit(t, c->nr, &a, ret);
	finish_syscall(t, ret);
	if (t->pt)
		ptrace_syscall_exit(t, ret);
}

/* The page-fault error code of the hardware, as far as the platform did not give it: present, write, user, fetch. */
static uint32_t fault_error(struct task *t, const struct plat_trap *trap, const struct mm_fault *f)
{
	uint8_t code[INSN_MAX];
	struct arch_regs *r;
	uint32_t err = 4;
	size_t n;

	if (f->code == LINUX_SEGV_ACCERR)
		err |= 1;
	if (!(trap->access & PLAT_ACCESS_UNKNOWN))
		return err | (trap->access & PLAT_ACCESS_WRITE ? 2 : 0) | (trap->access & PLAT_ACCESS_EXEC ? 16 : 0);
	r = &t->k->pops->regs(t->pctx, false)->r;
	n = mm_copy_in_some(t->mm, code, GADDR(r->rip), sizeof(code));
	/* An instruction that is not all there was not executed. */
	if (trap->addr - r->rip < INSN_MAX && (n <= trap->addr - r->rip || !mm_executable(t->mm, trap->addr)))
		return err | 16;
	return err | (insn_writes(code, n, r, trap->addr) ? 2 : 0);
}

static void handle_trap(struct task *t)
{
	struct plat_trap *trap = &t->trap;
	struct linux_siginfo si = { .si_signo = trap->sig, .si_code = trap->code };
	struct mm_fault f;

	switch (trap->event) {
	case PLAT_SYSCALL:
		t->sysctx = (struct sysctx){ .nr = trap->nr };
		memcpy(t->sysctx.args, trap->args, sizeof(trap->args));
		if (!t->dispatch.on || user_dispatch_enter(t))
			run_syscall(t);
		return;
	case PLAT_FAULT:
		si.fault.addr = trap->addr;
		/* Page faults are the mm's; a general protection or alignment fault is the application's own doing. */
		if ((trap->sig == SIGSEGV && trap->code != SI_KERNEL) || (trap->sig == SIGBUS && trap->code == BUS_ADRERR)) {
			t->minflt++;
			if (mm_handle_fault(t->mm, t->pctx, trap->addr, trap->access, &f) == 0)
				return;
			si.si_signo = f.sig;
			si.si_code = f.code;
			si.fault.addr = f.addr;
			trap->trapno = 14;
			if (trap->access & PLAT_ACCESS_UNKNOWN || !trap->err)
				trap->err = fault_error(t, trap, &f);
			trap->addr = f.addr;
		}
		if (t->pt && trap->debug_status)
			t->pt->debug_status = trap->debug_status;
		if (t->pt && ptrace_stale_step(t))
			return;
		strace_fault(t, trap, &si);
		signal_force(t, &si);
		return;
	case PLAT_INTERRUPTED:
		return;
	case PLAT_DEAD:
		break;
	}
	log_debug("task %d: its stub died", pid_nr_ns(t->pid, t->k->root_pid_ns));
	task_exit_group(t, SIGKILL);
}

/* True when a fatal signal or group exit waits: a dying task must not park, others may be waiting for it to die. */
static bool dying(struct task *t)
{
	struct sighand *s = sighand_lock(t);
	bool d = t->tg->group_exiting || (t->pending.set & SIGBIT(SIGKILL));

	mutex_unlock(&s->mu);
	return d;
}

/*
 * Ends a thread by returning from its first function: pthread_exit() would load an unwinder from the file system, which does not exist
 * here.
 */
static __thread jmp_buf *thread_end;

void task_thread_end(void)
{
	_longjmp(*thread_end, 1);
}

static void __attribute__((noreturn)) task_loop(struct task *t)
{
	const struct platform_ops *p = t->k->pops;
	struct plat_as *as = NULL;

	current_task = t;
	atomic_store(&t->stack_top, __builtin_frame_address(0));
	for (;;) {
		uint32_t work = atomic_load(&t->work);
		int r;

		if (work) {
			if ((work & WORK_TRACE) && ptrace_work(t) < 0)
				work = 0; /* a stop that a freeze interrupts: nothing else may happen before it is over */
			if ((work & WORK_SIGNAL) && (!t->sysctx.redo || dying(t)))
				do_signal(t);
			if (atomic_load(&t->work) & WORK_CGROUP)
				cgroup_edge(t);
			if (atomic_load(&t->work) & WORK_FREEZE)
				task_park(t);
			if (t->sysctx.redo) {
				run_syscall(t);
				continue;
			}
			if (atomic_load(&t->work))
				continue;
		}
		if (t->sysctx.redo) {
			run_syscall(t);
			continue;
		}
		r = mm_as(t->mm, &as);
		if (r == 0)
			r = p->switch_to(t->pctx, as, &t->trap);
		if (r < 0) {
			log_warn("task %d: platform: %s", pid_nr_ns(t->pid, t->k->root_pid_ns), strerror(-r));
			task_exit_group(t, SIGKILL);
		}
		handle_trap(t);
	}
}

static void *task_thread(void *arg)
{
	jmp_buf end;

	thread_end = &end;
	if (_setjmp(end) == 0)
		task_loop(arg);
	return NULL;
}

int task_start_thread(struct task *t, void *(*main)(void *), void *arg)
{
	pthread_attr_t a;
	int r;

	(void)task_get(t);
	freeze_task_started(t);
	r = pthread_attr_init(&a);
	if (r == 0) {
		(void)pthread_attr_setstacksize(&a, 256 << 10);
		(void)pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
		r = pthread_create(&t->thread, &a, main, arg);
		(void)pthread_attr_destroy(&a);
	}
	if (r != 0) {
		freeze_task_gone(t);
		task_put(t);
		return -r;
	}
	return 0;
}

int task_start(struct task *t)
{
	return task_start_thread(t, task_thread, t);
}
