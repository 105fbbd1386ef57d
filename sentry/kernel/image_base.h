/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image that the memory file's clean pages are compared with: the one the kernel was restored from, or last saved to while it
 * ran on. A later save may be a change of it.
 */
#ifndef SENTRY_KERNEL_IMAGE_BASE_H
#define SENTRY_KERNEL_IMAGE_BASE_H

#include "state/manifest.h"

struct image_base {
	struct manifest_layer self;
	bool digests; /* all frames of pages, also of its ancestors, have one: what is a change of it can be signed */
	size_t nr_layers;
	struct manifest_layer layers[MANIFEST_LAYERS_MAX]; /* its ancestors, the nearest first */
};

/* Made of a manifest and its file. NULL: no memory, or the file cannot be read: then nothing can be a change of that image. */
struct image_base *image_base_new(const struct manifest *m, int fd_manifest);
/* Room for one more layer above it? */
bool image_base_may_grow(const struct image_base *b);

#endif
