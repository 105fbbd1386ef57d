/* SPDX-License-Identifier: Apache-2.0 */
/* State helpers shared by the objects of this directory. */
#ifndef SENTRY_FS_VFS_STATE_H
#define SENTRY_FS_VFS_STATE_H

#include "sentry/fs/file.h"
#include "state/state.h"

struct Sentry__Path;

/* A reference to any type whose get function is @get: all inode types share one get, all file types another, and that is how a reference from a
 * hostile image is known to be of the right class. 0 gives NULL. */
int vfs_state_deref(struct state_reader *r, uint64_t id, void (*get)(void *), const char *what, void **ret);

struct Sentry__Path *path_save(struct state_writer *w, const struct path *p);
int path_load(struct state_reader *r, const struct Sentry__Path *m, struct path *ret);

#endif
