/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds and loads filters with libseccomp. Anything not allowed kills the process; with @trap it first names the call
 * in the debug log, so that a missing row can be told from a break-in attempt.
 */
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/crash.h"
#include "base/fd_util.h"
#include "base/log.h"
#include "platform/ptrace/seccomp.h"
#include "runsc/isolate.h"

static void on_sigsys(int sig, siginfo_t *si, void *uc)
{
	log_error("seccomp: host system call %d refused (instruction %p)", si->si_syscall, si->si_call_addr);
	crash_log_callers(uc);
	_exit(128 + SIGSYS);
}

static int new_filter(bool trap, scmp_filter_ctx *ret, struct error **err)
{
	scmp_filter_ctx ctx = seccomp_init(trap ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS);

	if (!ctx)
		return error_set(err, -ENOMEM, "seccomp filter");
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	/* A binary tree instead of a list: the calls with argument checks are found in a few steps. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (trap) {
		struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};

		(void)sigaction(SIGSYS, &sa, NULL);
	}
	*ret = ctx;
	return 0;
}

/* The C library writes programs to files only. */
static int export_prog(scmp_filter_ctx ctx, int r, struct seccomp_prog *ret, struct error **err)
{
	_cleanup_close_ int fd = memfd_create("filter", MFD_CLOEXEC);
	struct sock_filter *v = NULL;
	struct stat st;

	if (r == 0)
		r = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);
	seccomp_release(ctx);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r == 0)
		v = malloc((size_t)st.st_size);
	if (r == 0)
		r = !v ? -ENOMEM : lseek(fd, 0, SEEK_SET) < 0 ? -errno : read_exact(fd, v, (size_t)st.st_size);
	if (r < 0) {
		free(v);
		return error_set(err, r, "building a seccomp filter");
	}
	*ret = (struct seccomp_prog){v, (size_t)st.st_size / sizeof(*v)};
	return 0;
}

int seccomp_install_prog(const struct seccomp_prog *p, struct error **err)
{
	const struct sock_fprog prog = {(unsigned short)p->len, p->insns};

#if defined(RUNSC_SANITIZE_address) || defined(RUNSC_SANITIZE_thread)
	return 0; /* see load() */
#endif
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0 ? error_set(err, -errno, "installing the seccomp filter") : 0;
}

static int load(scmp_filter_ctx ctx, int r, struct error **err)
{
#if defined(RUNSC_SANITIZE_address) || defined(RUNSC_SANITIZE_thread)
	/* Test builds only: these run-time libraries open files of /proc whenever they like. */
	seccomp_release(ctx);
	return 0;
#endif
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r < 0 ? error_set(err, r, "installing the seccomp filter") : 0;
}

/* Requests a donated terminal, socket or pipe may get; nothing that reaches a device's driver. */
static const unsigned long ioctls[] = {
	TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ, TIOCSWINSZ, FIONREAD, FIONBIO, TIOCGPGRP,
};

/* --network=host. */
static const unsigned long host_net_ioctls[] = {SIOCATMARK, SIOCOUTQ};
static const int host_net_families[] = {AF_INET, AF_INET6};

static const int prctls[] = {PR_SET_NAME, PR_SET_TIMERSLACK, PR_SET_VMA};

static int add_host_net(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < nr_sentry_host_net_syscalls; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, sentry_host_net_syscalls[i].nr, 0);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(host_net_ioctls); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_ioctl, 1, SCMP_A1(SCMP_CMP_EQ, host_net_ioctls[i]));
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(host_net_families); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_socket, 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)host_net_families[i]));
	return r;
}

static int add_threads(scmp_filter_ctx ctx)
{
	/* New threads, never new processes. clone3 hides its flags from us; glibc falls back to clone. */
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_clone, 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

	return r == 0 ? seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SYS_clone3, 0) : r;
}

static int add_sentry(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < nr_sentry_syscalls; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, sentry_syscalls[i].nr, 0);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(ioctls); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_ioctl, 1, SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(prctls); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_prctl, 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)prctls[i]));
	if (r == 0)
		r = add_threads(ctx);
	/* None of our code opens a path, but glibc's free() wants to know the host's overcommit policy before it shrinks an arena. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SYS_openat, 0);
	return r;
}

int seccomp_install_sentry(bool trap, bool host_net, struct error **err)
{
	scmp_filter_ctx ctx;
	int r = new_filter(trap, &ctx, err);

	if (r < 0)
		return r;
	r = add_sentry(ctx);
	if (r == 0 && host_net)
		r = add_host_net(ctx);
	return load(ctx, r, err);
}

int seccomp_build_sentry(bool trap, struct seccomp_prog *ret, struct error **err)
{
	scmp_filter_ctx ctx;
	int r = new_filter(trap, &ctx, err);

	return r < 0 ? r : export_prog(ctx, add_sentry(ctx), ret, err);
}

static int add_list(scmp_filter_ctx ctx, const int *nrs, size_t n)
{
	bool threads = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (nrs[i] == SYS_clone || nrs[i] == SYS_clone3)
			threads = true;
		else
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nrs[i], 0);
	}
	return r == 0 && threads ? add_threads(ctx) : r;
}

int seccomp_install_list(const int *nrs, size_t n, bool trap, struct error **err)
{
	scmp_filter_ctx ctx;
	int r = new_filter(trap, &ctx, err);

	return r < 0 ? r : load(ctx, add_list(ctx, nrs, n), err);
}

int seccomp_build_list(const int *nrs, size_t n, bool trap, struct seccomp_prog *ret, struct error **err)
{
	scmp_filter_ctx ctx;
	int r = new_filter(trap, &ctx, err);

	return r < 0 ? r : export_prog(ctx, add_list(ctx, nrs, n), ret, err);
}

/* --- templates --- */

static int add_rules(scmp_filter_ctx ctx, const struct syscall_rule *v, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, v[i].nr, 0);
	return r;
}

static int add_clone_flags(scmp_filter_ctx ctx, scmp_datum_t flags)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_clone, 1, SCMP_A0(SCMP_CMP_EQ, flags));
}

/* Dropping privileges, and what the platform's stub template does to itself. */
static const int template_prctls[] = {PR_CAPBSET_DROP, PR_CAP_AMBIENT,      PR_SET_PDEATHSIG,
				      PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS};

int seccomp_install_template(bool trap, struct error **err)
{
	scmp_filter_ctx ctx;
	int r = new_filter(trap, &ctx, err);

	if (r < 0)
		return r;
	r = add_sentry(ctx);
	if (r == 0)
		r = add_rules(ctx, template_syscalls, nr_template_syscalls);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(template_prctls); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_prctl, 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)template_prctls[i]));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_ioctl, 1, SCMP_A1(SCMP_CMP_EQ, TIOCSCTTY));
	if (r == 0)
		r = add_clone_flags(ctx, CLONE_FLAGS_CLONE);
	for (const int *nr = platform_ptrace_stub_syscalls; r == 0 && *nr >= 0; nr++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, *nr, 0);
	for (const unsigned long *f = platform_ptrace_stub_clones; r == 0 && *f; f++)
		r = add_clone_flags(ctx, *f);
	return load(ctx, r, err);
}

int seccomp_install_keeper(const int *nrs, size_t n, bool trap, struct error **err)
{
	scmp_filter_ctx ctx;
	int r = new_filter(trap, &ctx, err);

	if (r < 0)
		return r;
	r = add_list(ctx, nrs, n);
	if (r == 0)
		r = add_rules(ctx, keeper_syscalls, nr_keeper_syscalls);
	if (r == 0)
		r = add_clone_flags(ctx, CLONE_FLAGS_FORK);
	return load(ctx, r, err);
}
