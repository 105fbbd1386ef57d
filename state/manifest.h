/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest, inventory.img: what an image is, what it needs and what its parts are. It is written last (the caller fsyncs and
 * renames it), read first, and a reader looks at nothing else before manifest_check_features() has accepted it.
 *
 * Save:     manifest_set_parts() from the writers' stats, manifest_write().
 * Restore:  manifest_read(), manifest_check_features(), manifest_check_parts(), then the parts.
 */
#ifndef STATE_MANIFEST_H
#define STATE_MANIFEST_H

#include "base/error.h"
#include "base/util.h"

#define MANIFEST_FORMAT 1

struct state_stats;
struct pages_stats;

struct manifest_part {
	uint32_t version;
	uint64_t size;
	uint32_t crc; /* of the whole file; pages: 0 */
	bool has_digest; /* kernel and index, since there are digests */
	unsigned char digest[32];
};

#define MANIFEST_HASH 32 /* hex digits */
#define MANIFEST_LAYERS_MAX 64
#define MANIFEST_FEATURE_LAYERS "layers" /* written with layers */

/* An ancestor of an incremental image. */
struct manifest_layer {
	char hash[MANIFEST_HASH + 1];
	struct manifest_part index, pages;
};

struct manifest_xsave {
	uint32_t bit, offset, size; /* size 0, of a machine only: an image's may lie anywhere */
};

/* Strings and arrays belong to the caller when writing, to the manifest (manifest_done) after manifest_read(). String lists end
 * with NULL; NULL is an empty list. */
struct manifest {
	uint32_t format; /* set by manifest_write() */
	char *product;
	int64_t created_ns;
	char **containers;
	char *platform, *arch;
	char **cpu_features; /* required */
	uint64_t xcr0;
	uint32_t xsave_size;
	struct manifest_xsave *xsave;
	size_t nr_xsave;
	char **features; /* required */
	uint32_t page_size; /* bytes; 0 in images that are older than the field: 4096 */
	char **types; /* names of the object types in kernel.img; NULL in images that are older than the field */
	struct manifest_part kernel, index, pages;
	uint64_t pages_stored, objects;
	bool trusted; /* set by who has read it: sums of parts and layers are not looked at, sizes are */
	struct manifest_layer *layers; /* the nearest first */
	size_t nr_layers;
};

/* Fills the parts, their versions and the counts from what the writers reported. */
void manifest_set_parts(struct manifest *m, const struct state_stats *kernel, const struct pages_stats *pages);
/* For a manifest read: what it describes is complete now. */
void manifest_drop_layers(struct manifest *m);
/* Makes names of parts: differs when the bytes of the manifest in @fd (read from offset 0 by pread) do; no defence against forgery. 0, -EFBIG
 * or a read error. */
_must_check_ int manifest_hash(int fd, char ret[MANIFEST_HASH + 1]);
/* Writes at the current position of @fd; does not sync. */
_must_check_ int manifest_write(int fd, const struct manifest *m, struct error **err);
/* Reads the whole file from the current position of @fd. *@ret is written on success only. */
_must_check_ int manifest_read(int fd, struct manifest *ret, struct error **err);
/* Who must have signed the manifest: a public key, and the signature file's bytes (signature.h). */
struct manifest_auth {
	const unsigned char *public;
	const void *signature;
	size_t signature_len;
};
/* The same; with @auth (may be NULL) the signature is checked before the bytes are parsed. */
_must_check_ int manifest_read_signed(int fd, const struct manifest_auth *auth, struct manifest *ret, struct error **err);
/* -ENOKEY when a signature of the manifest would not stand for the parts: images of older builds. */
_must_check_ int manifest_require_digests(const struct manifest *m, struct error **err);
void manifest_done(struct manifest *m);
/* The message of the file as JSON by the schema, see state_msg_json(). Reads @fd from its begin. */
struct strbuf;
_must_check_ int manifest_json(int fd, struct strbuf *b, unsigned int indent, struct error **err);
#define _cleanup_manifest_ _cleanup_(manifest_done)

/* @have describes this machine and build: arch, page_size, cpu_features, xcr0, xsave, features; types are those of state/types.def.
 * Fails with -ENOTSUP and a message that names everything that is missing. */
_must_check_ int manifest_check_features(const struct manifest *image, const struct manifest *have, struct error **err);
/* The part of it that does not depend on the machine: image features and object types that this build lacks. -ENOTSUP. */
_must_check_ int manifest_check_build(const struct manifest *image, struct error **err);
/* What this build knows: names of image features, and of object types (state/types.def). NULL-terminated, constant. */
char **manifest_build_features(void);
char **manifest_build_types(void);
/* Sizes and versions of the three files, and the checksums and digests of kernel and index (read whole, from offset 0 by pread). -1 skips
 * a file. */
_must_check_ int manifest_check_parts(const struct manifest *m, int fd_kernel, int fd_index, int fd_pages, struct error **err);
/* The same for the files of layer @n (0: the parent). */
_must_check_ int manifest_check_layer(const struct manifest *m, size_t n, int fd_index, int fd_pages, struct error **err);

#endif
