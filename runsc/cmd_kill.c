/* SPDX-License-Identifier: Apache-2.0 */
/* runsc kill. Takes no lock: it must work while another verb is stuck. */
#include <signal.h>

#include "runsc/control.h"
#include "runsc/signal_names.h"

int cmd_kill(struct globals *g, int argc, char **argv, struct error **err)
{
	bool all = false;
	int64_t pid = 0;
	const struct flag flags[] = {
		{"all", 'a', FLAG_BOOL, &all, NULL, "to every process of the container"},
		{"pid", 0, FLAG_INT, &pid, "PID", "to this process, by its number inside"},
		{"regex", 'r', FLAG_NOP_BOOL, NULL, NULL, "accepted (crun), not used"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_container_ struct container *c = NULL;
	int r = cmd_parse("kill", flags, FLAGS_ANYWHERE, 1, 2, argc, argv, &rest, err), sig = SIGTERM;

	if (r)
		return r < 0 ? r : 0;
	if (rest.n == 2)
		sig = signal_number(rest.args[1]);
	if (sig < 0)
		return error_msg(err, sig, "\"%s\" is not a signal", rest.args[1]);
	r = container_open(g, rest.args[0], CONTAINER_NOLOCK, &c, err);
	if (r < 0)
		return r;
	if (c->status == CONTAINER_STOPPED || c->status == CONTAINER_CREATING)
		return error_msg(err, -ESRCH, "container not running: \"%s\" is %s", c->id,
				 container_status_name(c->status));
	r = control_once(
		c, json_pack("{s:s, s:i, s:b, s:I}", "op", "kill", "signal", sig, "all", all, "pid", (json_int_t)pid),
		NULL, err);
	/* The sandbox may end before its answer is out; then the signal has done its work. */
	return r == -ECONNRESET && proc_alive(&c->sandbox) < 0 ? (error_freep(err), 0) : r;
}
