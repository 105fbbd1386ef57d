/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzer of the working set reader: the input as it is, or (first byte odd) with the checksums made right. What is accepted must be in order. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "state/crc32c.h"
#include "state/pages.h"
#include "state/stream.h"
#include "state/working_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct working_set ws;
	unsigned char *p;

	if (fd < 0)
		fd = memfd_create("ws", 0);
	if (size < 1 || size > 1 << 16 || ftruncate(fd, 0) < 0)
		return 0;
	p = malloc(size);
	memcpy(p, data + 1, size - 1);
	if ((data[0] & 1) && size - 1 >= 24) {
		put_le32(p + 16, crc32c(0, p + 24, size - 1 - 24));
		put_le32(p + 20, crc32c(0, p, 20));
	}
	if (pwrite(fd, p, size - 1, 0) >= 0 && working_set_read(fd, &ws) == 0) {
		for (uint32_t i = 0; i < ws.nr; i++)
			if (!ws.runs[i].npages || ws.runs[i].page + ws.runs[i].npages > PAGES_MAX_FILE_PAGE ||
			    (i && ws.runs[i].page <= ws.runs[i - 1].page + ws.runs[i - 1].npages))
				abort();
		working_set_done(&ws);
	}
	free(p);
	return 0;
}
