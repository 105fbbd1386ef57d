/* SPDX-License-Identifier: Apache-2.0 */
/* The table of operations. What may be submitted on an IOPOLL ring, with a priority or with buffer selection is as in Linux 6.1's table. */
#include "sentry/fs/uring/uring_ops.h"

/* clang-format off */
static const struct uring_op ops[LINUX_IORING_OP_LAST] = {
	[LINUX_IORING_OP_NOP] = { "nop", UOP_IOPOLL, NULL, NULL, uop_nop },
	[LINUX_IORING_OP_READV] = { "readv", UOP_FILE | UOP_POLLIN | UOP_BUFSEL | UOP_IOPRIO | UOP_IOPOLL, uop_prep_rw, uop_import_rw, uop_rw },
	[LINUX_IORING_OP_WRITEV] = { "writev", UOP_FILE | UOP_POLLOUT | UOP_IOPRIO | UOP_IOPOLL, uop_prep_rw, uop_import_rw, uop_rw },
	[LINUX_IORING_OP_FSYNC] = { "fsync", UOP_FILE, uop_prep_file, NULL, uop_file },
	[LINUX_IORING_OP_READ_FIXED] = { "read_fixed", UOP_FILE | UOP_POLLIN | UOP_IOPRIO | UOP_IOPOLL, uop_prep_rw, NULL, uop_rw },
	[LINUX_IORING_OP_WRITE_FIXED] = { "write_fixed", UOP_FILE | UOP_POLLOUT | UOP_IOPRIO | UOP_IOPOLL, uop_prep_rw, NULL, uop_rw },
	[LINUX_IORING_OP_POLL_ADD] = { "poll_add", UOP_FILE, uop_prep_poll_add, NULL, uop_poll_add },
	[LINUX_IORING_OP_POLL_REMOVE] = { "poll_remove", UOP_NO_RETRY, uop_prep_poll_remove, NULL, uop_poll_remove },
	[LINUX_IORING_OP_SYNC_FILE_RANGE] = { "sync_file_range", UOP_FILE, uop_prep_file, NULL, uop_file },
	[LINUX_IORING_OP_SENDMSG] = { "sendmsg", UOP_FILE | UOP_POLLOUT | UOP_IOPRIO, uop_prep_send, uop_import_send, uop_send },
	[LINUX_IORING_OP_RECVMSG] = { "recvmsg", UOP_FILE | UOP_POLLIN | UOP_BUFSEL | UOP_IOPRIO, uop_prep_recv, uop_import_recv, uop_recv },
	[LINUX_IORING_OP_TIMEOUT] = { "timeout", UOP_NO_RETRY, uop_prep_timeout, NULL, uop_timeout },
	[LINUX_IORING_OP_TIMEOUT_REMOVE] = { "timeout_remove", UOP_NO_RETRY, uop_prep_timeout_remove, NULL, uop_timeout_remove },
	[LINUX_IORING_OP_ACCEPT] = { "accept", UOP_FILE | UOP_POLLIN | UOP_IOPRIO, uop_prep_accept, NULL, uop_accept },
	[LINUX_IORING_OP_ASYNC_CANCEL] = { "async_cancel", UOP_NO_RETRY, uop_prep_async_cancel, NULL, uop_async_cancel },
	[LINUX_IORING_OP_LINK_TIMEOUT] = { "link_timeout", UOP_NO_RETRY, uop_prep_timeout, NULL, uop_link_timeout },
	[LINUX_IORING_OP_CONNECT] = { "connect", UOP_FILE | UOP_POLLOUT, uop_prep_connect, uop_import_connect, uop_connect },
	[LINUX_IORING_OP_FALLOCATE] = { "fallocate", UOP_FILE, uop_prep_file, NULL, uop_file },
	[LINUX_IORING_OP_OPENAT] = { "openat", UOP_NO_RETRY, uop_prep_openat, NULL, uop_openat },
	[LINUX_IORING_OP_CLOSE] = { "close", UOP_NO_RETRY, uop_prep_close, NULL, uop_close },
	[LINUX_IORING_OP_FILES_UPDATE] = { "files_update", UOP_IOPOLL | UOP_NO_RETRY, uop_prep_files_update, NULL, uop_files_update },
	[LINUX_IORING_OP_STATX] = { "statx", UOP_NO_RETRY, uop_prep_path, NULL, uop_path },
	[LINUX_IORING_OP_READ] = { "read", UOP_FILE | UOP_POLLIN | UOP_BUFSEL | UOP_IOPRIO | UOP_IOPOLL, uop_prep_rw, NULL, uop_rw },
	[LINUX_IORING_OP_WRITE] = { "write", UOP_FILE | UOP_POLLOUT | UOP_IOPRIO | UOP_IOPOLL, uop_prep_rw, NULL, uop_rw },
	[LINUX_IORING_OP_FADVISE] = { "fadvise", UOP_FILE | UOP_NO_RETRY, uop_prep_file, NULL, uop_file },
	[LINUX_IORING_OP_MADVISE] = { "madvise", UOP_NO_RETRY, uop_prep_madvise, NULL, uop_madvise },
	[LINUX_IORING_OP_SEND] = { "send", UOP_FILE | UOP_POLLOUT | UOP_IOPRIO, uop_prep_send, uop_import_send, uop_send },
	[LINUX_IORING_OP_RECV] = { "recv", UOP_FILE | UOP_POLLIN | UOP_BUFSEL | UOP_IOPRIO, uop_prep_recv, uop_import_recv, uop_recv },
	[LINUX_IORING_OP_OPENAT2] = { "openat2", UOP_NO_RETRY, uop_prep_openat2, NULL, uop_openat },
	[LINUX_IORING_OP_EPOLL_CTL] = { "epoll_ctl", UOP_NO_RETRY, uop_prep_epoll_ctl, NULL, uop_epoll_ctl },
	[LINUX_IORING_OP_SPLICE] = { "splice", UOP_FILE | UOP_SLOW | UOP_NO_RETRY, uop_prep_splice, NULL, uop_splice },
	[LINUX_IORING_OP_PROVIDE_BUFFERS] = { "provide_buffers", UOP_IOPOLL, uop_prep_provide, NULL, uop_provide },
	[LINUX_IORING_OP_REMOVE_BUFFERS] = { "remove_buffers", UOP_IOPOLL, uop_prep_provide, NULL, uop_provide },
	[LINUX_IORING_OP_TEE] = { "tee", UOP_FILE | UOP_SLOW | UOP_NO_RETRY, uop_prep_splice, NULL, uop_splice },
	[LINUX_IORING_OP_SHUTDOWN] = { "shutdown", UOP_FILE, uop_prep_shutdown, NULL, uop_shutdown },
	[LINUX_IORING_OP_RENAMEAT] = { "renameat", UOP_NO_RETRY, uop_prep_path, NULL, uop_path },
	[LINUX_IORING_OP_UNLINKAT] = { "unlinkat", UOP_NO_RETRY, uop_prep_path, NULL, uop_path },
	[LINUX_IORING_OP_MKDIRAT] = { "mkdirat", UOP_NO_RETRY, uop_prep_path, NULL, uop_path },
	[LINUX_IORING_OP_SYMLINKAT] = { "symlinkat", UOP_NO_RETRY, uop_prep_path, NULL, uop_path },
	[LINUX_IORING_OP_LINKAT] = { "linkat", UOP_NO_RETRY, uop_prep_path, NULL, uop_path },
	[LINUX_IORING_OP_MSG_RING] = { "msg_ring", UOP_FILE | UOP_IOPOLL | UOP_NO_RETRY, uop_prep_msg_ring, NULL, uop_msg_ring },
	[LINUX_IORING_OP_FSETXATTR] = { "fsetxattr", UOP_FILE | UOP_NO_RETRY, uop_prep_xattr, NULL, uop_xattr },
	[LINUX_IORING_OP_SETXATTR] = { "setxattr", UOP_NO_RETRY, uop_prep_xattr, NULL, uop_xattr },
	[LINUX_IORING_OP_FGETXATTR] = { "fgetxattr", UOP_FILE | UOP_NO_RETRY, uop_prep_xattr, NULL, uop_xattr },
	[LINUX_IORING_OP_GETXATTR] = { "getxattr", UOP_NO_RETRY, uop_prep_xattr, NULL, uop_xattr },
	[LINUX_IORING_OP_SOCKET] = { "socket", UOP_NO_RETRY, uop_prep_socket, NULL, uop_socket },
	[LINUX_IORING_OP_URING_CMD] = { "uring_cmd", UOP_FILE, uop_prep_cmd, NULL, uop_cmd },
	[LINUX_IORING_OP_SEND_ZC] = { "send_zc", UOP_FILE | UOP_POLLOUT | UOP_IOPRIO, uop_prep_send_zc, uop_import_send, uop_send_zc },
	[LINUX_IORING_OP_SENDMSG_ZC] = { "sendmsg_zc", UOP_FILE | UOP_POLLOUT | UOP_IOPRIO, uop_prep_send_zc, uop_import_send, uop_send_zc },
};
/* clang-format on */

const struct uring_op *uring_op(unsigned opcode)
{
	return &ops[opcode];
}
