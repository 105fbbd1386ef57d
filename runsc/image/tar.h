/* SPDX-License-Identifier: Apache-2.0 */
/* Files of an image as a tar archive (POSIX pax: any size, any name). */
#ifndef RUNSC_IMAGE_TAR_H
#define RUNSC_IMAGE_TAR_H

#include "runsc/image/image.h"

/* All that is at and below @path, to file @out (NULL: standard output). Members are named relative to the root. Fails when there
 * is nothing. Unchanged files, whose content is outside, are left out. */
_must_check_ int tar_files(struct image *im, const struct stored_files *f, const char *path, const char *out,
			   struct error **err);

#endif
