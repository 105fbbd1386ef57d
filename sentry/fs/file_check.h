/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files outside at a restore: are they what they were when the image was made?
 *
 * goferfs adds every regular file that it had opened, as it was then and as it is now; open files say how they are used. When all objects are loaded
 * file_checks_run() compares, and refuses or warns by `restore --file-check`:
 *
 *   strict  refuses every difference
 *   warn    warns of every difference
 *   off     does not compare
 *   auto    (default) refuses what a process could trip over: other content (size or digest) of a file that is mapped, or open for reading.
 *           Warns of the rest: another time of modification, a file that has only grown since (the same file, or its beginning is proven by a
 *           digest) and is not mapped, and files that are only written. A log that is only appended to and has grown is as it should be.
 *
 * A digest that fits proves that nothing has changed, whatever the times say. Files that nothing has open or mapped are not compared.
 * Single-threaded: part of loading an image.
 */
#ifndef SENTRY_FS_FILE_CHECK_H
#define SENTRY_FS_FILE_CHECK_H

#include "base/error.h"
#include "base/util.h"

struct file;
struct inode;
struct kernel;
struct mappable;
struct sentry_restore_opts;
struct strbuf;

#define FILE_DIGEST_SIZE 32

/* What is known of a file at one time. */
struct file_stamp {
	uint64_t size;
	uint64_t mtime, btime; /* ns; btime, the time of birth: 0 unknown */
	const uint8_t *digest; /* of the content, FILE_DIGEST_SIZE bytes; NULL: none was made. Copied */
};

struct file_checks;

struct file_checks *file_checks_new(void); /* NULL: no memory */
void file_checks_free(struct file_checks *c); /* NULL is fine */

/*
 * @i, a regular file of a mount of @mount (its place inside the container), at @path from there. @digest: makes the digest of the first @n bytes it has
 * now, asked for only if @then has one. @i must live until the checks are freed.
 */
_must_check_ int file_check_add(struct file_checks *c, struct inode *i, const char *mount, const char *path,
				const struct file_stamp *then, const struct file_stamp *now,
				int (*digest)(struct inode *i, uint64_t n, uint8_t *ret));
/* An open file whose content is that of @i, and what its mappings map. Ignored when @i was not added, or nothing is being restored. */
void file_check_opened(const struct kernel *k, struct inode *i, const struct file *f, struct mappable *map);
/* "file /data/x of mount /data", in printable characters. */
void file_check_name(struct strbuf *b, const char *mount, const char *path);
/* Compares all. On refusal the error names the first file, and how many more there are. Warnings go to @o and to the log. */
_must_check_ int file_checks_run(struct file_checks *c, const struct sentry_restore_opts *o, struct error **err);

#endif
