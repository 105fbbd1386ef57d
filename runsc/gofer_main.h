/* SPDX-License-Identifier: Apache-2.0 */
/* What a gofer that is executed (gofer_main.c) and one that is forked (template_keeper.c) have in common. */
#ifndef RUNSC_GOFER_MAIN_H
#define RUNSC_GOFER_MAIN_H

#include <jansson.h>

#include "base/util.h"
#include "gofer/server/gofer.h"

/* What serving files for any user needs; no CAP_SYS_*. */
extern const uint64_t gofer_caps;

/* A private copy of the mount (tree) at @path: not affected by the unmounting of the old root. An fd, or a negative errno. */
int gofer_clone_mount(const char *path, bool recursive);
/* GOFER_* of an element of mount_plan.exports. */
uint32_t gofer_export_flags(json_t *o);
/* nr_gofer_syscalls numbers, malloc'd; NULL: no memory. */
int *gofer_syscall_list(void);
/* Serves, then ends the process. */
_Noreturn void gofer_run(int sock, int proc, const struct gofer_export *exports, size_t n);

#endif
