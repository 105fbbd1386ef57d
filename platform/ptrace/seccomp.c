/* SPDX-License-Identifier: Apache-2.0 */
/* The host calls of the ptrace platform after new(), for the sandbox's filter. */
#include "platform/ptrace/seccomp.h"

#include <sched.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "platform/ptrace/ptrace_internal.h"

const int platform_ptrace_syscalls[] = {
	SYS_ptrace, /* requests below */
	SYS_wait4, /* for one stub, __WALL */
	SYS_kill, /* SIGKILL to a stub at the end of its life */
	SYS_tgkill, /* SIGCHLD to a stub: interrupt() */
	SYS_gettid,
	SYS_clock_gettime, /* CPU clocks of stubs */
	SYS_futex, /* requests to the service thread */
	/* starting and ending the service thread */
	SYS_clone, SYS_clone3, SYS_mmap, SYS_mprotect, SYS_munmap, SYS_madvise, SYS_rt_sigaction, SYS_rt_sigprocmask,
	SYS_set_robust_list, SYS_rseq,
	SYS_prctl, /* PR_SET_NAME */
	SYS_exit,
	-1,
};

const long platform_ptrace_requests[] = {
	PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, PTRACE_CONT, PTRACE_SYSEMU, PTRACE_SYSEMU_SINGLESTEP, PTRACE_GETREGS, PTRACE_SETREGS,
	PTRACE_GETREGSET, PTRACE_SETREGSET, PTRACE_GETSIGINFO, PTRACE_GET_SYSCALL_INFO, PTRACE_POKEUSER,
	-1,
};

const int platform_ptrace_stub_syscalls[] = {
	/* the template on its way */
	SYS_getppid, SYS_prlimit64, SYS_capset, SYS_seccomp,
	/* what stubs are made to do */
	SYS_pause, SYS_exit_group,
	SYS_time, SYS_gettimeofday, SYS_getcpu, /* on the vsyscall page: answered by the stub's own filter, if no other forbids them */
	-1,
};

const unsigned long platform_ptrace_stub_clones[] = { CLONE_FILES, STUB_FORK_FLAGS, STUB_THREAD_FLAGS, 0 };
