/* SPDX-License-Identifier: Apache-2.0 */
/* Saving the frozen kernel to an image, and loading one. */
#ifndef SENTRY_KERNEL_CHECKPOINT_H
#define SENTRY_KERNEL_CHECKPOINT_H

#include "sentry/kernel/kernel.h"

struct file_checks;
struct p9_client;

/* kernel.restore while an image is loaded (state_reader_ctx() is the kernel). */
struct restore_ctx {
	struct kernel *k;
	const struct sentry_container *sc; /* new id, mounts, descriptors */
	const struct sentry_restore_opts *opts;
	int64_t created; /* realtime of the image's manifest */
	struct file_checks *file_checks; /* files outside to compare */
	char *why; /* the reason of a failure in words for people, if a loader has some; else the record's name and reason */
	struct p9_client *gofer; /* NULL when the container has none */
};

/* The kernel is frozen. Nothing changes, whatever the result. */
_must_check_ int checkpoint_save(struct kernel *k, const struct sentry_image_fds *fds, const struct sentry_ckpt_opts *o,
				 struct sentry_ckpt_stats *st, struct error **err);
struct saver;
/* Before that, while it runs: what can be prepared is. Takes time in proportion to memory. sentry.ctl_mu held. */
void checkpoint_expect(struct kernel *k, const struct sentry_ckpt_opts *o);
/* The same for a kernel that runs on: _begin() while it is frozen; then it may go on, and _finish() writes the image, always to be called,
 * once, with sentry.ctl_mu held from before _begin(). After a failure the kernel is as good as before. */
_must_check_ int checkpoint_begin(struct kernel *k, const struct sentry_ckpt_opts *o, struct saver **ret, struct error **err);
_must_check_ int checkpoint_finish(struct saver *s, const struct sentry_image_fds *fds, struct sentry_ckpt_stats *st, struct error **err);
/*
 * The first half of a load, into a fresh, frozen kernel whose platform need not be started: everything that depends on the image alone. The
 * manifest is checked first, then the objects are read and filled as far as they can be, and the index of pages. Afterwards the
 * process may be forked; each copy goes on with checkpoint_load(). On failure the process must end. @fds stay the caller's.
 */
struct loading;
_must_check_ int checkpoint_begin_load(struct kernel *k, const struct sentry_image_fds *fds, const struct sentry_restore_opts *ro, struct loading **ret,
				       struct error **err);
/* The rest; frees @l. On success task threads exist, parked. On failure the process must end. */
_must_check_ int checkpoint_load(struct kernel *k, struct loading *l, const struct sentry_container *sc,
				 const struct sentry_restore_opts *o, struct sentry_ckpt_stats *st, struct error **err);

#endif
