/* SPDX-License-Identifier: Apache-2.0 */
/* The page store: round trips in both forms, holes, hostile and damaged files, full disks, threads, conversion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "state/crc32c.h"
#include "state/pages.h"
#include "state/pages_format.h"

static int temp(void)
{
	int fd = memfd_create("pages", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static unsigned char *pages_alloc(size_t npages)
{
	unsigned char *p = mmap(NULL, npages * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static uint64_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Zero pages, compressible and random pages, in runs of random length. */
static void fill(unsigned char *p, size_t npages, uint64_t seed)
{
	for (size_t i = 0; i < npages;) {
		size_t n = 1 + rnd(&seed) % (rnd(&seed) % 8 ? 9 : 300);
		int kind = (int)(rnd(&seed) % 3);

		for (; n && i < npages; n--, i++) {
			uint64_t *w = (uint64_t *)(p + i * PAGE_SIZE);

			for (size_t k = 0; k < PAGE_SIZE / 8; k++)
				w[k] = kind == 0 ? 0 : kind == 1 ? i * 8 + k % 16 + 1 : rnd(&seed);
			if (kind == 0 && rnd(&seed) % 4 == 0)
				p[i * PAGE_SIZE + rnd(&seed) % PAGE_SIZE] = 1;
		}
	}
}

static void store(const unsigned char *mem, size_t npages, uint64_t base, int level, unsigned int threads, int idx, int img,
		  struct pages_stats *st)
{
	struct pages_writer *pw;
	struct error *err = NULL;

	assert_int_equal(pages_writer_new(idx, img, level, threads, &pw, &err), 0);
	assert_int_equal(pages_writer_add(pw, base, mem, npages), 0);
	assert_int_equal(pages_writer_finish(pw, st, &err), 0);
	pages_writer_free(pw);
}

static void round_trip_form(int level, unsigned int threads)
{
	const size_t n = 5000;
	const uint64_t base = 77;
	unsigned char *mem = pages_alloc(n), *back = pages_alloc(n + 200);
	int idx = temp(), img = temp(), idx2 = temp(), img2 = temp();
	struct pages_reader *pr;
	struct pages_stats st, st2;
	struct pages_run run;
	struct error *err = NULL;
	uint64_t seed = 5, total = 0;
	struct stat sb;

	fill(mem, n, 42);
	store(mem, n, base, level, threads, idx, img, &st);
	assert_int_equal(st.pages_seen, n);
	fstat(img, &sb);
	assert_int_equal(sb.st_size, st.pages_bytes);
	fstat(idx, &sb);
	assert_int_equal(sb.st_size, st.index_bytes);
	/* Contents do not depend on threads. */
	store(mem, n, base, level, threads ? 0 : 2, idx2, img2, &st2);
	assert_int_equal(st.index_crc, st2.index_crc);
	assert_int_equal(st.pages_bytes, st2.pages_bytes);

	assert_int_equal(pages_reader_open(idx, img, &pr, &err), 0);
	pages_reader_stats(pr, &st2);
	assert_int_equal(st2.index_crc, st.index_crc);
	assert_int_equal(pages_reader_is_raw(pr), !level);
	assert_true(pages_reader_end(pr) <= base + n);
	/* everything at once, with zeros before and after */
	memset(back, 0xee, (n + 200) * PAGE_SIZE);
	assert_int_equal(pages_read(pr, 0, n + 200, back), 0);
	assert_true(pages_are_zero(back, base));
	assert_memory_equal(back + base * PAGE_SIZE, mem, n * PAGE_SIZE);
	assert_true(pages_are_zero(back + (base + n) * PAGE_SIZE, 200 - base));
	pages_reader_free(pr);
	/* random pieces, on a reader that has seen nothing */
	assert_int_equal(pages_reader_open(idx, img, &pr, &err), 0);
	for (int i = 0; i < 3000; i++) {
		uint64_t at = rnd(&seed) % n;
		size_t len = 1 + rnd(&seed) % MIN(n - at, (uint64_t)150);

		assert_int_equal(pages_read(pr, base + at, len, back), 0);
		assert_memory_equal(back, mem + at * PAGE_SIZE, len * PAGE_SIZE);
	}
	/* runs cover exactly the pages that are not zero */
	for (uint64_t at = 0; pages_reader_run_at(pr, at, &run); at = run.file_page + run.npages) {
		struct pages_run part = { run.file_page + run.npages / 2, run.npages - run.npages / 2 };
		uint64_t off;
		int fd;

		for (uint64_t k = MAX(at, base); k < run.file_page; k++)
			assert_true(pages_are_zero(mem + (k - base) * PAGE_SIZE, 1));
		for (uint64_t k = 0; k < run.npages; k++)
			assert_false(pages_are_zero(mem + (run.file_page - base + k) * PAGE_SIZE, 1));
		total += run.npages;
		if (level) {
			assert_int_equal(pages_raw_map_info(pr, &run, &fd, &off), -EOPNOTSUPP);
			continue;
		}
		assert_int_equal(pages_raw_map_info(pr, &part, &fd, &off), 0);
		assert_true(IS_ALIGNED(off, PAGE_SIZE));
		assert_int_equal(fd, img);
		assert_int_equal(pread(fd, back, part.npages * PAGE_SIZE, (off_t)off), part.npages * PAGE_SIZE);
		assert_memory_equal(back, mem + (part.file_page - base) * PAGE_SIZE, part.npages * PAGE_SIZE);
		part.npages += 1;
		assert_int_equal(pages_raw_map_info(pr, &part, &fd, &off), -EINVAL);
	}
	assert_int_equal(total, st.pages_stored);
	assert_int_equal(pages_reader_verify(pr, &err), 0);
	pages_reader_free(pr);
	munmap(mem, n * PAGE_SIZE);
	munmap(back, (n + 200) * PAGE_SIZE);
	close(idx), close(img), close(idx2), close(img2);
}

static void raw(void **state)
{
	round_trip_form(0, 2);
	round_trip_form(0, 0);
}

static void compressed(void **state)
{
	round_trip_form(1, 2);
	round_trip_form(3, 0);
}

static void empty_store(void **state)
{
	unsigned char *mem = pages_alloc(10), back[PAGE_SIZE];
	int idx = temp(), img = temp(), fd;
	struct pages_reader *pr;
	struct pages_stats st;
	struct pages_run run = { 0, 1 };
	uint64_t off;

	store(mem, 10, 0, 0, 2, idx, img, &st);
	assert_int_equal(st.frames, 0);
	assert_int_equal(st.pages_bytes, PAGES_DATA_HEADER);
	assert_int_equal(pages_reader_open(idx, img, &pr, NULL), 0);
	assert_false(pages_reader_run_at(pr, 0, &run));
	assert_int_equal(pages_reader_end(pr), 0);
	assert_int_equal(pages_raw_map_info(pr, &run, &fd, &off), -EINVAL);
	assert_int_equal(pages_read(pr, UINT64_MAX / 2, 1, back), 0);
	assert_true(back[0] == 0 && back[PAGE_SIZE - 1] == 0);
	pages_reader_free(pr);
	munmap(mem, 10 * PAGE_SIZE);
	close(idx), close(img);
}

/* Many single pages far apart, as a sparse heap gives. */
static void scattered(void **state)
{
	const size_t n = 3000;
	unsigned char *mem = pages_alloc(n), back[PAGE_SIZE];
	int idx = temp(), img = temp();
	struct pages_writer *pw;
	struct pages_reader *pr;
	struct pages_stats st;

	assert_int_equal(pages_writer_new(idx, img, 0, 2, &pw, NULL), 0);
	for (size_t i = 0; i < n; i++) {
		memset(mem + i * PAGE_SIZE, (int)(i % 255) + 1, PAGE_SIZE);
		assert_int_equal(pages_writer_add(pw, i * 3, mem + i * PAGE_SIZE, 1), 0);
	}
	assert_int_equal(pages_writer_finish(pw, &st, NULL), 0);
	pages_writer_free(pw);
	assert_int_equal(st.frames, n);
	assert_int_equal(pages_reader_open(idx, img, &pr, NULL), 0);
	for (size_t i = 0; i < 3 * n; i++) {
		assert_int_equal(pages_read(pr, i, 1, back), 0);
		assert_int_equal(back[100], i % 3 ? 0 : i / 3 % 255 + 1);
	}
	pages_reader_free(pr);
	munmap(mem, n * PAGE_SIZE);
	close(idx), close(img);
}

static void refused_input(void **state)
{
	unsigned char *mem = pages_alloc(4);
	int idx = temp(), img = temp();
	struct pages_writer *pw;
	struct error *err = NULL;

	assert_int_equal(pages_writer_new(idx, img, 99, 0, &pw, &err), -EINVAL);
	err = error_free(err);
	assert_int_equal(pages_writer_new(idx, img, 0, 0, &pw, NULL), 0);
	assert_int_equal(pages_writer_add(pw, 10, mem, 2), 0);
	assert_int_equal(pages_writer_add(pw, 11, mem, 1), -EINVAL); /* overlaps */
	assert_int_equal(pages_writer_finish(pw, NULL, &err), -EINVAL);
	err = error_free(err);
	pages_writer_free(pw);
	assert_int_equal(pages_writer_new(idx, img, 0, 0, &pw, NULL), 0);
	assert_int_equal(pages_writer_add(pw, UINT64_MAX, mem, 2), -EINVAL);
	pages_writer_free(pw);
	munmap(mem, 4 * PAGE_SIZE);
	close(idx), close(img);
}

static int try_all(int idx, int img)
{
	struct pages_reader *pr;
	struct error *err = NULL;
	unsigned char buf[PAGE_SIZE];
	struct pages_run run;
	int r = pages_reader_open(idx, img, &pr, &err);

	if (r < 0) {
		assert_non_null(err);
		error_free(err);
		return r;
	}
	for (uint64_t at = 0; pages_reader_run_at(pr, at, &run); at = run.file_page + run.npages)
		if (pages_read(pr, run.file_page, 1, buf) < 0)
			r = -EIO;
	if (pages_reader_verify(pr, NULL) < 0)
		r = -EIO;
	pages_reader_free(pr);
	return r;
}

static void damage(void **state)
{
	const size_t n = 12;
	unsigned char *mem = pages_alloc(n), byte;
	struct pages_stats st;

	for (size_t i = 0; i < n; i++)
		memset(mem + i * PAGE_SIZE, i % 4 ? (int)i : 0, PAGE_SIZE);
	for (int level = 0; level < 2; level++) {
		int idx = temp(), img = temp(), cut = temp();
		unsigned char copy[4096];

		store(mem, n, 3, level, 0, idx, img, &st);
		assert_int_equal(try_all(idx, img), 0);
		assert_int_equal(pread(idx, copy, sizeof(copy), 0), st.index_bytes);
		for (size_t i = 0; i < st.index_bytes; i++) {
			byte = copy[i] ^ 0x10;
			assert_int_equal(pwrite(idx, &byte, 1, (off_t)i), 1);
			assert_true(try_all(idx, img) < 0);
			assert_int_equal(pwrite(idx, &copy[i], 1, (off_t)i), 1);
			assert_int_equal(ftruncate(cut, 0), 0);
			assert_int_equal(pwrite(cut, copy, i, 0), i);
			assert_true(try_all(cut, img) < 0);
		}
		/* Every byte of pages.img but the unused rest of its header. */
		for (off_t i = 0; i < (off_t)st.pages_bytes; i += i >= 20 && i < 4095 ? 4095 - i : level ? 1 : 61) {
			unsigned char was;

			assert_int_equal(pread(img, &was, 1, i), 1);
			byte = was ^ 1;
			assert_int_equal(pwrite(img, &byte, 1, i), 1);
			if (i < 20 || i >= 4096)
				assert_true(try_all(idx, img) < 0);
			assert_int_equal(pwrite(img, &was, 1, i), 1);
		}
		assert_int_equal(try_all(idx, img), 0);
		assert_int_equal(ftruncate(img, (off_t)st.pages_bytes - 1), 0);
		assert_true(try_all(idx, img) < 0);
		assert_int_equal(ftruncate(img, 5), 0);
		assert_true(try_all(idx, img) < 0);
		close(idx), close(img), close(cut);
	}
	munmap(mem, n * PAGE_SIZE);
}

/* An index with right checksums and wrong entries. */
static int forged(const struct pages_entry *e, size_t n, uint64_t pages, uint64_t bytes)
{
	unsigned char hdr[PAGES_INDEX_HEADER] = PAGES_INDEX_MAGIC, body[8 * PAGES_ENTRY];
	unsigned char data[PAGES_DATA_HEADER] = PAGES_DATA_MAGIC;
	int idx = temp(), img = temp(), r;

	for (size_t i = 0; i < n; i++)
		pages_entry_put(body + i * PAGES_ENTRY, &e[i]);
	put_le32(hdr + 8, PAGES_VERSION);
	put_le32(hdr + 12, PAGES_FLAG_RAW);
	put_le64(hdr + 16, n);
	put_le64(hdr + 24, pages);
	put_le64(hdr + 32, bytes);
	put_le32(hdr + 40, crc32c(0, body, n * PAGES_ENTRY));
	put_le32(hdr + 44, crc32c(0, hdr, 44));
	assert_int_equal(pwrite_full(idx, hdr, sizeof(hdr), 0), 0);
	assert_int_equal(pwrite_full(idx, body, n * PAGES_ENTRY, sizeof(hdr)), 0);
	put_le32(data + 8, PAGES_VERSION);
	put_le32(data + 12, PAGES_FLAG_RAW);
	put_le32(data + 16, crc32c(0, data, 16));
	assert_int_equal(pwrite_full(img, data, sizeof(data), 0), 0);
	assert_int_equal(ftruncate(img, (off_t)bytes), 0);
	r = try_all(idx, img);
	close(idx), close(img);
	return r;
}

static void hostile_index(void **state)
{
	static unsigned char zero[2 * PAGE_SIZE];
	const uint32_t c1 = crc32c(0, zero, PAGE_SIZE), c2 = crc32c(0, zero, 2 * PAGE_SIZE);
	const struct pages_entry good[] = { { 5, 4096, 2, 8192, c2 }, { 9, 12288, 1, 4096, c1 } };
	struct pages_entry e[2];

	assert_int_equal(forged(good, 2, 3, 16384), 0);
	assert_true(forged(good, 2, 4, 16384) < 0);
	assert_true(forged(good, 2, 3, 16385) < 0);
	assert_true(forged(good, 2, 3, 12289) < 0);
#define WITH(field, i, val)                                                                                                    \
	memcpy(e, good, sizeof(e));                                                                                            \
	e[i].field = (val);                                                                                                    \
	assert_true(forged(e, 2, 3, 16384) < 0)
	WITH(file_page, 1, 6); /* overlaps */
	WITH(file_page, 1, 2); /* out of order */
	WITH(file_page, 1, UINT64_MAX);
	WITH(file_page, 1, PAGES_MAX_FILE_PAGE);
	WITH(offset, 0, 0); /* the header */
	WITH(offset, 1, 8192); /* shares bytes */
	WITH(offset, 1, 1ull << 62);
	WITH(npages, 0, 0);
	WITH(npages, 0, 65);
	WITH(npages, 0, UINT32_MAX);
	WITH(len, 0, 0);
	WITH(len, 0, 8191);
	WITH(len, 1, UINT32_MAX);
	WITH(crc, 1, c1 ^ 1);
}

static void disk_full(void **state)
{
	const size_t n = 3000;
	unsigned char *mem = pages_alloc(n);
	struct rlimit old, lim;

	fill(mem, n, 9);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	for (int i = 0; i < 20; i++) {
		int idx = temp(), r, level = i & 1;
		FILE *f = tmpfile();
		struct pages_writer *pw;
		struct error *err = NULL;

		lim = old;
		lim.rlim_cur = (rlim_t)i * 150000 + 4096;
		setrlimit(RLIMIT_FSIZE, &lim);
		r = pages_writer_new(idx, fileno(f), level, 2, &pw, &err);
		assert_int_equal(r, 0);
		for (size_t k = 0; k < n && r >= 0; k += 100)
			r = pages_writer_add(pw, k, mem + k * PAGE_SIZE, 100);
		r = pages_writer_finish(pw, NULL, &err);
		if (r < 0)
			assert_string_equal(error_text(err), "cannot write pages.img: File too large");
		else
			assert_true(level && i > 10);
		pages_writer_free(pw);
		setrlimit(RLIMIT_FSIZE, &old);
		fclose(f);
		close(idx);
		error_free(err);
	}
	munmap(mem, n * PAGE_SIZE);
}

struct hammer {
	struct pages_reader *pr;
	const unsigned char *mem;
	size_t n;
	uint64_t seed;
	int failed;
};

static void *hammer(void *arg)
{
	struct hammer *h = arg;
	unsigned char *buf = pages_alloc(80);

	for (int i = 0; i < 2000; i++) {
		uint64_t at = rnd(&h->seed) % (h->n - 80);
		size_t len = 1 + rnd(&h->seed) % 80;

		if (pages_read(h->pr, at, len, buf) < 0 || memcmp(buf, h->mem + at * PAGE_SIZE, len * PAGE_SIZE))
			h->failed++;
	}
	munmap(buf, 80 * PAGE_SIZE);
	return NULL;
}

static void many_readers(void **state)
{
	const size_t n = 2000;
	unsigned char *mem = pages_alloc(n);

	fill(mem, n, 11);
	for (int level = 0; level < 2; level++) {
		int idx = temp(), img = temp();
		struct pages_stats st;
		struct pages_reader *pr;
		struct hammer h[4];
		pthread_t t[4];

		store(mem, n, 0, level, 2, idx, img, &st);
		assert_int_equal(pages_reader_open(idx, img, &pr, NULL), 0);
		for (size_t i = 0; i < 4; i++) {
			h[i] = (struct hammer){ pr, mem, n, i + 1, 0 };
			assert_int_equal(pthread_create(&t[i], NULL, hammer, &h[i]), 0);
		}
		for (size_t i = 0; i < 4; i++) {
			pthread_join(t[i], NULL);
			assert_int_equal(h[i].failed, 0);
		}
		pages_reader_free(pr);
		close(idx), close(img);
	}
	munmap(mem, n * PAGE_SIZE);
}

static void conversion(void **state)
{
	const size_t n = 4000;
	unsigned char *mem = pages_alloc(n);
	int fd[6];
	struct pages_stats a, b, c;
	struct pages_reader *pr;
	struct pages_writer *pw;

	for (int i = 0; i < 6; i++)
		fd[i] = temp();
	fill(mem, n, 3);
	store(mem, n, 1, 0, 2, fd[0], fd[1], &a);
	assert_int_equal(pages_reader_open(fd[0], fd[1], &pr, NULL), 0);
	assert_int_equal(pages_writer_new(fd[2], fd[3], 2, 2, &pw, NULL), 0);
	assert_int_equal(pages_convert(pr, pw, NULL), 0);
	assert_int_equal(pages_writer_finish(pw, &b, NULL), 0);
	pages_writer_free(pw);
	pages_reader_free(pr);
	assert_true(b.pages_bytes < a.pages_bytes);
	assert_int_equal(pages_reader_open(fd[2], fd[3], &pr, NULL), 0);
	assert_int_equal(pages_writer_new(fd[4], fd[5], 0, 0, &pw, NULL), 0);
	assert_int_equal(pages_convert(pr, pw, NULL), 0);
	assert_int_equal(pages_writer_finish(pw, &c, NULL), 0);
	pages_writer_free(pw);
	pages_reader_free(pr);
	assert_int_equal(c.pages_stored, a.pages_stored);
	assert_int_equal(c.pages_bytes, a.pages_bytes);
	for (int i = 0; i < 6; i++)
		close(fd[i]);
	munmap(mem, n * PAGE_SIZE);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* PAGES_BENCH=<MiB>: prints speeds. */
static void bench(void **state)
{
	const char *e = getenv("PAGES_BENCH");
	size_t n = e ? strtoul(e, NULL, 10) * 256 : 0;
	const char *dir = getenv("PAGES_BENCH_DIR");
	unsigned char *mem, *back;
	double t0, t1, gib = (double)n * PAGE_SIZE / (1 << 30);

	if (!n)
		skip();
	mem = pages_alloc(n);
	back = pages_alloc(n);
	for (size_t i = 0; i < n * 512; i++)
		((uint64_t *)mem)[i] = i * 0x9e3779b97f4a7c15ull >> (i / 512 % 4 ? 40 : 0) | 1;
	for (size_t i = 0; i < n; i++)
		back[i * PAGE_SIZE] = 1;
	memset(back, 0, n * PAGE_SIZE);
	t0 = now();
	assert_true(pages_are_zero(back, n));
	printf("zero scan %.1f GiB/s\n", gib / (now() - t0));
	t0 = now();
	(void)crc32c(0, mem, n * PAGE_SIZE);
	printf("crc32c %.1f GiB/s\n", gib / (now() - t0));
	for (int level = 0; level < 2; level++) {
		for (unsigned int threads = 0; threads < 3; threads++) {
			int idx = temp(), img = dir ? open(dir, O_TMPFILE | O_RDWR, 0600) : temp();
			struct pages_stats st;
			struct pages_reader *pr;

			t0 = now();
			store(mem, n, 0, level, threads, idx, img, &st);
			t1 = now();
			assert_int_equal(pages_reader_open(idx, img, &pr, NULL), 0);
			printf("level %d threads %u: write %.2f GiB/s (%.2f of the size), open %.2f ms", level, threads,
			       gib / (t1 - t0), (double)st.pages_bytes / (double)(n * PAGE_SIZE), (now() - t1) * 1e3);
			t0 = now();
			assert_int_equal(pages_read(pr, 0, n, back), 0);
			printf(", read %.2f GiB/s\n", gib / (now() - t0));
			pages_reader_free(pr);
			close(idx), close(img);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw),
		cmocka_unit_test(compressed),
		cmocka_unit_test(empty_store),
		cmocka_unit_test(scattered),
		cmocka_unit_test(refused_input),
		cmocka_unit_test(damage),
		cmocka_unit_test(hostile_index),
		cmocka_unit_test(disk_full),
		cmocka_unit_test(many_readers),
		cmocka_unit_test(conversion),
		cmocka_unit_test(bench),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
