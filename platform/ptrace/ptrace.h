/* SPDX-License-Identifier: Apache-2.0 */
/* The ptrace platform: PTRACE_SYSEMU stubs. Works wherever a process may trace its children. */
#ifndef PLATFORM_PTRACE_PTRACE_H
#define PLATFORM_PTRACE_PTRACE_H

#include "platform/platform.h"

extern const struct platform_ops ptrace_platform_ops;

#endif
