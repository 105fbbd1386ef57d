/* SPDX-License-Identifier: Apache-2.0 */
/* What is in an image directory at every step of a checkpoint into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd_util.h"
#include "runsc/image_dir.h"

static char dir[64];

static int setup(void **state)
{
	strcpy(dir, "/tmp/runsc-image-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	return remove_tree_at(AT_FDCWD, dir);
}

static void fill(struct image_dir *d, const char *text)
{
	assert_int_equal(image_dir_begin(d, dir, NULL), 0);
	for (int i = 0; i < IMAGE_PARTS; i++)
		assert_int_equal(write_all(d->fds[i], text, strlen(text)), 0);
}

static void save(const char *text)
{
	_cleanup_image_ struct image_dir d = IMAGE_DIR_INIT;

	fill(&d, text);
	assert_int_equal(image_dir_commit(&d, NULL, NULL), 0);
}

static void assert_image(const char *text)
{
	_cleanup_image_ struct image_dir d = IMAGE_DIR_INIT;

	assert_int_equal(image_dir_open(&d, dir, NULL, NULL), 0);
	for (int i = 0; i < IMAGE_PARTS; i++) {
		_cleanup_free_ char *got = NULL;

		assert_int_equal(read_fd_all(d.fds[i], 100, &got, NULL), 0);
		assert_string_equal(got, text);
	}
}

static int nr_files(void)
{
	DIR *d = opendir(dir);
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void replaces_as_a_whole(void **state)
{
	save("one");
	assert_image("one");
	save("two");
	assert_image("two");
	save("two");
	assert_image("two");
	assert_int_equal(nr_files(), IMAGE_PARTS);
}

static void abandoned_leaves_the_earlier(void **state)
{
	_cleanup_image_ struct image_dir d = IMAGE_DIR_INIT;

	save("one");
	fill(&d, "two");
	assert_image("one");
	image_dir_done(&d);
	assert_image("one");
	assert_int_equal(nr_files(), IMAGE_PARTS);
}

/* A crash between the renames of the parts and that of the manifest; then what it left is removed by the next commit. */
static void crash_before_the_manifest(void **state)
{
	char path[128];

	save("one");
	for (int i = 0; i < 3; i++) {
		static const char *const stem[] = { "kernel", "index", ".pages.123.tmp" };

		(void)snprintf(path, sizeof(path), "%s/%s%s", dir, stem[i], i < 2 ? "-0123456789abcdef0123456789abcdef.img" : "");
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	assert_image("one");
	save("two");
	assert_image("two");
	assert_int_equal(nr_files(), IMAGE_PARTS);
}

static void missing_is_one_error(void **state)
{
	_cleanup_image_ struct image_dir d = IMAGE_DIR_INIT;
	_cleanup_error_ struct error *err = NULL;

	assert_int_equal(image_dir_open(&d, dir, NULL, &err), -ENOENT);
	assert_non_null(strstr(error_text(err), "no complete image"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(replaces_as_a_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(abandoned_leaves_the_earlier, setup, teardown),
		cmocka_unit_test_setup_teardown(crash_before_the_manifest, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_is_one_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
