/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/kernel/image_base.h"

#include <stdlib.h>
#include <string.h>

struct image_base *image_base_new(const struct manifest *m, int fd_manifest)
{
	struct image_base *b = m->nr_layers <= MANIFEST_LAYERS_MAX ? calloc(1, sizeof(*b)) : NULL;

	if (!b)
		return NULL;
	if (manifest_hash(fd_manifest, b->self.hash) < 0) {
		free(b);
		return NULL;
	}
	b->self.index = m->index;
	b->self.pages = m->pages;
	b->nr_layers = m->nr_layers;
	if (m->nr_layers)
		memcpy(b->layers, m->layers, m->nr_layers * sizeof(*m->layers));
	return b;
}

bool image_base_may_grow(const struct image_base *b)
{
	return b->nr_layers < MANIFEST_LAYERS_MAX;
}
