/* SPDX-License-Identifier: Apache-2.0 */
/* What the Sentry's own seccomp filter must allow for the ptrace platform to work after new(). */
#ifndef PLATFORM_PTRACE_SECCOMP_H
#define PLATFORM_PTRACE_SECCOMP_H

/* Host system call numbers, ended by -1; those any threaded C program needs (futex, mmap, clone of a pthread ...) included. */
extern const int platform_ptrace_syscalls[];
/* Values of ptrace()'s first argument, ended by -1. */
extern const long platform_ptrace_requests[];

/* What a filter must allow besides that is there already at new(), which stubs then inherit: calls, ended by -1, and values of clone()'s
 * first argument, ended by 0. */
extern const int platform_ptrace_stub_syscalls[];
extern const unsigned long platform_ptrace_stub_clones[];

#endif
