/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "state/crc32c.h"
#include "state/stream.h"
#include "state/working_set.h"

static struct working_set_run runs[] = { { 0, 1 }, { 2, 5 }, { 1u << 20, 300 } };
static const struct working_set sample = { runs, 3 };

static void round_trip(void **state)
{
	int fd = memfd_create("ws", 0);
	struct working_set ws;

	assert_int_equal(working_set_read(fd, &ws), -ENODATA);
	for (uint32_t n = 4; n-- > 0;) {
		struct working_set w = { runs, n };

		/* A shorter one replaces a longer one. */
		assert_int_equal(working_set_write(fd, &w), 0);
		assert_int_equal(working_set_read(fd, &ws), 0);
		assert_int_equal(ws.nr, n);
		for (uint32_t i = 0; i < n; i++)
			assert_true(ws.runs[i].page == runs[i].page && ws.runs[i].npages == runs[i].npages);
		working_set_done(&ws);
	}
	close(fd);
}

/* Every bit flipped, every length: refused. */
static void hostile(void **state)
{
	unsigned char good[256], bad[256];
	int fd = memfd_create("ws", 0);
	struct working_set ws;
	ssize_t n;

	assert_int_equal(working_set_write(fd, &sample), 0);
	n = pread(fd, good, sizeof(good), 0);
	assert_true(n > 24 && n < (ssize_t)sizeof(good));
	for (ssize_t bit = 0; bit < n * 8; bit++) {
		memcpy(bad, good, (size_t)n);
		bad[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_int_equal(pwrite_full(fd, bad, (size_t)n, 0), 0);
		assert_int_equal(working_set_read(fd, &ws), -EINVAL);
	}
	assert_int_equal(pwrite_full(fd, good, (size_t)n, 0), 0);
	for (ssize_t len = n + 1; len-- > 0;) {
		assert_int_equal(ftruncate(fd, len), 0);
		assert_int_equal(working_set_read(fd, &ws), len == n ? 0 : len < 24 ? -ENODATA : -EINVAL);
		working_set_done(&ws);
	}
	close(fd);
}

/* Right checksums over wrong runs. */
static void impossible_runs(void **state)
{
	static struct working_set_run bad[][2] = {
		{ { 5, 0 }, { 9, 1 } }, { { 5, 2 }, { 6, 1 } }, { { 5, 2 }, { 7, 1 } }, { { 5, 1 }, { 1, 1 } }, { { 5, 1 }, { UINT64_MAX, 9 } },
	};
	int fd = memfd_create("ws", 0);
	struct working_set ws;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(working_set_write(fd, &(struct working_set){ bad[i], 2 }), 0);
		assert_int_equal(working_set_read(fd, &ws), -EINVAL);
		assert_null(ws.runs);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(hostile),
		cmocka_unit_test(impossible_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
