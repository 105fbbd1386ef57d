/* SPDX-License-Identifier: Apache-2.0 */
/* runsc restore: a new sandbox and gofer from a bundle and an image; the container is running when this returns. */
#include "runsc/image_sign.h"
#include "runsc/lifecycle.h"
#include "runsc/restore_clone.h"
#include "runsc/restore_opts.h"
#include "runsc/stream.h"
#include "runsc/template.h"

int cmd_restore(struct globals *g, int argc, char **argv, struct error **err)
{
	struct create_opts o = {0};
	struct clone_opts clones = {.count = CLONES_AS_NAMED};
	const char *file_check = NULL, *clock = NULL;
	const char *verify = NULL, *verify_key = NULL;
	bool detach = false, keep = false, template = false, record = false;
	int64_t record_secs = 10;
	const struct flag flags[] = {
		{"image-path", 0, FLAG_STR, &o.image_path, "DIR",
		 "the image (checkpoint/ in the working directory); -: a stream from standard input"},
		{"image-work-path", 0, FLAG_STR, &o.image_work_path, "DIR",
		 "stream: keep it in nameless files here, not in memory"},
		{"stdin", 0, FLAG_STR, &o.stdin_path, "FILE",
		 "standard input of the container (ours; /dev/null when that carries the image)"},
		{"bundle", 'b', FLAG_STR, &o.bundle, "DIR", "where config.json is (working directory)"},
		{"detach", 'd', FLAG_BOOL, &detach, NULL, "do not wait for the container's end"},
		{"keep", 0, FLAG_BOOL, &keep, NULL, "do not delete the container at its end"},
		{"verify", 0, FLAG_STR, &verify, "HOW",
		 "what of the image is checked: sums (default), off, or signature (with --verify-key)"},
		{"verify-key", 0, FLAG_STR, &verify_key, "FILE", "the public key the image must be signed with"},
		{"work-path", 0, FLAG_STR, &o.work_path, "DIR", "gets restore.log and stats-restore"},
		{"file-check", 0, FLAG_STR, &file_check, "HOW",
		 "files outside that have changed: auto (refuse what a process could trip over, warn of the rest), strict, warn, off"},
		{"clock", 0, FLAG_STR, &clock, "HOW",
		 "monotonic clocks: continue (default) where they stood, or include the time elapsed since the checkpoint"},
		{"console-socket", 0, FLAG_STR, &o.console_socket, "SOCK", "receives the terminal's master"},
		{"pid-file", 0, FLAG_STR, &o.pid_file, "FILE", "gets the pid whose exit status is the container's"},
		{"template", 0, FLAG_BOOL, &template, NULL, "no container: a template NAME for --from-template"},
		{"from-template", 0, FLAG_STR, &o.from_template, "NAME", "fork from this template instead of reading an image"},
		{"clone", 0, FLAG_INT, &clones.count, "N", "N containers PREFIX-1 .. PREFIX-N, detached; prints their ids"},
		{"clone-names", 0, FLAG_STR, &clones.names, "A,B,..", "containers of these names instead; no PREFIX"},
		{"hostname", 0, FLAG_STR, &o.hostname, "NAME",
		 "host name; \"ID\": the container's id, \"keep\": the saved one (config.json's, if the application kept its own)"},
		{"preserve-fds", 0, FLAG_INT, &o.preserve_fds, "N", "accepted; saved descriptors keep their meaning"},
		{"no-pivot", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: the root is the sandbox's own"},
		{"no-new-keyring", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: host keyrings are out of reach"},
		{"no-subreaper", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: the sandbox reaps its own"},
		{"tcp-established", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: connections inside the sandbox are kept"},
		{"tcp-close", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: there are no host connections"},
		{"ext-unix-sk", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect"},
		{"shell-job", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: terminals are kept"},
		{"file-locks", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: locks are always kept"},
		{"auto-dedup", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: one image holds everything"},
		{"lazy-pages", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: pages are loaded on use anyway"},
		{"direct", 0, FLAG_NOP_BOOL, NULL, NULL, "accepted (gVisor)"},
		{"background", 0, FLAG_BOOL, &o.restore.background, NULL, "read all of the image while the container runs"},
		{"record-working-set", 0, FLAG_BOOL, &record, NULL,
		 "record, beside the image, which pages are used first; later restores read these ahead"},
		{"record-time", 0, FLAG_INT, &record_secs, "SECONDS", "for how long, at most (10)"},
		{"manage-cgroups-mode", 0, FLAG_NOP_STR, NULL, "MODE", "no effect: the bundle names the cgroup"},
		{"empty-ns", 0, FLAG_NOP_STR, NULL, "NS", "no effect"},
		{"parent-path", 0, FLAG_STR, &o.parent_path, "DIR",
		 "where the image's parent is, seen from --image-path, if not where it was"},
		{"network-lock", 0, FLAG_NOP_STR, NULL, "HOW", "no effect"},
		{"lsm-profile", 0, FLAG_NOP_STR, NULL, "PROFILE", "no effect: no LSM inside the sandbox"},
		{"lsm-mount-context", 0, FLAG_NOP_STR, NULL, "CONTEXT", "no effect: no LSM inside the sandbox"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_created_ struct created x = {.ctl = -EBADF, .master = -EBADF};
	int r = cmd_parse("restore", flags, FLAGS_ANYWHERE, 0, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	r = restore_opts_parse(file_check, clock, &o.restore, err);
	if (r < 0)
		return r;
	if (o.from_template && o.image_path)
		return error_msg(err, -EINVAL, "--from-template: goes without --image-path, which is the template's");
	if (!o.from_template && (!o.image_path || !o.image_path[0]))
		o.image_path = "checkpoint";
	if (record && (o.from_template || template || clones.count != CLONES_AS_NAMED || clones.names || path_is_stream(o.image_path)))
		return error_msg(err, -EINVAL, "--record-working-set: goes with one container restored from an image directory");
	if (record_secs < 1 || record_secs > WORKING_SET_SECS_MAX)
		return error_msg(err, -EINVAL, "--record-time: must be 1 to %d seconds", WORKING_SET_SECS_MAX);
	o.restore.working_set = record ? SENTRY_WORKING_SET_RECORD : SENTRY_WORKING_SET_NONE;
	o.restore.working_set_secs = (uint32_t)record_secs;
	r = verify_parse(verify, verify_key, &o.restore, err);
	if (r < 0)
		return r;
	if (rest.n && clones.names)
		return error_msg(err, -EINVAL, "--clone-names: goes without a container id");
	if (!rest.n && !clones.names)
		return error_msg(err, -EINVAL, "an argument is missing (usage: runsc restore [flags] %s)",
				 clones.count == CLONES_AS_NAMED ? "CONTAINER" : "PREFIX");
	if (template && (o.from_template || clones.count != CLONES_AS_NAMED || clones.names))
		return error_msg(err, -EINVAL, "--template: goes without --from-template and --clone");
	if (template)
		return template_create(g, rest.args[0], &o, err);
	if (clones.count != CLONES_AS_NAMED || clones.names) {
		clones.prefix = rest.args[0];
		clones.create = o;
		return restore_clones(g, &clones, err);
	}
	o.relay = !detach;
	o.keep_at_start = true;
	o.preserve_fds = 0;
	r = lifecycle_create(g, rest.args[0], &o, &x, err);
	if (r < 0)
		return r;
	return run_created(g, &x, detach, keep, err);
}
