/* SPDX-License-Identifier: Apache-2.0 */
/* Native asynchronous I/O (io_setup(2) and kin). Model, locks and what a checkpoint sees: aio.c. */
#ifndef SENTRY_FS_AIO_H
#define SENTRY_FS_AIO_H

#include <stddef.h>
#include <stdint.h>

struct mm;
struct state_reader;
struct state_writer;

/* The last user of @mm leaves: its contexts end. No lock held. */
void aio_exit(struct mm *mm);
uint64_t aio_nr(void); /* /proc/sys/fs/aio-nr */
/* Parts of an Mm record: object ids of its contexts. */
uint64_t *aio_mm_save(struct state_writer *w, const struct mm *mm, size_t *ret_n);
int aio_mm_load(struct state_reader *r, struct mm *mm, const uint64_t *ids, size_t n);

#endif
