/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `runsc gofer`: the process around gofer_serve(). Takes one setup message, clones the mounts it will serve (so they
 * outlive the old root and stay as they were), enters an empty root, keeps only file capabilities, installs its filter,
 * serves until the Sentry goes away.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/crash.h"
#include "base/fd_util.h"
#include "base/log.h"
#include "gofer/server/gofer.h"
#include "gofer/server/seccomp.h"
#include "runsc/cli.h"
#include "runsc/control.h"
#include "runsc/gofer_main.h"
#include "runsc/isolate.h"

#define CAP(c) (1ULL << (c))
const uint64_t gofer_caps = CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_DAC_READ_SEARCH) | CAP(CAP_FOWNER) |
				   CAP(CAP_FSETID) | CAP(CAP_MKNOD) | CAP(CAP_SETFCAP) | CAP(CAP_SETGID) |
				   CAP(CAP_SETUID);

int gofer_clone_mount(const char *path, bool recursive)
{
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, flags);

	if (fd < 0 && (errno == ENOSYS || errno == EINVAL || errno == EPERM))
		fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

uint32_t gofer_export_flags(json_t *o)
{
	uint32_t flags = json_is_true(json_object_get(o, "readonly")) ? GOFER_READONLY : GOFER_BIND | GOFER_DEVICES;

	return flags | (json_is_true(json_object_get(o, "shared")) ? GOFER_CONNECT : 0);
}

static int open_exports(json_t *list, struct gofer_export **ret, size_t *ret_n, struct error **err)
{
	size_t n = json_array_size(list);
	struct gofer_export *e = calloc(n ? n : 1, sizeof(*e));

	if (!e)
		return error_set(err, -ENOMEM, "gofer");
	for (size_t i = 0; i < n; i++) {
		json_t *o = json_array_get(list, i);
		const char *path = json_string_value(json_object_get(o, "path"));

		e[i].aname = json_string_value(json_object_get(o, "aname"));
		if (!path || !e[i].aname) {
			free(e);
			return error_msg(err, -EPROTO, "gofer: export %zu has no path", i);
		}
		e[i].flags = gofer_export_flags(o);
		e[i].fd = gofer_clone_mount(path, json_is_true(json_object_get(o, "recursive")));
		if (e[i].fd < 0) {
			int r = error_set(err, e[i].fd, "gofer: %s", path);

			free(e);
			return r;
		}
	}
	*ret = e;
	*ret_n = n;
	return 0;
}

int *gofer_syscall_list(void)
{
	int *nrs = calloc(nr_gofer_syscalls, sizeof(*nrs));

	for (size_t i = 0; nrs && i < nr_gofer_syscalls; i++)
		nrs[i] = gofer_syscalls[i].nr;
	return nrs;
}

static int install_filter(bool trap, struct error **err)
{
	_cleanup_free_ int *nrs = gofer_syscall_list();

	return nrs ? seccomp_install_list(nrs, nr_gofer_syscalls, trap, err) : error_set(err, -ENOMEM, "gofer");
}

static int gofer_up(int *ret_sock, int *ret_proc, struct gofer_export **ret_e, size_t *ret_n, struct error **err)
{
	json_t *m = NULL; /* lives as long as the process: export names point into it */
	const char *empty;
	size_t n = 0;
	int r, sock = -1;

	r = isolate_unshare(/* host_net= */ false, err);
	if (r < 0)
		return r;
	r = control_recv(CTL_FD, &m, &sock, 1, &n);
	if (r < 0 || n != 1)
		return error_set(err, r < 0 ? r : -EPROTO, "gofer: setup message");
	(void)setsid();
	log_init(2, json_is_true(json_object_get(m, "debug")) ? LOG_LVL_DEBUG : LOG_LVL_ERROR);
	r = open_exports(json_object_get(m, "exports"), ret_e, ret_n, err);
	if (r < 0)
		return r;
	*ret_proc = gofer_open_proc();
	if (*ret_proc < 0)
		return error_set(err, *ret_proc, "gofer: /proc/self/fd");
	empty = json_string_value(json_object_get(m, "emptyDir"));
	r = isolate_empty_root(empty ? empty : "/proc", err);
	if (r == 0)
		r = isolate_keep_caps(gofer_caps, err);
	if (r == 0)
		r = install_filter(json_is_true(json_object_get(m, "debug")), err);
	*ret_sock = sock;
	return r < 0 ? error_prefix(err, "gofer") : 0;
}

void gofer_run(int sock, int proc, const struct gofer_export *exports, size_t n)
{
	int r = gofer_serve(sock, proc, exports, n);

	if (r < 0)
		log_error("gofer: %s", strerror(-r));
	_exit(r < 0 ? 1 : 0);
}

int cmd_gofer(struct globals *g, int argc, char **argv, struct error **err)
{
	struct gofer_export *exports = NULL;
	struct error *e = NULL;
	int sock = -EBADF, proc = -EBADF, r;
	size_t n = 0;

	(void)prctl(PR_SET_NAME, "runsc-gofer");
	(void)signal(SIGPIPE, SIG_IGN);
	crash_init();
	r = gofer_up(&sock, &proc, &exports, &n, &e);
	if (r < 0) {
		log_error("%s", error_text(e));
		control_reply_error(CTL_FD, e);
		_exit(1);
	}
	gofer_run(sock, proc, exports, n);
}
