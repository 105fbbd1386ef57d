/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum log_level log_level_max = LOG_LVL_WARN;
static int log_fd = 2;

void log_init(int fd, enum log_level max)
{
	log_fd = fd;
	log_level_max = max;
}

void log_line(enum log_level lvl, const char *fmt, ...)
{
	static const char tag[] = "EWID";
	char buf[1024];
	struct timespec ts = { 0 };
	va_list ap;
	int n, m;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	n = snprintf(buf, sizeof(buf) - 1, "%c %lld.%06ld ", tag[lvl], (long long)ts.tv_sec, ts.tv_nsec / 1000);
	va_start(ap, fmt);
	m = vsnprintf(buf + n, sizeof(buf) - 1 - (size_t)n, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n = MIN(n + m, (int)sizeof(buf) - 2);
	buf[n++] = '\n';
	if (write(log_fd, buf, (size_t)n) < 0)
		return; /* nowhere left to report a failing log */
}
