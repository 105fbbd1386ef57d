/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small image in both forms, with and without digests: every byte flipped, every length cut, parts forged so that their checksums are
 * right. What is accepted must be what was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "state/crc32c.h"
#include "state/digest.h"
#include "state/manifest.h"
#include "state/pages.h"
#include "state/pages_format.h"
#include "state/signature.h"

#include "tests/state/toy.inc"

#define NPAGES 5

enum { MANIFEST, KERNEL, INDEX, PAGES, PARTS };
static const char *const names[] = { "inventory.img", "kernel.img", "pages.idx", "pages.img" };

struct img {
	int fds[PARTS]; /* the same as in @data, when stored */
	unsigned char *data[PARTS];
	size_t len[PARTS];
};

static const struct state_opts opts = { .lookup = toy_lookup };
static struct sign_key key;
static unsigned char memory[NPAGES * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static int mem_file(void)
{
	int fd = memfd_create("part", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void save(int level, bool digests, struct img *ret)
{
	struct toy_node *n = toy_node_new(77, "root");
	struct state_root root = { &toy_node_state_type, n };
	struct manifest m = { .product = (char *)"test", .arch = (char *)"x86_64" };
	struct state_stats ks;
	struct pages_stats ps;
	struct state_writer *w;
	struct pages_writer *pw;
	int *fds = ret->fds;

	for (int i = 0; i < PARTS; i++)
		fds[i] = mem_file();
	toy_node_peer(n, n);
	assert_int_equal(state_writer_new(fds[KERNEL], &opts, &w, NULL), 0);
	assert_int_equal(state_writer_save_roots(w, &root, 1, NULL), 0);
	assert_int_equal(state_writer_finish(w, &ks, NULL), 0);
	state_writer_free(w);
	toy_free_all();
	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = i / PAGE_SIZE % 3 == 2 ? 0 : (unsigned char)(i * i >> 7 ^ i / PAGE_SIZE);
	assert_int_equal(pages_writer_new(fds[INDEX], fds[PAGES], level, 1, &pw, NULL), 0);
	if (digests)
		assert_int_equal(pages_writer_want_digests(pw), 0);
	assert_int_equal(pages_writer_add(pw, 3, memory, NPAGES), 0);
	assert_int_equal(pages_writer_finish(pw, &ps, NULL), 0);
	pages_writer_free(pw);
	manifest_set_parts(&m, &ks, &ps);
	assert_int_equal(manifest_write(fds[MANIFEST], &m, NULL), 0);
	for (int i = 0; i < PARTS; i++) {
		ret->len[i] = (size_t)lseek(fds[i], 0, SEEK_END);
		ret->data[i] = malloc(ret->len[i] + 16);
		assert_int_equal(pread(fds[i], ret->data[i], ret->len[i], 0), ret->len[i]);
	}
}

static void img_free(struct img *im)
{
	for (int i = 0; i < PARTS; i++) {
		free(im->data[i]);
		close(im->fds[i]);
	}
}

/* Brings a changed part to its file. */
static void store(const struct img *im, int p)
{
	assert_int_equal(ftruncate(im->fds[p], (off_t)im->len[p]), 0);
	assert_int_equal(pwrite(im->fds[p], im->data[p], im->len[p], 0), im->len[p]);
}

static void flip(struct img *im, int p, size_t at, int bit)
{
	im->data[p][at] ^= (unsigned char)(1 << bit);
	assert_int_equal(pwrite(im->fds[p], im->data[p] + at, 1, (off_t)at), 1);
}

static int load_pages(int index, int pages, bool strict, struct error **err)
{
	static unsigned char got[sizeof(memory)];
	struct pages_reader *pr;
	int r = pages_reader_open(index, pages, &pr, err);

	if (r < 0)
		return r;
	if (strict)
		r = pages_reader_require_digests(pr, err);
	if (r == 0)
		r = pages_reader_verify(pr, err);
	if (r == 0)
		r = pages_read(pr, 3, NPAGES, got);
	if (r == 0 && memcmp(got, memory, sizeof(got)))
		r = 1;
	pages_reader_free(pr);
	return r;
}

static int load_kernel(int fd, struct error **err)
{
	struct state_reader *rd = NULL;
	void *root = NULL;
	int r = state_reader_new(fd, NULL, 0, &opts, &rd, err);

	if (r == 0)
		r = state_reader_load(rd, err);
	if (r == 0)
		r = state_reader_root(rd, 0, &toy_node_state_type, &root, err);
	if (r == 0)
		r = ((struct toy_node *)root)->value == 77 ? 0 : 1;
	state_reader_free(rd);
	toy_free_all();
	return r;
}

/* As a restore does it. 0: as it was written; 1: accepted, but something else; negative: refused, with a message. */
static int load(const struct img *im, const unsigned char *signature)
{
	const int *fds = im->fds;
	struct manifest_auth auth = { key.public, signature, SIGNATURE_FILE_BYTES };
	struct manifest m = { 0 };
	struct error *err = NULL;
	int r, k;

	for (int i = 0; i < PARTS; i++)
		lseek(fds[i], 0, SEEK_SET);
	r = manifest_read_signed(fds[MANIFEST], signature ? &auth : NULL, &m, &err);
	if (r == 0 && signature)
		r = manifest_require_digests(&m, &err);
	if (r == 0)
		r = manifest_check_parts(&m, fds[KERNEL], fds[INDEX], fds[PAGES], &err);
	if (r == 0)
		r = load_kernel(fds[KERNEL], &err);
	if (r >= 0) {
		k = load_pages(fds[INDEX], fds[PAGES], signature, &err);
		r = k ? k : r;
	}
	manifest_done(&m);
	assert_true((r < 0) == (err != NULL));
	if (err) {
		assert_null(strchr(error_text(err), '\n'));
		assert_true(strlen(error_text(err)) < 300);
	}
	error_free(err);
	return r;
}

static void sign(const struct img *im, unsigned char *ret)
{
	signature_make(&key, im->data[MANIFEST], im->len[MANIFEST], ret);
}

static void flip_all(struct img *im, const unsigned char *signature)
{
	assert_int_equal(load(im, signature), 0);
	for (int p = 0; p < PARTS; p++) {
		for (size_t at = 0; at < im->len[p]; at++) {
			/* Every bit where there are few bytes. */
			for (int bit = p == PAGES ? (int)(at % 8) : 0; bit < 8; bit += p == PAGES ? 8 : 1) {
				flip(im, p, at, bit);
				if (load(im, signature) >= 0)
					fail_msg("%s: bit %d of byte %zu of %zu: accepted", names[p], bit, at, im->len[p]);
				flip(im, p, at, bit);
			}
		}
	}
	assert_int_equal(load(im, signature), 0);
}

static void every_flip_is_seen(void **state)
{
	unsigned char sig[SIGNATURE_FILE_BYTES];
	struct img im;

	for (int level = 0; level < 2; level++) {
		for (int digests = 0; digests < 2; digests++) {
			save(level, digests, &im);
			sign(&im, sig);
			flip_all(&im, digests && level ? sig : NULL);
			img_free(&im);
		}
	}
}

static void every_length_is_seen(void **state)
{
	struct img im;

	for (int level = 0; level < 2; level++) {
		save(level, level, &im);
		for (int p = 0; p < PARTS; p++) {
			size_t whole = im.len[p];

			for (size_t n = whole; n-- > 0;) {
				assert_int_equal(ftruncate(im.fds[p], (off_t)n), 0);
				if (load(&im, NULL) >= 0)
					fail_msg("%s: cut to %zu of %zu: accepted", names[p], n, whole);
			}
			store(&im, p);
			assert_int_equal(ftruncate(im.fds[p], (off_t)whole + 1), 0);
			if (load(&im, NULL) >= 0)
				fail_msg("%s: with a byte more: accepted", names[p]);
			store(&im, p);
		}
		img_free(&im);
	}
}

/* Changes the last four bytes of @p:@len so that its crc32c becomes @want: a linear system of 32 bits. */
static void force_crc(unsigned char *p, size_t len, uint32_t want)
{
	unsigned char *tail = p + len - 4;
	uint32_t column[32], from[32], x = 0, base, rest;

	memset(tail, 0, 4);
	base = crc32c(0, p, len);
	rest = base ^ want;
	for (int i = 0; i < 32; i++) {
		tail[i / 8] = (unsigned char)(1 << i % 8);
		column[i] = crc32c(0, p, len) ^ base;
		tail[i / 8] = 0;
		from[i] = 1u << i;
	}
	for (int bit = 0; bit < 32; bit++) { /* Gauss: column[bit] gets the only one with this bit */
		int i = bit;

		while (!(column[i] >> bit & 1))
			i++;
		uint32_t c = column[i], f = from[i];

		column[i] = column[bit];
		from[i] = from[bit];
		column[bit] = c;
		from[bit] = f;
		for (int k = 0; k < 32; k++) {
			if (k == bit || !(column[k] >> bit & 1))
				continue;
			column[k] ^= c;
			from[k] ^= f;
		}
	}
	for (int bit = 0; bit < 32; bit++)
		x ^= rest >> bit & 1 ? from[bit] : 0;
	for (int i = 0; i < 32; i++)
		tail[i / 8] ^= (unsigned char)((x >> i & 1) << i % 8);
	assert_int_equal(crc32c(0, p, len), want);
}

/* A page changed by somebody who knows the format: its checksum stays right, so checksums say yes. A signature says no. */
static void forged_pages(void **state)
{
	unsigned char sig[SIGNATURE_FILE_BYTES];
	struct img im;
	unsigned char *frame;
	uint32_t len;

	save(0, true, &im);
	sign(&im, sig);
	assert_int_equal(load(&im, sig), 0);
	frame = im.data[PAGES] + get_le64(im.data[INDEX] + PAGES_INDEX_HEADER + 8);
	len = get_le32(im.data[INDEX] + PAGES_INDEX_HEADER + 20);
	frame[100] ^= 0xff;
	store(&im, PAGES);
	assert_true(load(&im, NULL) < 0);
	force_crc(frame, len, get_le32(im.data[INDEX] + PAGES_INDEX_HEADER + 24));
	store(&im, PAGES);
	assert_int_equal(load(&im, NULL), 1);
	assert_true(load(&im, sig) < 0);
	img_free(&im);
}

/* kernel.img and pages.idx changed with right checksums: the digests of the manifest say no, signature or not. */
static void forged_parts(void **state)
{
	unsigned char sig[SIGNATURE_FILE_BYTES];
	struct img im;

	for (int p = KERNEL; p <= INDEX; p++) {
		uint32_t crc;

		save(0, true, &im);
		sign(&im, sig);
		crc = crc32c(0, im.data[p], im.len[p]);
		im.data[p][im.len[p] / 2] ^= 1;
		force_crc(im.data[p], im.len[p], crc);
		store(&im, p);
		assert_true(load(&im, NULL) < 0);
		assert_true(load(&im, sig) < 0);
		img_free(&im);
	}
}

static void signatures(void **state)
{
	unsigned char sig[SIGNATURE_FILE_BYTES], other_sig[SIGNATURE_FILE_BYTES];
	struct sign_key other, again;
	char text[KEY_FILE_MAX];
	struct error *err = NULL;
	struct img im, im2;

	save(0, true, &im);
	save(1, true, &im2);
	sign(&im, sig);
	assert_int_equal(load(&im, sig), 0);
	/* The signature of another image, and another's signature. */
	sign(&im2, other_sig);
	assert_true(load(&im, other_sig) < 0);
	sign_key_new(&other);
	signature_make(&other, im.data[MANIFEST], im.len[MANIFEST], other_sig);
	assert_true(load(&im, other_sig) < 0);
	assert_int_equal(signature_check(key.public, im.data[MANIFEST], im.len[MANIFEST], other_sig, sizeof(other_sig), &err), -EKEYREJECTED);
	assert_non_null(strstr(error_text(err), "another key"));
	err = error_free(err);
	/* The other's, made to look like ours. */
	memcpy(other_sig + 16, sig + 16, 8);
	put_le32(other_sig + 88, crc32c(0, other_sig, 88));
	assert_true(load(&im, other_sig) < 0);
	for (size_t i = 0; i < sizeof(sig) * 8; i++) {
		sig[i / 8] ^= (unsigned char)(1 << i % 8);
		assert_true(load(&im, sig) < 0);
		sig[i / 8] ^= (unsigned char)(1 << i % 8);
	}
	for (size_t n = 0; n < sizeof(sig); n++)
		assert_int_equal(signature_check(key.public, im.data[MANIFEST], im.len[MANIFEST], sig, n, NULL), -EINVAL);
	img_free(&im);
	img_free(&im2);

	/* An image without digests of its pages cannot be trusted by a signature. */
	save(0, false, &im);
	sign(&im, sig);
	assert_int_equal(load(&im, NULL), 0);
	assert_int_equal(load(&im, sig), -ENOKEY);
	img_free(&im);

	/* Key files. */
	for (int secret = 0; secret < 2; secret++) {
		sign_key_format(&key, secret, text);
		assert_int_equal(sign_key_parse(text, "k", &again, NULL), 0);
		assert_int_equal(again.secret, secret);
		assert_memory_equal(again.public, key.public, sizeof(key.public));
		text[strlen(text) - 1] = '\0';
		assert_int_equal(sign_key_parse(text, "k", &again, NULL), 0);
		text[strlen(text) - 1] = '\0';
		assert_int_equal(sign_key_parse(text, "k", &again, &err), -EINVAL);
		assert_null(strstr(error_text(err), text + 30)); /* keys do not end up in logs */
		err = error_free(err);
	}
	for (const char **bad = (const char *[]){ "", "x", "runsc-secret-key", "runsc-secret-key ed25519 ", "runsc-public-key rsa 00", NULL }; *bad; bad++)
		assert_int_equal(sign_key_parse(*bad, "k", &again, NULL), -EINVAL);
	sign_key_done(&other);
}

static int setup(void **state)
{
	digest_setup();
	sign_key_new(&key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flip_is_seen), cmocka_unit_test(every_length_is_seen), cmocka_unit_test(forged_pages),
		cmocka_unit_test(forged_parts),	      cmocka_unit_test(signatures),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
