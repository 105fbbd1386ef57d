/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp(2), and prctl(PR_SET_SECCOMP): arguments and their checks. The objects are in sentry/kernel/seccomp.h. Linux: kernel/seccomp.c. */
#include "sentry/fs/fd_table.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/sys_seccomp.h"
#include "sentry/syscalls/syscalls.h"

enum { OP_SET_MODE_STRICT, OP_SET_MODE_FILTER, OP_GET_ACTION_AVAIL, OP_GET_NOTIF_SIZES };

/* struct sock_fprog */
struct fprog {
	uint16_t len;
	uint64_t filter;
};
_Static_assert(sizeof(struct fprog) == 16, "sock_fprog layout");

/* A filter from application memory, checked. */
static int copy_in_filter(struct task *t, gaddr_t addr, uint32_t flags, struct seccomp_filter **ret)
{
	_cleanup_free_ struct bpf_insn *prog = NULL;
	struct fprog fp;

	if (copy_in(t, &fp, addr, sizeof(fp)) < 0)
		return -EFAULT;
	if (!fp.len || fp.len > BPF_MAX_INSNS)
		return -EINVAL;
	if (!t->no_new_privs && !task_capable_here(t, LINUX_CAP_SYS_ADMIN))
		return -EACCES;
	prog = calloc(fp.len, sizeof(*prog));
	if (!prog)
		return -ENOMEM;
	if (copy_in(t, prog, GADDR(fp.filter), fp.len * sizeof(*prog)) < 0)
		return -EFAULT;
	if (bpf_check(prog, fp.len) < 0)
		return -EINVAL;
	*ret = seccomp_filter_new(prog, fp.len, flags);
	if (!*ret)
		return -ENOMEM;
	prog = NULL;
	return 0;
}

static int64_t attach_with_listener(struct task *t, struct seccomp_filter *f, uint32_t flags)
{
	struct file *file;
	int fd, r;

	fd = fd_reserve(t, 0, true);
	if (fd < 0)
		return fd;
	r = seccomp_listener_new(t, f, &file);
	if (r < 0) {
		fd_unreserve(t, fd);
		return r;
	}
	f->listening = true;
	r = seccomp_attach(t, f, flags);
	if (r != 0) {
		fd_unreserve(t, fd);
		file_put(file);
		return r;
	}
	fd_commit(t, fd, file);
	return fd;
}

static int64_t set_filter(struct task *t, uint32_t flags, gaddr_t addr)
{
	struct seccomp_filter *f;
	int64_t r;

	if (flags & ~SECCOMP_L_FLAGS_ALL)
		return -EINVAL;
	if ((flags & SECCOMP_L_FLAG_TSYNC) && (flags & SECCOMP_L_FLAG_NEW_LISTENER) && !(flags & SECCOMP_L_FLAG_TSYNC_ESRCH))
		return -EINVAL;
	if ((flags & SECCOMP_L_FLAG_WAIT_KILLABLE) && !(flags & SECCOMP_L_FLAG_NEW_LISTENER))
		return -EINVAL;
	r = copy_in_filter(t, addr, flags, &f);
	if (r < 0)
		return r;
	if (flags & SECCOMP_L_FLAG_NEW_LISTENER) {
		r = attach_with_listener(t, f, flags);
		if (r < 0)
			seccomp_filter_put(f);
		return r;
	}
	r = seccomp_attach(t, f, flags);
	if (r != 0)
		seccomp_filter_put(f);
	return r;
}

static int64_t action_avail(struct task *t, gaddr_t addr)
{
	uint32_t action;

	if (copy_in(t, &action, addr, sizeof(action)) < 0)
		return -EFAULT;
	switch (action) {
	case SECCOMP_L_RET_KILL_PROCESS:
	case SECCOMP_L_RET_KILL_THREAD:
	case SECCOMP_L_RET_TRAP:
	case SECCOMP_L_RET_ERRNO:
	case SECCOMP_L_RET_USER_NOTIF:
	case SECCOMP_L_RET_TRACE:
	case SECCOMP_L_RET_LOG:
	case SECCOMP_L_RET_ALLOW:
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

int64_t sys_seccomp(struct task *t, const struct sys_args *a)
{
	static const uint16_t sizes[3] = { 80, 24, sizeof(struct bpf_seccomp_data) };
	uint32_t flags = ARG_U32(a, 1);
	gaddr_t addr = ARG_ADDR(a, 2);

	switch (ARG_U32(a, 0)) {
	case OP_SET_MODE_STRICT:
		return flags || addr.v ? -EINVAL : seccomp_set_strict(t);
	case OP_SET_MODE_FILTER:
		return set_filter(t, flags, addr);
	case OP_GET_ACTION_AVAIL:
		return flags ? -EINVAL : action_avail(t, addr);
	case OP_GET_NOTIF_SIZES:
		return flags ? -EINVAL : copy_out(t, addr, sizes, sizeof(sizes));
	default:
		return -EINVAL;
	}
}

int64_t prctl_set_seccomp(struct task *t, uint64_t mode, gaddr_t addr)
{
	switch (mode) {
	case SECCOMP_L_STRICT:
		return seccomp_set_strict(t);
	case SECCOMP_L_FILTER:
		return set_filter(t, 0, addr);
	default:
		return -EINVAL;
	}
}
