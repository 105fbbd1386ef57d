/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol between the command line and the sandbox process: over a stream socket, each message is a 32-bit
 * little-endian length and that many bytes of JSON; file descriptors ride on its first byte. A request is
 * {"op": ..., ...}; its answer is {"ok": true, ...} or {"error": text, "code": -errno}. On a connection used for `exec`
 * or `wait`, {"exit": status} follows when the process ends, and closing the connection of an `exec` early kills the
 * process.
 *
 * Requests: create restore clone hello keep start exec wait kill winsize pause resume ps stats debug checkpoint commit. See
 * control_server.c for their members.
 */
#ifndef RUNSC_CONTROL_H
#define RUNSC_CONTROL_H

#include <jansson.h>

#include "base/error.h"
#include "runsc/container.h"

#define CONTROL_MSG_MAX (32U << 20)

#define CTL_FD 3 /* the creator's connection, in every process that the command line starts */

_must_check_ int control_send(int sock, json_t *msg, const int *fds, size_t nr_fds);
/* -ECONNRESET: the peer is gone. @fds may be NULL when none are expected (received ones are closed). */
_must_check_ int control_recv(int sock, json_t **ret, int *fds, size_t max_fds, size_t *nr_fds);

#define CONTROL_SOCK "control.sock"

/* Makes the listening socket <dir>/@name; whatever the length of the path. */
_must_check_ int control_listen(const struct container *c, const char *name, int *ret, struct error **err);
_must_check_ int control_connect(const struct container *c, int *ret, struct error **err);
/* To <dir>/@name, where each connection is answered by a process that is forked for it, and which tells its pid by answering. */
_must_check_ int control_fork_begin(const struct container *c, const char *name, int *ret, struct error **err);
_must_check_ int control_fork_end(int sock, pid_t *ret_pid, struct error **err);
/* The sender of the next message on @sock, which is left there, as the kernel tells it. SO_PASSCRED must have been set on @sock before
 * the message was sent. */
_must_check_ int control_peek_sender(int sock, pid_t *ret);
/* One request, one answer. Steals @req. @ret may be NULL. */
_must_check_ int control_call(int sock, json_t *req, const int *fds, size_t nr_fds, json_t **ret, struct error **err);
/* Connects, calls and closes; for verbs that need a live container. */
_must_check_ int control_once(const struct container *c, json_t *req, json_t **ret, struct error **err);

/* Replies, for the server: steals @reply. */
void control_reply(int sock, json_t *reply);
void control_reply_error(int sock, const struct error *err);

#endif
