/* SPDX-License-Identifier: Apache-2.0 */
/* System-call trace. One line per finished call: "[tid] name(args) = result"; a call that never returns prints its entry only. */
#include "sentry/syscalls/strace.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/strbuf.h"
#include "sentry/kernel/kernel.h"

bool strace_on;

static int tid_of(struct task *t)
{
	return pid_nr_ns(t->pid, task_pid_ns(t));
}

static void add_string(struct strbuf *b, struct task *t, uint64_t addr, size_t max, bool nul)
{
	char buf[65];
	size_t n;

	if (max > sizeof(buf) - 1)
		max = sizeof(buf) - 1;
	n = t->mm ? mm_copy_in_some(t->mm, buf, GADDR(addr), max) : 0;
	if (n == 0 && max) {
		strbuf_addf(b, "%#lx", (unsigned long)addr);
		return;
	}
	strbuf_addc(b, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)buf[i];

		if (nul && c == 0)
			break;
		if (c == '\n')
			strbuf_adds(b, "\\n");
		else if (c < 32 || c > 126 || c == '"' || c == '\\')
			strbuf_addf(b, "\\x%02x", c);
		else
			strbuf_addc(b, (char)c);
	}
	strbuf_addc(b, '"');
}

static bool kind_is(const char *k, size_t n, const char *name)
{
	return strlen(name) == n && !memcmp(k, name, n);
}

static void add_arg(struct strbuf *b, struct task *t, const char *k, size_t n, uint64_t v, uint64_t next)
{
	if (kind_is(k, n, "PATH"))
		add_string(b, t, v, 64, true);
	else if (kind_is(k, n, "IN_BUF"))
		add_string(b, t, v, next, false);
	else if (kind_is(k, n, "FD") || kind_is(k, n, "INT") || kind_is(k, n, "SIG"))
		strbuf_addf(b, "%d", (int)v);
	else if (kind_is(k, n, "DIRFD"))
		strbuf_addf(b, (int)v == -100 ? "AT_FDCWD" : "%d", (int)v);
	else if (kind_is(k, n, "SIZE"))
		strbuf_addf(b, "%lu", (unsigned long)v);
	else
		strbuf_addf(b, "%#lx", (unsigned long)v);
}

static void print_call(struct strbuf *b, struct task *t, uint64_t nr, const struct sys_args *a)
{
	const char *k = syscall_kinds(nr);
	int i = 0;

	strbuf_addf(b, "[%d] %s(", tid_of(t), syscall_name(nr));
	if (!*k)
		k = "HEX HEX HEX HEX HEX HEX";
	while (*k && i < 6) {
		size_t n = strcspn(k, " ");

		if (i)
			strbuf_adds(b, ", ");
		add_arg(b, t, k, n, a->a[i], i < 5 ? a->a[i + 1] : 0);
		k += n + (k[n] == ' ');
		i++;
	}
	strbuf_addc(b, ')');
}

void strace_enter(struct task *t, uint64_t nr, const struct sys_args *a)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	if (!strace_on)
		return;
	print_call(&b, t, nr, a);
	if (!strbuf_error(&b))
		log_line(LOG_LVL_INFO, "%s ...", b.data);
}

void strace_exit(struct task *t, uint64_t nr, const struct sys_args *a, int64_t ret)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	if (!strace_on)
		return;
	print_call(&b, t, nr, a);
	if (ret == -EFREEZE)
		strbuf_adds(&b, " = ? (frozen)");
	else if (ret < 0 && ret > -4096)
		strbuf_addf(&b, " = -1 (%s)", strerrorname_np((int)-ret) ? strerrorname_np((int)-ret) : "restart");
	else
		strbuf_addf(&b, " = %#lx", (unsigned long)ret);
	if (!strbuf_error(&b))
		log_line(LOG_LVL_INFO, "%s", b.data);
}

void strace_signal(struct task *t, int sig, const struct linux_siginfo *si)
{
	if (strace_on)
		log_line(LOG_LVL_INFO, "[%d] --- SIG%s {si_code=%d, addr=%#lx} ---", tid_of(t),
			 sigabbrev_np(sig) ? sigabbrev_np(sig) : "RT", si->si_code, (unsigned long)si->fault.addr);
}

/* The memory map, a line each: what a fault's addresses mean. */
static void strace_maps(struct task *t)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	char *save = NULL;

	if (mm_show_maps(t->mm, &b) < 0 || strbuf_error(&b) < 0 || !b.data)
		return;
	for (char *l = strtok_r(b.data, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		log_line(LOG_LVL_INFO, "[%d]   %s", tid_of(t), l);
}

void strace_fault(struct task *t, const struct plat_trap *trap, const struct linux_siginfo *si)
{
	const struct arch_regs *r;

	if (!strace_on)
		return;
	r = &t->k->pops->regs(t->pctx, false)->r;
	log_line(LOG_LVL_INFO, "[%d] fault SIG%s {si_code=%d, addr=%#lx} at rip=%#lx rsp=%#lx", tid_of(t), sigabbrev_np(si->si_signo),
		 si->si_code, (unsigned long)si->fault.addr, (unsigned long)r->rip, (unsigned long)r->rsp);
	strace_maps(t);
}
