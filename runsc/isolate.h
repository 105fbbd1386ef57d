/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Confinement of the sandbox and gofer processes: namespaces, an empty root, privileges. The system call filters, which
 * come last, are in seccomp_sentry.c and seccomp_install.c.
 */
#ifndef RUNSC_ISOLATE_H
#define RUNSC_ISOLATE_H

#include <sched.h>
#include <signal.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/util.h"

struct sock_filter;

/* What one internal process is started with: fd 3 is @ctl, 0 and 1 are /dev/null, 2 is @log_fd; nothing else is
 * inherited. */
struct spawn {
	const char *title; /* argv[0] */
	const char *verb;  /* "boot", "gofer" */
	const char *arg;   /* argument of the verb, or NULL */
	int netns;         /* network namespace to enter first, or -EBADF */
	bool same_pids;    /* the second of a pair: stays in the pid namespace of the first */
	int ctl, log_fd, null_fd;
};

/*
 * Starts the sandbox as pid 1 of a new pid namespace and the gofer as a child of it in namespaces of its own, both by
 * exec of this very binary. So the gofer can never outlive its sandbox, and nobody else has to reap it. An exec that
 * fails is reported on ctl as a control message. *@ret_gofer is 0 when the host does not tell.
 */
_must_check_ int spawn_pair(const struct spawn *sandbox, const struct spawn *gofer, bool rootless, pid_t *ret_sandbox,
			    pid_t *ret_gofer, struct error **err);

/* True when we lack the privileges to make namespaces directly. */
bool isolate_is_rootless(const char *mode);

/* New mount, IPC, UTS, (unless @host_net) network and (where there are such) cgroup namespaces. */
_must_check_ int isolate_unshare(bool host_net, struct error **err);

/* Pivots into an empty read-only tmpfs (mounted on @dir in our mount namespace) and unmounts everything else. */
_must_check_ int isolate_empty_root(const char *dir, struct error **err);

/* No supplementary groups, user and group nobody in a user namespace of its own where possible, no capability,
 * no_new_privs, still traceable by itself (the ptrace platform and process_vm_readv need a dumpable process). */
_must_check_ int isolate_drop_all(bool rootless, struct error **err);
/* The same for --network=host: keeps those of CAP_NET_BIND_SERVICE and CAP_NET_RAW that @caps (a bit mask) has. They count in the
 * network namespace's own user namespace only, so there is no new one; processes of nobody still cannot trace one that has them. */
_must_check_ int isolate_drop_all_host_net(bool rootless, uint64_t caps, struct error **err);
/*
 * A template's: like isolate_drop_all() of the privileged, but it keeps what making pid namespaces and giving up the rest later takes, in
 * a user namespace of its own that is a must, and where nothing of the host is. Its clones give up that rest.
 */
_must_check_ int isolate_drop_template(struct error **err);
_must_check_ int isolate_drop_clone(struct error **err);
/* Keeps only the capabilities of @keep (a bit mask), as permitted and effective; no_new_privs. */
_must_check_ int isolate_keep_caps(uint64_t keep, struct error **err);

/* Soft limits to the hard ones for files and processes (hard ones up if we may); no core dumps. */
void isolate_raise_limits(void);

/* --- filters --- */

struct syscall_rule {
	int nr;
	const char *why; /* what needs it */
};

/* Installs the Sentry's filter on all threads. @trap: a refused call is named in the log before the process dies. */
_must_check_ int seccomp_install_sentry(bool trap, bool host_net, struct error **err);
/* The same for a plain list of numbers (the gofer's). */
_must_check_ int seccomp_install_list(const int *nrs, size_t n, bool trap, struct error **err);

/* A filter that is made before it is needed: building takes a hundred times as long as installing. */
struct seccomp_prog {
	struct sock_filter *insns;
	size_t len;
};
_must_check_ int seccomp_build_sentry(bool trap, struct seccomp_prog *ret, struct error **err);
_must_check_ int seccomp_build_list(const int *nrs, size_t n, bool trap, struct seccomp_prog *ret, struct error **err);
/* On the calling thread, which should be the only one. */
_must_check_ int seccomp_install_prog(const struct seccomp_prog *p, struct error **err);
/* seccomp_template.c: what a template and the keeper of its clones may do, beyond a Sentry's and a gofer's lists. */
_must_check_ int seccomp_install_template(bool trap, struct error **err);
_must_check_ int seccomp_install_keeper(const int *nrs, size_t n, bool trap, struct error **err);
#define CLONE_FLAGS_CLONE  (CLONE_NEWPID | CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD)
#define CLONE_FLAGS_FORK   (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD) /* the C library's fork() */

extern const struct syscall_rule sentry_syscalls[];
extern const size_t nr_sentry_syscalls;
extern const struct syscall_rule template_syscalls[]; /* besides those of a Sentry */
extern const size_t nr_template_syscalls;
extern const struct syscall_rule keeper_syscalls[]; /* besides those of a gofer */
extern const size_t nr_keeper_syscalls;
extern const struct syscall_rule sentry_host_net_syscalls[]; /* with --network=host */
extern const size_t nr_sentry_host_net_syscalls;

#endif
