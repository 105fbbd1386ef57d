/* SPDX-License-Identifier: Apache-2.0 */
/* System calls gofer_serve() needs from its first instruction to process exit; anything else may kill it. */
#ifndef GOFER_SERVER_SECCOMP_H
#define GOFER_SERVER_SECCOMP_H

#include <stddef.h>

struct gofer_syscall_rule {
	int nr;
};

extern const struct gofer_syscall_rule gofer_syscalls[];
extern const size_t nr_gofer_syscalls;

#endif
