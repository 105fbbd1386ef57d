/* SPDX-License-Identifier: Apache-2.0 */
/* runsc run: create and start; in the foreground also wait and delete. */
#include "runsc/lifecycle.h"

int cmd_run(struct globals *g, int argc, char **argv, struct error **err)
{
	struct create_opts o = {.relay = true};
	bool detach = false, keep = false;
	const struct flag flags[] = {
		{"bundle", 'b', FLAG_STR, &o.bundle, "DIR", "where config.json is (working directory)"},
		{"detach", 'd', FLAG_BOOL, &detach, NULL, "do not wait for the container's end"},
		{"keep", 0, FLAG_BOOL, &keep, NULL, "do not delete the container at its end"},
		{"console-socket", 0, FLAG_STR, &o.console_socket, "SOCK", "receives the terminal's master"},
		{"pid-file", 0, FLAG_STR, &o.pid_file, "FILE", "gets the pid whose exit status is the container's"},
		{"preserve-fds", 0, FLAG_INT, &o.preserve_fds, "N", "pass descriptors 3..3+N-1 to the container"},
		{"no-pivot", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: the root is the sandbox's own"},
		{"no-new-keyring", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: host keyrings are out of reach"},
		{"no-subreaper", 0, FLAG_NOP_BOOL, NULL, NULL, "no effect: the sandbox reaps its own"},
		{"pidfd-socket", 0, FLAG_NOP_STR, NULL, "SOCK", "accepted, not used"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_created_ struct created x = {.ctl = -EBADF, .master = -EBADF};
	int r = cmd_parse("run", flags, FLAGS_ANYWHERE, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	o.relay = !detach;
	o.keep_at_start = true;
	r = lifecycle_create(g, rest.args[0], &o, &x, err);
	if (r < 0)
		return r;
	return run_created(g, &x, detach, keep, err);
}
