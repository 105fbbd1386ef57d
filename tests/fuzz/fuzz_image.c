/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzer of everything that reads an image: manifest, kernel.img (as a whole file; and as records with right checksums, so that
 * the fuzzer reaches messages and references), pages.idx and pages.img (as they are; and as entries with right checksums).
 * The first byte chooses.
 */
#include <sys/mman.h>

#include "state/catalog.h"
#include "state/crc32c.h"
#include "state/json.h"
#include "state/manifest.h"
#include "state/pages.h"
#include "state/pages_format.h"
#include "state/record.h"
#include "state/refs.h"

#include "tests/state/toy.inc"

static const struct state_opts opts = {
	.lookup = toy_lookup,
	.max_record = 1 << 20,
	.max_total = 8 << 20,
	.max_memory = 64 << 20,
	.max_objects = 10000,
};

static void note(void *arg, uint64_t id, const char *what)
{
	if (!id || !*what)
		abort();
}

static int use(void *arg, const struct ref_use *u)
{
	return !u->id;
}

static void load(const void *mem, size_t len)
{
	struct state_dump_record rec;
	struct state_reader *r = NULL;
	struct state_dump *d = NULL;
	struct catalog *c;
	struct error *err = NULL;
	struct strbuf b = STRBUF_INIT;
	void *root;

	if (state_reader_new(-1, mem, len, &opts, &r, &err) >= 0 && state_reader_load(r, &err) >= 0 &&
	    state_reader_nr_roots(r) && state_reader_root(r, 0, &toy_node_state_type, &root, &err) >= 0 && root) {
		struct state_root sr = { &toy_node_state_type, root };
		struct state_writer *w;

		/* Whatever was accepted can be saved again, unless an object objects. */
		if (state_writer_new(-1, &opts, &w, NULL) >= 0) {
			if (state_writer_save_roots(w, &sr, 1, NULL) >= 0 && state_writer_finish(w, NULL, NULL) < 0)
				abort();
			state_writer_free(w);
		}
	}
	state_reader_free(r);
	if (state_dump_new(-1, mem, len, &opts, &d, NULL) >= 0)
		while (state_dump_next(d, &rec, NULL) > 0) {
			state_record_json(&b, &rec, 1);
			strbuf_reset(&b);
		}
	state_dump_free(d);
	if (catalog_read(-1, mem, len, &opts, note, NULL, &c, NULL) >= 0) {
		for (uint64_t id = 1; id <= catalog_count(c); id++) {
			const struct ProtobufCMessage *m = catalog_msg(c, id, NULL);

			if (m)
				(void)refs_walk(m, use, NULL);
			catalog_json(c, id, &b, 0);
			strbuf_reset(&b);
		}
		catalog_free(c);
	}
	strbuf_done(&b);
	error_free(err);
	toy_free_all();
}

/* Records {type, id, length} + bytes from the input, with checksums that are right. */
static void records(const unsigned char *p, size_t n)
{
	struct state_out out = { .fd = -1, .name = "fuzz" };
	struct record_writer *w;
	uint64_t next = 1;

	if (record_writer_new(&out, 1, &w, NULL) < 0)
		abort();
	while (n >= 3) {
		uint32_t type = p[0] == 0xff ? RECORD_TYPE_ROOTS : p[0] == 0xfe ? RECORD_TYPE_END : p[0];
		uint64_t id = p[1] == 0xff ? 0 : p[1] ? p[1] : next;
		size_t len = MIN((size_t)p[2], n - 3);

		if (record_write(w, type, type >= RECORD_TYPE_ROOTS ? 0 : id, p + 3, len, NULL) < 0)
			abort();
		next++;
		p += 3 + len;
		n -= 3 + len;
	}
	(void)!record_write(w, RECORD_TYPE_ROOTS, 0, "\1\0\0\0\0\0\0\0", 8, NULL);
	if (record_writer_finish(w, NULL) < 0)
		abort();
	record_writer_free(w);
	load(out.mem, out.size);
	free(out.mem);
}

static int mem_file(const void *p, size_t n)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || pwrite_full(fd, p, n, 0) < 0)
		abort();
	return fd;
}

static void pages(int idx, int img)
{
	struct pages_reader *pr;
	unsigned char buf[3 * PAGE_SIZE];
	struct pages_run run;
	uint64_t at = 0;

	if (pages_reader_open(idx, img, &pr, NULL) < 0)
		return;
	for (int i = 0; i < 100 && pages_reader_run_at(pr, at, &run); i++, at = run.file_page + run.npages) {
		uint64_t off;
		int fd;

		(void)!pages_read(pr, run.file_page, 1, buf);
		(void)!pages_read(pr, run.file_page ? run.file_page - 1 : 0, 3, buf);
		(void)!pages_raw_map_info(pr, &run, &fd, &off);
	}
	(void)!pages_reader_verify(pr, NULL);
	pages_reader_free(pr);
}

/* The input is flags, the number of entries, entries, frame bytes; both files get right checksums and sizes. */
static void forged_pages(const unsigned char *p, size_t n)
{
	unsigned char hdr[PAGES_INDEX_HEADER] = PAGES_INDEX_MAGIC, head[PAGES_DATA_HEADER] = PAGES_DATA_MAGIC;
	_cleanup_free_ unsigned char *body = NULL, *img = NULL;
	size_t nr, data;
	uint64_t stored = 0;
	int fi, fp;

	if (n < 2)
		return;
	nr = MIN((size_t)p[1], (n - 2) / PAGES_ENTRY);
	data = n - 2 - nr * PAGES_ENTRY;
	body = malloc(nr * PAGES_ENTRY + 1);
	img = malloc(PAGES_DATA_HEADER + data);
	memcpy(body, p + 2, nr * PAGES_ENTRY);
	for (size_t i = 0; i < nr; i++) {
		uint64_t off = get_le64(body + i * PAGES_ENTRY + 8);
		uint32_t len = get_le32(body + i * PAGES_ENTRY + 20);

		stored += get_le32(body + i * PAGES_ENTRY + 16);
		if (off >= PAGES_DATA_HEADER && off <= PAGES_DATA_HEADER + data && len <= PAGES_DATA_HEADER + data - off)
			put_le32(body + i * PAGES_ENTRY + 24, crc32c(0, p + n - data + (off - PAGES_DATA_HEADER), len));
	}
	put_le32(hdr + 8, PAGES_VERSION);
	put_le32(hdr + 12, p[0] & 1);
	put_le64(hdr + 16, nr);
	put_le64(hdr + 24, stored);
	put_le64(hdr + 32, PAGES_DATA_HEADER + data);
	put_le32(hdr + 40, crc32c(0, body, nr * PAGES_ENTRY));
	put_le32(hdr + 44, crc32c(0, hdr, 44));
	put_le32(head + 8, PAGES_VERSION);
	put_le32(head + 12, p[0] & 1);
	put_le32(head + 16, crc32c(0, head, 16));
	memcpy(img, head, sizeof(head));
	memcpy(img + sizeof(head), p + n - data, data);
	fi = mem_file(hdr, sizeof(hdr));
	if (pwrite_full(fi, body, nr * PAGES_ENTRY, sizeof(hdr)) < 0)
		abort();
	fp = mem_file(img, PAGES_DATA_HEADER + data);
	pages(fi, fp);
	close(fi);
	close(fp);
}

static void manifest(const unsigned char *p, size_t n, bool forge)
{
	_cleanup_free_ unsigned char *file = malloc(n + 20);
	struct manifest m;
	int fd;

	memcpy(file, "RUNSCINV", 8);
	put_le32(file + 8, MANIFEST_FORMAT);
	put_le32(file + 12, (uint32_t)n);
	memcpy(file + 16, p, n);
	put_le32(file + 16 + n, crc32c(0, file, 16 + n));
	fd = forge ? mem_file(file, n + 20) : mem_file(p, n);
	if (manifest_read(fd, &m, NULL) >= 0) {
		struct manifest have = { .arch = (char *)"x86_64" };

		(void)!manifest_check_features(&m, &have, NULL);
		(void)!manifest_check_parts(&m, fd, fd, fd, NULL);
		manifest_done(&m);
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	int a;

	if (!n)
		return 0;
	switch (p[0] % 6) {
	case 0:
		load(p + 1, n - 1);
		break;
	case 1:
		records(p + 1, n - 1);
		break;
	case 2:
		manifest(p + 1, n - 1, false);
		break;
	case 3:
		manifest(p + 1, n - 1, true);
		break;
	case 4:
		forged_pages(p + 1, n - 1);
		break;
	case 5:
		a = mem_file(p + 1, n - 1);
		pages(a, a);
		close(a);
		break;
	}
	return 0;
}
