/* SPDX-License-Identifier: Apache-2.0 */
/* See image_sign.h. */
#include "runsc/image_sign.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd_util.h"
#include "state/stream.h"

#define MANIFEST_FILE_MAX (1 << 20)

int sign_key_load(const char *path, bool secret, struct sign_key *ret, struct error **err)
{
	/* Not a device or FIFO by accident: O_NONBLOCK, and regular files only. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, -errno, "key file %s", path);
	if (!S_ISREG(st.st_mode))
		return error_msg(err, -EINVAL, "key file %s is not a regular file", path);
	r = read_fd_all(fd, KEY_FILE_MAX, &text, NULL);
	if (r < 0)
		return error_set(err, r, "key file %s", path);
	r = sign_key_parse(text, path, ret, err);
	explicit_bzero(text, strlen(text));
	if (r < 0)
		return r;
	if (secret && !ret->secret)
		r = error_msg(err, -EINVAL, "key file %s is a public key: signing needs the secret one", path);
	else if (ret->secret && st.st_mode & 077)
		r = error_msg(err, -EPERM, "key file %s may be read by others (chmod 600 it)", path);
	if (r < 0)
		sign_key_done(ret);
	return r;
}

static int read_manifest(const struct image_dir *d, char **ret, size_t *ret_len, struct error **err)
{
	int fd = d->fds[IMAGE_MANIFEST], r;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_set(err, -errno, "image %s", d->path);
	r = read_fd_all(fd, MANIFEST_FILE_MAX + 64, ret, ret_len);
	return r < 0 ? error_set(err, r, "image %s: inventory.img", d->path) : 0;
}

static void signature_name(const char *hash, char *buf, size_t n)
{
	(void)snprintf(buf, n, "signature-%s.img", hash);
}

int image_dir_sign(struct image_dir *d, const char *hash, const struct sign_key *k, struct error **err)
{
	unsigned char file[SIGNATURE_FILE_BYTES];
	_cleanup_free_ char *manifest = NULL;
	_cleanup_close_ int fd = -EBADF;
	char name[64];
	size_t len;
	int r = read_manifest(d, &manifest, &len, err);

	if (r < 0)
		return r;
	signature_make(k, manifest, len, file);
	signature_name(hash, name, sizeof(name));
	r = write_file_atomic_at(d->dirfd, name, 0600, file, sizeof(file));
	if (r == 0) {
		fd = openat(d->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		r = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	}
	return r < 0 ? error_set(err, r, "%s/%s", d->path, name) : 0;
}

int verify_parse(const char *how, const char *key, struct sentry_restore_opts *o, struct error **err)
{
	_cleanup_sign_key_ struct sign_key k = {0};
	int r;

	if (!how || !strcmp(how, "sums"))
		o->verify = SENTRY_VERIFY_SUMS;
	else if (!strcmp(how, "off"))
		o->verify = SENTRY_VERIFY_OFF;
	else if (!strcmp(how, "signature"))
		o->verify = SENTRY_VERIFY_SIGNATURE;
	else
		return error_msg(err, -EINVAL, "--verify: \"%s\" is none of off, sums, signature", how);
	if (o->verify != SENTRY_VERIFY_SIGNATURE)
		return key ? error_msg(err, -EINVAL, "--verify-key is of no use without --verify=signature") : 0;
	if (!key)
		return error_msg(err, -EINVAL, "--verify=signature needs --verify-key FILE");
	r = sign_key_load(key, false, &k, err);
	if (r == 0)
		memcpy(o->verify_key, k.public, sizeof(o->verify_key));
	return r;
}

void image_dir_read_signature(struct image_dir *d)
{
	_cleanup_close_ int fd = -EBADF;
	char name[64];
	struct stat st;

	signature_name(d->hash, name, sizeof(name));
	fd = image_dir_open_file(d->dirfd, name);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	/* A file of any other size is seen to be no signature by who checks it. */
	d->signature_len = 1;
	if (st.st_size == SIGNATURE_FILE_BYTES && pread_full(fd, d->signature, SIGNATURE_FILE_BYTES, 0) == 0)
		d->signature_len = SIGNATURE_FILE_BYTES;
}

int verify_take_signature(const struct image_dir *d, struct sentry_restore_opts *o, struct error **err)
{
	char name[64];

	if (o->verify != SENTRY_VERIFY_SIGNATURE)
		return 0;
	signature_name(d->hash, name, sizeof(name));
	if (!d->signature_len)
		return error_msg(err, -EKEYREJECTED, "image %s is not signed (there is no %s; runsc image sign makes it)", d->path, name);
	memcpy(o->signature, d->signature, d->signature_len);
	o->signature_len = d->signature_len;
	return 0;
}
