/* SPDX-License-Identifier: Apache-2.0 */
/* runsc image keygen and sign. Formats and what a signature stands for: state/signature.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd_util.h"
#include "runsc/image/image.h"
#include "runsc/image_sign.h"
#include "state/digest.h"

static int write_key(const char *path, const struct sign_key *k, bool secret, struct error **err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, secret ? 0600 : 0644);
	char text[KEY_FILE_MAX];
	int r;

	if (fd < 0)
		return error_set(err, -errno, "key file %s", path);
	sign_key_format(k, secret, text);
	r = write_all(fd, text, strlen(text));
	explicit_bzero(text, sizeof(text));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(path);
	return r < 0 ? error_set(err, r, "key file %s", path) : 0;
}

int image_keygen(struct globals *g, int argc, char **argv, struct error **err)
{
	static const struct flag flags[] = {{0}};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_sign_key_ struct sign_key k = {0};
	_cleanup_free_ char *public = NULL;
	int r = image_parse("keygen", flags, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	if (asprintf(&public, "%s.pub", rest.args[0]) < 0) {
		public = NULL;
		return error_set(err, -ENOMEM, "keygen");
	}
	digest_setup();
	sign_key_new(&k);
	r = write_key(rest.args[0], &k, true, err);
	if (r == 0) {
		r = write_key(public, &k, false, err);
		if (r < 0)
			(void)unlink(rest.args[0]);
	}
	return r;
}

/* A signature must stand for every byte, so the parts are looked at now: what is signed is known to fit. */
static int check_signable(struct image *im, struct error **err)
{
	int r = manifest_require_digests(&im->m, err);

	if (r == 0)
		r = pages_reader_require_digests(im->pages, err);
	return r == 0 ? pages_reader_verify(im->pages, err) : r;
}

int image_sign(struct globals *g, int argc, char **argv, struct error **err)
{
	const char *key = NULL;
	const struct flag flags[] = {
		{"key", 'k', FLAG_STR, &key, "FILE", "the secret key (runsc image keygen makes one)"},
		{0},
	};
	_cleanup_opened_image_ struct image im = {.dir = IMAGE_DIR_INIT};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_sign_key_ struct sign_key k = {0};
	int r = image_parse("sign", flags, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	if (!key)
		return error_msg(err, -EINVAL, "--key FILE is missing");
	r = sign_key_load(key, true, &k, err);
	if (r == 0)
		r = image_open(rest.args[0], WITH_PAGES, &im, err);
	if (r < 0)
		return r;
	r = check_signable(&im, err);
	return r < 0 ? error_prefix(err, "image %s", im.path) : image_dir_sign(&im.dir, im.dir.hash, &k, err);
}
