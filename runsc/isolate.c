/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces, root and privileges of the sandbox and gofer. Order matters and is the same in both: namespaces at clone,
 * setup message read, files opened, empty root, privileges dropped, filter installed, first untrusted byte read.
 */
#include "runsc/isolate.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <grp.h>

#include "base/fd_util.h"
#include "runsc/control.h"

#define NOBODY 65534

static bool have_sys_admin(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {0};

	return syscall(SYS_capget, &h, d) == 0 && (d[0].effective & (1U << CAP_SYS_ADMIN));
}

bool isolate_is_rootless(const char *mode)
{
	if (mode && !strcmp(mode, "true"))
		return true;
	return geteuid() != 0 || !have_sys_admin();
}

static int map_self(const char *file, unsigned int id)
{
	char line[40];

	(void)snprintf(line, sizeof(line), "0 %u 1\n", id);
	return write_string_at(AT_FDCWD, file, line);
}

static _Noreturn void spawn_failed(const struct spawn *s, int ctl, const char *what, int r)
{
	struct error *err = NULL;

	(void)error_set(&err, r, "%s: %s", s->verb, what);
	control_reply_error(ctl, err);
	_exit(127);
}

/* In a child, before exec; only what is safe after clone in a single-threaded process. */
static _Noreturn void child_exec(const struct spawn *s)
{
	char *argv[] = {(char *)(uintptr_t)s->title, (char *)(uintptr_t)s->verb, (char *)(uintptr_t)s->arg, NULL};
	static const int inherited[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU};
	char *env[] = {NULL};
	int fds[4] = {s->null_fd, s->null_fd, s->log_fd, s->ctl};
	sigset_t none;

	/* Sources may sit in 0..3 themselves: move all of them up before any is overwritten. */
	for (int i = 0; i < 4; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 10);
		if (fds[i] < 0)
			spawn_failed(s, s->ctl, "descriptors", -errno);
	}
	for (int i = 0; i < 4; i++)
		if (dup2(fds[i], i) < 0)
			spawn_failed(s, fds[3], "descriptors", -errno);
	(void)close_range(4, ~0U, CLOSE_RANGE_CLOEXEC);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* exec resets what was caught, not what our caller ignores. */
	for (size_t i = 0; i < ARRAY_SIZE(inherited); i++)
		(void)signal(inherited[i], SIG_DFL);
	(void)execve("/proc/self/exe", argv, env);
	spawn_failed(s, 3, "exec /proc/self/exe", -errno);
}

/* Like fork(2); the other namespaces are made by the child, at the same time as its parent goes on. */
static long clone_into(unsigned long flags)
{
	return syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
}

int isolate_unshare(bool host_net, struct error **err)
{
	const int most = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (host_net ? 0 : CLONE_NEWNET);

	if (unshare(most | CLONE_NEWCGROUP) < 0 && (errno != EINVAL || unshare(most) < 0))
		return error_set(err, -errno, "making namespaces");
	return 0;
}

static _Noreturn void sandbox_child(const struct spawn *sandbox, const struct spawn *gofer, bool rootless, uid_t uid,
				    gid_t gid)
{
	long pid;
	int r = 0;

	if (rootless) {
		(void)!write_string_at(AT_FDCWD, "/proc/self/setgroups", "deny");
		r = map_self("/proc/self/uid_map", uid);
		if (r == 0)
			r = map_self("/proc/self/gid_map", gid);
		if (r < 0)
			spawn_failed(sandbox, sandbox->ctl, "user namespace mapping", r);
	}
	pid = clone_into(gofer->same_pids ? 0 : CLONE_NEWPID);
	if (pid < 0)
		spawn_failed(sandbox, sandbox->ctl, "cannot make the gofer's namespaces", -errno);
	child_exec(pid == 0 ? gofer : sandbox);
}

/* The gofer is the sandbox's only child so far; its number in our namespace is known to /proc alone. */
static pid_t only_child_of(pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	if (read_file_at(AT_FDCWD, path, 4096, &text, NULL) < 0)
		return 0;
	return (pid_t)strtol(text, NULL, 10);
}

int spawn_pair(const struct spawn *sandbox, const struct spawn *gofer, bool rootless, pid_t *ret_sandbox,
	       pid_t *ret_gofer, struct error **err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	/* CLONE_VFORK: when it returns, the gofer exists. */
	long pid = clone_into(CLONE_NEWPID | CLONE_VFORK | (rootless ? CLONE_NEWUSER : 0));

	if (pid < 0)
		return error_set(err, -errno, "cannot make the sandbox's namespaces%s",
				 rootless ? " (rootless needs unprivileged user namespaces)" : "");
	if (pid == 0 && sandbox->netns >= 0 && setns(sandbox->netns, CLONE_NEWNET) < 0)
		spawn_failed(sandbox, sandbox->ctl, "entering the network namespace", -errno);
	if (pid == 0)
		sandbox_child(sandbox, gofer, rootless, uid, gid);
	*ret_sandbox = (pid_t)pid;
	*ret_gofer = only_child_of((pid_t)pid);
	return 0;
}

int isolate_empty_root(const char *dir, struct error **err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_set(err, -errno, "making mounts private");
	if (mount("none", dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=0555") < 0)
		return error_set(err, -errno, "mounting an empty root on %s", dir);
	if (chdir(dir) < 0)
		return error_set(err, -errno, "entering %s", dir);
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		/* The old root now sits on top of the new one: "." is the old, "/" the new. */
		if (umount2(".", MNT_DETACH) < 0)
			return error_set(err, -errno, "detaching the old root");
	} else if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0) { /* the old root is an initramfs */
		return error_set(err, -errno, "entering the empty root");
	}
	if (chdir("/") < 0)
		return error_set(err, -errno, "chdir /");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return error_set(err, -errno, "making the empty root read-only");
	return 0;
}

static int set_caps(uint64_t keep)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {
		{(uint32_t)keep, (uint32_t)keep, 0},
		{(uint32_t)(keep >> 32), (uint32_t)(keep >> 32), 0},
	};

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int c = 0; c < 64; c++)
		if (!(keep & (1ULL << c)) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0 && errno == EINVAL)
			break; /* beyond the kernel's last */
	return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

int isolate_keep_caps(uint64_t keep, struct error **err)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {0};
	int r;

	if (syscall(SYS_capget, &h, d) < 0)
		return error_set(err, -errno, "capget");
	r = set_caps(keep & ((uint64_t)d[1].permitted << 32 | d[0].permitted));
	if (r < 0)
		return error_set(err, r, "dropping capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, -errno, "no_new_privs");
	return 0;
}

static int become_nobody(struct error **err)
{
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return error_set(err, -errno, "becoming nobody");
	return 0;
}

/* The last steps, the same for all. */
static int drop_to(uint64_t caps, struct error **err)
{
	int r = set_caps(caps);

	if (r < 0)
		return error_set(err, r, "dropping capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, -errno, "no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return error_set(err, -errno, "PR_SET_DUMPABLE");
	return 0;
}

int isolate_drop_all(bool rootless, struct error **err)
{
	int r;

	if (!rootless) {
		r = become_nobody(err);
		if (r < 0)
			return r;
		/* A user namespace of its own keeps other processes of that user from tracing us. Hosts may forbid it.
		 */
		if (unshare(CLONE_NEWUSER) < 0 && errno != EPERM && errno != ENOSPC && errno != EUSERS &&
		    errno != EINVAL)
			return error_set(err, -errno, "user namespace");
	}
	return drop_to(0, err);
}

int isolate_drop_all_host_net(bool rootless, uint64_t caps, struct error **err)
{
	int r;

	caps &= 1ULL << CAP_NET_BIND_SERVICE | 1ULL << CAP_NET_RAW;
	if (rootless || !caps)
		return isolate_drop_all(rootless, err);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_set(err, -errno, "PR_SET_KEEPCAPS");
	r = become_nobody(err);
	return r < 0 ? r : drop_to(caps, err);
}

int isolate_drop_template(struct error **err)
{
	int r = become_nobody(err);

	if (r < 0)
		return r;
	if (unshare(CLONE_NEWUSER) < 0)
		return error_set(err, -errno, "a template needs a user namespace");
	return drop_to(1ULL << CAP_SYS_ADMIN | 1ULL << CAP_SETPCAP, err);
}

int isolate_drop_clone(struct error **err)
{
	int r = set_caps(0);

	return r < 0 ? error_set(err, r, "dropping capabilities") : 0;
}

static void raise_limit(__rlimit_resource_t what, rlim_t want)
{
	struct rlimit l;

	if (getrlimit(what, &l) < 0)
		return;
	if (l.rlim_max < want) {
		struct rlimit more = {want, want};

		if (setrlimit(what, &more) == 0)
			return;
	}
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(what, &l);
}

void isolate_raise_limits(void)
{
	const struct rlimit no_core = {0, 0};

	raise_limit(RLIMIT_NOFILE, 1 << 20);
	raise_limit(RLIMIT_NPROC, RLIM_INFINITY);
	raise_limit(RLIMIT_SIGPENDING, 1 << 20);
	raise_limit(RLIMIT_FSIZE, RLIM_INFINITY);
	raise_limit(RLIMIT_AS, RLIM_INFINITY);
	raise_limit(RLIMIT_DATA, RLIM_INFINITY);
	(void)setrlimit(RLIMIT_CORE, &no_core);
}
