/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of sysfs. */
#ifndef SENTRY_FS_SYS_SYSFS_INTERNAL_H
#define SENTRY_FS_SYS_SYSFS_INTERNAL_H

#include "sentry/fs/pseudo/pseudo.h"

int sysfs_show_text(struct pctx *c, struct strbuf *b);
#define SYSFS_TEXT(nm, t, ...) PN_FILE(nm, 0444, sysfs_show_text, .data = (t), ##__VA_ARGS__)

/* All processors, as a list and as a mask. */
int sysfs_show_all_cpus(struct pctx *c, struct strbuf *b);
int sysfs_show_all_mask(struct pctx *c, struct strbuf *b);

/* cpu.c: devices/system/cpu */
extern const struct pdyn sysfs_cpu_dyn;
extern const struct pnode sysfs_cpu_children[];

#endif
