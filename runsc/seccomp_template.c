/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a template and its keeper may do besides what a Sentry and a gofer may. These calls are for the moments between a fork and the
 * fork's own filter, which is exactly that of a plain sandbox or gofer (a filter that is added can only take away). Neither process
 * runs application code; the template reads the image, so its list has no call that opens or executes anything either, and the only
 * processes that it can make are in pid namespaces of their own, or stubs, which the platform's list is for.
 */
#include <sys/syscall.h>

#include "runsc/isolate.h"

const struct syscall_rule template_syscalls[] = {
	/* clang-format off */
	{ SYS_setsid,      "a clone's session" },
	{ SYS_dup2,        "a clone's control connection and log" },
	{ SYS_capset,      "a clone's last capabilities" },
	{ SYS_seccomp,     "a clone's filter" },
	/* clang-format on */
};
const size_t nr_template_syscalls = ARRAY_SIZE(template_syscalls);

const struct syscall_rule keeper_syscalls[] = {
	/* clang-format off */
	{ SYS_accept4,     "connections of the command line" },
	{ SYS_poll,        "connections, ends of children" },
	{ SYS_ppoll,       "the same" },
	{ SYS_wait4,       "ends of children" },
	{ SYS_read,        "ends of children" },
	{ SYS_recvmsg,     "a gofer's setup message" },
	{ SYS_shutdown,    "a peer that left before it was answered" },
	{ SYS_setsid,      "a gofer's session" },
	{ SYS_dup2,        "a gofer's control connection and log" },
	{ SYS_prctl,       "a gofer's name" },
	{ SYS_seccomp,     "a gofer's filter" },
	/* clang-format on */
};
const size_t nr_keeper_syscalls = ARRAY_SIZE(keeper_syscalls);
