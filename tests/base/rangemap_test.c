/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations on a range map of tagged cells, compared after each step with a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rangemap.h"

#define CELLS 400

struct node {
	struct range r;
	int tag; /* value of the first cell; the following count on */
	bool steady; /* all cells have the same value */
};

static struct range *t_split(struct rangemap *m, struct range *r, uint64_t at)
{
	struct node *n = container_of(r, struct node, r), *hi = calloc(1, sizeof(*hi));

	hi->steady = n->steady;
	hi->tag = n->steady ? n->tag : n->tag + (int)(at - r->start);
	return &hi->r;
}

static bool t_can_merge(const struct range *a, const struct range *b)
{
	const struct node *x = container_of(a, struct node, r), *y = container_of(b, struct node, r);

	return x->steady == y->steady && (x->steady ? x->tag : x->tag + (int)(a->end - a->start)) == y->tag;
}

static void t_free(struct rangemap *m, struct range *r)
{
	free(container_of(r, struct node, r));
}

static const struct rangemap_ops t_ops = { t_split, t_can_merge, t_free };

static void check(struct rangemap *m, const int *model)
{
	uint64_t at = 0, total = 0;
	size_t n = 0;
	struct range *prev = NULL;

	for (struct range *r = m->first; r; prev = r, r = r->next) {
		struct node *x = container_of(r, struct node, r);

		assert_ptr_equal(r->prev, prev);
		assert_true(r->start < r->end && r->start >= at && r->end <= CELLS);
		for (; at < r->start; at++)
			assert_int_equal(model[at], 0);
		for (; at < r->end; at++) {
			assert_int_equal(model[at], x->steady ? x->tag : x->tag + (int)(at - r->start));
			assert_ptr_equal(rangemap_find(m, at), r);
		}
		total += r->end - r->start;
		n++;
	}
	for (; at < CELLS; at++)
		assert_int_equal(model[at], 0);
	assert_int_equal(m->nr, n);
	assert_int_equal(m->total, total);
	assert_ptr_equal(m->last, prev);
}

static bool model_gap(const int *model, uint64_t lo, uint64_t hi, uint64_t len, uint64_t align, bool down, uint64_t *ret)
{
	bool found = false;

	for (uint64_t a = 0; a + len <= hi; a += align) {
		bool ok = a >= lo;

		for (uint64_t i = a; ok && i < a + len; i++)
			ok = !model[i];
		if (ok) {
			*ret = a;
			found = true;
			if (!down)
				return true;
		}
	}
	return found;
}

static void random_against_model(void **state)
{
	struct rangemap m;
	int model[CELLS] = { 0 };

	srand(7);
	rangemap_init(&m, &t_ops);
	for (int step = 0; step < 30000; step++) {
		uint64_t a = (uint64_t)(rand() % CELLS), b = a + 1 + (uint64_t)(rand() % 40), x = 0, y = 0;
		struct range *r, *next;

		b = MIN(b, (uint64_t)CELLS);
		switch (rand() % 3) {
		case 0: /* replace */
		case 1: /* remove */
			assert_int_equal(rangemap_isolate(&m, a, b), 0);
			for (r = rangemap_first_in(&m, a, b); r && r->start < b; r = next) {
				next = r->next;
				rangemap_remove(&m, r);
				t_free(&m, r);
			}
			memset(model + a, 0, (b - a) * sizeof(int));
			if (rand() % 2) {
				struct node *n = calloc(1, sizeof(*n)), clash = { .r = { .start = a, .end = b } };

				n->r.start = a;
				n->r.end = b;
				n->steady = rand() % 2;
				n->tag = 1 + rand() % 3;
				for (uint64_t i = a; i < b; i++)
					model[i] = n->steady ? n->tag : n->tag + (int)(i - a);
				assert_true(rangemap_insert(&m, &n->r));
				assert_false(rangemap_insert(&m, &clash.r));
				if (rand() % 2)
					(void)rangemap_merge(&m, &n->r);
			}
			break;
		default:
			rangemap_merge_in(&m, a, b);
		}
		check(&m, model);
		{
			uint64_t lo = (uint64_t)(rand() % CELLS), hi = lo + (uint64_t)rand() % (CELLS - lo + 1);
			uint64_t len = 1 + (uint64_t)(rand() % 30), align = 1u << rand() % 4;
			bool covered = true;

			assert_int_equal(rangemap_gap_up(&m, lo, hi, len, align, &x), model_gap(model, lo, hi, len, align, false, &y));
			assert_int_equal(x, y);
			x = y = 0;
			assert_int_equal(rangemap_gap_down(&m, lo, hi, len, align, &x), model_gap(model, lo, hi, len, align, true, &y));
			assert_int_equal(x, y);
			for (uint64_t i = a; i < b; i++)
				covered &= model[i] != 0;
			assert_int_equal(rangemap_covers(&m, a, b), covered);
		}
	}
	while (m.first) {
		struct range *r = m.first;

		rangemap_remove(&m, r);
		t_free(&m, r);
	}
	assert_null(m.root);
}

static void extremes(void **state)
{
	struct rangemap m;
	struct range hi = { .start = UINT64_MAX - 10, .end = UINT64_MAX }, empty = { .start = 5, .end = 5 };
	uint64_t r;

	rangemap_init(&m, NULL);
	assert_false(rangemap_insert(&m, &empty));
	assert_true(rangemap_insert(&m, &hi));
	assert_false(rangemap_gap_up(&m, UINT64_MAX - 5, UINT64_MAX, 4096, 4096, &r));
	assert_false(rangemap_gap_up(&m, 0, UINT64_MAX, UINT64_MAX, 4096, &r));
	assert_false(rangemap_gap_down(&m, 0, 4096, UINT64_MAX, 4096, &r));
	assert_true(rangemap_gap_down(&m, 0, UINT64_MAX, 4096, 4096, &r));
	assert_true(r + 4096 <= hi.start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_against_model),
		cmocka_unit_test(extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
