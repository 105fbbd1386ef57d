/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/signal_names.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "base/util.h"

static const char *const names[] = {
	"",     "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1",
	"SEGV", "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN",
	"TTOU", "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "IO",   "PWR",  "SYS",
};

int signal_number(const char *name)
{
	char *end;
	long n = strtol(name, &end, 10);

	if (*name && !*end)
		return n >= 0 && n <= 64 ? (int)n : -EINVAL;
	if (!strncasecmp(name, "SIG", 3))
		name += 3;
	for (size_t i = 1; i < ARRAY_SIZE(names); i++)
		if (!strcasecmp(name, names[i]))
			return (int)i;
	if (!strncasecmp(name, "RTMIN", 5) || !strncasecmp(name, "RTMAX", 5)) {
		int base = !strncasecmp(name, "RTMIN", 5) ? 34 : 64;

		n = name[5] ? strtol(name + 5, &end, 10) : 0;
		if ((!name[5] || !*end) && base + n >= 34 && base + n <= 64)
			return base + (int)n;
	}
	return -EINVAL;
}
