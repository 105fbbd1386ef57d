/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "sentry/mm/memfile.h"
#include "state/pages.h"

static void alloc_is_zero_and_dense(void **state)
{
	struct memfile *mf;
	uint64_t a, b, c;

	assert_int_equal(memfile_new(&mf), 0);
	assert_int_equal(memfile_alloc(mf, 65536, false, &a), 0);
	assert_int_equal(memfile_alloc(mf, 4096, false, &b), 0);
	memset(memfile_ptr(mf, a, 65536), 1, 65536);
	assert_true(memfile_exclusive(mf, a, 65536));
	memfile_ref(mf, a + 4096, 4096);
	assert_false(memfile_exclusive(mf, a, 65536));
	assert_true(memfile_exclusive(mf, a, 4096));
	memfile_unref(mf, a, 65536);
	assert_int_equal(memfile_used(mf), 8192);
	assert_int_equal(*(char *)memfile_ptr(mf, a + 4096, 1), 1);
	assert_int_equal(memfile_alloc(mf, 4096, false, &c), 0);
	assert_int_equal(c, a);
	assert_int_equal(*(char *)memfile_ptr(mf, c, 1), 0);
	memfile_unref(mf, c, 4096);
	memfile_unref(mf, a + 4096, 4096);
	memfile_unref(mf, b, 4096);
	assert_int_equal(memfile_used(mf), 0);
	assert_int_equal(memfile_committed(mf), 0);
	assert_int_equal(memfile_alloc(mf, 0, false, &a), -ENOMEM);
	assert_int_equal(memfile_alloc(mf, UINT64_MAX - 4095, false, &a), -ENOMEM);
	memfile_set_limit(mf, 8192);
	assert_int_equal(memfile_alloc(mf, 12288, false, &a), -ENOMEM);
	memfile_free(mf);
}

/* Random references against a plain array of counts. */
static void counts_against_model(void **state)
{
	enum { N = 200 };
	struct memfile *mf;
	int refs[N] = { 0 };
	uint64_t base;

	srand(3);
	assert_int_equal(memfile_new(&mf), 0);
	assert_int_equal(memfile_alloc(mf, N * 4096, false, &base), 0);
	for (int i = 0; i < N; i++) {
		refs[i] = 1;
		memset(memfile_ptr(mf, base + (uint64_t)i * 4096, 4096), 7, 4096);
	}
	for (int step = 0; step < 20000; step++) {
		int a = rand() % N, n = 1 + rand() % 12, min = 1 << 30, max = 0, used = 0;
		uint64_t off = base + (uint64_t)a * 4096;

		n = n < N - a ? n : N - a;
		for (int i = a; i < a + n; i++) {
			min = refs[i] < min ? refs[i] : min;
			max = refs[i] > max ? refs[i] : max;
		}
		if (min == 0)
			continue;
		assert_int_equal(memfile_exclusive(mf, off, (uint64_t)n * 4096), max == 1);
		if (rand() % 2 && max < 50) {
			memfile_ref(mf, off, (uint64_t)n * 4096);
			for (int i = a; i < a + n; i++)
				refs[i]++;
		} else {
			memfile_unref(mf, off, (uint64_t)n * 4096);
			for (int i = a; i < a + n; i++)
				refs[i]--;
		}
		for (int i = 0; i < N; i++)
			used += refs[i] > 0;
		assert_int_equal(memfile_used(mf), used * 4096);
		assert_int_equal(memfile_committed(mf), used * 4096);
	}
	memfile_free(mf);
}

/*
 * Threads that drop overlapping ranges at the same moment, as relatives do when they exit together. Whoever is last frees a page, and
 * only once: a page that is given out must be zero, and stay its owner's.
 */
enum { SHARE_PAGES = 24, SHARE_ROUNDS = 500, SHARE_THREADS = 3 };

struct sharers {
	struct memfile *mf;
	pthread_barrier_t start, end;
	uint64_t off;
	_Atomic int bad;
};

struct sharer {
	struct sharers *s;
	int nr;
};

static void own_pages(struct sharers *s, char mark, bool warm)
{
	uint64_t off[4];

	for (int i = 0; i < 4; i++) {
		char *p;

		if (!warm || memfile_alloc_warm(s->mf, 4 * 4096, &off[i]) < 0)
			s->bad += memfile_alloc(s->mf, 4 * 4096, false, &off[i]) < 0;
		p = memfile_ptr(s->mf, off[i], 4 * 4096);
		for (int k = 0; k < 4 * 4096; k += 512)
			s->bad += p[k] != 0;
		memset(p, mark, 4 * 4096);
	}
	for (int i = 0; i < 4; i++) {
		const char *p = memfile_ptr(s->mf, off[i], 4 * 4096);

		for (int k = 0; k < 4 * 4096; k += 512)
			s->bad += p[k] != mark;
		memfile_unref(s->mf, off[i], 4 * 4096);
	}
}

static void *share(void *arg)
{
	const struct sharer *me = arg;
	struct sharers *s = me->s;

	for (int i = 0; i < SHARE_ROUNDS; i++) {
		/* The first has it all; the others every second or third piece of four pages. */
		pthread_barrier_wait(&s->start);
		if (me->nr == 0)
			memfile_unref(s->mf, s->off, SHARE_PAGES * 4096);
		for (int at = 0; me->nr && at + 4 <= SHARE_PAGES; at += 4 * (me->nr + 1))
			memfile_unref(s->mf, s->off + (uint64_t)at * 4096, 4 * 4096);
		own_pages(s, (char)(me->nr + 1), i & 1);
		pthread_barrier_wait(&s->end);
	}
	return NULL;
}

static void freed_once(void **state)
{
	for (uint64_t keep = 0; keep <= 1 << 20; keep += 1 << 20) {
		struct sharers s = { .off = 0 };
		struct sharer who[SHARE_THREADS];
		pthread_t th[SHARE_THREADS];

		assert_int_equal(memfile_new(&s.mf), 0);
		memfile_keep_freed(s.mf, keep);
		assert_int_equal(pthread_barrier_init(&s.start, NULL, SHARE_THREADS + 1), 0);
		assert_int_equal(pthread_barrier_init(&s.end, NULL, SHARE_THREADS + 1), 0);
		for (int i = 0; i < SHARE_THREADS; i++) {
			who[i] = (struct sharer){ &s, i };
			assert_int_equal(pthread_create(&th[i], NULL, share, &who[i]), 0);
		}
		for (int i = 0; i < SHARE_ROUNDS; i++) {
			assert_int_equal(memfile_alloc(s.mf, SHARE_PAGES * 4096, false, &s.off), 0);
			memset(memfile_ptr(s.mf, s.off, SHARE_PAGES * 4096), 9, SHARE_PAGES * 4096);
			for (int nr = 1; nr < SHARE_THREADS; nr++)
				for (int at = 0; at + 4 <= SHARE_PAGES; at += 4 * (nr + 1))
					memfile_ref(s.mf, s.off + (uint64_t)at * 4096, 4 * 4096);
			pthread_barrier_wait(&s.start);
			pthread_barrier_wait(&s.end);
		}
		for (int i = 0; i < SHARE_THREADS; i++)
			assert_int_equal(pthread_join(th[i], NULL), 0);
		assert_int_equal(s.bad, 0);
		assert_int_equal(memfile_used(s.mf), 0);
		assert_int_equal(memfile_committed(s.mf), 0);
		pthread_barrier_destroy(&s.start);
		pthread_barrier_destroy(&s.end);
		memfile_free(s.mf);
	}
}

static void copy_keeps_holes(void **state)
{
	struct memfile *mf;
	uint64_t a, b;

	assert_int_equal(memfile_new(&mf), 0);
	assert_int_equal(memfile_alloc(mf, 1 << 20, false, &a), 0);
	assert_int_equal(memfile_alloc(mf, 1 << 20, false, &b), 0);
	assert_int_equal(memfile_copy(mf, b, a, 1 << 20), 0);
	assert_int_equal(memfile_committed(mf), 0);
	assert_true(memfile_is_hole(mf, a, 1 << 20));
	strcpy(memfile_ptr(mf, a + 5000, 10), "hello");
	assert_false(memfile_is_hole(mf, a, 1 << 20));
	assert_int_equal(memfile_resident(mf, a, 1 << 20), 4096);
	assert_int_equal(memfile_copy(mf, b, a, 1 << 20), 0);
	assert_string_equal(memfile_ptr(mf, b + 5000, 10), "hello");
	memfile_decommit(mf, b, 1 << 20);
	assert_int_equal(*(char *)memfile_ptr(mf, b + 5000, 1), 0);
	memfile_free(mf);
}

/* Save, load lazily, save the half-loaded one, load again. */
static void lazy_restore(void **state)
{
	struct memfile *mf;
	uint64_t a, b;

	assert_int_equal(memfile_new(&mf), 0);
	assert_int_equal(memfile_alloc(mf, 4 << 20, false, &a), 0);
	assert_int_equal(memfile_alloc(mf, 1 << 20, false, &b), 0);
	for (uint64_t i = 0; i < 4 << 20; i += 8192)
		*(uint64_t *)memfile_ptr(mf, a + i, 8) = i + 1;
	*(uint64_t *)memfile_ptr(mf, b, 8) = 77;
	for (int round = 0; round < 2; round++) {
		int idx = memfd_create("idx", 0), pages = memfd_create("pages", 0);
		struct pages_writer *pw;
		struct pages_reader *pr;
		struct pages_stats st;

		assert_int_equal(pages_writer_new(idx, pages, round, 2, &pw, NULL), 0);
		assert_int_equal(memfile_save_pages(mf, pw, false), 0);
		assert_int_equal(pages_writer_finish(pw, &st, NULL), 0);
		pages_writer_free(pw);
		assert_int_equal(st.pages_stored, 513);
		memfile_free(mf);
		assert_int_equal(memfile_new(&mf), 0);
		assert_int_equal(memfile_adopt(mf, a, 4 << 20), 0);
		assert_int_equal(memfile_adopt(mf, b, 1 << 20), 0);
		assert_int_equal(memfile_adopt(mf, b, 4096), 0);
		assert_int_equal(memfile_adopt(mf, 1, 4096), -EINVAL);
		assert_int_equal(memfile_adopt(mf, UINT64_MAX - 4095, 4096), -EINVAL);
		assert_int_equal(lseek(idx, 0, SEEK_SET), 0);
		assert_int_equal(pages_reader_open(idx, pages, &pr, NULL), 0);
		assert_int_equal(memfile_attach_pages(mf, pr, pages), 0);
		close(idx);
		assert_int_equal(memfile_absent(mf), 513 * 4096);
		assert_int_equal(memfile_committed(mf), 0);
		assert_int_equal(*(uint64_t *)memfile_ptr(mf, a + (1 << 20), 8), (1 << 20) + 1);
		assert_true(memfile_absent(mf) < 513 * 4096 && memfile_absent(mf) > 256 * 4096);
		/* Dropping what was never loaded. */
		memfile_decommit(mf, a + (3 << 20), 1 << 20);
		assert_int_equal(*(uint64_t *)memfile_ptr(mf, a + (3 << 20), 8), 0);
		for (uint64_t i = 0; i < 1 << 20; i += 8192)
			*(uint64_t *)memfile_ptr(mf, a + (3 << 20) + i, 8) = (3 << 20) + i + 1;
	}
	for (uint64_t i = 0; i < 4 << 20; i += 4096)
		assert_int_equal(*(uint64_t *)memfile_ptr(mf, a + i, 8), i % 8192 ? 0 : i + 1);
	memfile_unref(mf, b, 4096);
	assert_int_equal(*(uint64_t *)memfile_ptr(mf, b, 8), 77);
	assert_true(memfile_exclusive(mf, b, 1 << 20));
	assert_int_equal(memfile_ensure_all(mf), 0);
	assert_int_equal(memfile_absent(mf), 0);
	memfile_free(mf);
}

static void unref_many_counts_each(void **state)
{
	struct memfile_piece v[5];
	struct memfile *mf;
	uint64_t a;

	assert_int_equal(memfile_new(&mf), 0);
	assert_int_equal(memfile_alloc(mf, 16 * 4096, false, &a), 0);
	memset(memfile_ptr(mf, a, 16 * 4096), 1, 16 * 4096);
	memfile_ref(mf, a + 2 * 4096, 2 * 4096);
	/* Unsorted, adjacent, with a gap, and one piece twice because it has two references. */
	v[0] = (struct memfile_piece){ a + 8 * 4096, 4 * 4096 };
	v[1] = (struct memfile_piece){ a + 2 * 4096, 2 * 4096 };
	v[2] = (struct memfile_piece){ a, 2 * 4096 };
	v[3] = (struct memfile_piece){ a + 2 * 4096, 2 * 4096 };
	v[4] = (struct memfile_piece){ a + 12 * 4096, 4096 };
	memfile_unref_many(mf, v, 5);
	assert_int_equal(memfile_used(mf), 7 * 4096);
	assert_int_equal(memfile_committed(mf), 7 * 4096);
	assert_int_equal(*(char *)memfile_ptr(mf, a + 4 * 4096, 1), 1);
	assert_int_equal(*(char *)memfile_ptr(mf, a + 13 * 4096, 1), 1);
	memfile_unref_many(mf, v, 0);
	v[0] = (struct memfile_piece){ a + 4 * 4096, 4 * 4096 };
	v[1] = (struct memfile_piece){ a + 13 * 4096, 3 * 4096 };
	memfile_unref_many(mf, v, 2);
	assert_int_equal(memfile_used(mf), 0);
	assert_int_equal(memfile_committed(mf), 0);
	memfile_free(mf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alloc_is_zero_and_dense),
		cmocka_unit_test(unref_many_counts_each),
		cmocka_unit_test(counts_against_model),
		cmocka_unit_test(freed_once),
		cmocka_unit_test(copy_keeps_holes),
		cmocka_unit_test(lazy_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
