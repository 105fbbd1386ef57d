/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Sentry's host system calls. The list is the attack surface a compromised Sentry has; every row says who needs it.
 * No row opens a path, makes a host socket (but for --network=host), executes a program or changes credentials. tests/e2e checks a live
 * sandbox's filter against tests/e2e/golden/sentry_syscalls, so growth is always a reviewed change.
 *
 * Calls without argument checks cost nothing on Linux 5.11 and later (a bitmap answers), so hot calls have none.
 */
#include <linux/prctl.h>
#include <sys/syscall.h>

#include "runsc/isolate.h"

const struct syscall_rule sentry_syscalls[] = {
	/* clang-format off */
	/* threads and locks */
	{ SYS_futex,             "locks, condition variables" },
	{ SYS_set_robust_list,   "pthread_create" },
	{ SYS_rseq,              "pthread_create" },
	{ SYS_exit,              "thread exit" },
	{ SYS_exit_group,        "process exit" },
	{ SYS_gettid,            "logging, ptrace thread affinity" },
	{ SYS_getpid,            "logging" },
	{ SYS_sched_yield,       "spinning locks" },
	{ SYS_sched_getaffinity, "number of CPUs" },
	{ SYS_sched_setaffinity, "tracer and tracee on one CPU" },
	{ SYS_setpriority,       "writing an image behind the application" },
	{ SYS_getcpu,            "getcpu of applications" },
	{ SYS_membarrier,        "membarrier of applications" },
	{ SYS_prlimit64,         "thread stack size" },
	/* signals to and from our own threads and stubs */
	{ SYS_rt_sigaction,      "fault recovery in copy in/out" },
	{ SYS_rt_sigprocmask,    "thread start" },
	{ SYS_rt_sigreturn,      "fault recovery" },
	{ SYS_rt_sigtimedwait,   "window size thread" },
	{ SYS_sigaltstack,       "fault recovery" },
	{ SYS_tgkill,            "interrupting a stub" },
	{ SYS_tkill,             "interrupting a stub" },
	{ SYS_kill,              "ending a stub" },
	{ SYS_restart_syscall,   "a stopped sandbox goes on" },
	/* stubs */
	{ SYS_ptrace,            "platform ptrace" },
	{ SYS_wait4,             "stub events" },
	{ SYS_waitid,            "stub events" },
	{ SYS_process_vm_readv,  "reading a stub" },
	{ SYS_process_vm_writev, "writing a stub" },
	/* memory */
	{ SYS_brk,               "malloc" },
	{ SYS_mmap,              "malloc, memory file, page files" },
	{ SYS_munmap,            "malloc, memory file" },
	{ SYS_mremap,            "malloc" },
	{ SYS_mprotect,          "malloc, thread stacks" },
	{ SYS_madvise,           "malloc, giving memory back" },
	{ SYS_mincore,           "mincore of file mappings" },
	{ SYS_msync,             "msync of donated files" },
	{ SYS_memfd_create,      "memory file" },
	{ SYS_fallocate,         "memory file holes, donated files" },
	{ SYS_ftruncate,         "memory file, donated files" },
	/* files given to us as descriptors */
	{ SYS_read,              "host descriptors" },
	{ SYS_write,             "host descriptors, debug log" },
	{ SYS_readv,             "host descriptors" },
	{ SYS_writev,            "host descriptors" },
	{ SYS_pread64,           "donated files, images" },
	{ SYS_pwrite64,          "donated files, images" },
	{ SYS_preadv,            "donated files, images" },
	{ SYS_pwritev,           "donated files, images" },
	{ SYS_preadv2,           "host descriptors without blocking" },
	{ SYS_pwritev2,          "host descriptors without blocking" },
	{ SYS_lseek,             "donated files, images" },
	{ SYS_fstat,             "donated files" },
	{ SYS_newfstatat,        "fstat of glibc (the root is empty)" },
	{ SYS_fsync,             "donated files, images" },
	{ SYS_fdatasync,         "donated files, images" },
	{ SYS_sync_file_range,   "images: early write-back" },
	{ SYS_close,             "descriptors" },
	{ SYS_dup,               "descriptors" },
	{ SYS_dup3,              "descriptors" },
	{ SYS_fcntl,             "descriptors, seals" },
	/* waiting for descriptors */
	{ SYS_poll,              "host descriptors" },
	{ SYS_ppoll,             "host descriptors" },
	{ SYS_epoll_create1,     "host descriptors" },
	{ SYS_epoll_ctl,         "host descriptors" },
	{ SYS_epoll_wait,        "host descriptors" },
	{ SYS_epoll_pwait,       "host descriptors" },
	{ SYS_eventfd2,          "waking our own threads" },
	{ SYS_pipe2,             "waking our own threads" },
	/* gofer and control connections (made before the filter, or accepted) */
	{ SYS_accept4,           "control connections" },
	{ SYS_recvmsg,           "gofer, control" },
	{ SYS_sendmsg,           "gofer, control" },
	{ SYS_recvfrom,          "gofer, donated sockets" },
	{ SYS_sendto,            "gofer, donated sockets" },
	{ SYS_shutdown,          "control, donated sockets" },
	{ SYS_getsockopt,        "donated sockets" },
	{ SYS_setsockopt,        "gofer connection time limits" },
	{ SYS_getsockname,       "donated sockets" },
	{ SYS_getpeername,       "donated sockets" },
	/* time, randomness, accounting */
	{ SYS_clock_gettime,     "time where the vDSO cannot" },
	{ SYS_clock_getres,      "time" },
	{ SYS_clock_nanosleep,   "timers" },
	{ SYS_nanosleep,         "timers" },
	{ SYS_gettimeofday,      "time where the vDSO cannot" },
	{ SYS_getrandom,         "/dev/urandom" },
	{ SYS_getrusage,         "stats" },
	{ SYS_sysinfo,           "memory size" },
	/* clang-format on */
};
const size_t nr_sentry_syscalls = ARRAY_SIZE(sentry_syscalls);

/* --network=host: sockets of two families (seccomp_install.c checks which), and what they need besides the rows above. */
const struct syscall_rule sentry_host_net_syscalls[] = {
	{ SYS_bind,    "host sockets" },
	{ SYS_listen,  "host sockets" },
	{ SYS_connect, "host sockets" },
};
const size_t nr_sentry_host_net_syscalls = ARRAY_SIZE(sentry_host_net_syscalls);
