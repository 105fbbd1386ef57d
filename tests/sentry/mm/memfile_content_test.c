/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content of the memory file against a model, which knows one number per page: what an application would see that follows the rules of
 * memfile.h (map what memfile_show() says, call memfile_own() before it writes), whatever is in the image, clean, or being saved.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "sentry/mm/memfile.h"
#include "state/pages.h"

enum { N = 512 };

struct model {
	struct memfile *mf;
	uint64_t base;
	uint32_t page[N]; /* 0: zeroes */
	uint32_t next;
};

static uint32_t pick(uint32_t n)
{
	return (uint32_t)rand() % n;
}

static uint64_t off_of(const struct model *m, uint32_t i)
{
	return m->base + (uint64_t)i * PAGE_SIZE;
}

/* What is mapped around page @i lies in [*@lo, *@hi): small pieces of it, or much. */
static void mapping(uint32_t i, uint32_t *lo, uint32_t *hi)
{
	uint32_t most = pick(2) ? 8 : N;

	*lo = i - pick(MIN(i, most) + 1);
	*hi = i + 1 + pick(MIN(N - i, most));
}

/* The last word of a page as the application sees it. */
static uint32_t seen(const struct model *m, uint32_t i)
{
	uint32_t lo, hi, v = 0;
	struct memfile_show s;

	mapping(i, &lo, &hi);
	assert_int_equal(memfile_show(m->mf, off_of(m, i), off_of(m, lo), off_of(m, hi), true, &s), 0);
	assert_true(s.start >= off_of(m, lo) && s.start <= off_of(m, i) && s.end > off_of(m, i) && s.end <= off_of(m, hi));
	/* All of what would be mapped is right. */
	for (uint64_t at = s.start; at < s.end; at += PAGE_SIZE) {
		uint32_t w;

		assert_int_equal(pread(s.fd, &w, 4, (off_t)(s.fd_off + (at - s.start) + PAGE_SIZE - 4)), 4);
		assert_int_equal(w, m->page[(at - m->base) / PAGE_SIZE]);
		if (at == off_of(m, i))
			v = w;
	}
	return v;
}

static void write_page(struct model *m, uint32_t i)
{
	uint32_t lo, hi;
	uint64_t phase = off_of(m, i) + (uint64_t)pick(64) * PAGE_SIZE;
	struct memfile_owned o;
	struct memfile_show s;

	mapping(i, &lo, &hi);
	assert_int_equal(memfile_own(m->mf, off_of(m, i), off_of(m, lo), off_of(m, hi), phase, &o), 0);
	if (o.end)
		assert_true(o.start >= off_of(m, lo) && o.start <= off_of(m, i) && o.end > off_of(m, i) && o.end <= off_of(m, hi));
	assert_int_equal(memfile_show(m->mf, off_of(m, i), off_of(m, lo), off_of(m, hi), true, &s), 0);
	assert_true(s.writable && !s.image);
	m->page[i] = ++m->next;
	assert_int_equal(pwrite(s.fd, &m->page[i], 4, (off_t)(s.fd_off + (off_of(m, i) - s.start) + PAGE_SIZE - 4)), 4);
}

static void step(struct model *m)
{
	uint32_t i = pick(N), n = 1 + pick(pick(8) ? 4 : 64);
	uint64_t len, copy;

	n = MIN(n, N - i);
	switch (pick(7)) {
	case 0: /* upwards, as programs walk */
		for (; n; n--, i++)
			write_page(m, i);
		break;
	case 1: /* reads, and writes what follows */
		for (; n; n--, i++)
			assert_int_equal(seen(m, i), m->page[i]);
		if (i < N)
			write_page(m, i);
		break;
	case 2:
		for (uint32_t k = 0; k < n;) {
			const char *p;

			len = (uint64_t)(n - k) * PAGE_SIZE;
			p = memfile_look(m->mf, off_of(m, i + k), &len);
			assert_true(p && len && len % PAGE_SIZE == 0);
			for (uint64_t at = 0; at < len; at += PAGE_SIZE, k++)
				assert_int_equal(*(const uint32_t *)(p + at + PAGE_SIZE - 4), m->page[i + k]);
		}
		break;
	case 3:
		*(uint32_t *)((char *)memfile_ptr(m->mf, off_of(m, i), PAGE_SIZE) + PAGE_SIZE - 4) = m->page[i] = ++m->next;
		break;
	case 4:
		memfile_decommit(m->mf, off_of(m, i), (uint64_t)n * PAGE_SIZE);
		memset(m->page + i, 0, n * sizeof(m->page[0]));
		break;
	case 5:
		assert_int_equal(memfile_alloc(m->mf, (uint64_t)n * PAGE_SIZE, false, &copy), 0);
		assert_int_equal(memfile_copy(m->mf, copy, off_of(m, i), (uint64_t)n * PAGE_SIZE), 0);
		for (uint32_t k = 0; k < n; k++)
			assert_int_equal(((uint32_t *)memfile_ptr(m->mf, copy + k * PAGE_SIZE, PAGE_SIZE))[PAGE_SIZE / 4 - 1], m->page[i + k]);
		memfile_unref(m->mf, copy, (uint64_t)n * PAGE_SIZE);
		break;
	default:
		assert_int_equal(memfile_ensure(m->mf, off_of(m, i), (uint64_t)n * PAGE_SIZE), 0);
	}
}

/* Into an image of its own, or one that is a change of @parent, with whatever happens meanwhile if the application runs on; and what the
 * image says. */
static struct pages_reader *save(struct model *m, int level, bool frozen, struct pages_reader *parent, int *ret_fd)
{
	int idx = memfd_create("idx", 0), pages = memfd_create("pages", 0);
	uint32_t was[N], buf[PAGE_SIZE / 4];
	struct memfile_snapshot *s;
	struct pages_writer *pw;
	struct pages_reader *pr;
	struct pages_stats st;

	assert_int_equal(pages_writer_new(idx, pages, level, 2, &pw, NULL), 0);
	memcpy(was, m->page, sizeof(was));
	if (frozen) {
		assert_int_equal(memfile_save_pages(m->mf, pw, parent != NULL), 0);
	} else {
		for (uint32_t k = pick(3); k > 0; k--) {
			uint32_t lo, hi;

			mapping(pick(N), &lo, &hi);
			memfile_expect_snapshot(m->mf, off_of(m, lo), (uint64_t)(hi - lo) * PAGE_SIZE, pick(2));
			step(m);
		}
		memcpy(was, m->page, sizeof(was));
		assert_int_equal(memfile_snapshot_begin(m->mf, false, &s), 0);
		for (int k = 0; k < 30; k++)
			step(m);
		assert_int_equal(memfile_snapshot_write(s, pw), 0);
		memfile_snapshot_end(s);
	}
	assert_int_equal(pages_writer_finish(pw, &st, NULL), 0);
	pages_writer_free(pw);
	assert_int_equal(pages_reader_open_layer(idx, pages, parent, &pr, NULL), 0);
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(pages_read(pr, off_of(m, i) / PAGE_SIZE, 1, buf), 0);
		assert_int_equal(buf[PAGE_SIZE / 4 - 1], was[i]);
	}
	close(idx);
	*ret_fd = pages;
	return pr;
}

static void against_model(void **state)
{
	struct model m = { 0 };
	int old_parent = -1;

	srand(11);
	assert_int_equal(memfile_new(&m.mf), 0);
	assert_int_equal(memfile_alloc(m.mf, (uint64_t)N * PAGE_SIZE, false, &m.base), 0);
	for (int round = 0; round < 400; round++) {
		struct pages_reader *pr = NULL;
		int fd, parent_fd = -1;

		for (int k = 0; k < 20; k++)
			step(&m);
		if (pick(3) == 0) {
			pr = save(&m, (int)pick(2), false, NULL, &fd);
			pages_reader_free(pr);
			close(fd);
			continue;
		}
		if (pick(2)) {
			pr = save(&m, (int)pick(2), false, NULL, &parent_fd);
			for (uint32_t k = pick(20); k > 0; k--)
				step(&m);
		}
		pr = save(&m, pick(4) == 0, true, pr, &fd);
		memfile_free(m.mf);
		if (old_parent >= 0)
			close(old_parent);
		old_parent = parent_fd;
		assert_int_equal(memfile_new(&m.mf), 0);
		assert_int_equal(memfile_adopt(m.mf, m.base, (uint64_t)N * PAGE_SIZE), 0);
		assert_int_equal(memfile_attach_pages(m.mf, pr, fd), 0);
	}
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(seen(&m, i), m.page[i]);
	memfile_free(m.mf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
