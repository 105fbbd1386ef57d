/* SPDX-License-Identifier: Apache-2.0 */
/* The command table and the one place that prints errors. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runsc/cli.h"
#include "runsc/oci.h"

static const struct command commands[] = {
	/* clang-format off */
	{ "create",     cmd_create,     "ID",                 "make a container; its process waits for start" },
	{ "start",      cmd_start,      "ID",                 "let a created container run" },
	{ "run",        cmd_run,        "ID",                 "create and start; in the foreground, wait for its end and remove it" },
	{ "state",      cmd_state,      "ID",                 "print a container's state as JSON" },
	{ "kill",       cmd_kill,       "ID [SIGNAL]",        "send a signal (default TERM) to a container's process" },
	{ "delete",     cmd_delete,     "ID...",              "remove a stopped container (--force: kill it first)" },
	{ "list",       cmd_list,       "",                   "list containers" },
	{ "ps",         cmd_ps,         "ID",                 "list a container's processes" },
	{ "exec",       cmd_exec,       "ID COMMAND [ARG...]", "run another process in a container" },
	{ "pause",      cmd_pause,      "ID",                 "stop every process of a container" },
	{ "resume",     cmd_resume,     "ID",                 "let a paused container go on" },
	{ "wait",       cmd_wait,       "ID",                 "wait for a container's end and print its exit status" },
	{ "spec",       cmd_spec,       "",                   "write a config.json to start from" },
	{ "events",     cmd_events,     "ID",                 "print resource usage" },
	{ "update",     cmd_update,     "ID",                 "change resource limits" },
	{ "checkpoint", cmd_checkpoint, "ID",                 "write a container's whole state to an image directory" },
	{ "restore",    cmd_restore,    "ID",                 "make a container from an image directory and let it go on" },
	{ "image",      cmd_image,      "VERB DIR...",        "look into, check, convert and compare image directories" },
	{ "do",         cmd_do,         "COMMAND [ARG...]",   "run a command in a sandbox over a read-only view of this host" },
	{ "debug",      cmd_debug,      "ID",                 "print what the sandbox's kernel is doing, as JSON" },
	{ "features",   cmd_features,   "",                   "print what this runtime supports, as JSON" },
	{ "boot",       cmd_boot,       "",                   NULL },
	{ "gofer",      cmd_gofer,      "",                   NULL },
	{ "keeper",     cmd_keeper,     "",                   NULL },
	{ "template",   cmd_template,   "",                   NULL },
	/* clang-format on */
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void print_version(void)
{
	printf("runsc version " RUNSC_VERSION "\nspec: " OCI_VERSION "\n");
}

static void print_help(const struct flag *flags)
{
	printf("runsc - an OCI runtime on an application kernel\n\nusage: runsc [global flags] COMMAND [flags] "
	       "[arguments]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].help)
			printf("  %-11s %s\n", commands[i].name, commands[i].help);
	printf("\nglobal flags:\n");
	flags_print(flags);
	printf("\n`runsc COMMAND --help` lists a command's flags.\n");
}

static int dispatch(struct globals *g, int argc, char **argv, const char **verb, struct error **err)
{
	bool version = false;
	const struct flag flags[] = {
		{"root", 0, FLAG_STR, &g->root, "DIR", "where container state lives (/run/runsc)"},
		{"log", 0, FLAG_STR, &g->log, "FILE", "also append errors to FILE"},
		{"log-format", 0, FLAG_STR, &g->log_format, "FORMAT", "text or json, of --log"},
		{"debug", 0, FLAG_BOOL, &g->debug, NULL, "log at debug level; name refused host system calls"},
		{"debug-log", 0, FLAG_STR, &g->debug_log, "FILE",
		 "debug log; ending in /: a directory, one file per process"},
		{"platform", 0, FLAG_STR, &g->platform, "NAME", "how application code runs (ptrace)"},
		{"network", 0, FLAG_STR, &g->network, "MODE", "none (loopback only), host (this network), sandbox (as none)"},
		{"overlay2", 0, FLAG_STR, &g->overlay2, "WHAT",
		 "root:memory (default), all:memory, or none: write through"},
		{"file-access", 0, FLAG_STR, &g->file_access, "MODE",
		 "exclusive (default) or shared: others change the root too"},
		{"strace", 0, FLAG_BOOL, &g->strace, NULL, "log the application's system calls to the debug log"},
		{"strace-syscalls", 0, FLAG_STR, &g->strace_calls, "A,B",
		 "with --strace: only these, all but these (!A,B), or classes (%file, %desc, %network, %memory, %process, %signal, %ipc)"},
		{"strace-comm", 0, FLAG_STR, &g->strace_comms, "A,B", "with --strace: only tasks with these names"},
		{"rootless", 0, FLAG_STR, &g->rootless, "MODE", "true, false or auto"},
		{"ignore-cgroups", 0, FLAG_BOOL, &g->ignore_cgroups, NULL, "make no host cgroup"},
		{"systemd-cgroup", 's', FLAG_BOOL, &g->systemd_cgroup, NULL, "cgroupsPath is slice:prefix:name"},
		{"cgroup-manager", 0, FLAG_STR, &g->cgroup_manager, "NAME", "cgroupfs, systemd or disabled"},
		{"criu", 0, FLAG_NOP_STR, NULL, "PATH", "accepted; CRIU is not used"},
		{"net-raw", 0, FLAG_NOP_BOOL, NULL, NULL, "accepted; raw sockets follow CAP_NET_RAW"},
		{"alsologtostderr", 0, FLAG_NOP_BOOL, NULL, NULL, "accepted"},
		{"version", 'v', FLAG_BOOL, &version, NULL, "print the version"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	const struct command *c;
	int r;

	r = flags_parse(flags, FLAGS_FIRST, argc, argv, &rest, err);
	if (r < 0)
		return r;
	if (version) {
		print_version();
		return 0;
	}
	if (rest.help || rest.n == 0 || !strcmp(rest.args[0], "help")) {
		print_help(flags);
		return 0;
	}
	if (strcmp(g->log_format, "text") != 0 && strcmp(g->log_format, "json") != 0)
		return error_msg(err, -EINVAL, "--log-format: \"%s\" is neither text nor json", g->log_format);
	if (strcmp(g->network, "none") != 0 && strcmp(g->network, "host") != 0 && strcmp(g->network, "sandbox") != 0)
		return error_msg(err, -EINVAL, "--network: \"%s\" is none of none, host and sandbox", g->network);
	if (!strcmp(rest.args[0], "version")) {
		print_version();
		return 0;
	}
	c = command_find(rest.args[0]);
	if (!c)
		return error_msg(err, -EINVAL, "unknown command \"%s\" (see runsc --help)", rest.args[0]);
	if (c->help)
		*verb = c->name;
	return c->run(g, (int)rest.n - 1, rest.args + 1, err);
}

int main(int argc, char **argv)
{
	struct globals g = {
		.root = NULL,
		.log_format = "text",
		.network = "none",
		.overlay2 = "root:memory",
		.file_access = "exclusive",
		.rootless = "auto",
		.cgroup_manager = "cgroupfs",
	};
	_cleanup_error_ struct error *err = NULL;
	_cleanup_free_ char *root = NULL;
	const char *verb = NULL, *xdg = getenv("XDG_RUNTIME_DIR");
	int r;

	if (geteuid() == 0 || !xdg || !xdg[0])
		g.root = "/run/runsc";
	else if (asprintf(&root, "%s/runsc", xdg) >= 0)
		g.root = root;
	r = dispatch(&g, argc ? argc - 1 : 0, argv + 1, &verb, &err);
	if (r < 0) {
		report_error(&g, verb, err);
		r = 1;
	}
	if (fflush(stdout) != 0 && r == 0)
		r = 1;
	return r;
}
