/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of processes, scheduling, limits, identity and machine. */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/random.h>
#define rlimit64 host_rlimit64 /* task.h has one of its own */
#include <sys/resource.h>
#undef rlimit64
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "sentry/syscalls/strace/internal.h"

/* --- exec, clone --- */

bool k_ARGV(struct dec *d, uint64_t v)
{
	uint64_t p;

	if (!v || !dec_read(d, v, &p, sizeof(p))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_addc(&d->b, '[');
	for (int i = 0; dec_read(d, v + (uint64_t)i * 8, &p, sizeof(p)) && p; i++) {
		char buf[STRACE_STR + 1];
		size_t n;

		if (i)
			dec_comma(d);
		if (i == STRACE_VEC) {
			strbuf_adds(&d->b, "...");
			break;
		}
		n = mm_copy_in_some(d->t->mm, buf, GADDR(p), sizeof(buf));
		if (strnlen(buf, n) < n)
			dec_bytes(d, buf, strnlen(buf, n), false);
		else
			dec_bytes(d, buf, MIN(n, (size_t)STRACE_STR), true);
	}
	strbuf_addc(&d->b, ']');
	return true;
}

bool k_ENVP(struct dec *d, uint64_t v)
{
	uint64_t p;
	int n = 0;

	dec_ptr(d, v);
	while (n < 65536 && dec_read(d, v + (uint64_t)n * 8, &p, sizeof(p)) && p)
		n++;
	if (v)
		strbuf_addf(&d->b, " /* %d var%s */", n, n == 1 ? "" : "s");
	return true;
}

static const struct xlat x_clone[] = {
	X(CLONE_VM), X(CLONE_FS), X(CLONE_FILES), X(CLONE_SIGHAND), X(CLONE_PIDFD), X(CLONE_PTRACE), X(CLONE_VFORK), X(CLONE_PARENT), X(CLONE_THREAD),
	X(CLONE_NEWNS), X(CLONE_SYSVSEM), X(CLONE_SETTLS), X(CLONE_PARENT_SETTID), X(CLONE_CHILD_CLEARTID), X(CLONE_DETACHED), X(CLONE_UNTRACED),
	X(CLONE_CHILD_SETTID), X(CLONE_NEWCGROUP), X(CLONE_NEWUTS), X(CLONE_NEWIPC), X(CLONE_NEWUSER), X(CLONE_NEWPID), X(CLONE_NEWNET), X(CLONE_IO),
	{ CLONE_CLEAR_SIGHAND, "CLONE_CLEAR_SIGHAND" }, { CLONE_INTO_CGROUP, "CLONE_INTO_CGROUP" }, XEND,
};
static const struct xlat x_unshare[] = {
	X(CLONE_FILES), X(CLONE_FS), X(CLONE_NEWCGROUP), X(CLONE_NEWIPC), X(CLONE_NEWNET), X(CLONE_NEWNS), X(CLONE_NEWPID), X(CLONE_NEWUSER),
	X(CLONE_NEWUTS), X(CLONE_NEWTIME), X(CLONE_SIGHAND), X(CLONE_SYSVSEM), X(CLONE_THREAD), X(CLONE_VM), XEND,
};

/* The ids that the flags ask for; the child's and parent's words are written by the call. */
bool k_CLONE(struct dec *d, uint64_t flags)
{
	if (!d->exit && (flags & CLONE_PARENT_SETTID))
		return false;
	strbuf_addf(&d->b, "child_stack=");
	dec_ptr(d, d->a[1]);
	strbuf_adds(&d->b, ", flags=");
	if (flags & ~(uint64_t)CSIGNAL)
		dec_flags(d, x_clone, (uint32_t)flags & ~(uint32_t)CSIGNAL, NULL);
	if (flags & CSIGNAL) {
		strbuf_adds(&d->b, flags & ~(uint64_t)CSIGNAL ? "|" : "");
		dec_signame(d, (int)(flags & CSIGNAL));
	} else if (!flags) {
		strbuf_addc(&d->b, '0');
	}
	if (flags & CLONE_PARENT_SETTID) {
		int tid;

		strbuf_adds(&d->b, ", parent_tid=");
		if (!dec_failed(d) && dec_read(d, d->a[2], &tid, sizeof(tid)))
			strbuf_addf(&d->b, "[%d]", tid);
		else
			dec_ptr(d, d->a[2]);
	}
	if (flags & CLONE_SETTLS) {
		strbuf_adds(&d->b, ", tls=");
		dec_ptr(d, d->a[4]);
	}
	if (flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) {
		strbuf_adds(&d->b, ", child_tidptr=");
		dec_ptr(d, d->a[3]);
	}
	d->next = 6;
	return true;
}

bool k_CLONE3(struct dec *d, uint64_t v)
{
	struct clone_args c = { 0 };
	int tid;

	if (!d->exit)
		return false;
	if (d->a[1] < CLONE_ARGS_SIZE_VER0 || !dec_read(d, v, &c, MIN(d->a[1], sizeof(c)))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_adds(&d->b, "{flags=");
	dec_flags(d, x_clone, c.flags, "CLONE_???");
	if (c.flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID))
		strbuf_addf(&d->b, ", child_tid=%#lx", (unsigned long)c.child_tid);
	if (c.flags & CLONE_PARENT_SETTID)
		strbuf_addf(&d->b, ", parent_tid=%#lx", (unsigned long)c.parent_tid);
	strbuf_adds(&d->b, ", exit_signal=");
	dec_signame(d, (int)c.exit_signal);
	strbuf_adds(&d->b, ", stack=");
	dec_ptr(d, c.stack);
	strbuf_addf(&d->b, ", stack_size=%s%lx", c.stack_size ? "0x" : "", (unsigned long)c.stack_size);
	if (c.flags & CLONE_SETTLS)
		strbuf_addf(&d->b, ", tls=%#lx", (unsigned long)c.tls);
	if (c.flags & CLONE_INTO_CGROUP)
		strbuf_addf(&d->b, ", cgroup=%lu", (unsigned long)c.cgroup);
	strbuf_addc(&d->b, '}');
	if (!dec_failed(d) && (c.flags & CLONE_PARENT_SETTID) && dec_read(d, c.parent_tid, &tid, sizeof(tid)))
		strbuf_addf(&d->b, " => {parent_tid=[%d]}", tid);
	return true;
}

bool k_UNSHAREFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_unshare, (uint32_t)v, "CLONE_???");
	return true;
}

/* --- wait, usage --- */

void dec_wait_status(struct dec *d, int s)
{
	if (WIFEXITED(s)) {
		strbuf_addf(&d->b, "{WIFEXITED(s) && WEXITSTATUS(s) == %d}", WEXITSTATUS(s));
	} else if (WIFSTOPPED(s)) {
		strbuf_adds(&d->b, "{WIFSTOPPED(s) && WSTOPSIG(s) == ");
		dec_signame(d, WSTOPSIG(s) & 0x7f);
		strbuf_adds(&d->b, WSTOPSIG(s) & 0x80 ? " | 0x80}" : "}");
		if (s >> 16)
			strbuf_addf(&d->b, " | %d << 16", s >> 16);
	} else if (WIFSIGNALED(s)) {
		strbuf_adds(&d->b, "{WIFSIGNALED(s) && WTERMSIG(s) == ");
		dec_signame(d, WTERMSIG(s));
		strbuf_adds(&d->b, WCOREDUMP(s) ? " && WCOREDUMP(s)}" : "}");
	} else if (WIFCONTINUED(s)) {
		strbuf_adds(&d->b, "{WIFCONTINUED(s)}");
	} else {
		strbuf_addf(&d->b, "%#x", (unsigned)s);
	}
}

bool k_OUT_WSTATUS(struct dec *d, uint64_t v)
{
	int s;

	if (!d->exit)
		return false;
	if (d->ret <= 0 || !dec_read(d, v, &s, sizeof(s))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_addc(&d->b, '[');
	dec_wait_status(d, s);
	strbuf_addc(&d->b, ']');
	return true;
}

static const struct xlat x_wait[] = {
	X(WNOHANG), { WSTOPPED, "WSTOPPED" }, X(WEXITED), X(WCONTINUED), X(WNOWAIT), { __WNOTHREAD, "__WNOTHREAD" }, { __WALL, "__WALL" },
	{ __WCLONE, "__WCLONE" }, XEND,
};

bool k_WOPTIONS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_wait, (uint32_t)v, "W???");
	return true;
}

static const struct xlat x_idtype[] = { X(P_ALL), X(P_PID), X(P_PGID), { 3, "P_PIDFD" }, XEND };

bool k_IDTYPE(struct dec *d, uint64_t v)
{
	dec_value(d, x_idtype, (uint32_t)v, "P_???");
	return true;
}

bool k_OUT_SIGINFO(struct dec *d, uint64_t v)
{
	struct linux_siginfo si;

	if (!d->exit)
		return false;
	if (dec_failed(d) || !dec_read(d, v, &si, sizeof(si)))
		dec_ptr(d, v);
	else if (!si.si_signo)
		strbuf_adds(&d->b, "{}");
	else
		dec_siginfo(d, &si);
	return true;
}

void dec_rusage(struct dec *d, uint64_t addr)
{
	struct rusage u;

	if (!dec_read(d, addr, &u, sizeof(u))) {
		dec_ptr(d, addr);
		return;
	}
	strbuf_adds(&d->b, "{ru_utime=");
	dec_timeval_val(d, u.ru_utime.tv_sec, u.ru_utime.tv_usec);
	strbuf_adds(&d->b, ", ru_stime=");
	dec_timeval_val(d, u.ru_stime.tv_sec, u.ru_stime.tv_usec);
	strbuf_adds(&d->b, ", ...}");
}

bool k_OUT_RUSAGE(struct dec *d, uint64_t v)
{
	bool wait = !strcmp(syscall_name(d->nr), "wait4") || !strcmp(syscall_name(d->nr), "waitid");

	if (!d->exit)
		return false;
	if (dec_failed(d) || (wait && d->ret == 0 && d->nr == 61))
		dec_ptr(d, v);
	else
		dec_rusage(d, v);
	return true;
}

static const struct xlat x_ruwho[] = { { 0, "RUSAGE_SELF" }, { UINT32_MAX, "RUSAGE_CHILDREN" }, { UINT32_MAX - 1, "RUSAGE_BOTH" }, { 1, "RUSAGE_THREAD" }, XEND };

bool k_RUWHO(struct dec *d, uint64_t v)
{
	dec_value(d, x_ruwho, (uint32_t)v, "RUSAGE_???");
	return true;
}

/* --- limits --- */

#define R(n) { RLIMIT_##n, "RLIMIT_" #n }
static const struct xlat x_rlim[] = {
	R(CPU), R(FSIZE), R(DATA), R(STACK), R(CORE), R(RSS), { 6, "RLIMIT_NPROC" }, { 7, "RLIMIT_NOFILE" }, R(MEMLOCK), R(AS), { 10, "RLIMIT_LOCKS" },
	{ 11, "RLIMIT_SIGPENDING" }, { 12, "RLIMIT_MSGQUEUE" }, { 13, "RLIMIT_NICE" }, { 14, "RLIMIT_RTPRIO" }, { 15, "RLIMIT_RTTIME" }, XEND,
};

bool k_RLIMRES(struct dec *d, uint64_t v)
{
	dec_value(d, x_rlim, (uint32_t)v, "RLIMIT_???");
	return true;
}

static void put_rlim(struct dec *d, uint64_t v, bool is64)
{
	if (v == UINT64_MAX)
		strbuf_adds(&d->b, is64 ? "RLIM64_INFINITY" : "RLIM_INFINITY");
	else if (v > 1024 && v % 1024 == 0)
		strbuf_addf(&d->b, "%lu*1024", (unsigned long)v / 1024);
	else
		strbuf_addf(&d->b, "%lu", (unsigned long)v);
}

bool k_RLIM(struct dec *d, uint64_t v)
{
	bool is64 = !strcmp(syscall_name(d->nr), "prlimit64");
	uint64_t r[2];

	if (!dec_read(d, v, r, sizeof(r))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_adds(&d->b, "{rlim_cur=");
	put_rlim(d, r[0], is64);
	strbuf_adds(&d->b, ", rlim_max=");
	put_rlim(d, r[1], is64);
	strbuf_addc(&d->b, '}');
	return true;
}

bool k_OUT_RLIM(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		(void)k_RLIM(d, v);
	return true;
}

bool k_OUT_RLIMOPT(struct dec *d, uint64_t v)
{
	return k_OUT_RLIM(d, v);
}

/* --- prctl --- */

static const struct xlat x_prctl[] = {
	X(PR_SET_PDEATHSIG), X(PR_GET_PDEATHSIG), X(PR_GET_DUMPABLE), X(PR_SET_DUMPABLE), X(PR_GET_UNALIGN), X(PR_SET_UNALIGN), X(PR_GET_KEEPCAPS),
	X(PR_SET_KEEPCAPS), X(PR_GET_FPEMU), X(PR_SET_FPEMU), X(PR_GET_FPEXC), X(PR_SET_FPEXC), X(PR_GET_TIMING), X(PR_SET_TIMING), X(PR_SET_NAME),
	X(PR_GET_NAME), X(PR_GET_ENDIAN), X(PR_SET_ENDIAN), X(PR_GET_SECCOMP), X(PR_SET_SECCOMP), X(PR_CAPBSET_READ), X(PR_CAPBSET_DROP), X(PR_GET_TSC),
	X(PR_SET_TSC), X(PR_GET_SECUREBITS), X(PR_SET_SECUREBITS), X(PR_SET_TIMERSLACK), X(PR_GET_TIMERSLACK), X(PR_TASK_PERF_EVENTS_DISABLE),
	X(PR_TASK_PERF_EVENTS_ENABLE), X(PR_MCE_KILL), X(PR_MCE_KILL_GET), X(PR_SET_MM), X(PR_SET_PTRACER), X(PR_SET_CHILD_SUBREAPER),
	X(PR_GET_CHILD_SUBREAPER), X(PR_SET_NO_NEW_PRIVS), X(PR_GET_NO_NEW_PRIVS), X(PR_GET_TID_ADDRESS), X(PR_SET_THP_DISABLE), X(PR_GET_THP_DISABLE),
	X(PR_CAP_AMBIENT), X(PR_GET_SPECULATION_CTRL), X(PR_SET_SPECULATION_CTRL), X(PR_SET_IO_FLUSHER), X(PR_GET_IO_FLUSHER),
	X(PR_SET_SYSCALL_USER_DISPATCH), X(PR_SCHED_CORE), { 65, "PR_SET_MDWE" }, { 66, "PR_GET_MDWE" }, { 0x53564d41, "PR_SET_VMA" }, XEND,
};
static const struct xlat x_caps[] = {
	X(CAP_CHOWN), X(CAP_DAC_OVERRIDE), X(CAP_DAC_READ_SEARCH), X(CAP_FOWNER), X(CAP_FSETID), X(CAP_KILL), X(CAP_SETGID), X(CAP_SETUID), X(CAP_SETPCAP),
	X(CAP_LINUX_IMMUTABLE), X(CAP_NET_BIND_SERVICE), X(CAP_NET_BROADCAST), X(CAP_NET_ADMIN), X(CAP_NET_RAW), X(CAP_IPC_LOCK), X(CAP_IPC_OWNER),
	X(CAP_SYS_MODULE), X(CAP_SYS_RAWIO), X(CAP_SYS_CHROOT), X(CAP_SYS_PTRACE), X(CAP_SYS_PACCT), X(CAP_SYS_ADMIN), X(CAP_SYS_BOOT), X(CAP_SYS_NICE),
	X(CAP_SYS_RESOURCE), X(CAP_SYS_TIME), X(CAP_SYS_TTY_CONFIG), X(CAP_MKNOD), X(CAP_LEASE), X(CAP_AUDIT_WRITE), X(CAP_AUDIT_CONTROL), X(CAP_SETFCAP),
	X(CAP_MAC_OVERRIDE), X(CAP_MAC_ADMIN), X(CAP_SYSLOG), X(CAP_WAKE_ALARM), X(CAP_BLOCK_SUSPEND), X(CAP_AUDIT_READ), X(CAP_PERFMON), X(CAP_BPF),
	X(CAP_CHECKPOINT_RESTORE), XEND,
};
static const struct xlat x_ambient[] = {
	X(PR_CAP_AMBIENT_IS_SET), X(PR_CAP_AMBIENT_RAISE), X(PR_CAP_AMBIENT_LOWER), X(PR_CAP_AMBIENT_CLEAR_ALL), XEND,
};
static const struct xlat x_seccomp_mode[] = { X(SECCOMP_MODE_DISABLED), X(SECCOMP_MODE_STRICT), X(SECCOMP_MODE_FILTER), XEND };
static const struct xlat x_dumpable[] = { { 0, "SUID_DUMP_DISABLE" }, { 1, "SUID_DUMP_USER" }, { 2, "SUID_DUMP_ROOT" }, XEND };

static void prctl_rest(struct dec *d, int from)
{
	for (int i = from; i < 5; i++) {
		dec_comma(d);
		dec_hex(d, d->a[i]);
	}
	d->next = 6;
}

bool k_PRCTL(struct dec *d, uint64_t v)
{
	uint64_t a = d->a[1];
	char name[16];
	int n;

	switch ((int)v) { /* what comes out waits for the end, with the option's name */
	case PR_GET_PDEATHSIG: case PR_GET_NAME: case PR_GET_CHILD_SUBREAPER: case PR_GET_TSC: case PR_GET_TID_ADDRESS:
		if (!d->exit)
			return false;
		break;
	default:
		break;
	}
	dec_value(d, x_prctl, (uint32_t)v, "PR_???");
	d->next = 6;
	switch ((int)v) {
	case PR_GET_DUMPABLE: case PR_GET_KEEPCAPS: case PR_GET_SECCOMP: case PR_GET_SECUREBITS: case PR_GET_TIMERSLACK: case PR_GET_TIMING:
	case PR_TASK_PERF_EVENTS_DISABLE: case PR_TASK_PERF_EVENTS_ENABLE:
		return true;
	case PR_SET_PDEATHSIG:
		dec_comma(d);
		dec_signame(d, (int)a);
		return true;
	case PR_SET_DUMPABLE:
		dec_comma(d);
		dec_value(d, x_dumpable, a, NULL);
		return true;
	case PR_SET_NAME:
		dec_comma(d);
		dec_str(d, a, 0, true);
		return true;
	case PR_GET_NAME:
		dec_comma(d);
		if (!dec_failed(d) && dec_read(d, a, name, sizeof(name)))
			dec_bytes(d, name, strnlen(name, sizeof(name)), false);
		else
			dec_ptr(d, a);
		return true;
	case PR_GET_PDEATHSIG: case PR_GET_CHILD_SUBREAPER: case PR_GET_TSC:
		dec_comma(d);
		if (dec_failed(d) || !dec_read(d, a, &n, sizeof(n)))
			dec_ptr(d, a);
		else if (v == PR_GET_PDEATHSIG)
			strbuf_addf(&d->b, n ? "[SIG%s]" : "[%s]", n && sigabbrev_np(n) ? sigabbrev_np(n) : "0");
		else
			strbuf_addf(&d->b, "[%d]", n);
		return true;
	case PR_CAPBSET_READ: case PR_CAPBSET_DROP:
		dec_comma(d);
		dec_value(d, x_caps, a, "CAP_???");
		return true;
	case PR_SET_KEEPCAPS: case PR_SET_CHILD_SUBREAPER: case PR_SET_TIMERSLACK:
		strbuf_addf(&d->b, ", %lu", (unsigned long)a);
		return true;
	case PR_SET_SECCOMP:
		dec_comma(d);
		dec_value(d, x_seccomp_mode, a, "SECCOMP_MODE_???");
		if (a == SECCOMP_MODE_FILTER) {
			dec_comma(d);
			dec_ptr(d, d->a[2]);
		}
		return true;
	case PR_CAP_AMBIENT:
		dec_comma(d);
		dec_value(d, x_ambient, a, "PR_CAP_AMBIENT_???");
		dec_comma(d);
		if (a == PR_CAP_AMBIENT_CLEAR_ALL)
			dec_hex(d, d->a[2]);
		else
			dec_value(d, x_caps, d->a[2], "CAP_???");
		prctl_rest(d, 3);
		return true;
	case PR_SET_NO_NEW_PRIVS:
		strbuf_addf(&d->b, ", %lu", (unsigned long)a);
		prctl_rest(d, 2);
		return true;
	default:
		prctl_rest(d, 1);
		return true;
	}
}

static const struct xlat x_arch[] = {
	X(ARCH_SET_GS), X(ARCH_SET_FS), X(ARCH_GET_FS), X(ARCH_GET_GS), X(ARCH_GET_CPUID), X(ARCH_SET_CPUID), { 0x1021, "ARCH_GET_XCOMP_SUPP" },
	{ 0x1022, "ARCH_GET_XCOMP_PERM" }, { 0x1023, "ARCH_REQ_XCOMP_PERM" }, XEND,
};

bool k_ARCHPRCTL(struct dec *d, uint64_t v)
{
	dec_value(d, x_arch, v, "ARCH_???");
	return true;
}

bool k_ARCHARG(struct dec *d, uint64_t v)
{
	uint64_t p;

	if (d->a[0] != ARCH_GET_FS && d->a[0] != ARCH_GET_GS) {
		dec_ptr(d, v);
		return true;
	}
	if (!d->exit)
		return false;
	if (!dec_failed(d) && dec_read(d, v, &p, sizeof(p)))
		strbuf_addf(&d->b, "[%#lx]", (unsigned long)p);
	else
		dec_ptr(d, v);
	return true;
}

/* --- scheduling --- */

static void put_cpus(struct dec *d, uint64_t v, uint64_t n)
{
	uint8_t mask[128];
	bool any = false;

	n = MIN(n, sizeof(mask));
	if (!dec_read(d, v, mask, n)) {
		dec_ptr(d, v);
		return;
	}
	strbuf_addc(&d->b, '[');
	for (uint64_t i = 0; i < n * 8; i++)
		if (mask[i / 8] >> i % 8 & 1) {
			strbuf_addf(&d->b, "%s%lu", any ? " " : "", (unsigned long)i);
			any = true;
		}
	strbuf_addc(&d->b, ']');
}

bool k_CPUSET(struct dec *d, uint64_t v)
{
	put_cpus(d, v, d->a[1]);
	return true;
}

bool k_OUT_CPUSET(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		put_cpus(d, v, (uint64_t)d->ret);
	return true;
}

static const struct xlat x_sched[] = {
	{ 0, "SCHED_OTHER" }, X(SCHED_FIFO), X(SCHED_RR), X(SCHED_BATCH), X(SCHED_IDLE), X(SCHED_DEADLINE), XEND,
};
static const struct xlat x_sched_flags[] = {
	X(SCHED_FLAG_RESET_ON_FORK), X(SCHED_FLAG_RECLAIM), X(SCHED_FLAG_DL_OVERRUN), X(SCHED_FLAG_KEEP_POLICY), X(SCHED_FLAG_KEEP_PARAMS),
	X(SCHED_FLAG_UTIL_CLAMP_MIN), X(SCHED_FLAG_UTIL_CLAMP_MAX), XEND,
};

static void put_policy(struct dec *d, uint32_t v)
{
	dec_value(d, x_sched, v & ~(uint32_t)SCHED_RESET_ON_FORK, "SCHED_???");
	if (v & SCHED_RESET_ON_FORK)
		strbuf_adds(&d->b, "|SCHED_RESET_ON_FORK");
}

bool k_SCHEDPOL(struct dec *d, uint64_t v)
{
	put_policy(d, (uint32_t)v);
	return true;
}

bool k_SCHEDPARAM(struct dec *d, uint64_t v)
{
	int prio;

	if (dec_read(d, v, &prio, sizeof(prio)))
		strbuf_addf(&d->b, "[%d]", prio);
	else
		dec_ptr(d, v);
	return true;
}

bool k_OUT_SCHEDPARAM(struct dec *d, uint64_t v)
{
	return k_OUT_INT(d, v);
}

bool k_SCHEDATTR(struct dec *d, uint64_t v)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t prio;
		uint64_t runtime, deadline, period;
	} s;

	if (!dec_read(d, v, &s, sizeof(s))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_addf(&d->b, "{size=%u, sched_policy=", s.size);
	put_policy(d, s.policy);
	strbuf_adds(&d->b, ", sched_flags=");
	dec_flags(d, x_sched_flags, s.flags, "SCHED_FLAG_???");
	strbuf_addf(&d->b, ", sched_nice=%d, sched_priority=%u, sched_runtime=%lu, sched_deadline=%lu, sched_period=%lu", s.nice, s.prio,
		    (unsigned long)s.runtime, (unsigned long)s.deadline, (unsigned long)s.period);
	strbuf_adds(&d->b, s.size > sizeof(s) ? ", ...}" : "}");
	return true;
}

bool k_OUT_SCHEDATTR(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		(void)k_SCHEDATTR(d, v);
	return true;
}

static const struct xlat x_prio[] = { X(PRIO_PROCESS), X(PRIO_PGRP), X(PRIO_USER), XEND };
static const struct xlat x_ioprio_who[] = { { 1, "IOPRIO_WHO_PROCESS" }, { 2, "IOPRIO_WHO_PGRP" }, { 3, "IOPRIO_WHO_USER" }, XEND };
static const struct xlat x_ioprio_class[] = {
	{ 0, "IOPRIO_CLASS_NONE" }, { 1, "IOPRIO_CLASS_RT" }, { 2, "IOPRIO_CLASS_BE" }, { 3, "IOPRIO_CLASS_IDLE" }, XEND,
};

bool k_PRIOWHICH(struct dec *d, uint64_t v)
{
	dec_value(d, x_prio, (uint32_t)v, "PRIO_???");
	return true;
}

bool k_IOPRIOWHICH(struct dec *d, uint64_t v)
{
	dec_value(d, x_ioprio_who, (uint32_t)v, "IOPRIO_WHO_???");
	return true;
}

bool k_IOPRIO(struct dec *d, uint64_t v)
{
	strbuf_adds(&d->b, "IOPRIO_PRIO_VALUE(");
	dec_value(d, x_ioprio_class, (uint32_t)v >> 13, "IOPRIO_CLASS_???");
	strbuf_addf(&d->b, ", %u)", (unsigned)(v & 0x1fff));
	return true;
}

/* --- the machine --- */

bool k_OUT_UTSNAME(struct dec *d, uint64_t v)
{
	struct utsname u;

	if (!d->exit)
		return false;
	if (dec_failed(d) || !dec_read(d, v, &u, sizeof(u))) {
		dec_ptr(d, v);
		return true;
	}
	u.nodename[sizeof(u.nodename) - 1] = '\0';
	strbuf_addf(&d->b, "{sysname=\"Linux\", nodename=\"%s\", ...}", u.nodename);
	return true;
}

bool k_OUT_SYSINFO(struct dec *d, uint64_t v)
{
	struct sysinfo s;

	if (!d->exit)
		return false;
	if (dec_failed(d) || !dec_read(d, v, &s, sizeof(s))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_addf(&d->b, "{uptime=%ld, loads=[%lu, %lu, %lu], totalram=%lu, freeram=%lu, sharedram=%lu, bufferram=%lu, totalswap=%lu, freeswap=%lu, "
			   "procs=%u, totalhigh=%lu, freehigh=%lu, mem_unit=%u}",
		    s.uptime, s.loads[0], s.loads[1], s.loads[2], s.totalram, s.freeram, s.sharedram, s.bufferram, s.totalswap, s.freeswap, s.procs,
		    s.totalhigh, s.freehigh, s.mem_unit);
	return true;
}

static void put_tick(struct dec *d, const char *name, int64_t v)
{
	strbuf_addf(&d->b, "%s=%ld /* %ld.%02ld s */", name, (long)v, (long)v / 100, (long)v % 100);
}

bool k_OUT_TMS(struct dec *d, uint64_t v)
{
	int64_t t[4];

	if (!d->exit)
		return false;
	if (dec_failed(d) || !dec_read(d, v, t, sizeof(t))) {
		dec_ptr(d, v);
		return true;
	}
	put_tick(d, "{tms_utime", t[0]);
	put_tick(d, ", tms_stime", t[1]);
	put_tick(d, ", tms_cutime", t[2]);
	put_tick(d, ", tms_cstime", t[3]);
	strbuf_addc(&d->b, '}');
	return true;
}

static const struct xlat x_syslog[] = {
	{ 0, "SYSLOG_ACTION_CLOSE" }, { 1, "SYSLOG_ACTION_OPEN" }, { 2, "SYSLOG_ACTION_READ" }, { 3, "SYSLOG_ACTION_READ_ALL" },
	{ 4, "SYSLOG_ACTION_READ_CLEAR" }, { 5, "SYSLOG_ACTION_CLEAR" }, { 6, "SYSLOG_ACTION_CONSOLE_OFF" }, { 7, "SYSLOG_ACTION_CONSOLE_ON" },
	{ 8, "SYSLOG_ACTION_CONSOLE_LEVEL" }, { 9, "SYSLOG_ACTION_SIZE_UNREAD" }, { 10, "SYSLOG_ACTION_SIZE_BUFFER" }, XEND,
};

bool k_SYSLOG(struct dec *d, uint64_t v)
{
	dec_value(d, x_syslog, (uint32_t)v, "SYSLOG_ACTION_???");
	return true;
}

static const struct xlat x_grnd[] = { X(GRND_NONBLOCK), X(GRND_RANDOM), { 4, "GRND_INSECURE" }, XEND };

bool k_GRNDFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_grnd, (uint32_t)v, "GRND_???");
	return true;
}

static const struct xlat x_personality[] = {
	X(ADDR_NO_RANDOMIZE), X(MMAP_PAGE_ZERO), X(ADDR_COMPAT_LAYOUT), X(READ_IMPLIES_EXEC), X(ADDR_LIMIT_32BIT), X(SHORT_INODE), X(WHOLE_SECONDS),
	X(STICKY_TIMEOUTS), X(ADDR_LIMIT_3GB), X(UNAME26), XEND,
};

bool k_PERSONALITY(struct dec *d, uint64_t v)
{
	v = (uint32_t)v;
	if (v == UINT32_MAX) {
		strbuf_adds(&d->b, "0xffffffff");
		return true;
	}
	if ((v & 0xff) == PER_LINUX)
		strbuf_adds(&d->b, "PER_LINUX");
	else if ((v & 0xff) == (PER_LINUX32 & 0xff))
		strbuf_adds(&d->b, "PER_LINUX32");
	else
		strbuf_addf(&d->b, "%#x /* PER_??? */", (unsigned)(v & 0xff));
	if (v & ~0xffull) {
		strbuf_addc(&d->b, '|');
		dec_flags(d, x_personality, v & ~0xffull, NULL);
	}
	return true;
}

/* --- privileges --- */

bool k_CAPHDR(struct dec *d, uint64_t v)
{
	struct __user_cap_header_struct h;

	if (!dec_read(d, v, &h, sizeof(h))) {
		dec_ptr(d, v);
		return true;
	}
	if (h.version == _LINUX_CAPABILITY_VERSION_3)
		strbuf_adds(&d->b, "{version=_LINUX_CAPABILITY_VERSION_3, pid=");
	else
		strbuf_addf(&d->b, "{version=%#x /* _LINUX_CAPABILITY_VERSION_??? */, pid=", h.version);
	strbuf_addf(&d->b, "%d}", h.pid);
	return true;
}

static void put_caps(struct dec *d, uint64_t v)
{
	const char *sep = "";

	if (!v) {
		strbuf_addc(&d->b, '0');
		return;
	}
	for (const struct xlat *x = x_caps; x->name; x++)
		if (v >> x->v & 1) {
			strbuf_addf(&d->b, "%s1<<%s", sep, x->name);
			sep = "|";
			v &= ~(1ull << x->v);
		}
	if (v)
		strbuf_addf(&d->b, "%s%#lx", sep, (unsigned long)v);
}

bool k_CAPDATA(struct dec *d, uint64_t v)
{
	struct __user_cap_data_struct c[2];

	if (!dec_read(d, v, c, sizeof(c))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_adds(&d->b, "{effective=");
	put_caps(d, c[0].effective | (uint64_t)c[1].effective << 32);
	strbuf_adds(&d->b, ", permitted=");
	put_caps(d, c[0].permitted | (uint64_t)c[1].permitted << 32);
	strbuf_adds(&d->b, ", inheritable=");
	put_caps(d, c[0].inheritable | (uint64_t)c[1].inheritable << 32);
	strbuf_addc(&d->b, '}');
	return true;
}

bool k_OUT_CAPDATA(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		(void)k_CAPDATA(d, v);
	return true;
}

bool k_GIDSET(struct dec *d, uint64_t v)
{
	bool out = !strcmp(syscall_name(d->nr), "getgroups");
	int64_t n = out ? d->ret : (int64_t)d->a[0];
	uint32_t g[STRACE_VEC];

	if (out && !d->exit)
		return false;
	if ((out && (dec_failed(d) || !d->a[0])) || n < 0 || !dec_read(d, v, g, (size_t)MIN(n, (int64_t)STRACE_VEC) * 4)) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_addc(&d->b, '[');
	for (int64_t i = 0; i < n && i < STRACE_VEC; i++)
		strbuf_addf(&d->b, "%s%u", i ? ", " : "", g[i]);
	strbuf_adds(&d->b, n > STRACE_VEC ? ", ...]" : "]");
	return true;
}

static const struct xlat x_seccomp_op[] = {
	X(SECCOMP_SET_MODE_STRICT), X(SECCOMP_SET_MODE_FILTER), X(SECCOMP_GET_ACTION_AVAIL), X(SECCOMP_GET_NOTIF_SIZES), XEND,
};
static const struct xlat x_seccomp_flags[] = {
	X(SECCOMP_FILTER_FLAG_TSYNC), X(SECCOMP_FILTER_FLAG_LOG), X(SECCOMP_FILTER_FLAG_SPEC_ALLOW), X(SECCOMP_FILTER_FLAG_NEW_LISTENER),
	X(SECCOMP_FILTER_FLAG_TSYNC_ESRCH), { 32, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" }, XEND,
};

bool k_SECCOMPOP(struct dec *d, uint64_t v)
{
	dec_value(d, x_seccomp_op, (uint32_t)v, "SECCOMP_SET_MODE_???");
	return true;
}

bool k_SECCOMPFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_seccomp_flags, (uint32_t)v, "SECCOMP_FILTER_FLAG_???");
	return true;
}

static const struct xlat x_kcmp[] = {
	X(KCMP_FILE), X(KCMP_VM), X(KCMP_FILES), X(KCMP_FS), X(KCMP_SIGHAND), X(KCMP_IO), X(KCMP_SYSVSEM), X(KCMP_EPOLL_TFD), XEND,
};

bool k_KCMPTYPE(struct dec *d, uint64_t v)
{
	dec_value(d, x_kcmp, (uint32_t)v, "KCMP_???");
	return true;
}

static const struct xlat x_pidfd[] = { { 04000, "PIDFD_NONBLOCK" }, XEND };

bool k_PIDFDFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_pidfd, (uint32_t)v, "PIDFD_???");
	return true;
}

static const struct xlat x_rseq[] = { { 1, "RSEQ_FLAG_UNREGISTER" }, XEND };

bool k_RSEQFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_rseq, (uint32_t)v, "RSEQ_FLAG_???");
	return true;
}

static const struct xlat x_ptrace[] = {
	{ 0, "PTRACE_TRACEME" }, X(PTRACE_PEEKTEXT), X(PTRACE_PEEKDATA), X(PTRACE_PEEKUSR), X(PTRACE_POKETEXT), X(PTRACE_POKEDATA), X(PTRACE_POKEUSR),
	X(PTRACE_CONT), X(PTRACE_KILL), X(PTRACE_SINGLESTEP), { 12, "PTRACE_GETREGS" }, { 13, "PTRACE_SETREGS" }, { 14, "PTRACE_GETFPREGS" },
	{ 15, "PTRACE_SETFPREGS" }, X(PTRACE_ATTACH), X(PTRACE_DETACH), X(PTRACE_SYSCALL), { 30, "PTRACE_ARCH_PRCTL" }, { 31, "PTRACE_SYSEMU" },
	{ 32, "PTRACE_SYSEMU_SINGLESTEP" }, X(PTRACE_SETOPTIONS), X(PTRACE_GETEVENTMSG), X(PTRACE_GETSIGINFO), X(PTRACE_SETSIGINFO), X(PTRACE_GETREGSET),
	X(PTRACE_SETREGSET), X(PTRACE_SEIZE), X(PTRACE_INTERRUPT), X(PTRACE_LISTEN), X(PTRACE_PEEKSIGINFO), X(PTRACE_GETSIGMASK), X(PTRACE_SETSIGMASK),
	X(PTRACE_SECCOMP_GET_FILTER), X(PTRACE_SECCOMP_GET_METADATA), X(PTRACE_GET_SYSCALL_INFO), X(PTRACE_GET_RSEQ_CONFIGURATION), XEND,
};

bool k_PTRACE(struct dec *d, uint64_t v)
{
	dec_value(d, x_ptrace, v, "PTRACE_???");
	if (!v)
		d->next = 6;
	return true;
}
