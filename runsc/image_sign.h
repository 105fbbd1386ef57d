/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed images: keys in files, `checkpoint --sign`, `runsc image keygen` and `sign`, and what `restore --verify=signature` needs.
 * Formats and what a signature stands for: state/signature.h.
 */
#ifndef RUNSC_IMAGE_SIGN_H
#define RUNSC_IMAGE_SIGN_H

#include "runsc/cli.h"
#include "runsc/image_dir.h"
#include "sentry/sentry.h"
#include "state/signature.h"

/* Reads a key file. A secret one that others may read is refused; a secret key serves where a public one is asked for. */
_must_check_ int sign_key_load(const char *path, bool secret, struct sign_key *ret, struct error **err);

/* Writes signature-<hash>.img into the directory, durably. @hash: of the manifest that is open in @d. */
_must_check_ int image_dir_sign(struct image_dir *d, const char *hash, const struct sign_key *k, struct error **err);

/* --verify and --verify-key of restore, as given (NULL: not given), into @o. */
_must_check_ int verify_parse(const char *how, const char *key, struct sentry_restore_opts *o, struct error **err);
/* Notes the signature of an image that is being opened, if it has one. */
void image_dir_read_signature(struct image_dir *d);
/* For --verify=signature: gives it to the sandbox. Nothing for other levels. */
_must_check_ int verify_take_signature(const struct image_dir *d, struct sentry_restore_opts *o, struct error **err);

#endif
