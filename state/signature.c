/* SPDX-License-Identifier: Apache-2.0 */
/* See signature.h. */
#include "state/signature.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "state/crc32c.h"
#include "state/digest.h"
#include "state/stream.h"

#define VERSION 1
#define NAME "the signature"

static const char magic[8] = "RUNSCSIG";
/* Keeps a signature of a manifest from being one of anything else made with the same key. */
static const char context[] = "runsc image manifest 1";

void sign_key_new(struct sign_key *ret)
{
	unsigned char full[crypto_sign_SECRETKEYBYTES];

	randombytes_buf(ret->seed, sizeof(ret->seed));
	(void)crypto_sign_seed_keypair(ret->public, full, ret->seed);
	ret->secret = true;
	sodium_memzero(full, sizeof(full));
}

void sign_key_format(const struct sign_key *k, bool secret, char ret[KEY_FILE_MAX])
{
	char hex[2 * SIGN_SEED_BYTES + 1];

	(void)sodium_bin2hex(hex, sizeof(hex), secret ? k->seed : k->public, SIGN_SEED_BYTES);
	(void)snprintf(ret, KEY_FILE_MAX, "runsc-%s-key ed25519 %s\n", secret ? "secret" : "public", hex);
	sodium_memzero(hex, sizeof(hex));
}

int sign_key_parse(const char *text, const char *name, struct sign_key *ret, struct error **err)
{
	static const char secret[] = "runsc-secret-key ed25519 ", public[] = "runsc-public-key ed25519 ";
	unsigned char full[crypto_sign_SECRETKEYBYTES], bin[SIGN_SEED_BYTES];
	bool is_secret = !strncmp(text, secret, sizeof(secret) - 1);
	const char *hex = text + sizeof(secret) - 1;
	size_t n = 0;

	if ((!is_secret && strncmp(text, public, sizeof(public) - 1)) || strspn(hex, "0123456789abcdef") != 2 * sizeof(bin) ||
	    (hex[2 * sizeof(bin)] && strcmp(hex + 2 * sizeof(bin), "\n")) ||
	    sodium_hex2bin(bin, sizeof(bin), hex, 2 * sizeof(bin), NULL, &n, NULL) < 0 || n != sizeof(bin))
		return error_msg(err, -EINVAL, "%s is not a key file (runsc image keygen makes one)", name);
	*ret = (struct sign_key){ .secret = is_secret };
	if (is_secret) {
		memcpy(ret->seed, bin, sizeof(bin));
		(void)crypto_sign_seed_keypair(ret->public, full, bin);
		sodium_memzero(full, sizeof(full));
		sodium_memzero(bin, sizeof(bin));
	} else {
		memcpy(ret->public, bin, sizeof(bin));
	}
	return 0;
}

void sign_key_done(struct sign_key *k)
{
	sodium_memzero(k, sizeof(*k));
}

/* What is signed is the context and the digest of the bytes: short, and the same for any manifest. */
struct signed_text {
	char context[sizeof(context)];
	unsigned char digest[DIGEST_BYTES];
};

static struct signed_text text_of(const void *manifest, size_t len)
{
	struct signed_text t;

	memcpy(t.context, context, sizeof(context));
	digest_of(manifest, len, t.digest);
	return t;
}

static void key_id(const unsigned char *public, unsigned char ret[8])
{
	unsigned char d[DIGEST_BYTES];

	digest_of(public, SIGN_PUBLIC_BYTES, d);
	memcpy(ret, d, 8);
}

void signature_make(const struct sign_key *k, const void *manifest, size_t len, unsigned char ret[SIGNATURE_FILE_BYTES])
{
	unsigned char pub[SIGN_PUBLIC_BYTES], full[crypto_sign_SECRETKEYBYTES];
	struct signed_text t = text_of(manifest, len);

	(void)crypto_sign_seed_keypair(pub, full, k->seed);
	memcpy(ret, magic, 8);
	put_le32(ret + 8, VERSION);
	put_le32(ret + 12, 0);
	key_id(k->public, ret + 16);
	(void)crypto_sign_detached(ret + 24, NULL, (const unsigned char *)&t, sizeof(t), full);
	put_le32(ret + 88, crc32c(0, ret, 88));
	sodium_memzero(full, sizeof(full));
}

int signature_check(const unsigned char public[SIGN_PUBLIC_BYTES], const void *manifest, size_t len, const void *file, size_t file_len,
		    struct error **err)
{
	struct signed_text t = text_of(manifest, len);
	const unsigned char *f = file;
	unsigned char id[8];

	if (file_len != SIGNATURE_FILE_BYTES || memcmp(f, magic, 8) || get_le32(f + 88) != crc32c(0, f, 88))
		return error_msg(err, -EINVAL, NAME " of the image is damaged (runsc image sign makes a new one)");
	if (get_le32(f + 8) != VERSION || get_le32(f + 12))
		return error_msg(err, -EINVAL, NAME " of the image has version %u, this build reads %u", get_le32(f + 8), VERSION);
	key_id(public, id);
	if (memcmp(id, f + 16, 8))
		return error_msg(err, -EKEYREJECTED, "the image is signed with another key than the given one");
	if (crypto_sign_verify_detached(f + 24, (const unsigned char *)&t, sizeof(t), public) < 0)
		return error_msg(err, -EKEYREJECTED, NAME " does not fit inventory.img: the image is not what was signed");
	return 0;
}
