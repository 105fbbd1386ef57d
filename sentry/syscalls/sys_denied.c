/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that a container is never allowed, or that name a facility this kernel is configured without. Each answers what Linux
 * answers in that situation; a call that is merely not written yet has no row here and is logged as missing.
 */
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"

#define DENIED(name, err)                                                                                                                 \
	int64_t sys_##name(struct task *t, const struct sys_args *a)                                                                       \
	{                                                                                                                                  \
		return -(err);                                                                                                             \
	}

/* The machine belongs to the host. */
DENIED(iopl, EPERM)
DENIED(ioperm, EPERM)
DENIED(swapon, EPERM)
DENIED(swapoff, EPERM)
DENIED(acct, EPERM)
DENIED(vhangup, EPERM)
DENIED(init_module, EPERM)
DENIED(finit_module, EPERM)
DENIED(delete_module, EPERM)
DENIED(kexec_load, EPERM)
DENIED(kexec_file_load, EPERM)
DENIED(bpf, EPERM)
DENIED(perf_event_open, EPERM)

/* CONFIG_* not set. */
DENIED(modify_ldt, ENOSYS)
DENIED(uselib, ENOSYS)
DENIED(_sysctl, ENOSYS)

/* Not numbers of any 64-bit Linux 6 kernel any more. */
DENIED(create_module, ENOSYS)
DENIED(get_kernel_syms, ENOSYS)
DENIED(query_module, ENOSYS)
DENIED(nfsservctl, ENOSYS)
DENIED(getpmsg, ENOSYS)
DENIED(putpmsg, ENOSYS)
DENIED(afs_syscall, ENOSYS)
DENIED(tuxcall, ENOSYS)
DENIED(security, ENOSYS)
DENIED(vserver, ENOSYS)
DENIED(epoll_ctl_old, ENOSYS)
DENIED(epoll_wait_old, ENOSYS)
DENIED(set_thread_area, ENOSYS)
DENIED(get_thread_area, ENOSYS)
DENIED(lookup_dcookie, ENOSYS)

/* DEVIATION: like a kernel without CONFIG_RSEQ. A restartable sequence is sound only if a thread that runs on a CPU number is the only one
 * to; tasks here are scheduled by the host, which gives no such promise for a number we could show. C libraries do without. */
DENIED(rseq, ENOSYS)

/* Only the kernel restarts calls, and here it does so without the application's help. */
DENIED(restart_syscall, EINTR)
