/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/uio.h>
#include <time.h>

enum log_level log_level_max = LOG_LVL_WARN;
static int log_fd = 2;

void log_init(int fd, enum log_level max)
{
	log_fd = fd;
	log_level_max = max;
}

/* Level and time; returns its length. */
static int prefix(enum log_level lvl, char *buf, size_t size)
{
	static const char tag[] = "EWID";
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return snprintf(buf, size, "%c %lld.%06ld ", tag[lvl], (long long)ts.tv_sec, ts.tv_nsec / 1000);
}

void log_text(enum log_level lvl, const char *text, size_t n)
{
	char head[48];
	int m = prefix(lvl, head, sizeof(head));
	const struct iovec v[] = { { head, (size_t)m }, { (void *)(uintptr_t)text, n }, { (void *)(uintptr_t) "\n", 1 } };

	if (writev(log_fd, v, 3) < 0)
		return; /* nowhere left to report a failing log */
}

void log_line(enum log_level lvl, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;
	int n, m;

	n = prefix(lvl, buf, sizeof(buf) - 1);
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
