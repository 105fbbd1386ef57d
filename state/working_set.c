/* SPDX-License-Identifier: Apache-2.0 */
/* See working_set.h. */
#include "state/working_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/crc32c.h"
#include "state/pages.h"
#include "state/stream.h"

#define MAGIC	"RUNSCWKS"
#define VERSION 1
#define HEADER	24
#define RUN	12

int working_set_add(struct working_set *ws, uint64_t page, uint64_t npages)
{
	if (ws->nr == WORKING_SET_MAX_RUNS || npages > UINT32_MAX)
		return -E2BIG;
	if (ws->nr == ws->cap) {
		uint32_t cap = MAX(ws->cap * 2, 256u);
		struct working_set_run *v = reallocarray(ws->runs, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		ws->runs = v;
		ws->cap = cap;
	}
	ws->runs[ws->nr++] = (struct working_set_run){ page, (uint32_t)npages };
	return 0;
}

static int parse_runs(const unsigned char *p, uint32_t n, struct working_set *ret)
{
	uint64_t next = 0;

	for (int r = 0; n > 0; n--, p += RUN) {
		uint64_t page = get_le64(p), npages = get_le32(p + 8);

		if (!npages || page < next || page > PAGES_MAX_FILE_PAGE - npages)
			return -EINVAL;
		next = page + npages + 1;
		r = working_set_add(ret, page, npages);
		if (r < 0)
			return r;
	}
	return 0;
}

int working_set_read(int fd, struct working_set *ret)
{
	unsigned char h[HEADER], *body;
	struct stat st;
	uint32_t n;
	int r;

	*ret = (struct working_set){ 0 };
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < HEADER)
		return -ENODATA;
	r = pread_full(fd, h, HEADER, 0);
	if (r < 0)
		return r;
	if (!memcmp(h, (char[HEADER]){ 0 }, HEADER))
		return -ENODATA;
	n = get_le32(h + 12);
	if (memcmp(h, MAGIC, 8) || get_le32(h + 8) != VERSION || get_le32(h + 20) != crc32c(0, h, 20) || n > WORKING_SET_MAX_RUNS ||
	    (uint64_t)st.st_size != HEADER + (uint64_t)n * RUN)
		return -EINVAL;
	body = malloc((size_t)n * RUN + 1);
	if (!body)
		return -ENOMEM;
	r = pread_full(fd, body, (size_t)n * RUN, HEADER);
	if (r == 0)
		r = get_le32(h + 16) == crc32c(0, body, (size_t)n * RUN) ? parse_runs(body, n, ret) : -EINVAL;
	free(body);
	if (r < 0)
		working_set_done(ret);
	return r;
}

int working_set_write(int fd, const struct working_set *ws)
{
	unsigned char h[HEADER] = { 0 }, *body = malloc((size_t)ws->nr * RUN + 1);
	size_t len = (size_t)ws->nr * RUN;
	int r;

	if (!body)
		return -ENOMEM;
	for (uint32_t i = 0; i < ws->nr; i++) {
		put_le64(body + (size_t)i * RUN, ws->runs[i].page);
		put_le32(body + (size_t)i * RUN + 8, ws->runs[i].npages);
	}
	/* An empty header: whoever reads meanwhile finds nothing yet. */
	r = pwrite_full(fd, h, HEADER, 0);
	if (r == 0 && ftruncate(fd, (off_t)(HEADER + len)) < 0)
		r = -errno;
	if (r == 0)
		r = pwrite_full(fd, body, len, HEADER);
	memcpy(h, MAGIC, 8);
	put_le32(h + 8, VERSION);
	put_le32(h + 12, ws->nr);
	put_le32(h + 16, crc32c(0, body, len));
	put_le32(h + 20, crc32c(0, h, 20));
	if (r == 0)
		r = pwrite_full(fd, h, HEADER, 0);
	free(body);
	return r;
}

void working_set_done(struct working_set *ws)
{
	free(ws->runs);
	*ws = (struct working_set){ 0 };
}
