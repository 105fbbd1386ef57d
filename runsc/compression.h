/* SPDX-License-Identifier: Apache-2.0 */
/* The value of --compression. */
#ifndef RUNSC_COMPRESSION_H
#define RUNSC_COMPRESSION_H

#include "base/error.h"

/* "none" (or NULL), "zstd", "zstd:LEVEL", or a level 0..19 alone. *@ret: the zstd level, 0 for none. */
_must_check_ int compression_parse(const char *text, int *ret, struct error **err);

#endif
