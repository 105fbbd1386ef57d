/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debug log of the sandbox and gofer (not the user's error channel: that is base/error.h).
 * Writes whole lines to one fd with write(2); no allocation, callable under any lock. Level and fd
 * are set once at start. Library code logs at debug level only.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/cleanup.h"
#include "base/util.h"

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG };

extern enum log_level log_level_max;

void log_init(int fd, enum log_level max);
void log_line(enum log_level lvl, const char *fmt, ...) _printf_(2, 3);
/* A line of any length, without its end. */
void log_text(enum log_level lvl, const char *text, size_t n);

#define log_enabled(lvl) ((lvl) <= log_level_max)
#define log_at(lvl, ...)                                                                           \
	do {                                                                                       \
		if (log_enabled(lvl))                                                              \
			log_line(lvl, __VA_ARGS__);                                                \
	} while (0)
#define log_error(...) log_at(LOG_LVL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_LVL_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_LVL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LVL_DEBUG, __VA_ARGS__)

#endif
