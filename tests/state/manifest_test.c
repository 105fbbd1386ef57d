/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest: round trip, damage at every byte, features and parts that do not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>

#include "state/crc32c.h"
#include "state/image.h"
#include "state/manifest.h"
#include "state/pages.h"

#include "tests/state/toy.inc"

static struct manifest_xsave xs[] = { { 2, 576, 256 }, { 9, 2688, 8 } };
static struct manifest example = {
	.product = (char *)"runsc 0.1.0",
	.created_ns = 1234567890123456789,
	.containers = (char *[]){ (char *)"c1", (char *)"c2", NULL },
	.platform = (char *)"ptrace",
	.arch = (char *)"x86_64",
	.cpu_features = (char *[]){ (char *)"sse4_2", (char *)"avx2", NULL },
	.xcr0 = 0x207,
	.xsave_size = 2696,
	.xsave = xs,
	.nr_xsave = 2,
	.features = (char *[]){ (char *)"raw-pages", NULL },
	.kernel = { 1, 100, 7 },
	.index = { 1, 200, 8 },
	.pages = { 1, 300, 0 },
	.pages_stored = 5,
	.objects = 6,
	.page_size = 4096,
	.types = (char *[]){ (char *)"task", (char *)"pipe", NULL },
};

static int temp(const void *data, size_t len)
{
	int fd = memfd_create("m", MFD_CLOEXEC);

	assert_int_equal(write(fd, data, len), len);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void round_trip(void **state)
{
	int fd = temp("", 0), fd2;
	struct manifest m = { 0 };
	struct error *err = NULL;
	unsigned char buf[4096];
	ssize_t len;

	assert_int_equal(manifest_write(fd, &example, NULL), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(manifest_read(fd, &m, &err), 0);
	assert_string_equal(m.product, "runsc 0.1.0");
	assert_string_equal(m.containers[1], "c2");
	assert_null(m.containers[2]);
	assert_int_equal(m.created_ns, example.created_ns);
	assert_int_equal(m.nr_xsave, 2);
	assert_int_equal(m.xsave[1].offset, 2688);
	assert_int_equal(m.pages.size, 300);
	assert_int_equal(m.page_size, 4096);
	assert_string_equal(m.types[1], "pipe");
	assert_null(m.types[2]);
	assert_int_equal(m.format, MANIFEST_FORMAT);
	assert_int_equal(manifest_check_features(&m, &example, &err), 0);
	manifest_done(&m);
	manifest_done(&m);
	len = pread(fd, buf, sizeof(buf), 0);
	for (ssize_t i = 0; i < len; i++) {
		fd2 = temp(buf, (size_t)i);
		assert_true(manifest_read(fd2, &m, &err) < 0);
		err = error_free(err);
		close(fd2);
		buf[i] ^= 4;
		fd2 = temp(buf, (size_t)len);
		buf[i] ^= 4;
		assert_true(manifest_read(fd2, &m, &err) < 0);
		err = error_free(err);
		close(fd2);
	}
	fd2 = temp(buf, (size_t)len + 1);
	assert_true(manifest_read(fd2, &m, NULL) < 0);
	close(fd2);
	close(fd);
}

#define REFUSED(have, text)                                                                                                    \
	do {                                                                                                                   \
		struct error *_e = NULL;                                                                                       \
		assert_int_equal(manifest_check_features(&example, &(have), &_e), -ENOTSUP);                                   \
		assert_string_equal(error_text(_e), text);                                                                     \
		error_free(_e);                                                                                                \
	} while (0)

#define HERE "the image cannot be restored here: "

static void features(void **state)
{
	struct manifest have = example;
	struct manifest_xsave other[] = { { 2, 576, 256 }, { 9, 2696, 8 } };

	have.cpu_features = (char *[]){ (char *)"avx2", (char *)"more", NULL };
	have.features = NULL;
	REFUSED(have, HERE "this build lacks image features: raw-pages; this CPU lacks: sse4_2");
	have = example;
	have.xcr0 = 3;
	have.nr_xsave = 0;
	REFUSED(have, HERE "this CPU lacks XSAVE state: AVX, protection keys (PKRU)");
	have = example;
	have.xsave = other;
	REFUSED(have, HERE "this CPU lays XSAVE state out differently: protection keys (PKRU)");
	other[1] = (struct manifest_xsave){ 9, 0, 0 };
	assert_int_equal(manifest_check_features(&example, &have, NULL), 0); /* anywhere will do */
	have.arch = (char *)"aarch64";
	REFUSED(have, HERE "it is for x86_64, this machine is aarch64");
	have = example;
	have.page_size = 65536;
	REFUSED(have, HERE "the image has pages of 4096 bytes, this machine of 65536");
}

/* What an image says of itself is not trusted to be printable, short or few. */
static void hostile_words(void **state)
{
	struct manifest image = { .arch = (char *)"x\033[2J", .features = (char *[]){ (char *)"a\nb", (char *)"", NULL } };
	struct manifest have = { .arch = (char *)"x86_64" };
	struct error *err = NULL;
	char *many[65], name[8];

	assert_int_equal(manifest_check_features(&image, &have, &err), -ENOTSUP);
	assert_string_equal(error_text(err), HERE "it is for (unprintable), this machine is x86_64");
	err = error_free(err);
	image.arch = NULL;
	assert_int_equal(manifest_check_features(&image, &have, &err), -ENOTSUP);
	assert_string_equal(error_text(err), HERE "this build lacks image features: (unprintable), (unprintable)");
	err = error_free(err);
	for (size_t i = 0; i < 64; i++)
		many[i] = name;
	many[64] = NULL;
	strcpy(name, "nothing");
	image.features = NULL;
	image.cpu_features = many;
	assert_int_equal(manifest_check_features(&image, &have, &err), -ENOTSUP);
	assert_non_null(strstr(error_text(err), "nothing and 44 more"));
	error_free(err);
	/* An image older than page_size and types. */
	image = (struct manifest){ .arch = (char *)"x86_64" };
	have.page_size = 4096;
	assert_int_equal(manifest_check_features(&image, &have, NULL), 0);
}

static void object_types(void **state)
{
	struct manifest image = example;
	struct error *err = NULL;

	image.types = (char *[]){ (char *)"task", (char *)"warp_drive", NULL };
	assert_int_equal(manifest_check_features(&image, &example, &err), -ENOTSUP);
	assert_string_equal(error_text(err), HERE "this build lacks object types: warp_drive");
	err = error_free(err);
	assert_int_equal(manifest_check_build(&image, &err), -ENOTSUP);
	error_free(err);
}

/* A manifest with field 2000, which no build has yet. */
static int from_the_future(const struct manifest *m)
{
	unsigned char buf[4096], field[] = { 0x80, 0x7d, 1 };
	int fd = temp("", 0);
	ssize_t len;
	uint32_t v;

	assert_int_equal(manifest_write(fd, m, NULL), 0);
	len = pread(fd, buf, sizeof(buf), 0);
	close(fd);
	memcpy(buf + len - 4, field, sizeof(field));
	len += (ssize_t)sizeof(field);
	v = (uint32_t)len - 20;
	memcpy(buf + 12, &v, 4);
	v = crc32c(0, buf, (size_t)len - 4);
	memcpy(buf + len - 4, &v, 4);
	return temp(buf, (size_t)len);
}

static void newer_builds(void **state)
{
	struct manifest image = example, m = { 0 };
	struct error *err = NULL;
	int fd = from_the_future(&image);

	assert_int_equal(manifest_read(fd, &m, &err), -ENOTSUP);
	assert_string_equal(error_text(err), HERE "this build lacks image features: raw-pages");
	err = error_free(err);
	close(fd);
	image.features = manifest_build_features();
	fd = from_the_future(&image);
	assert_int_equal(manifest_read(fd, &m, &err), -EINVAL);
	assert_string_equal(error_text(err), "inventory.img: unknown field 2000 of Manifest: written by a newer build");
	error_free(err);
	assert_null(m.product);
	close(fd);
}

static void parts(void **state)
{
	int k = temp("kernel", 6), i = temp("index!!", 7), p = temp("pages", 5);
	struct manifest m = { .kernel = { 1, 6, crc32c(0, "kernel", 6) }, .index = { 1, 7, crc32c(0, "index!!", 7) },
			      .pages = { 1, 5, 0 } };
	struct error *err = NULL;

	assert_int_equal(manifest_check_parts(&m, k, i, p, &err), 0);
	m.index.crc ^= 1;
	assert_true(manifest_check_parts(&m, k, i, p, &err) < 0);
	assert_string_equal(error_text(err), "pages.idx is damaged: checksum does not match the manifest");
	err = error_free(err);
	m.index.crc ^= 1;
	m.pages.size = 6;
	assert_true(manifest_check_parts(&m, k, i, p, &err) < 0);
	assert_string_equal(error_text(err), "pages.img has 5 bytes, the manifest says 6");
	err = error_free(err);
	m.kernel.version = 2;
	assert_true(manifest_check_parts(&m, -1, -1, -1, &err) < 0);
	assert_string_equal(error_text(err), "kernel.img has version 2, this build reads 1");
	error_free(err);
	close(k), close(i), close(p);
}

/* The four files together, as the checkpoint and restore code use them. */
static void whole_set(void **state)
{
	const struct state_opts opts = { .lookup = toy_lookup };
	int kernel = temp("", 0), index = temp("", 0), data = temp("", 0), inv = temp("", 0);
	unsigned char *page = aligned_alloc(PAGE_SIZE, 2 * PAGE_SIZE), back[PAGE_SIZE], byte;
	struct state_root root = { &toy_node_state_type, toy_node_new(9, "root") };
	struct manifest m = { .arch = (char *)"x86_64" }, got;
	struct state_stats st;
	struct pages_stats ps;
	struct state_writer *w;
	struct pages_writer *pw;
	struct state_reader *r;
	struct pages_reader *pr;
	struct toy_node *n;
	struct error *err = NULL;
	char **types;

	memset(page, 0, PAGE_SIZE);
	memset(page + PAGE_SIZE, 7, PAGE_SIZE);
	assert_int_equal(state_writer_new(kernel, &opts, &w, &err), 0);
	assert_int_equal(state_writer_save_roots(w, &root, 1, &err), 0);
	assert_int_equal(state_writer_finish(w, &st, &err), 0);
	types = state_writer_types(w);
	assert_string_equal(types[0], "toy_node");
	assert_null(types[1]);
	free(types);
	state_writer_free(w);
	assert_int_equal(pages_writer_new(index, data, 0, 2, &pw, &err), 0);
	assert_int_equal(pages_writer_add(pw, 3, page, 2), 0);
	assert_int_equal(pages_writer_finish(pw, &ps, &err), 0);
	pages_writer_free(pw);
	manifest_set_parts(&m, &st, &ps);
	assert_int_equal(manifest_write(inv, &m, &err), 0);
	toy_free_all();

	lseek(inv, 0, SEEK_SET);
	assert_int_equal(manifest_read(inv, &got, &err), 0);
	assert_int_equal(got.objects, 1);
	assert_int_equal(got.pages_stored, 1);
	assert_int_equal(manifest_check_features(&got, &m, &err), 0);
	assert_int_equal(manifest_check_parts(&got, kernel, index, data, &err), 0);
	lseek(kernel, 0, SEEK_SET);
	assert_int_equal(state_reader_new(kernel, NULL, 0, &opts, &r, &err), 0);
	assert_int_equal(state_reader_load(r, &err), 0);
	assert_int_equal(state_reader_root(r, 0, &toy_node_state_type, (void **)&n, &err), 0);
	state_reader_free(r);
	assert_int_equal(n->value, 9);
	assert_int_equal(pages_reader_open(index, data, &pr, &err), 0);
	assert_int_equal(pages_read(pr, 4, 1, back), 0);
	assert_memory_equal(back, page + PAGE_SIZE, PAGE_SIZE);
	pages_reader_free(pr);
	/* one bit of the kernel */
	assert_int_equal(pread(kernel, &byte, 1, 30), 1);
	byte ^= 1;
	assert_int_equal(pwrite(kernel, &byte, 1, 30), 1);
	assert_true(manifest_check_parts(&got, kernel, index, data, &err) < 0);
	assert_string_equal(error_text(err), "kernel.img is damaged: checksum does not match the manifest");
	error_free(err);
	manifest_done(&got);
	toy_free_all();
	free(page);
	close(kernel), close(index), close(data), close(inv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(features),
		cmocka_unit_test(hostile_words),
		cmocka_unit_test(object_types),
		cmocka_unit_test(newer_builds),
		cmocka_unit_test(parts),
		cmocka_unit_test(whole_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
