/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer's system calls, grouped by who needs them. tests/gofer/server_test.c runs the server under exactly this list; there is
 * no open, execve, ptrace, mount, or anything with an absolute path among what it uses them for.
 */
#include "gofer/server/seccomp.h"

#include <sys/syscall.h>

const struct gofer_syscall_rule gofer_syscalls[] = {
	/* messages */
	{ SYS_recvfrom }, { SYS_sendmsg }, { SYS_getsockopt },
	/* start: working directory, umask, whether chown is possible */
	{ SYS_fchdir }, { SYS_umask }, { SYS_geteuid },
	/* walking and opening */
	{ SYS_openat }, { SYS_close }, { SYS_fcntl }, { SYS_newfstatat }, { SYS_fstat }, { SYS_statx },
	{ SYS_fstatfs }, { SYS_readlinkat },
	/* I/O */
	{ SYS_pread64 }, { SYS_pwrite64 }, { SYS_lseek }, { SYS_getdents64 }, { SYS_fsync }, { SYS_fdatasync }, { SYS_syncfs },
	{ SYS_fallocate }, { SYS_ftruncate }, { SYS_truncate },
	/* changes */
	{ SYS_mkdirat }, { SYS_mknodat }, { SYS_symlinkat }, { SYS_linkat }, { SYS_renameat }, { SYS_renameat2 },
	{ SYS_unlinkat }, { SYS_fchownat }, { SYS_fchown }, { SYS_fchmodat }, { SYS_fchmod }, { SYS_utimensat },
	{ SYS_getxattr }, { SYS_setxattr }, { SYS_listxattr }, { SYS_removexattr },
	/* unix sockets */
	{ SYS_socket }, { SYS_connect }, { SYS_bind },
	/* threads and memory of the C library */
	{ SYS_futex }, { SYS_clone }, { SYS_clone3 }, { SYS_set_robust_list }, { SYS_rseq }, { SYS_rt_sigprocmask },
	{ SYS_rt_sigaction }, { SYS_rt_sigreturn }, { SYS_mmap }, { SYS_munmap }, { SYS_mprotect }, { SYS_mremap },
	{ SYS_madvise }, { SYS_brk }, { SYS_getrandom }, { SYS_sched_getaffinity }, { SYS_restart_syscall },
	/* log line, abort message, end */
	{ SYS_write }, { SYS_writev }, { SYS_clock_gettime }, { SYS_getpid }, { SYS_gettid }, { SYS_tgkill },
	{ SYS_exit }, { SYS_exit_group },
};
const size_t nr_gofer_syscalls = sizeof(gofer_syscalls) / sizeof(gofer_syscalls[0]);
