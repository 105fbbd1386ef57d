/* SPDX-License-Identifier: Apache-2.0 */
/* overlay: changes in memory over a directory tree that is only read. See README.md here. */
#ifndef SENTRY_FS_OVERLAY_H
#define SENTRY_FS_OVERLAY_H

#include "sentry/fs/fs_type.h"

/* An overlay over @lower, which nobody else changes from now on (a reference of its own is taken). A reference, inactive. */
_must_check_ int overlay_new(struct kernel *k, struct super_block *lower, struct super_block **ret);

#endif
