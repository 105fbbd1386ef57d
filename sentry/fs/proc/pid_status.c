/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc says of a process in numbers: stat, status, statm, sched, io and the like. Linux: fs/proc/array.c.
 *
 * Fields are gathered under tasks_mu and, for signals, sighand.mu, then printed without locks. Checkpoint: stateless.
 */
#include <string.h>

#include "sentry/abi/rlimit.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/proc/pid_entries.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/rusage.h"
#include "sentry/kernel/seccomp.h"

#define PF_FORKNOEXEC 0x40u
#define PF_RANDOMIZE  0x400000u

struct facts {
	char state, comm[16];
	int32_t pid, tgid, ppid, pgrp, sid, tpgid, exit_signal, exit_code, tracer;
	int32_t nspid[PID_LEVELS], nstgid[PID_LEVELS], nspgid[PID_LEVELS], nssid[PID_LEVELS];
	uint32_t levels, nr_threads, tty, flags;
	struct tg_usage u, cu;
	int64_t start, itreal;
	int32_t nice, prio, policy;
	uint64_t rss_limit, sigq_limit, cpus;
	sigset64_t pending, shared, blocked, ignored, caught;
	uint32_t sigq;
	int64_t nvcsw, nivcsw;
};

char proc_task_state(const struct task *t)
{
	char s;

	if (t->is_zombie || t->exiting)
		return 'Z';
	s = t->stopped ? 'T' : atomic_load_explicit((_Atomic char *)(uintptr_t)&t->run_state, memory_order_relaxed);
	return s ? s : 'R';
}

static void all_levels(const struct pid *p, const struct pid_ns *ns, int32_t *ret, uint32_t *ret_n)
{
	uint32_t n = 0;

	for (uint32_t l = ns ? ns->level : 0; p && l <= p->level && l < PID_LEVELS; l++)
		ret[n++] = p->n[l].nr;
	if (ret_n)
		*ret_n = n;
}

static void gather_signals(struct task *t, struct facts *f)
{
	struct sighand *s;

	if (!t->sighand)
		return;
	s = sighand_lock(t);
	f->pending = t->pending.set;
	f->shared = t->tg->pending.set;
	f->blocked = t->blocked;
	f->sigq = t->pending.count + t->tg->pending.count;
	for (int n = 1; n <= NSIG_MAX; n++) {
		if (s->action[n - 1].handler == 1)
			f->ignored |= SIGBIT(n);
		else if (s->action[n - 1].handler)
			f->caught |= SIGBIT(n);
	}
	mutex_unlock(&s->mu);
}

static void gather_usage(struct task *t, bool whole, struct facts *f)
{
	if (whole) {
		tg_usage_total(t->tg, &f->u);
		mutex_lock(&t->tg->limits_mu);
		f->cu = t->tg->children_usage;
		mutex_unlock(&t->tg->limits_mu);
	} else {
		task_cpu_times(t, &f->u.utime, &f->u.stime);
		f->u.minflt = t->minflt;
		f->u.majflt = t->majflt;
		f->u.rchar = t->rchar;
		f->u.wchar = t->wchar;
		f->u.syscr = t->syscr;
		f->u.syscw = t->syscw;
	}
	f->nvcsw = t->nvcsw;
	f->nivcsw = t->nivcsw;
}

static void gather(struct pctx *c, bool whole, struct facts *f)
{
	struct task *t = c->target;
	struct thread_group *tg = t->tg;
	struct pgrp *fg;

	*f = (struct facts){ .tpgid = -1 };
	mutex_lock(&the_kernel->tasks_mu);
	memcpy(f->comm, t->comm, sizeof(f->comm));
	f->comm[15] = '\0';
	f->state = proc_task_state(t);
	f->pid = proc_nr(c, t->pid);
	f->tgid = proc_nr(c, tg->pid);
	f->ppid = tg->parent ? proc_nr(c, tg->parent->pid) : 0;
	f->tracer = ptraced(t) ? proc_nr(c, ptrace_tracer(t)->pid) : 0;
	f->pgrp = tg->pgrp ? proc_nr(c, tg->pgrp->id) : 0;
	f->sid = tg->session ? proc_nr(c, tg->session->id) : 0;
	all_levels(t->pid, c->ns, f->nspid, &f->levels);
	all_levels(tg->pid, c->ns, f->nstgid, NULL);
	all_levels(tg->pgrp ? tg->pgrp->id : NULL, c->ns, f->nspgid, NULL);
	all_levels(tg->session ? tg->session->id : NULL, c->ns, f->nssid, NULL);
	if (tg->session && tg->session->ctty) {
		f->tty = tty_dev(tg->session->ctty);
		fg = tty_foreground(tg->session->ctty);
		f->tpgid = fg ? proc_nr(c, fg->id) : 0;
	}
	f->nr_threads = tg->nr_tasks;
	f->exit_signal = t == tg->leader ? tg->exit_signal : -1;
	f->exit_code = tg->state >= TG_ZOMBIE ? tg->exit_status : t->exit_code;
	f->flags = PF_RANDOMIZE | (tg->did_exec ? 0 : PF_FORKNOEXEC);
	f->start = t->start_time - the_kernel->boot_mono;
	f->nice = t->nice;
	f->prio = t->sched_prio;
	f->policy = t->sched_policy;
	f->cpus = t->cpu_mask[0];
	gather_usage(t, whole, f);
	gather_signals(t, f);
	mutex_unlock(&the_kernel->tasks_mu);
	mutex_lock(&tg->limits_mu);
	f->rss_limit = tg->rlim[LINUX_RLIMIT_RSS].cur;
	f->sigq_limit = tg->rlim[LINUX_RLIMIT_SIGPENDING].cur;
	mutex_unlock(&tg->limits_mu);
}

int proc_show_stat(struct pctx *c, struct strbuf *b)
{
	struct mm *mm = task_mm_get(c->target);
	bool look = !c->t || task_ptrace_may_access(c->t, c->target, false) == 0;
	struct mm_layout none = { 0 };
	const struct mm_layout *l = mm && look ? mm_layout(mm) : &none;
	struct mm_usage mu = { 0 };
	struct facts f;

	gather(c, !c->thread, &f);
	if (mm)
		mm_usage(mm, &mu);
	strbuf_addf(b, "%d (%s) %c %d %d %d %d %d %u %ld %ld %ld %ld %lu %lu %lu %lu %d %d %u 0 %lu", f.pid, f.comm, f.state, f.ppid, f.pgrp,
		    f.sid, (int)f.tty, f.tpgid, f.flags, (long)f.u.minflt, (long)f.cu.minflt, (long)f.u.majflt, (long)f.cu.majflt,
		    proc_ticks(f.u.utime), proc_ticks(f.u.stime), proc_ticks(f.cu.utime), proc_ticks(f.cu.stime),
		    f.policy == 1 || f.policy == 2 ? -1 - f.prio : 20 + f.nice, f.nice, f.nr_threads, proc_ticks(f.start));
	strbuf_addf(b, " %lu %lu %lu %lu %lu %lu 0 0", mu.vm, mu.rss / PAGE_SIZE, f.rss_limit, l->start_code, l->end_code, l->start_stack);
	strbuf_addf(b, " %lu %lu %lu %lu %d 0 0 %d 0 %d %d 0 0 0", f.pending & 0x7fffffff, f.blocked & 0x7fffffff, f.ignored & 0x7fffffff,
		    f.caught & 0x7fffffff, f.state == 'S' || f.state == 'D' ? 1 : 0, f.exit_signal, f.prio, f.policy);
	strbuf_addf(b, " %lu %lu %lu %lu %lu %lu %lu %d\n", l->start_data, l->end_data, l->start_brk, l->arg_start, l->arg_end, l->env_start,
		    l->env_end, look ? f.exit_code : 0);
	mm_put(mm);
	return 0;
}

static const char *state_text(char s)
{
	switch (s) {
	case 'R':
		return "R (running)";
	case 'S':
		return "S (sleeping)";
	case 'D':
		return "D (disk sleep)";
	case 'T':
		return "T (stopped)";
	case 't':
		return "t (tracing stop)";
	case 'Z':
		return "Z (zombie)";
	default:
		return "X (dead)";
	}
}

static void show_levels(struct strbuf *b, const char *what, const int32_t *nr, uint32_t n)
{
	strbuf_adds(b, what);
	for (uint32_t i = 0; i < n; i++)
		strbuf_addf(b, "\t%d", nr[i]);
	strbuf_addc(b, '\n');
}

static void show_name(struct strbuf *b, const char *comm)
{
	strbuf_adds(b, "Name:\t");
	for (; *comm; comm++)
		if (*comm == '\n')
			strbuf_adds(b, "\\n");
		else if (*comm == '\\')
			strbuf_adds(b, "\\\\");
		else
			strbuf_addc(b, *comm);
	strbuf_addc(b, '\n');
}

static unsigned fd_size(struct task *t)
{
	struct fd_table *ft = task_files_get(t);
	int last = -1;

	if (!ft)
		return 0;
	for (int fd = fd_table_next(ft, 0); fd >= 0; fd = fd_table_next(ft, fd + 1))
		last = fd;
	fd_table_put(ft, NULL);
	return (unsigned)ALIGN_UP(MAX(last + 1, 1), 64);
}

/* As the reader's user namespace has it. */
static uint32_t id_of(const struct pctx *c, enum id_kind k, uint32_t kid)
{
	return c->t ? task_id_show(c->t, k, kid) : kid;
}

static void show_cred(struct pctx *c, struct task *t, struct strbuf *b)
{
	struct cred *cr = task_cred_get(t);

	if (!cr)
		return;
	strbuf_addf(b, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%u\nGroups:\t", id_of(c, ID_UID, cr->uid), id_of(c, ID_UID, cr->euid),
		    id_of(c, ID_UID, cr->suid), id_of(c, ID_UID, cr->fsuid), id_of(c, ID_GID, cr->gid), id_of(c, ID_GID, cr->egid),
		    id_of(c, ID_GID, cr->sgid), id_of(c, ID_GID, cr->fsgid), fd_size(t));
	for (size_t n = 0; n < cr->nr_groups; n++)
		strbuf_addf(b, "%u ", id_of(c, ID_GID, cr->groups[n]));
	strbuf_adds(b, "\n");
	cred_put(cr);
}

static void show_mem(struct mm *mm, struct strbuf *b)
{
	struct mm_usage u;

	mm_usage(mm, &u);
	strbuf_addf(b,
		    "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8lu kB\nVmPin:\t%8lu kB\nVmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\n"
		    "RssAnon:\t%8lu kB\nRssFile:\t%8lu kB\nRssShmem:\t%8lu kB\nVmData:\t%8lu kB\nVmStk:\t%8lu kB\nVmExe:\t%8lu kB\n"
		    "VmLib:\t%8lu kB\nVmPTE:\t%8lu kB\nVmSwap:\t%8lu kB\nHugetlbPages:\t%8lu kB\nCoreDumping:\t0\nTHP_enabled:\t1\n"
		    "untag_mask:\t0xffffffffffffffff\n",
		    u.vm_peak >> 10, u.vm >> 10, u.locked >> 10, 0UL, u.rss_peak >> 10, u.rss >> 10,
		    (u.rss - MIN(u.rss, u.rss_file + u.rss_shmem)) >> 10, u.rss_file >> 10, u.rss_shmem >> 10, u.data >> 10, u.stack >> 10,
		    u.exec >> 10, u.lib >> 10, u.pte >> 10, 0UL, 0UL);
}

/* "0-3,5" */
void proc_cpu_list(struct strbuf *b, uint64_t mask)
{
	bool first = true;

	for (int n = 0; n < 64; n++) {
		int end = n;

		if (!(mask >> n & 1))
			continue;
		while (end < 63 && mask >> (end + 1) & 1)
			end++;
		strbuf_addf(b, end > n ? "%s%d-%d" : "%s%d", first ? "" : ",", n, end);
		first = false;
		n = end;
	}
}

int proc_show_status(struct pctx *c, struct strbuf *b)
{
	struct task *t = c->target;
	struct fs_ctx *fs = task_fs_get(t);
	struct mm *mm = task_mm_get(t);
	struct cred *cr = task_cred_get(t);
	struct facts f;

	gather(c, true, &f);
	show_name(b, f.comm);
	if (fs)
		strbuf_addf(b, "Umask:\t%04o\n", fs_ctx_umask(fs));
	strbuf_addf(b, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n", state_text(f.state), f.tgid, f.pid, f.ppid,
		    f.tracer);
	show_cred(c, t, b);
	show_levels(b, "NStgid:", f.nstgid, f.levels);
	show_levels(b, "NSpid:", f.nspid, f.levels);
	show_levels(b, "NSpgid:", f.nspgid, f.levels);
	show_levels(b, "NSsid:", f.nssid, f.levels);
	strbuf_adds(b, "Kthread:\t0\n");
	if (mm)
		show_mem(mm, b);
	strbuf_addf(b, "Threads:\t%u\nSigQ:\t%u/%lu\n", f.nr_threads, f.sigq, f.sigq_limit);
	strbuf_addf(b, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n", f.pending, f.shared, f.blocked,
		    f.ignored, f.caught);
	if (cr)
		strbuf_addf(b, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\nCapAmb:\t%016lx\nNoNewPrivs:\t%d\n", cr->cap_inh,
			    cr->cap_perm, cr->cap_eff, cr->cap_bset, cr->cap_amb, t->no_new_privs);
	strbuf_addf(b, "Seccomp:\t%u\nSeccomp_filters:\t%u\nSpeculation_Store_Bypass:\tthread vulnerable\n"
		       "SpeculationIndirectBranch:\tconditional enabled\nCpus_allowed:\t%lx\nCpus_allowed_list:\t", t->seccomp_mode, seccomp_nr_filters(t), f.cpus);
	proc_cpu_list(b, f.cpus);
	strbuf_addf(b, "\nMems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t%ld\nnonvoluntary_ctxt_switches:\t%ld\n", (long)f.nvcsw,
		    (long)f.nivcsw);
	fs_ctx_put(fs);
	mm_put(mm);
	if (cr)
		cred_put(cr);
	return 0;
}

int proc_show_statm(struct pctx *c, struct strbuf *b)
{
	struct mm *mm = task_mm_get(c->target);
	struct mm_usage u = { 0 };

	if (mm)
		mm_usage(mm, &u);
	strbuf_addf(b, "%lu %lu %lu %lu 0 %lu 0\n", u.vm / PAGE_SIZE, u.rss / PAGE_SIZE, (u.rss_file + u.rss_shmem) / PAGE_SIZE,
		    u.exec / PAGE_SIZE, (u.data + u.stack) / PAGE_SIZE);
	mm_put(mm);
	return 0;
}

int proc_show_sched(struct pctx *c, struct strbuf *b)
{
	struct facts f;
	int64_t run;

	gather(c, false, &f);
	run = f.u.utime + f.u.stime;
	strbuf_addf(b, "%s (%d, #threads: %u)\n-------------------------------------------------------------------\n", f.comm, f.pid, f.nr_threads);
	strbuf_addf(b, "se.sum_exec_runtime                          : %14ld.%06ld\n", (long)(run / 1000000), (long)(run % 1000000));
	strbuf_addf(b, "nr_switches                                  : %21ld\n", (long)(f.nvcsw + f.nivcsw));
	strbuf_addf(b, "nr_voluntary_switches                        : %21ld\n", (long)f.nvcsw);
	strbuf_addf(b, "nr_involuntary_switches                      : %21ld\n", (long)f.nivcsw);
	strbuf_addf(b, "policy                                       : %21d\nprio                                         : %21d\n", f.policy,
		    120 + f.nice);
	return 0;
}

int proc_show_schedstat(struct pctx *c, struct strbuf *b)
{
	struct facts f;

	gather(c, false, &f);
	strbuf_addf(b, "%ld 0 %ld\n", (long)(f.u.utime + f.u.stime), (long)(f.nvcsw + f.nivcsw));
	return 0;
}

int proc_show_io(struct pctx *c, struct strbuf *b)
{
	struct facts f;

	gather(c, !c->thread, &f);
	if (!c->thread)
		usage_add(&f.u, &f.cu);
	strbuf_addf(b, "rchar: %ld\nwchar: %ld\nsyscr: %ld\nsyscw: %ld\nread_bytes: %ld\nwrite_bytes: %ld\ncancelled_write_bytes: 0\n", (long)f.u.rchar,
		    (long)f.u.wchar, (long)f.u.syscr, (long)f.u.syscw, (long)f.u.inblock * 512, (long)f.u.oublock * 512);
	return 0;
}
