/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/compression.h"

#include <stdlib.h>
#include <string.h>

#define LEVEL_MAX 19

int compression_parse(const char *text, int *ret, struct error **err)
{
	const char *number = text;
	char *end;
	long n;

	if (!text || !strcmp(text, "none") || !strcmp(text, "raw")) {
		*ret = 0;
		return 0;
	}
	if (!strcmp(text, "zstd") || !strcmp(text, "flate-best-speed")) {
		*ret = 1;
		return 0;
	}
	if (!strncmp(text, "zstd:", 5))
		number += 5;
	n = strtol(number, &end, 10);
	if (end == number || *end || n < 0 || n > LEVEL_MAX)
		return error_msg(err, -EINVAL, "--compression: \"%s\" is none of none, zstd, zstd:1..%d", text, LEVEL_MAX);
	*ret = (int)n;
	return 0;
}
