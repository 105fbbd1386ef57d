/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `runsc image` on hostile images: right checksums, wrong everything else. Every verb ends, with an answer or an error, and touches nothing it
 * should not (the address sanitizer says so).
 *
 * HOSTILE_SEED=n, HOSTILE_ROUNDS=n: other or more cases. HOSTILE_IMAGE=kernel.img: mutations of a real image too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd_util.h"
#include "runsc/image/diff.h"
#include "runsc/image/image.h"
#include "state/crc32c.h"
#include "state/record.h"
#include "tests/fakes/hostile.h"

static char dir[64];

static unsigned long env_number(const char *name, unsigned long def)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 0) : def;
}

static const char *path_of(const char *name)
{
	static char buf[4][128];
	static unsigned int n;
	char *s = buf[n++ % ARRAY_SIZE(buf)];

	snprintf(s, sizeof(buf[0]), "%s/%s", dir, name);
	return s;
}

/* An image directory with these records and a few pages. */
static void make_image(const char *name, const struct strbuf *kernel, int level)
{
	_cleanup_image_ struct image_dir d = IMAGE_DIR_INIT;
	static unsigned char pages[8 * PAGE_SIZE] __attribute__((aligned(4096)));
	struct manifest m = { .product = (char *)"test", .platform = (char *)"none", .arch = (char *)"x86_64", .objects = 1 };
	struct state_stats ks = { .objects = 1, .file_bytes = kernel->len };
	struct pages_stats ps;
	struct pages_writer *pw;

	assert_int_equal(image_dir_begin(&d, path_of(name), NULL), 0);
	memset(pages, 'x', sizeof(pages));
	assert_int_equal(write_all(d.fds[IMAGE_KERNEL], kernel->data, kernel->len), 0);
	ks.file_crc = crc32c(0, kernel->data, kernel->len);
	assert_int_equal(pages_writer_new(d.fds[IMAGE_INDEX], d.fds[IMAGE_PAGES], level, 0, &pw, NULL), 0);
	assert_int_equal(pages_writer_add(pw, 0, pages, 3), 0);
	assert_int_equal(pages_writer_add(pw, 7, pages, 8), 0);
	assert_int_equal(pages_writer_finish(pw, &ps, NULL), 0);
	pages_writer_free(pw);
	manifest_set_parts(&m, &ks, &ps);
	assert_int_equal(manifest_write(d.fds[IMAGE_MANIFEST], &m, NULL), 0);
	assert_int_equal(image_dir_commit(&d, NULL, NULL), 0);
}

/* Runs the verb with its output thrown away. */
static int verb(const char *a, const char *b, const char *c, const char *d)
{
	char *argv[] = { (char *)a, (char *)b, (char *)c, (char *)d, NULL };
	struct globals g = { 0 };
	struct error *err = NULL;
	int argc = d ? 4 : c ? 3 : 2, r;

	r = cmd_image(&g, argc, argv, &err);
	assert_true(r >= 0 || err);
	error_free(err);
	return r;
}

/* Content of every file there is, without writing holes. */
static void extract_all(const char *image)
{
	_cleanup_opened_image_ struct image im = { .dir = IMAGE_DIR_INIT };
	_cleanup_files_ struct stored_files files = { 0 };

	if (image_open(image, WITH_RECORDS | WITH_PAGES, &im, NULL) < 0 || files_load(&im, &files, NULL) < 0)
		return;
	for (size_t i = 0; i < files.nr; i++) {
		int fd = open(path_of("out"), O_RDWR | O_CREAT | O_TRUNC, 0600);

		assert_true(fd >= 0);
		/* The pages of such a file may overlap a thousand times: what there is to write is limited here, not by the tool. */
		if (files.v[i].data && files.v[i].stored < 64 << 20)
			(void)!stored_file_write(&im, &files.v[i], fd, true, NULL);
		close(fd);
	}
}

static void every_verb(const struct strbuf *a, const struct strbuf *b, int level)
{
	const char *x, *y;

	make_image("a", a, level);
	make_image("b", b, 0);
	x = path_of("a");
	y = path_of("b");
	(void)verb("inspect", x, NULL, NULL);
	(void)verb("inspect", x, "--json", NULL);
	(void)verb("tree", x, NULL, NULL);
	(void)verb("show", x, NULL, NULL);
	(void)verb("show", x, "--json", NULL);
	(void)verb("show", x, "1", "--text");
	(void)verb("show", x, "dentry", "--text");
	(void)verb("show", x, "--pages", NULL);
	(void)verb("verify", x, NULL, NULL);
	(void)verb("extract", x, "--list", NULL);
	(void)verb("diff", x, y, NULL);
	(void)verb("diff", y, x, "--json");
	extract_all(x);
}

static void every_type(void **state)
{
	unsigned long rounds = env_number("HOSTILE_ROUNDS", 1), seed = env_number("HOSTILE_SEED", 1);
	const struct state_type *t;

	for (size_t i = 0; (t = hostile_type(i)); i++) {
		for (unsigned long n = 0; n < rounds; n++) {
			struct hostile h = { .seed = (seed * 1000003 + t->id * 131 + n + 1) * 0x9e3779b97f4a7c15ull | 1 };
			_cleanup_strbuf_ struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;

			hostile_image_of(&h, t, &a);
			hostile_image_of(&h, t, &b);
			every_verb(&a, &b, n % 2);
		}
	}
}

static void real_image(void **state)
{
	const char *name = getenv("HOSTILE_IMAGE");
	unsigned long rounds = env_number("HOSTILE_ROUNDS", 1) * 20, seed = env_number("HOSTILE_SEED", 1);
	_cleanup_free_ char *mem = NULL;
	size_t len;

	if (!name)
		skip();
	assert_int_equal(read_file_at(AT_FDCWD, name, 1 << 28, &mem, &len), 0);
	for (unsigned long n = 0; n < rounds; n++) {
		struct hostile h = { .seed = (seed * 1000003 + n + 1) * 0x9e3779b97f4a7c15ull | 1 };
		_cleanup_strbuf_ struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;

		assert_true(hostile_image_from(&h, mem, len, (unsigned)(n % 30), &a));
		assert_true(hostile_image_from(&h, mem, len, (unsigned)(n % 7), &b));
		every_verb(&a, &b, n % 2);
	}
}

/* Records of the given types and bytes with right checksums, the first is the root. */
struct raw {
	const struct state_type *type;
	const void *data;
	size_t len;
};

static void make_records(const struct raw *v, size_t n, struct strbuf *ret)
{
	struct state_out out = { .fd = -1, .name = "test" };
	struct record_writer *w;

	assert_int_equal(record_writer_new(&out, 1, &w, NULL), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(record_write(w, v[i].type->id, i + 1, v[i].data, v[i].len, NULL), 0);
	assert_int_equal(record_write(w, RECORD_TYPE_ROOTS, 0, "\1\0\0\0\0\0\0\0", 8, NULL), 0);
	assert_int_equal(record_writer_finish(w, NULL), 0);
	record_writer_free(w);
	strbuf_add(ret, out.mem, out.size);
	free(out.mem);
}

/* What `runsc image ...` printed, malloc'd. */
static char *output_of(int want, const char *a, const char *b, const char *c)
{
	int old = dup(STDOUT_FILENO), fd = open(path_of("out"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *text = NULL;

	assert_true(old >= 0 && fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0);
	assert_int_equal(verb(a, b, c, NULL), want);
	assert_true(dup2(old, STDOUT_FILENO) >= 0);
	close(old);
	close(fd);
	assert_int_equal(read_file_at(AT_FDCWD, path_of("out"), 1 << 20, &text, NULL), 0);
	return text;
}

static void verify_references(void **state)
{
	_cleanup_strbuf_ struct strbuf k = STRBUF_INIT;
	_cleanup_free_ char *text = NULL;
	/* A kernel whose group 1 is a mm, group 2 does not exist, pid namespace is right; a field nobody knows; and one that nobody refers to. */
	const struct raw v[] = { { &kernel_state_type, "\x0a\x02\x02\x63\x18\x03", 6 },
				 { &mm_state_type, "", 0 },
				 { &pid_ns_state_type, "", 0 },
				 { &eventfd_state_type, "\xf8\x3f\x01", 3 } };

	make_records(v, ARRAY_SIZE(v), &k);
	make_image("a", &k, 0);
	text = output_of(1, "verify", path_of("a"), NULL);
	assert_non_null(strstr(text, ": kernel.img: kernel 1: groups[0] refers to object 2 as a ThreadGroup, but it is a mm\n"));
	assert_non_null(strstr(text, ": kernel.img: kernel 1: groups[1] refers to object 99, which does not exist\n"));
	assert_non_null(strstr(text, ": kernel.img: object 4: unknown field 1023 of EventFd: written by a newer build\n"));
	assert_non_null(strstr(text, ": kernel.img: eventfd 4: nothing refers to it\n"));
	assert_non_null(strstr(text, ": kernel.img has 4 objects, the manifest says 1\n"));
	assert_null(strstr(text, "root_pid_ns"));
}

/* Overlapping, huge and backward ranges cost nothing and count right. */
static void page_sets(void **state)
{
	_cleanup_page_set_ struct page_set s = { 0 };

	assert_int_equal(page_set_total(&s), 0);
	assert_int_equal(page_set_count(&s, 0, UINT64_MAX), 0);
	assert_int_equal(page_set_add(&s, 5, 2), 0);
	assert_int_equal(page_set_add(&s, 7, 1), 0);
	assert_int_equal(page_set_add(&s, 100, 10), 0);
	assert_int_equal(s.nr, 2);
	assert_int_equal(page_set_total(&s), 13);
	assert_int_equal(page_set_count(&s, 0, UINT64_MAX), 13);
	assert_int_equal(page_set_count(&s, 6, UINT64_MAX), 12);
	assert_int_equal(page_set_count(&s, 7, 1), 1);
	assert_int_equal(page_set_count(&s, 8, 92), 0);
	assert_int_equal(page_set_count(&s, 8, 93), 1);
	assert_int_equal(page_set_count(&s, 109, 50), 1);
	assert_int_equal(page_set_count(&s, 110, 50), 0);
}

static void text(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	json_t *j = text_json("a\xff\0z", 4);

	text_quote(&b, "a\x1b[31m\n\xc3\xa9\xc2\x9b\xff\x7f", 13);
	assert_string_equal(b.data, "a\\x1b[31m\\x0a\xc3\xa9\\xc2\\x9b\\xff\\x7f");
	assert_int_equal(json_string_length(j), 5);
	assert_memory_equal(json_string_value(j), "a\xc3\xbf\0z", 5);
	json_decref(j);
	strbuf_reset(&b);
	text_size(&b, 1023);
	strbuf_addc(&b, ' ');
	text_size(&b, 1024);
	strbuf_addc(&b, ' ');
	text_size(&b, 20 << 20);
	strbuf_addc(&b, ' ');
	text_size(&b, UINT64_MAX);
	assert_string_equal(b.data, "1023 1.0K 20M 16384P");
}

static int setup(void **state)
{
	int null = open("/dev/null", O_WRONLY);

	/* The verbs print to standard output, cmocka to standard error. */
	snprintf(dir, sizeof(dir), "%s/image_tool_test.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	return mkdtemp(dir) && null >= 0 && dup2(null, STDOUT_FILENO) >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	return remove_tree_at(AT_FDCWD, dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type),
		cmocka_unit_test(real_image),
		cmocka_unit_test(verify_references),
		cmocka_unit_test(page_sets),
		cmocka_unit_test(text),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
