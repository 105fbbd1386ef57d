/* SPDX-License-Identifier: Apache-2.0 */
/* Page stores with parents: chains of random changes read back, by copy, by view and flattened; damage and hostile indexes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "state/crc32c.h"
#include "state/pages.h"
#include "state/pages_format.h"

#define PAGES 3000ul
#define BASE 50ul /* first file page */

static uint64_t seed = 11;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static int temp(void)
{
	int fd = memfd_create("layer", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

struct layer {
	int idx, img;
	struct pages_stats st;
};

/* Changes random runs of @mem: @changed gets a byte per page. */
static void change(unsigned char *mem, unsigned char *changed, int runs)
{
	memset(changed, 0, PAGES);
	for (int i = 0; i < runs; i++) {
		size_t at = rnd() % PAGES, n = MIN(1 + rnd() % 90, PAGES - at);
		bool zero = rnd() % 4 == 0;

		for (size_t k = at; k < at + n; k++) {
			uint64_t *w = (uint64_t *)(mem + k * PAGE_SIZE);

			changed[k] = 1;
			for (size_t j = 0; j < PAGE_SIZE / 8; j++)
				w[j] = zero ? 0 : j % 3 ? rnd() : k;
		}
	}
}

static void write_layer(struct layer *l, const unsigned char *mem, const unsigned char *changed, int level, bool copy)
{
	struct pages_writer *pw;
	size_t k = 0;

	l->idx = temp();
	l->img = temp();
	assert_int_equal(pages_writer_new(l->idx, l->img, level, 1, &pw, NULL), 0);
	while (k < PAGES) {
		size_t n = 1;

		while (k + n < PAGES && changed[k + n] == changed[k])
			n++;
		if (!changed[k]) {
			assert_int_equal(pages_writer_inherit(pw, BASE + k, n), 0);
		} else if (copy) {
			unsigned char *tmp = malloc(n * PAGE_SIZE);

			memcpy(tmp, mem + k * PAGE_SIZE, n * PAGE_SIZE);
			assert_int_equal(pages_writer_add_copy(pw, BASE + k, tmp, n), 0);
			memset(tmp, 0xee, n * PAGE_SIZE);
			free(tmp);
		} else {
			assert_int_equal(pages_writer_add(pw, BASE + k, mem + k * PAGE_SIZE, n), 0);
		}
		k += n;
	}
	assert_int_equal(pages_writer_finish(pw, &l->st, NULL), 0);
	pages_writer_free(pw);
}

static struct pages_reader *open_chain(struct layer *l, int n)
{
	struct pages_reader *pr = NULL, *up = NULL;

	for (int i = 0; i < n; i++, up = pr)
		assert_int_equal(pages_reader_open_layer(l[i].idx, l[i].img, up, &pr, NULL), 0);
	return pr;
}

static void check_views(struct pages_reader *pr, const unsigned char *mem)
{
	struct pages_run run;

	for (uint64_t at = 0; pages_reader_run_at(pr, at, &run);) {
		struct pages_view v;
		int r = pages_view(pr, run.file_page, run.npages, &v);
		unsigned char page[PAGE_SIZE];

		if (r == -EOPNOTSUPP) { /* a compressed layer */
			at = run.file_page + run.npages;
			continue;
		}
		assert_int_equal(r, 0);
		assert_true(v.npages > 0 && v.npages <= run.npages);
		assert_memory_equal(v.ptr, mem + (run.file_page - BASE) * PAGE_SIZE, v.npages * PAGE_SIZE);
		assert_int_equal(pread(v.fd, page, PAGE_SIZE, (off_t)(v.offset + (v.npages - 1) * PAGE_SIZE)), PAGE_SIZE);
		assert_memory_equal(page, mem + (run.file_page - BASE + v.npages - 1) * PAGE_SIZE, PAGE_SIZE);
		at = run.file_page + v.npages;
	}
}

static void check(struct pages_reader *pr, const unsigned char *mem)
{
	unsigned char *back = malloc((PAGES + BASE) * PAGE_SIZE);
	struct error *err = NULL;

	assert_int_equal(pages_read(pr, 0, PAGES + BASE, back), 0);
	assert_true(pages_are_zero(back, BASE));
	assert_memory_equal(back + BASE * PAGE_SIZE, mem, PAGES * PAGE_SIZE);
	for (int i = 0; i < 500; i++) {
		size_t at = rnd() % PAGES, n = 1 + rnd() % MIN(PAGES - at, 120ul);

		assert_int_equal(pages_read(pr, BASE + at, n, back), 0);
		assert_memory_equal(back, mem + at * PAGE_SIZE, n * PAGE_SIZE);
	}
	free(back);
	check_views(pr, mem);
	assert_int_equal(pages_reader_verify(pr, &err), 0);
}

static void chain(const int *levels, int n)
{
	unsigned char *mem = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char changed[PAGES];
	struct layer l[8], flat;
	struct pages_reader *pr;
	struct pages_writer *pw;

	assert_ptr_not_equal(mem, MAP_FAILED);
	for (int i = 0; i < n; i++) {
		change(mem, changed, i ? 12 : 60);
		if (i == 0)
			memset(changed, 1, PAGES);
		write_layer(&l[i], mem, changed, levels[i], i % 2);
		assert_int_equal(l[i].st.index_version, i ? PAGES_VERSION_LAYERED : PAGES_VERSION);
		assert_true(i == 0 || l[i].st.pages_stored < 12 * 90);
	}
	pr = open_chain(l, n);
	check(pr, mem);
	flat.idx = temp();
	flat.img = temp();
	assert_int_equal(pages_writer_new(flat.idx, flat.img, 0, 0, &pw, NULL), 0);
	assert_int_equal(pages_convert(pr, pw, NULL), 0);
	assert_int_equal(pages_writer_finish(pw, &flat.st, NULL), 0);
	pages_writer_free(pw);
	pages_reader_free(pr);
	assert_int_equal(flat.st.index_version, PAGES_VERSION);
	assert_int_equal(flat.st.pages_inherited, 0);
	pr = open_chain(&flat, 1);
	check(pr, mem);
	pages_reader_free(pr);
	munmap(mem, PAGES * PAGE_SIZE);
}

static void raw_chain(void **state)
{
	chain((const int[]){ 0, 0, 0, 0, 0 }, 5);
}

static void mixed_chain(void **state)
{
	chain((const int[]){ 1, 0, 3, 0 }, 4);
	chain((const int[]){ 0, 1 }, 2);
}

/* A damaged page is never shown, whichever layer it is in and however it is asked for. */
static void damage(void **state)
{
	unsigned char *mem = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), b;
	unsigned char changed[PAGES], page[PAGE_SIZE];
	struct pages_reader *pr;
	struct error *err = NULL;
	struct pages_view v;
	struct layer l[2];

	memset(mem, 7, PAGES * PAGE_SIZE);
	memset(changed, 1, PAGES);
	write_layer(&l[0], mem, changed, 0, false);
	memset(changed, 0, PAGES);
	changed[5] = 1;
	write_layer(&l[1], mem, changed, 0, false);
	/* page 70 of the parent, behind its header */
	assert_int_equal(pread(l[0].img, &b, 1, 71 * PAGE_SIZE + 9), 1);
	b ^= 1;
	assert_int_equal(pwrite(l[0].img, &b, 1, 71 * PAGE_SIZE + 9), 1);
	pr = open_chain(l, 2);
	assert_int_equal(pages_view(pr, BASE + 10, 20, &v), 0);
	assert_int_equal(pages_view(pr, BASE + 65, 1, &v), -EIO); /* its frame */
	assert_int_equal(pages_read(pr, BASE + 70, 1, page), -EIO);
	assert_int_equal(pages_read(pr, BASE + 10, 1, page), 0);
	assert_int_equal(pages_reader_verify(pr, &err), -EIO);
	error_freep(&err);
	pages_reader_trust(pr);
	assert_int_equal(pages_view(pr, BASE + 65, 1, &v), 0);
	pages_reader_free(pr);
	/* without its parent */
	assert_int_equal(pages_reader_open(l[1].idx, l[1].img, &pr, &err), -EINVAL);
	error_freep(&err);
	munmap(mem, PAGES * PAGE_SIZE);
}

/* An index of one entry whose checksums are right. */
static int open_entry(struct layer *parent, uint32_t version, struct pages_entry e)
{
	unsigned char hdr[PAGES_INDEX_HEADER] = PAGES_INDEX_MAGIC, data[PAGES_DATA_HEADER] = PAGES_DATA_MAGIC, body[PAGES_ENTRY];
	struct pages_reader *up, *pr;
	int idx = temp(), img = temp(), r;

	pages_entry_put(body, &e);
	put_le32(hdr + 8, version);
	put_le32(hdr + 12, PAGES_FLAG_RAW);
	put_le64(hdr + 16, 1);
	put_le64(hdr + 24, e.kind ? 0 : e.npages);
	put_le64(hdr + 32, PAGES_DATA_HEADER + e.len);
	put_le32(hdr + 40, crc32c(0, body, sizeof(body)));
	put_le32(hdr + 44, crc32c(0, hdr, 44));
	assert_int_equal(pwrite(idx, hdr, sizeof(hdr), 0), sizeof(hdr));
	assert_int_equal(pwrite(idx, body, sizeof(body), sizeof(hdr)), sizeof(body));
	put_le32(data + 8, PAGES_VERSION);
	put_le32(data + 12, PAGES_FLAG_RAW);
	put_le32(data + 16, crc32c(0, data, 16));
	assert_int_equal(pwrite(img, data, sizeof(data), 0), sizeof(data));
	assert_int_equal(ftruncate(img, (off_t)(PAGES_DATA_HEADER + e.len)), 0);
	assert_int_equal(pages_reader_open(parent->idx, parent->img, &up, NULL), 0);
	r = pages_reader_open_layer(idx, img, up, &pr, NULL);
	pages_reader_free(r == 0 ? pr : up);
	(void)close(idx);
	(void)close(img);
	return r;
}

static void hostile(void **state)
{
	static unsigned char mem[PAGES * PAGE_SIZE] __attribute__((aligned(4096)));
	unsigned char changed[PAGES];
	struct layer l;

	memset(mem, 1, sizeof(mem));
	memset(changed, 1, sizeof(changed));
	write_layer(&l, mem, changed, 0, false);
	assert_int_equal(open_entry(&l, 2, (struct pages_entry){ 5, 0, 100000, 0, 0, 1 }), 0);
	assert_int_equal(open_entry(&l, 2, (struct pages_entry){ 5, 0, UINT32_MAX, 0, 0, 1 }), 0);
	assert_int_equal(open_entry(&l, 1, (struct pages_entry){ 5, 0, 10, 0, 0, 1 }), -EINVAL);
	assert_int_equal(open_entry(&l, 3, (struct pages_entry){ 5, 0, 10, 0, 0, 1 }), -EINVAL);
	assert_int_equal(open_entry(&l, 2, (struct pages_entry){ 5, 0, 0, 0, 0, 1 }), -EINVAL);
	assert_int_equal(open_entry(&l, 2, (struct pages_entry){ 5, 4096, 10, 0, 0, 1 }), -EINVAL);
	assert_int_equal(open_entry(&l, 2, (struct pages_entry){ 5, 0, 10, 0, 1, 1 }), -EINVAL);
	assert_int_equal(open_entry(&l, 2, (struct pages_entry){ 5, 0, 10, 0, 0, 2 }), -EINVAL);
	assert_int_equal(open_entry(&l, 2, (struct pages_entry){ PAGES_MAX_FILE_PAGE - 5, 0, 10, 0, 0, 1 }), -EINVAL);
	assert_int_equal(open_entry(&l, 2, (struct pages_entry){ UINT64_MAX - 5, 0, 10, 0, 0, 1 }), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw_chain),
		cmocka_unit_test(mixed_chain),
		cmocka_unit_test(damage),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
