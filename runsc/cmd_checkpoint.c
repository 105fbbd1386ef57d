/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runsc checkpoint. The sandbox writes into descriptors of ours; we make the image durable and then tell the sandbox to
 * end. If we are killed before that, the sandbox sees our connection close and goes on; see control_server.c.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runsc/compression.h"
#include "runsc/checkpoint.h"
#include "runsc/control.h"
#include "runsc/image_dir.h"
#include "runsc/image_sign.h"
#include "runsc/lifecycle.h"
#include "runsc/stream.h"

/* Says with every failure what has become of the container. */
static int failed(struct container *c, struct error **err)
{
	if (*err && (*err)->code == -ECONNRESET) {
		error_freep(err);
		return error_msg(err, -ESRCH, "container %s ended before its checkpoint was complete", c->id);
	}
	return error_prefix(err, "container %s goes on running", c->id);
}

json_t *checkpoint_request(const struct ckpt_opts *o, bool leave, const char *parent_hash)
{
	json_t *m = json_pack("{s:s, s:b, s:i, s:b, s:b}", "op", "checkpoint", "leaveRunning", leave, "compression", o->level, "fileDigest",
			      o->file_digest, "digests", o->digest || o->sign);

	if (m && parent_hash && parent_hash[0] && json_object_set_new(m, "parent", json_string(parent_hash)) < 0) {
		json_decref(m);
		return NULL;
	}
	return m;
}

/* For people: what it cost. */
static void print_stats(const struct container *c, bool leave, const json_t *a)
{
	double mib = (double)json_integer_value(json_object_get(a, "bytes")) / (1 << 20);
	json_int_t inherited = json_integer_value(json_object_get(a, "pagesInherited"));

	(void)fprintf(stderr, "%s: %.1f MiB", c->id, mib);
	if (inherited)
		(void)fprintf(stderr, ", %.1f MiB left to the parent", (double)inherited / 256);
	(void)fprintf(stderr, ", %.1f ms", (double)json_integer_value(json_object_get(a, "totalUs")) / 1000);
	if (leave)
		(void)fprintf(stderr, ", paused for %.1f ms", (double)json_integer_value(json_object_get(a, "pausedUs")) / 1000);
	(void)fputc('\n', stderr);
}

static int checkpoint(struct globals *g, struct container *c, const struct ckpt_opts *o, struct error **err)
{
	_cleanup_image_ struct image_dir img = IMAGE_DIR_INIT;
	_cleanup_(json_decrefp) json_t *answer = NULL;
	_cleanup_close_ int ctl = -EBADF;
	bool leave = o->leave_running || o->pre_dump, incremental;
	_cleanup_sign_key_ struct sign_key key = {0};
	char hash[MANIFEST_HASH + 1];
	int r = o->sign ? sign_key_load(o->sign, true, &key, err) : 0; /* before anybody waits */

	if (r == 0)
		r = control_connect(c, &ctl, err);
	if (r == 0)
		r = image_dir_begin(&img, o->image_path, err);
	if (r == 0 && o->parent_path)
		r = image_dir_parent_hash(o->image_path, o->parent_path, hash, err);
	if (r < 0)
		return r;
	if (o->sign)
		img.sign = &key;
	r = control_call(ctl, checkpoint_request(o, leave, o->parent_path ? hash : NULL), img.fds, IMAGE_PARTS, &answer, err);
	if (r < 0)
		return failed(c, err);
	incremental = json_is_true(json_object_get(answer, "incremental"));
	if (o->parent_path && !incremental)
		report_notice(g, "checkpoint: --parent-path %s is not the image container %s was last saved to or restored from, or has no digests for a signature, or nothing of it is left: the new image is complete",
			       o->parent_path, c->id);
	r = image_dir_commit(&img, incremental ? o->parent_path : NULL, err);
	if (r < 0) /* our closing the connection lets the container go on */
		return failed(c, err);
	if (!leave) {
		_cleanup_(json_decrefp) json_t *commit = json_pack("{s:s}", "op", "commit");

		r = commit ? control_send(ctl, commit, NULL, 0) : -ENOMEM;
		if (r < 0)
			return error_set(err, r, "ending container %s after its checkpoint", c->id);
		proc_wait(&c->sandbox);
	}
	if (o->print_stats || isatty(STDERR_FILENO))
		print_stats(c, leave, answer);
	if (o->work_path && o->work_path[0])
		image_write_dump_logs(o->work_path, o->image_path, answer);
	else
		image_write_dump_logs(NULL, o->image_path, answer);
	return 0;
}

static int check_stream(const struct ckpt_opts *o, struct error **err)
{
	if (!path_is_stream(o->image_path))
		return o->ack ? error_msg(err, -EINVAL, "--ack: only a stream (--image-path -) has somebody who could acknowledge it") : 0;
	if (o->pre_dump || o->parent_path)
		return error_msg(err, -EINVAL, "--%s: a stream (--image-path -) is complete", o->pre_dump ? "pre-dump" : "parent-path");
	if (o->sign || o->digest)
		return error_msg(err, -EINVAL, "--sign, --digest: a stream (--image-path -) is not signed; what carries it is to be trusted");
	if (o->timeout < 0 || o->timeout > INT32_MAX)
		return error_msg(err, -EINVAL, "--stream-timeout: %lld is out of range", (long long)o->timeout);
	if (o->rounds < -1 || o->rounds >= STREAM_MAX_ROUNDS)
		return error_msg(err, -EINVAL, "--pre-copy: %lld is not between 0 and %u", (long long)o->rounds, STREAM_MAX_ROUNDS - 1);
	if (o->downtime < 0 || o->downtime > INT32_MAX)
		return error_msg(err, -EINVAL, "--downtime: %lld is out of range", (long long)o->downtime);
	return stream_check_output(o->ack, err);
}

int cmd_checkpoint(struct globals *g, int argc, char **argv, struct error **err)
{
	struct ckpt_opts o = {.timeout = STREAM_TIMEOUT, .rounds = -1, .downtime = STREAM_DOWNTIME};
	const struct flag flags[] = {
		{"image-path", 0, FLAG_STR, &o.image_path, "DIR",
		 "where to write (checkpoint/ in the working directory); -: a stream to standard output"},
		{"leave-running", 'R', FLAG_BOOL, &o.leave_running, NULL, "let the container go on afterwards"},
		{"work-path", 0, FLAG_STR, &o.work_path, "DIR", "gets dump.log and stats-dump"},
		{"compression", 0, FLAG_STR, &o.compression, "HOW",
		 "none (default; fastest restore), zstd, or zstd:LEVEL (1..19)"},
		{"file-digest", 0, FLAG_BOOL, &o.file_digest, NULL,
		 "record a digest of every file outside that is in use, for restore --file-check"},
		{"sign", 0, FLAG_STR, &o.sign, "FILE", "sign the image with this secret key (runsc image keygen makes one)"},
		{"digest", 0, FLAG_BOOL, &o.digest, NULL, "store what runsc image sign needs to sign it later"},
		{"pre-dump", 0, FLAG_BOOL, &o.pre_dump, NULL,
		 "leave the container running, as --leave-running; to be the parent of the image that follows"},
		{"parent-path", 0, FLAG_STR, &o.parent_path, "DIR",
		 "an earlier image, seen from --image-path: write only what has changed since"},
		{"print-stats", 0, FLAG_BOOL, &o.print_stats, NULL, "say on stderr what was written and how long it took"},
		{"ack", 0, FLAG_BOOL, &o.ack, NULL,
		 "stream: the container ends when the receiver confirms (on the same socket, or standard input)"},
		{"stream-timeout", 0, FLAG_INT, &o.timeout, "SECONDS",
		 "stream: give up when nobody reads for so long (60; 0: never)"},
		{"pre-copy", 0, FLAG_INT, &o.rounds, "ROUNDS",
		 "stream: send memory so often, at most, while the container runs (8; into a file 0)"},
		{"downtime", 0, FLAG_INT, &o.downtime, "MS", "stream: stop for the rest when it is sent in so long (50)"},
		{"tcp-established", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: connections inside the sandbox are kept"},
		{"tcp-skip-in-flight", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect"},
		{"tcp-close", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect"},
		{"link-remap", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: deleted files are in the image"},
		{"ext-unix-sk", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect"},
		{"shell-job", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: terminals are kept"},
		{"lazy-pages", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: restore loads pages on use anyway"},
		{"status-fd", 0, FLAG_NOP_STR, NULL, "FD", "no effect"},
		{"page-server", 0, FLAG_NOP_STR, NULL, "ADDR", "no effect: pages go to the image directory"},
		{"file-locks", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: locks are always kept"},
		{"manage-cgroups-mode", 0, FLAG_NOP_STR, NULL, "MODE", "no effect"},
		{"empty-ns", 0, FLAG_NOP_STR, NULL, "NS", "no effect"},
		{"auto-dedup", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect"},
		{"network-lock", 0, FLAG_NOP_STR, NULL, "HOW", "no effect"},
		{"direct", 0, FLAG_NOP_BOOL, NULL, NULL, "accepted (gVisor)"},
		{"exclude-committed-zero-pages", 0, FLAG_NOP_BOOL, NULL, NULL,
		 "no effect: zero pages are never stored"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_container_ struct container *c = NULL;
	int r = cmd_parse("checkpoint", flags, FLAGS_ANYWHERE, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	if (!o.image_path || !o.image_path[0])
		o.image_path = "checkpoint";
	if (o.parent_path && !o.parent_path[0])
		o.parent_path = NULL;
	r = compression_parse(o.compression, &o.level, err);
	if (r == 0)
		r = check_stream(&o, err);
	if (r == 0)
		r = container_open(g, rest.args[0], CONTAINER_EXCLUSIVE, &c, err);
	if (r < 0)
		return r;
	if (c->status != CONTAINER_RUNNING && c->status != CONTAINER_PAUSED)
		return error_msg(err, -ESRCH, "container not running: \"%s\" is %s", c->id,
				 container_status_name(c->status));
	return path_is_stream(o.image_path) ? stream_checkpoint(c, &o, err) : checkpoint(g, c, &o, err);
}
