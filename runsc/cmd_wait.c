/* SPDX-License-Identifier: Apache-2.0 */
/* runsc wait: prints {"id": ..., "exitStatus": N} at the container's end; at once if it has ended. */
#include <stdio.h>
#include <sys/wait.h>

#include "runsc/control.h"

/* Sets *@ret to the wait status the sandbox reports; -ENODATA when it ended without a report. */
static int wait_live(const struct container *c, int *ret, struct error **err)
{
	_cleanup_(json_decrefp) json_t *m = NULL;
	_cleanup_close_ int sock = -EBADF;
	json_t *v;
	int r = control_connect(c, &sock, NULL);

	if (r == 0)
		r = control_call(sock, json_pack("{s:s}", "op", "wait"), NULL, 0, NULL, NULL);
	if (r == 0)
		r = control_recv(sock, &m, NULL, 0, NULL);
	v = json_object_get(m, "exit");
	if (r < 0 || !json_is_integer(v))
		return -ENODATA;
	*ret = (int)json_integer_value(v);
	return 0;
}

int cmd_wait(struct globals *g, int argc, char **argv, struct error **err)
{
	static const struct flag flags[] = {{0}};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_container_ struct container *c = NULL;
	int r = cmd_parse("wait", flags, FLAGS_ANYWHERE, 1, 1, argc, argv, &rest, err), status;

	if (r)
		return r < 0 ? r : 0;
	r = container_open(g, rest.args[0], CONTAINER_NOLOCK, &c, err);
	if (r < 0)
		return r;
	if (c->status == CONTAINER_STOPPED || wait_live(c, &status, err) < 0) {
		proc_wait(&c->sandbox);
		status = container_exit_status(c);
	}
	proc_wait(&c->sandbox); /* so that whoever waited finds it stopped */
	if (status < 0)
		return error_msg(err, -EIO, "container %s: the sandbox died (its log: %s)", c->id, c->debug_log);
	printf("{\"id\":\"%s\",\"exitStatus\":%d}\n", c->id,
	       WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	return 0;
}
