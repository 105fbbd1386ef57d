/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds and loads filters with libseccomp. Anything not allowed kills the process; with @trap it first names the call
 * in the debug log, so that a missing row can be told from a break-in attempt.
 */
#include <linux/sched.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/crash.h"
#include "base/log.h"
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

int seccomp_install_sentry(bool trap, bool host_net, struct error **err)
{
	scmp_filter_ctx ctx;
	int r = new_filter(trap, &ctx, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < nr_sentry_syscalls; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, sentry_syscalls[i].nr, 0);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(ioctls); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_ioctl, 1, SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(prctls); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_prctl, 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)prctls[i]));
	if (r == 0 && host_net)
		r = add_host_net(ctx);
	/* New threads, never new processes. clone3 hides its flags from us; glibc falls back to clone. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_clone, 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SYS_clone3, 0);
	/* None of our code opens a path, but glibc's free() wants to know the host's overcommit policy before it shrinks an arena. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SYS_openat, 0);
	return load(ctx, r, err);
}

int seccomp_install_list(const int *nrs, size_t n, bool trap, struct error **err)
{
	scmp_filter_ctx ctx;
	bool threads = false;
	int r = new_filter(trap, &ctx, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (nrs[i] == SYS_clone || nrs[i] == SYS_clone3) {
			threads = true;
			continue;
		}
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nrs[i], 0);
	}
	if (r == 0 && threads)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SYS_clone, 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (r == 0 && threads)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SYS_clone3, 0);
	return load(ctx, r, err);
}
