/* SPDX-License-Identifier: Apache-2.0 */
/* What `runsc checkpoint` was asked for, into a directory (cmd_checkpoint.c) or a stream (stream_send.c). */
#ifndef RUNSC_CHECKPOINT_H
#define RUNSC_CHECKPOINT_H

#include <jansson.h>

#include "base/util.h"

struct ckpt_opts {
	const char *image_path, *work_path, *compression, *parent_path;
	const char *sign; /* key file */
	bool leave_running, pre_dump, print_stats, file_digest, digest;
	int level; /* of compression */
	/* Streams. */
	int64_t rounds;   /* at most, while the container runs; -1: STREAM_ROUNDS, but none into a file */
	int64_t downtime; /* milliseconds that may be left for the last round, in which it is stopped */
	int64_t timeout;  /* seconds without progress; 0: any time */
	bool ack;         /* the container ends when the receiver says that its own runs */
};

/* The request to the sandbox. @parent_hash: of the image that this one may be a change of; NULL or "": it is complete. NULL: no memory. */
json_t *checkpoint_request(const struct ckpt_opts *o, bool leave_running, const char *parent_hash);

#endif
