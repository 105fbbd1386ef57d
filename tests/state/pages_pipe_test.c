/* SPDX-License-Identifier: Apache-2.0 */
/* The page store written into pipes: the same bytes in order, and an error when the reader goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "state/pages.h"
#include "state/stream.h"

#define N 4000

struct drain {
	int from, to;
	size_t stop_after;
};

static void *drain(void *arg)
{
	static _Thread_local unsigned char buf[10000];
	struct drain *d = arg;
	size_t done = 0;
	ssize_t n;

	while (done < d->stop_after && (n = read(d->from, buf, sizeof(buf))) > 0) {
		if (write(d->to, buf, (size_t)n) != n)
			abort();
		done += (size_t)n;
	}
	(void)close(d->from);
	return NULL;
}

static unsigned char *content(void)
{
	unsigned char *p = mmap(NULL, N * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t x = 88172645463325252ull;

	assert_ptr_not_equal(p, MAP_FAILED);
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; i % 7 && k < PAGE_SIZE / (i % 3 ? 1 : 64); k += 8) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			put_le64(p + i * PAGE_SIZE + k, x);
		}
	return p;
}

static int temp(void)
{
	int fd = memfd_create("pages", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int store(const void *mem, int idx, int img, int level)
{
	struct pages_writer *pw;
	int r = pages_writer_new(idx, img, level, 2, &pw, NULL);

	if (r < 0)
		return r;
	(void)!pages_writer_add(pw, 3, mem, N);
	r = pages_writer_finish(pw, NULL, NULL);
	pages_writer_free(pw);
	return r;
}

static void same(int a, int b)
{
	struct stat sa, sb;
	void *x, *y;

	assert_int_equal(fstat(a, &sa) | fstat(b, &sb), 0);
	assert_int_equal(sa.st_size, sb.st_size);
	x = mmap(NULL, (size_t)sa.st_size, PROT_READ, MAP_SHARED, a, 0);
	y = mmap(NULL, (size_t)sa.st_size, PROT_READ, MAP_SHARED, b, 0);
	assert_memory_equal(x, y, sa.st_size);
	munmap(x, (size_t)sa.st_size);
	munmap(y, (size_t)sa.st_size);
}

static void same_bytes(void **state)
{
	unsigned char *mem = content();

	for (int level = 0; level <= 1; level++) {
		int file[2] = { temp(), temp() }, got[2] = { temp(), temp() }, p[2][2];
		struct drain d[2];
		pthread_t th[2];

		assert_int_equal(store(mem, file[0], file[1], level), 0);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(pipe2(p[i], O_CLOEXEC), 0);
			d[i] = (struct drain){ p[i][0], got[i], SIZE_MAX };
			assert_int_equal(pthread_create(&th[i], NULL, drain, &d[i]), 0);
		}
		assert_int_equal(store(mem, p[0][1], p[1][1], level), 0);
		for (int i = 0; i < 2; i++) {
			close(p[i][1]);
			pthread_join(th[i], NULL);
			same(file[i], got[i]);
			close(file[i]);
			close(got[i]);
		}
	}
	munmap(mem, N * PAGE_SIZE);
}

static void reader_goes(void **state)
{
	unsigned char *mem = content();
	const size_t stops[] = { 0, 1, 100000, 5000000 };

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(stops); i++) {
		int idx = temp(), null = open("/dev/null", O_WRONLY | O_CLOEXEC), p[2];
		struct drain d;
		pthread_t th;

		assert_int_equal(pipe2(p, O_CLOEXEC), 0);
		d = (struct drain){ p[0], null, stops[i] };
		assert_int_equal(pthread_create(&th, NULL, drain, &d), 0);
		assert_int_equal(store(mem, idx, p[1], 0), -EPIPE);
		pthread_join(th, NULL);
		close(p[1]);
		close(idx);
		close(null);
	}
	munmap(mem, N * PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(same_bytes), cmocka_unit_test(reader_goes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
