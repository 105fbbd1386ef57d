/* SPDX-License-Identifier: Apache-2.0 */
/* Native AIO: struct iocb and the completion ring that libaio reads from user space. */
#ifndef SENTRY_ABI_AIO_H
#define SENTRY_ABI_AIO_H

#include <stdint.h>

#define LINUX_IOCB_CMD_PREAD   0
#define LINUX_IOCB_CMD_PWRITE  1
#define LINUX_IOCB_CMD_FSYNC   2
#define LINUX_IOCB_CMD_FDSYNC  3
#define LINUX_IOCB_CMD_POLL    5
#define LINUX_IOCB_CMD_NOOP    6
#define LINUX_IOCB_CMD_PREADV  7
#define LINUX_IOCB_CMD_PWRITEV 8

#define LINUX_IOCB_FLAG_RESFD  (1u << 0)
#define LINUX_IOCB_FLAG_IOPRIO (1u << 1)

struct linux_iocb {
	uint64_t data;
	uint32_t key; /* written by the kernel */
	int32_t rw_flags;
	uint16_t opcode;
	int16_t reqprio;
	uint32_t fildes;
	uint64_t buf, nbytes;
	int64_t offset;
	uint64_t reserved2;
	uint32_t flags, resfd;
};

struct linux_io_event {
	uint64_t data, obj;
	int64_t res, res2;
};

#define LINUX_AIO_RING_MAGIC 0xa10a10a1u

struct linux_aio_ring {
	uint32_t id, nr; /* nr: slots */
	uint32_t head, tail;
	uint32_t magic, compat_features, incompat_features, header_length;
};

struct linux_aio_sigset {
	uint64_t sigmask, sigsetsize;
};

#endif
