/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images as streams: `checkpoint --image-path -` and `restore --image-path -`. The format is state/image_stream.h.
 *
 * Sender:   the sandbox writes each part into a pipe of ours; we cut what comes into chunks and write them to standard
 *           output. A reader that is slow slows the sandbox; a reader that is gone, a signal, or our own death closes
 *           the pipes, on which the sandbox gives up the checkpoint and lets the container go on.
 * Receiver: standard input is read up to the end mark into files without a name, which are then what the files of an
 *           image directory would be.
 */
#ifndef RUNSC_STREAM_H
#define RUNSC_STREAM_H

#include <signal.h>

#include "runsc/checkpoint.h"
#include "runsc/image_dir.h"
#include "state/image_stream.h"

#define STREAM_TIMEOUT  60 /* seconds, the default of --stream-timeout */
#define STREAM_ROUNDS   8  /* the default of --pre-copy */
#define STREAM_DOWNTIME 50 /* milliseconds, the default of --downtime */

static inline bool path_is_stream(const char *path)
{
	return path && path[0] == '-' && !path[1];
}

/* --- stream_guard.c --- */

/*
 * While a guard is up, SIGHUP, SIGINT, SIGQUIT and SIGTERM do not end the process but interrupt what blocks, and so
 * does a clock, several times per second: loops look at stream_signal() and at the time, and clean up themselves. A
 * process has one guard.
 */
struct stream_guard {
	struct sigaction old[6];
	bool up;
};
void stream_guard_begin(struct stream_guard *g);
void stream_guard_end(struct stream_guard *g);
#define _cleanup_guard_ _cleanup_(stream_guard_end)
/* The signal that came, or 0. */
int stream_signal(void);
/* Stores "interrupted by SIGTERM" and returns -EINTR when a signal came, else 0. */
_must_check_ int stream_check_signal(struct error **err);
int64_t stream_now(void); /* CLOCK_MONOTONIC, nanoseconds */

/* A line about how far we are, on a terminal only; begin/step/end. */
struct stream_progress {
	const char *verb;
	bool shown;
	int64_t start, last;
};
void stream_progress_step(struct stream_progress *p, uint64_t bytes, const char *what);
void stream_progress_end(struct stream_progress *p);

/* --- stream_send.c --- */

/* Refuses a standard output that no stream should go to, before anything is done. */
_must_check_ int stream_check_output(bool ack, struct error **err);
/* The caller holds the container's lock, which is given up while rounds are sent that do not stop it. */
_must_check_ int stream_checkpoint(struct container *c, const struct ckpt_opts *o, struct error **err);

/* --- stream_recv.c --- */

/* Reads standard input to the end mark. @d then has the descriptors of the parts and of earlier rounds, and no directory. @work_path: where
 * the files without a name are; NULL or "": in memory. @verb: for progress. @ret_ack: to be restored; true: the sender waits for
 * stream_send_ack(); standard input is /dev/null afterwards. NULL: only to be looked at. */
_must_check_ int stream_receive_image(struct image_dir *d, const char *work_path, const char *verb, bool *ret_ack, struct error **err);
/* The container runs: tells a sender that asked for it. */
_must_check_ int stream_send_ack(struct error **err);

#endif
