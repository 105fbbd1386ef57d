/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring(7): numbers and layouts of Linux 6.1. */
#ifndef SENTRY_ABI_IO_URING_H
#define SENTRY_ABI_IO_URING_H

#include <stdint.h>

/* Submission queue entry. Fields with several meanings have the name of the first. */
struct linux_io_uring_sqe {
	uint8_t opcode;
	uint8_t flags; /* LINUX_IOSQE_* */
	uint16_t ioprio; /* or per-operation flags */
	int32_t fd;
	uint64_t off; /* addr2 */
	uint64_t addr; /* splice_off_in */
	uint32_t len;
	uint32_t op_flags; /* rw_flags, msg_flags, ... */
	uint64_t user_data;
	uint16_t buf; /* buf_index, buf_group */
	uint16_t personality;
	int32_t file_index; /* splice_fd_in; the low half is addr_len */
	uint64_t addr3;
	uint64_t pad2;
};

#define LINUX_IORING_FILE_INDEX_ALLOC UINT32_MAX

#define LINUX_IOSQE_FIXED_FILE	     (1u << 0)
#define LINUX_IOSQE_IO_DRAIN	     (1u << 1)
#define LINUX_IOSQE_IO_LINK	     (1u << 2)
#define LINUX_IOSQE_IO_HARDLINK	     (1u << 3)
#define LINUX_IOSQE_ASYNC	     (1u << 4)
#define LINUX_IOSQE_BUFFER_SELECT    (1u << 5)
#define LINUX_IOSQE_CQE_SKIP_SUCCESS (1u << 6)
#define LINUX_IOSQE_VALID	     0x7fu

#define LINUX_IORING_SETUP_IOPOLL	 (1u << 0)
#define LINUX_IORING_SETUP_SQPOLL	 (1u << 1)
#define LINUX_IORING_SETUP_SQ_AFF	 (1u << 2)
#define LINUX_IORING_SETUP_CQSIZE	 (1u << 3)
#define LINUX_IORING_SETUP_CLAMP	 (1u << 4)
#define LINUX_IORING_SETUP_ATTACH_WQ	 (1u << 5)
#define LINUX_IORING_SETUP_R_DISABLED	 (1u << 6)
#define LINUX_IORING_SETUP_SUBMIT_ALL	 (1u << 7)
#define LINUX_IORING_SETUP_COOP_TASKRUN	 (1u << 8)
#define LINUX_IORING_SETUP_TASKRUN_FLAG	 (1u << 9)
#define LINUX_IORING_SETUP_SQE128	 (1u << 10)
#define LINUX_IORING_SETUP_CQE32	 (1u << 11)
#define LINUX_IORING_SETUP_SINGLE_ISSUER (1u << 12)
#define LINUX_IORING_SETUP_DEFER_TASKRUN (1u << 13)
#define LINUX_IORING_SETUP_VALID	 0x3fffu

enum linux_io_uring_op {
	LINUX_IORING_OP_NOP,
	LINUX_IORING_OP_READV,
	LINUX_IORING_OP_WRITEV,
	LINUX_IORING_OP_FSYNC,
	LINUX_IORING_OP_READ_FIXED,
	LINUX_IORING_OP_WRITE_FIXED,
	LINUX_IORING_OP_POLL_ADD,
	LINUX_IORING_OP_POLL_REMOVE,
	LINUX_IORING_OP_SYNC_FILE_RANGE,
	LINUX_IORING_OP_SENDMSG,
	LINUX_IORING_OP_RECVMSG,
	LINUX_IORING_OP_TIMEOUT,
	LINUX_IORING_OP_TIMEOUT_REMOVE,
	LINUX_IORING_OP_ACCEPT,
	LINUX_IORING_OP_ASYNC_CANCEL,
	LINUX_IORING_OP_LINK_TIMEOUT,
	LINUX_IORING_OP_CONNECT,
	LINUX_IORING_OP_FALLOCATE,
	LINUX_IORING_OP_OPENAT,
	LINUX_IORING_OP_CLOSE,
	LINUX_IORING_OP_FILES_UPDATE,
	LINUX_IORING_OP_STATX,
	LINUX_IORING_OP_READ,
	LINUX_IORING_OP_WRITE,
	LINUX_IORING_OP_FADVISE,
	LINUX_IORING_OP_MADVISE,
	LINUX_IORING_OP_SEND,
	LINUX_IORING_OP_RECV,
	LINUX_IORING_OP_OPENAT2,
	LINUX_IORING_OP_EPOLL_CTL,
	LINUX_IORING_OP_SPLICE,
	LINUX_IORING_OP_PROVIDE_BUFFERS,
	LINUX_IORING_OP_REMOVE_BUFFERS,
	LINUX_IORING_OP_TEE,
	LINUX_IORING_OP_SHUTDOWN,
	LINUX_IORING_OP_RENAMEAT,
	LINUX_IORING_OP_UNLINKAT,
	LINUX_IORING_OP_MKDIRAT,
	LINUX_IORING_OP_SYMLINKAT,
	LINUX_IORING_OP_LINKAT,
	LINUX_IORING_OP_MSG_RING,
	LINUX_IORING_OP_FSETXATTR,
	LINUX_IORING_OP_SETXATTR,
	LINUX_IORING_OP_FGETXATTR,
	LINUX_IORING_OP_GETXATTR,
	LINUX_IORING_OP_SOCKET,
	LINUX_IORING_OP_URING_CMD,
	LINUX_IORING_OP_SEND_ZC,
	LINUX_IORING_OP_SENDMSG_ZC,
	LINUX_IORING_OP_LAST,
};

#define LINUX_IORING_FSYNC_DATASYNC (1u << 0)

#define LINUX_IORING_TIMEOUT_ABS	   (1u << 0)
#define LINUX_IORING_TIMEOUT_UPDATE	   (1u << 1)
#define LINUX_IORING_TIMEOUT_BOOTTIME	   (1u << 2)
#define LINUX_IORING_TIMEOUT_REALTIME	   (1u << 3)
#define LINUX_IORING_LINK_TIMEOUT_UPDATE   (1u << 4)
#define LINUX_IORING_TIMEOUT_ETIME_SUCCESS (1u << 5)

#define LINUX_SPLICE_F_FD_IN_FIXED (1u << 31)

#define LINUX_IORING_POLL_ADD_MULTI	   (1u << 0)
#define LINUX_IORING_POLL_UPDATE_EVENTS	   (1u << 1)
#define LINUX_IORING_POLL_UPDATE_USER_DATA (1u << 2)
#define LINUX_IORING_POLL_ADD_LEVEL	   (1u << 3)

#define LINUX_IORING_ASYNC_CANCEL_ALL	   (1u << 0)
#define LINUX_IORING_ASYNC_CANCEL_FD	   (1u << 1)
#define LINUX_IORING_ASYNC_CANCEL_ANY	   (1u << 2)
#define LINUX_IORING_ASYNC_CANCEL_FD_FIXED (1u << 3)
#define LINUX_IORING_ASYNC_CANCEL_VALID	   15u

#define LINUX_IORING_RECVSEND_POLL_FIRST   (1u << 0)
#define LINUX_IORING_RECV_MULTISHOT	   (1u << 1)
#define LINUX_IORING_RECVSEND_FIXED_BUF	   (1u << 2)
#define LINUX_IORING_SEND_ZC_REPORT_USAGE  (1u << 3)
#define LINUX_IORING_NOTIF_USAGE_ZC_COPIED (1u << 31)

#define LINUX_IORING_ACCEPT_MULTISHOT (1u << 0)

#define LINUX_IORING_MSG_DATA	       0
#define LINUX_IORING_MSG_SEND_FD       1
#define LINUX_IORING_MSG_RING_CQE_SKIP (1u << 0)

struct linux_io_uring_cqe {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};

#define LINUX_IORING_CQE_F_BUFFER	 (1u << 0)
#define LINUX_IORING_CQE_F_MORE		 (1u << 1)
#define LINUX_IORING_CQE_F_SOCK_NONEMPTY (1u << 2)
#define LINUX_IORING_CQE_F_NOTIF	 (1u << 3)
#define LINUX_IORING_CQE_BUFFER_SHIFT	 16

#define LINUX_IORING_OFF_SQ_RING 0ULL
#define LINUX_IORING_OFF_CQ_RING 0x8000000ULL
#define LINUX_IORING_OFF_SQES	 0x10000000ULL

struct linux_io_sqring_offsets {
	uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, resv1;
	uint64_t resv2;
};

struct linux_io_cqring_offsets {
	uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1;
	uint64_t resv2;
};

struct linux_io_uring_params {
	uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, resv[3];
	struct linux_io_sqring_offsets sq_off;
	struct linux_io_cqring_offsets cq_off;
};

#define LINUX_IORING_SQ_NEED_WAKEUP (1u << 0)
#define LINUX_IORING_SQ_CQ_OVERFLOW (1u << 1)
#define LINUX_IORING_SQ_TASKRUN	    (1u << 2)

#define LINUX_IORING_CQ_EVENTFD_DISABLED (1u << 0)

#define LINUX_IORING_ENTER_GETEVENTS	   (1u << 0)
#define LINUX_IORING_ENTER_SQ_WAKEUP	   (1u << 1)
#define LINUX_IORING_ENTER_SQ_WAIT	   (1u << 2)
#define LINUX_IORING_ENTER_EXT_ARG	   (1u << 3)
#define LINUX_IORING_ENTER_REGISTERED_RING (1u << 4)
#define LINUX_IORING_ENTER_VALID	   0x1fu

/* SINGLE_MMAP NODROP SUBMIT_STABLE RW_CUR_POS CUR_PERSONALITY FAST_POLL POLL_32BITS SQPOLL_NONFIXED EXT_ARG NATIVE_WORKERS RSRC_TAGS CQE_SKIP
 * LINKED_FILE: all that 6.1 has. */
#define LINUX_IORING_FEAT_6_1 0x1fffu

struct linux_io_uring_getevents_arg {
	uint64_t sigmask;
	uint32_t sigmask_sz, pad;
	uint64_t ts;
};

enum linux_io_uring_register {
	LINUX_IORING_REGISTER_BUFFERS,
	LINUX_IORING_UNREGISTER_BUFFERS,
	LINUX_IORING_REGISTER_FILES,
	LINUX_IORING_UNREGISTER_FILES,
	LINUX_IORING_REGISTER_EVENTFD,
	LINUX_IORING_UNREGISTER_EVENTFD,
	LINUX_IORING_REGISTER_FILES_UPDATE,
	LINUX_IORING_REGISTER_EVENTFD_ASYNC,
	LINUX_IORING_REGISTER_PROBE,
	LINUX_IORING_REGISTER_PERSONALITY,
	LINUX_IORING_UNREGISTER_PERSONALITY,
	LINUX_IORING_REGISTER_RESTRICTIONS,
	LINUX_IORING_REGISTER_ENABLE_RINGS,
	LINUX_IORING_REGISTER_FILES2,
	LINUX_IORING_REGISTER_FILES_UPDATE2,
	LINUX_IORING_REGISTER_BUFFERS2,
	LINUX_IORING_REGISTER_BUFFERS_UPDATE,
	LINUX_IORING_REGISTER_IOWQ_AFF,
	LINUX_IORING_UNREGISTER_IOWQ_AFF,
	LINUX_IORING_REGISTER_IOWQ_MAX_WORKERS,
	LINUX_IORING_REGISTER_RING_FDS,
	LINUX_IORING_UNREGISTER_RING_FDS,
	LINUX_IORING_REGISTER_PBUF_RING,
	LINUX_IORING_UNREGISTER_PBUF_RING,
	LINUX_IORING_REGISTER_SYNC_CANCEL,
	LINUX_IORING_REGISTER_FILE_ALLOC_RANGE,
	LINUX_IORING_REGISTER_LAST,
};

#define LINUX_IORING_RSRC_REGISTER_SPARSE (1u << 0)
#define LINUX_IORING_REGISTER_FILES_SKIP  (-2)
#define LINUX_IO_URING_OP_SUPPORTED	  (1u << 0)

struct linux_io_uring_files_update {
	uint32_t offset, resv;
	uint64_t fds;
};

struct linux_io_uring_rsrc_register {
	uint32_t nr, flags;
	uint64_t resv2, data, tags;
};

struct linux_io_uring_rsrc_update2 {
	uint32_t offset, resv;
	uint64_t data, tags;
	uint32_t nr, resv2;
};

struct linux_io_uring_probe_op {
	uint8_t op, resv;
	uint16_t flags;
	uint32_t resv2;
};

struct linux_io_uring_probe {
	uint8_t last_op, ops_len;
	uint16_t resv;
	uint32_t resv2[3];
};

struct linux_io_uring_restriction {
	uint16_t opcode;
	uint8_t what; /* register_op, sqe_op, sqe_flags */
	uint8_t resv;
	uint32_t resv2[3];
};

enum { LINUX_IORING_RESTRICTION_REGISTER_OP, LINUX_IORING_RESTRICTION_SQE_OP, LINUX_IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
       LINUX_IORING_RESTRICTION_SQE_FLAGS_REQUIRED };

struct linux_io_uring_buf {
	uint64_t addr;
	uint32_t len;
	uint16_t bid;
	uint16_t tail; /* of entry 0: the ring's tail; reserved in the others */
};

struct linux_io_uring_buf_reg {
	uint64_t ring_addr;
	uint32_t ring_entries;
	uint16_t bgid, pad;
	uint64_t resv[3];
};

struct linux_io_uring_sync_cancel_reg {
	uint64_t addr;
	int32_t fd;
	uint32_t flags;
	int64_t tv_sec, tv_nsec;
	uint64_t pad[4];
};

struct linux_io_uring_file_index_range {
	uint32_t off, len;
	uint64_t resv;
};

struct linux_io_uring_recvmsg_out {
	uint32_t namelen, controllen, payloadlen, flags;
};

#endif
