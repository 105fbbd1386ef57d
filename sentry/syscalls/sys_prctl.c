/* SPDX-License-Identifier: Apache-2.0 */
/* prctl, arch_prctl, personality, membarrier: attributes of the calling task. Linux: kernel/sys.c, arch/x86/kernel/process_64.c. */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/sys_seccomp.h"
#include "sentry/syscalls/sys_prctl_mm.h"
#include "sentry/syscalls/syscalls.h"

enum {
	PR_L_SET_PDEATHSIG = 1,
	PR_L_GET_PDEATHSIG = 2,
	PR_L_GET_DUMPABLE = 3,
	PR_L_SET_DUMPABLE = 4,
	PR_L_GET_UNALIGN = 5,
	PR_L_SET_UNALIGN = 6,
	PR_L_GET_KEEPCAPS = 7,
	PR_L_SET_KEEPCAPS = 8,
	PR_L_GET_FPEMU = 9,
	PR_L_SET_FPEMU = 10,
	PR_L_GET_TIMING = 13,
	PR_L_SET_TIMING = 14,
	PR_L_SET_NAME = 15,
	PR_L_GET_NAME = 16,
	PR_L_GET_SECCOMP = 21,
	PR_L_SET_SECCOMP = 22,
	PR_L_CAPBSET_READ = 23,
	PR_L_CAPBSET_DROP = 24,
	PR_L_GET_TSC = 25,
	PR_L_SET_TSC = 26,
	PR_L_GET_SECUREBITS = 27,
	PR_L_SET_SECUREBITS = 28,
	PR_L_SET_TIMERSLACK = 29,
	PR_L_GET_TIMERSLACK = 30,
	PR_L_MCE_KILL = 33,
	PR_L_MCE_KILL_GET = 34,
	PR_L_SET_MM = 35,
	PR_L_SET_CHILD_SUBREAPER = 36,
	PR_L_GET_CHILD_SUBREAPER = 37,
	PR_L_SET_NO_NEW_PRIVS = 38,
	PR_L_GET_NO_NEW_PRIVS = 39,
	PR_L_GET_TID_ADDRESS = 40,
	PR_L_SET_THP_DISABLE = 41,
	PR_L_GET_THP_DISABLE = 42,
	PR_L_CAP_AMBIENT = 47,
	PR_L_GET_SPECULATION_CTRL = 52,
	PR_L_SET_SPECULATION_CTRL = 53,
	PR_L_SET_SYSCALL_USER_DISPATCH = 59,
	PR_L_SET_VMA = 0x53564d41,
};

#define SECBIT_KEEP_CAPS	    (1u << 4)
#define SECBIT_KEEP_CAPS_LOCKED	    (1u << 5)
#define SECBIT_NO_CAP_AMBIENT_RAISE (1u << 6)
#define SECURE_ALL_BITS		    0x55u
#define SECURE_ALL_LOCKS	    (SECURE_ALL_BITS << 1)
#define DEFAULT_TIMER_SLACK	    50000

/* A private copy of the credentials to edit and publish; capabilities are not raised by any caller, so nothing else follows. */
#define EDIT_CRED(t, c)                                                                                                                   \
	struct cred *c = cred_dup((t)->cred);                                                                                              \
	if (!c)                                                                                                                            \
	return -ENOMEM

static int64_t set_keepcaps(struct task *t, uint64_t on)
{
	EDIT_CRED(t, c);
	c->securebits = on ? c->securebits | SECBIT_KEEP_CAPS : c->securebits & ~SECBIT_KEEP_CAPS;
	task_set_cred(t, c);
	return 0;
}

static int64_t set_securebits(struct task *t, uint32_t bits)
{
	uint32_t old = t->cred->securebits;

	if ((((old & SECURE_ALL_LOCKS) >> 1) & (old ^ bits)) || (old & SECURE_ALL_LOCKS & ~bits) ||
	    (bits & ~(SECURE_ALL_LOCKS | SECURE_ALL_BITS)) || !task_capable_here(t, LINUX_CAP_SETPCAP))
		return -EPERM;
	EDIT_CRED(t, c);
	c->securebits = bits;
	task_set_cred(t, c);
	return 0;
}

static int64_t drop_bset(struct task *t, uint64_t cap)
{
	if (!task_capable_here(t, LINUX_CAP_SETPCAP))
		return -EPERM;
	if (cap > LINUX_CAP_LAST)
		return -EINVAL;
	EDIT_CRED(t, c);
	c->cap_bset &= ~(1ULL << cap);
	task_set_cred(t, c);
	return 0;
}

static int64_t cap_ambient(struct task *t, const struct sys_args *a)
{
	uint64_t op = a->a[1], cap = a->a[2];
	const struct cred *o = t->cred;

	if (op == 4) { /* CLEAR_ALL */
		if (a->a[2] | a->a[3] | a->a[4])
			return -EINVAL;
		EDIT_CRED(t, n);
		n->cap_amb = 0;
		task_set_cred(t, n);
		return 0;
	}
	if ((a->a[3] | a->a[4]) || cap > LINUX_CAP_LAST || op < 1 || op > 3)
		return -EINVAL;
	if (op == 1) /* IS_SET */
		return o->cap_amb >> cap & 1;
	if (op == 2 && (!(o->cap_perm & o->cap_inh & (1ULL << cap)) || (o->securebits & SECBIT_NO_CAP_AMBIENT_RAISE)))
		return -EPERM;
	EDIT_CRED(t, c);
	c->cap_amb = op == 2 ? c->cap_amb | 1ULL << cap : c->cap_amb & ~(1ULL << cap);
	task_set_cred(t, c);
	return 0;
}

static int64_t set_name(struct task *t, gaddr_t src)
{
	char buf[16] = "";
	int64_t n = mm_copy_in_str(t->mm, buf, src, sizeof(buf));

	if (n == -ENAMETOOLONG)
		n = copy_in(t, buf, src, sizeof(buf) - 1);
	if (n < 0)
		return n;
	buf[15] = '\0';
	memset(t->comm, 0, sizeof(t->comm));
	(void)snprintf(t->comm, sizeof(t->comm), "%s", buf);
	return 0;
}

static void mark_descendants(struct thread_group *tg)
{
	struct thread_group *c;

	list_for_each(c, &tg->children, child_node) {
		c->has_child_subreaper = true;
		mark_descendants(c);
	}
}

static int64_t set_subreaper(struct task *t, bool on)
{
	mutex_lock(&t->k->tasks_mu);
	t->tg->is_subreaper = on;
	if (on)
		mark_descendants(t->tg);
	mutex_unlock(&t->k->tasks_mu);
	return 0;
}

static int64_t set_no_new_privs(struct task *t)
{
	__atomic_store_n(&t->no_new_privs, true, __ATOMIC_RELAXED);
	return 0;
}

#define ANON_NAME_MAX 80

static int64_t set_vma(struct task *t, const struct sys_args *a)
{
	_cleanup_free_ char *name = NULL;
	int r;

	if (a->a[1] != 0) /* PR_SET_VMA_ANON_NAME */
		return -EINVAL;
	if (a->a[4]) {
		r = copy_in_string(t, ARG_ADDR(a, 4), ANON_NAME_MAX - 1, &name);
		if (r < 0)
			return r == -ENAMETOOLONG ? -EINVAL : r;
		for (const char *p = name; *p; p++)
			if (*p < 0x20 || *p > 0x7e || strchr("\\`$[]", *p))
				return -EINVAL;
	}
	return mm_set_anon_name(t->mm, a->a[2], a->a[3], name);
}

static int64_t put_int(struct task *t, uint64_t addr, int32_t v)
{
	return copy_out(t, GADDR(addr), &v, sizeof(v));
}

/* Options about credentials; -ENOTSUP: not one of them. */
static int64_t prctl_cred(struct task *t, const struct sys_args *a)
{
	bool rest = a->a[2] | a->a[3] | a->a[4];

	switch (ARG_INT(a, 0)) {
	case PR_L_GET_KEEPCAPS:
		return !!(t->cred->securebits & SECBIT_KEEP_CAPS);
	case PR_L_SET_KEEPCAPS:
		if (a->a[1] > 1)
			return -EINVAL;
		return t->cred->securebits & SECBIT_KEEP_CAPS_LOCKED ? -EPERM : set_keepcaps(t, a->a[1]);
	case PR_L_CAPBSET_READ:
		return a->a[1] > LINUX_CAP_LAST ? -EINVAL : (int64_t)(t->cred->cap_bset >> a->a[1] & 1);
	case PR_L_CAPBSET_DROP:
		return drop_bset(t, a->a[1]);
	case PR_L_GET_SECUREBITS:
		return t->cred->securebits;
	case PR_L_SET_SECUREBITS:
		return set_securebits(t, ARG_U32(a, 1));
	case PR_L_SET_NO_NEW_PRIVS:
		return a->a[1] != 1 || rest ? -EINVAL : set_no_new_privs(t);
	case PR_L_GET_NO_NEW_PRIVS:
		return a->a[1] || rest ? -EINVAL : t->no_new_privs;
	case PR_L_CAP_AMBIENT:
		return cap_ambient(t, a);
	default:
		return -ENOTSUP;
	}
}

/* PR_MCE_KILL_CLEAR 0, SET 1 (LATE 0, EARLY 1, DEFAULT 2). No machine check ever reaches a task; the policy is kept to be shown. */
static int64_t set_mce_kill(struct task *t, uint64_t op, uint64_t policy)
{
	if (op == 0 ? policy != 0 : op != 1 || policy > 2)
		return -EINVAL;
	t->mce_kill = op == 0 || policy == 2 ? 0 : (uint8_t)(policy + 1);
	return 0;
}

static int64_t prctl_mm(struct task *t, const struct sys_args *a)
{
	switch (ARG_INT(a, 0)) {
	case PR_L_SET_VMA:
		return set_vma(t, a);
	case PR_L_SET_MM:
		return prctl_set_mm(t, a);
	case PR_L_SET_THP_DISABLE:
		if (a->a[2] | a->a[3] | a->a[4])
			return -EINVAL;
		mm_set_thp_disabled(t->mm, a->a[1] != 0);
		return 0;
	case PR_L_GET_THP_DISABLE:
		return a->a[1] | a->a[2] | a->a[3] | a->a[4] ? -EINVAL : mm_thp_disabled(t->mm);
	case PR_L_GET_TSC:
		return put_int(t, a->a[1], 1); /* PR_TSC_ENABLE */
	case PR_L_SET_TSC:
		return a->a[1] == 1 ? 0 : -EINVAL; /* rdtsc cannot be trapped here */
	case PR_L_MCE_KILL:
		if (a->a[3] | a->a[4])
			return -EINVAL;
		return set_mce_kill(t, a->a[1], a->a[2]);
	case PR_L_MCE_KILL_GET:
		/* DEFAULT 2, LATE 0, EARLY 1 */
		return a->a[1] | a->a[2] | a->a[3] | a->a[4] ? -EINVAL : t->mce_kill ? t->mce_kill - 1 : 2;
	default:
		return -EINVAL;
	}
}

int64_t sys_prctl(struct task *t, const struct sys_args *a)
{
	int64_t r = prctl_cred(t, a);

	if (r != -ENOTSUP)
		return r;
	switch (ARG_INT(a, 0)) {
	case PR_L_SET_PDEATHSIG:
		if (a->a[1] > NSIG_MAX)
			return -EINVAL;
		t->pdeathsig = (int)a->a[1];
		return 0;
	case PR_L_GET_PDEATHSIG:
		return put_int(t, a->a[1], t->pdeathsig);
	case PR_L_GET_DUMPABLE:
		return !t->undumpable;
	case PR_L_SET_DUMPABLE:
		if (a->a[1] > 1)
			return -EINVAL;
		t->undumpable = !a->a[1];
		return 0;
	case PR_L_GET_TIMING:
		return 0; /* PR_TIMING_STATISTICAL */
	case PR_L_SET_TIMING:
		return a->a[1] ? -EINVAL : 0;
	case PR_L_SET_NAME:
		return set_name(t, ARG_ADDR(a, 1));
	case PR_L_GET_NAME:
		return copy_out(t, ARG_ADDR(a, 1), t->comm, sizeof(t->comm));
	case PR_L_GET_SECCOMP:
		return t->seccomp_mode;
	case PR_L_SET_SECCOMP:
		return prctl_set_seccomp(t, a->a[1], ARG_ADDR(a, 2));
	case PR_L_SET_TIMERSLACK:
		t->timer_slack = (int64_t)a->a[1] <= 0 ? DEFAULT_TIMER_SLACK : a->a[1];
		return 0;
	case PR_L_GET_TIMERSLACK:
		return (int64_t)t->timer_slack;
	case PR_L_SET_CHILD_SUBREAPER:
		return set_subreaper(t, a->a[1] != 0);
	case PR_L_GET_CHILD_SUBREAPER:
		return put_int(t, a->a[1], t->tg->is_subreaper);
	case PR_L_GET_TID_ADDRESS:
		return copy_out(t, ARG_ADDR(a, 1), &t->clear_child_tid, sizeof(t->clear_child_tid));
	case PR_L_GET_SPECULATION_CTRL:
	case PR_L_SET_SPECULATION_CTRL:
		return a->a[1] > 2 ? -ENODEV : -ENXIO; /* the host decides */
	case PR_L_SET_SYSCALL_USER_DISPATCH:
		return user_dispatch_set(t, a->a[1], a->a[2], a->a[3], a->a[4]);
	default:
		return prctl_mm(t, a);
	}
}

/* --- arch_prctl --- */

int64_t sys_arch_prctl(struct task *t, const struct sys_args *a)
{
	struct arch_regs *r;

	switch (ARG_INT(a, 0)) {
	case 0x1001: /* ARCH_SET_GS */
	case 0x1002: /* ARCH_SET_FS */
		if (a->a[1] >= (1ULL << 47) - PAGE_SIZE)
			return -EPERM;
		r = &t->k->pops->regs(t->pctx, false)->r;
		if (ARG_INT(a, 0) == 0x1001)
			r->gs_base = a->a[1];
		else
			r->fs_base = a->a[1];
		return 0;
	case 0x1003: /* ARCH_GET_FS */
		return copy_out(t, ARG_ADDR(a, 1), &t->k->pops->regs(t->pctx, false)->r.fs_base, sizeof(uint64_t));
	case 0x1004: /* ARCH_GET_GS */
		return copy_out(t, ARG_ADDR(a, 1), &t->k->pops->regs(t->pctx, false)->r.gs_base, sizeof(uint64_t));
	case 0x1011: /* ARCH_GET_CPUID: CPUID does not fault */
		return 1;
	case 0x1012: /* ARCH_SET_CPUID */
		return -ENODEV;
	default:
		return -EINVAL;
	}
}

int64_t sys_personality(struct task *t, const struct sys_args *a)
{
	uint32_t old = t->personality;

	if (ARG_U32(a, 0) != 0xffffffffu)
		t->personality = ARG_U32(a, 0);
	return old;
}

/* --- membarrier --- */

#define MEMBARRIER_L_GLOBAL		       (1 << 0)
#define MEMBARRIER_L_GLOBAL_EXPEDITED	       (1 << 1)
#define MEMBARRIER_L_REGISTER_GLOBAL_EXPEDITED (1 << 2)
#define MEMBARRIER_L_PRIVATE_EXPEDITED	       (1 << 3)
#define MEMBARRIER_L_REGISTER_PRIVATE	       (1 << 4)
#define MEMBARRIER_SUPPORTED		       0x1f

/* The host's global form makes every thread on the machine pass a barrier, those of the stubs included. */
static int64_t global_barrier(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_L_GLOBAL, 0, 0) < 0 ? -errno : 0;
}

int64_t sys_membarrier(struct task *t, const struct sys_args *a)
{
	if (ARG_U32(a, 1))
		return -EINVAL;
	switch (ARG_INT(a, 0)) {
	case 0:
		return MEMBARRIER_SUPPORTED;
	case MEMBARRIER_L_PRIVATE_EXPEDITED:
		if (!__atomic_load_n(&t->tg->membarrier, __ATOMIC_ACQUIRE))
			return -EPERM;
		return global_barrier();
	case MEMBARRIER_L_GLOBAL:
	case MEMBARRIER_L_GLOBAL_EXPEDITED:
		return global_barrier();
	case MEMBARRIER_L_REGISTER_PRIVATE:
		__atomic_store_n(&t->tg->membarrier, true, __ATOMIC_RELEASE);
		return 0;
	case MEMBARRIER_L_REGISTER_GLOBAL_EXPEDITED:
		return 0;
	default:
		return -EINVAL;
	}
}
