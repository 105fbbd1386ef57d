/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel messages: the ring behind /dev/kmsg and syslog(2). One for the sandbox, since there is one kernel.
 *
 * Locks: klog.mu is a leaf. Checkpoint: the ring and what syslog has read of it. Linux: kernel/printk.
 */
#ifndef SENTRY_KERNEL_KLOG_H
#define SENTRY_KERNEL_KLOG_H

#include "base/cleanup.h"
#include "sentry/kernel/waitq.h"

struct kernel;

#define KLOG_LINE  976 /* longest text of a message, as LOG_LINE_MAX in Linux less its prefix */
#define KLOG_SLOTS 1024

struct klog_msg {
	uint64_t seq;
	int64_t time; /* guest monotonic, ns */
	uint32_t prio; /* facility << 3 | level */
	size_t len;
	char text[KLOG_LINE];
};

/* Adds a line (without its end). @prio: level 0..7, with the facility above. Any lock but leaves may be held. */
void klog(uint32_t prio, const char *fmt, ...) _printf_(2, 3);
void klog_add(uint32_t prio, const char *text, size_t n);
/* The message @seq, or the next one that is still there. False: there is none yet. */
bool klog_get(uint64_t seq, struct klog_msg *ret);
uint64_t klog_first(void); /* number of the oldest message */
uint64_t klog_next(void); /* number of the next one to come */
uint64_t klog_cleared(void); /* number of the first message after the last syslog(2) CLEAR */
/* Woken with every message. */
struct waitq *klog_wq(void);
/* The first messages of a boot. */
void klog_boot(const struct kernel *k);
/* The object for the saver. */
void *klog_object(void);

#endif
