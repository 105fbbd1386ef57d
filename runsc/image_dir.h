/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image directories as files on disk. What is in the files is state/'s business; here is how they get there safely.
 *
 * The manifest is `inventory.img`, the name engines take as the commit mark. The other parts carry the hash of the
 * manifest's bytes in their names:
 *
 *	inventory.img   kernel-<hash>.img   index-<hash>.img   pages-<hash>.img   [signature-<hash>.img] [workset-<hash>.img]
 *
 * A checkpoint writes all four under temporary names, makes them durable, renames the parts, and then renames the
 *manifest over the old one. At every moment `inventory.img` names, by its own content, a complete set: a crash leaves
 *the earlier image or the new one, never a mix. What the old image leaves behind is removed afterwards. No
 *sub-directories: containerd's CRI unpacks images flat.
 *
 * An incremental image has a symbolic link besides, `parent-<hash>`, to the directory of the image it is a change of. What that
 * directory holds must still be that image: the manifest knows its hash and checksums.
 */
#ifndef RUNSC_IMAGE_DIR_H
#define RUNSC_IMAGE_DIR_H

#include <jansson.h>

#include "base/error.h"
#include "runsc/sandbox.h"
#include "sentry/sentry.h"
#include "state/manifest.h"
#include "state/signature.h"

struct image_dir {
	int dirfd;
	const char *path; /* the caller's */
	int fds[IMAGE_PARTS];
	bool writing; /* temporary files exist and go when this is closed */
	const struct sign_key *sign; /* commit signs with it; NULL: not signed */
	char hash[MANIFEST_HASH + 1]; /* reading */
	unsigned char signature[SIGNATURE_FILE_BYTES]; /* reading: signature-<hash>.img */
	size_t signature_len; /* 0: there is none */
	int working_set; /* reading: workset-<hash>.img (state/working_set.h), or -EBADF */
	struct sentry_layer_fds layers[MANIFEST_LAYERS_MAX]; /* reading: of its ancestors, the nearest first */
	size_t nr_layers;
};
#define IMAGE_DIR_INIT                                                                                                 \
	{                                                                                                              \
		.dirfd = -EBADF, .fds = {-EBADF, -EBADF, -EBADF, -EBADF}, .working_set = -EBADF                        \
	}

/* Opens the parts of an image for reading, with those of the images it is a change of. @parent: where the first of these is, relative to @path
 * if it does not begin with '/'; NULL: where the link says. */
_must_check_ int image_dir_open(struct image_dir *d, const char *path, const char *parent, struct error **err);
/* The hash of the complete image in the directory @parent (as above). -ENOENT: there is none. */
_must_check_ int image_dir_parent_hash(const char *path, const char *parent, char ret[MANIFEST_HASH + 1], struct error **err);
/*
 * The same files as @from, which is open for reading, whatever has become of their names, with file positions of their own: a sandbox
 * reads what it is given from its position.
 */
_must_check_ int image_dir_reopen(struct image_dir *d, const struct image_dir *from, struct error **err);
/* Opens a file of an image for reading: a regular file, without following links. -ELOOP: a symlink; -EMEDIUMTYPE: no regular file. */
_must_check_ int image_dir_open_file(int dirfd, const char *name);
/* Opens the working set of the open image, in a directory, for recording; made if there is none. */
_must_check_ int image_dir_record_working_set(struct image_dir *d, struct error **err);
/* Where the link of the open image leads, relative to its directory, as readlink(2) gives it but with a NUL. 0: it has no parent. */
_must_check_ ssize_t image_dir_parent(const struct image_dir *d, char *buf, size_t n);
/* Makes the directory (0700) if needed, and empty temporary parts. */
_must_check_ int image_dir_begin(struct image_dir *d, const char *path, struct error **err);
/* The image is complete and durable when this returns 0; until then the earlier one is. @parent: it is a change of the one there; NULL: it
 * is complete. */
_must_check_ int image_dir_commit(struct image_dir *d, const char *parent, struct error **err);
void image_dir_done(struct image_dir *d);
#define _cleanup_image_ _cleanup_(image_dir_done)

/* What a file of an image directory is by its name. */
enum image_file {
	IMAGE_FILE_OTHER,
	IMAGE_FILE_PART,    /* named as a part of an image, of this one or of one that was replaced */
	IMAGE_FILE_TEMP,    /* of a checkpoint that is being written, or was killed */
	IMAGE_FILE_LINK,    /* to the directory of a parent */
	IMAGE_FILE_MANIFEST,
};
enum image_file image_file_kind(const char *name);
/* Names of the parts of the image whose manifest is open as @fd. */
typedef char image_part_names[IMAGE_PARTS][64];
_must_check_ int image_dir_names(int fd, image_part_names ret);

/* dump.log, stats-dump and descriptors.json as engines look for them; best effort. @work_path NULL: only
 * descriptors.json. @image_path NULL: not that. @stats: answer of the checkpoint. */
void image_write_dump_logs(const char *work_path, const char *image_path, json_t *stats);
void image_write_restore_logs(const char *work_path, json_t *stats);

/* openat2(RESOLVE_IN_ROOT): no symlink or ".." leads out of @root. Returns an fd or a negative errno. */
int open_in_root(int root, const char *path, int flags);

#endif
