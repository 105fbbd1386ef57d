/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of sysfs that have a file of their own. */
#ifndef SENTRY_FS_SYS_INTERNAL_H
#define SENTRY_FS_SYS_INTERNAL_H

struct pdyn;

extern const struct pdyn sys_net_dyn; /* net.c: /sys/class/net */

#endif
