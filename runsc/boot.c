/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `runsc boot`: the sandbox process, pid 1 of its pid namespace. One straight line: read the setup message, give up
 * everything (root, credentials, system calls), build the container, serve control connections, wait for init, exit
 * with its status.
 *
 * The exit status of this process is the container's: engines reap it as the container's pid. A death by signal n is
 * status 128+n, since pid 1 of a namespace cannot be killed by its own signals.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "base/crash.h"
#include "base/fd_util.h"
#include "base/log.h"
#include "runsc/boot.h"
#include "runsc/control.h"
#include "runsc/isolate.h"
#include "runsc/oci_seccomp.h"
#include "state/manifest.h"

const char *setup_str(const struct setup *s, const char *key)
{
	const char *v = json_string_value(json_object_get(s->msg, key));

	return v ? v : "";
}

bool setup_bool(const struct setup *s, const char *key)
{
	return json_is_true(json_object_get(s->msg, key));
}

size_t setup_image(const struct setup *s, const int *fds, struct sentry_image_fds *ret)
{
	static struct sentry_layer_fds layers[MANIFEST_LAYERS_MAX];

	*ret = (struct sentry_image_fds){
		.manifest = fds[IMAGE_MANIFEST],
		.kernel = fds[IMAGE_KERNEL],
		.index = fds[IMAGE_INDEX],
		.pages = fds[IMAGE_PAGES],
		.layers = layers,
		.nr_layers = s->nr_layers,
	};
	fds += IMAGE_PARTS;
	for (size_t i = 0; i < s->nr_layers; i++, fds += 2)
		layers[i] = (struct sentry_layer_fds){fds[0], fds[1]};
	return IMAGE_PARTS + 2 * s->nr_layers;
}

int setup_receive(struct setup *s, size_t fixed, struct error **err)
{
	int r = control_recv(CTL_FD, &s->msg, s->fds, FD_SEND_MAX, &s->nr_fds);
	const char *op;
	bool image;

	if (r < 0)
		return error_set(err, r, "setup message");
	op = setup_str(s, "op");
	s->clone = !strcmp(op, "clone");
	s->restore = s->clone || !strcmp(op, "restore");
	image = !strcmp(op, "restore") || !strcmp(op, "template");
	if (image)
		s->nr_layers = (size_t)json_integer_value(json_object_get(s->msg, "layers"));
	s->working_set = image && json_integer_value(json_object_get(json_object_get(s->msg, "restore"), "workingSet")) != 0;
	if (s->nr_layers > MANIFEST_LAYERS_MAX)
		return error_msg(err, -EPROTO, "setup message: too many layers");
	s->fixed = fixed + (s->clone ? 1 : image ? IMAGE_PARTS + 2 * s->nr_layers + s->working_set : 0);
	if (s->nr_fds < s->fixed)
		return error_msg(err, -EPROTO, "setup message: descriptors are missing (%zu came)", s->nr_fds);
	return 0;
}

int setup_read(struct setup *s, struct error **err)
{
	int r = setup_receive(s, FIXED_FDS, err);

	if (r < 0)
		return r;
	r = oci_spec_from_json(json_object_get(s->msg, "spec"), "config.json", &s->spec, err);
	if (r < 0)
		return r;
	if (!s->spec->process)
		return error_msg(err, -EINVAL, "config.json: process: is missing");
	return 0;
}

/* While /proc is still there and we are still privileged. */
static void adjust_oom(const struct oci_spec *spec)
{
	char num[16];

	if (!spec->process->has_oom)
		return;
	(void)snprintf(num, sizeof(num), "%d", spec->process->oom_score_adj);
	(void)!write_string_at(AT_FDCWD, "/proc/self/oom_score_adj", num);
}

/* Needs /proc, too. */
static uint32_t unprivileged_port(void)
{
	_cleanup_free_ char *text = NULL;

	if (read_file_at(AT_FDCWD, "/proc/sys/net/ipv4/ip_unprivileged_port_start", 64, &text, NULL) < 0)
		return 1024;
	return (uint32_t)strtoul(text, NULL, 10);
}

static int confine(const struct setup *s, bool host_net, struct error **err)
{
	int r;

	adjust_oom(s->spec);
	isolate_raise_limits();
	r = isolate_empty_root(setup_str(s, "emptyDir"), err);
	if (r == 0 && host_net)
		r = isolate_drop_all_host_net(setup_bool(s, "rootless"), s->spec->process->cap_bounding, err);
	else if (r == 0)
		r = isolate_drop_all(setup_bool(s, "rootless"), err);
	return r;
}

static int make_container(struct boot *b, const struct setup *s, struct error **err)
{
	struct arena a = {0};
	struct sentry_ckpt_stats st = {0};
	struct sentry_container c;
	json_t *answer = NULL;
	int r = boot_container_fill(&a, s->msg, s->spec, s->fds + 3, s->fds + s->fixed, s->nr_fds - s->fixed, s->fds[0],
				    &c, err);

	if (r == 0) {
		c.seccomp = s->seccomp.prog;
		c.seccomp_len = s->seccomp.len;
		c.seccomp_flags = s->seccomp.flags;
	}
	if (r == 0 && s->restore) {
		struct restore_warnings warnings = RESTORE_WARNINGS_INIT;
		struct sentry_restore_opts o = {.warn = restore_warn, .warn_arg = &warnings};
		struct sentry_image_fds img;
		size_t n = s->clone ? 0 : setup_image(s, s->fds + FIXED_FDS, &img);

		r = restore_opts_from_json(json_object_get(s->msg, "restore"), &o, err);
		/* A fork of a template has no such file. */
		o.working_set_fd = s->fds[FIXED_FDS + n];
		if (!s->working_set)
			o.working_set = SENTRY_WORKING_SET_NONE;
		if (r == 0)
			r = sentry_restore(b->sentry, s->clone ? NULL : &img, &c, &o, &st, err);
		answer = json_pack("{s:b, s:I, s:I, s:I, s:I, s:o}", "ok", 1, "totalUs", (json_int_t)st.total_us,
				   "pagesTotal", (json_int_t)st.pages_total, "objects", (json_int_t)st.objects, "bytes",
				   (json_int_t)st.bytes, "warnings", restore_warnings_json(&warnings));
	} else if (r == 0) {
		r = sentry_create_container(b->sentry, &c, err);
	}
	arena_done(&a);
	if (r < 0) {
		json_decref(answer);
		return r;
	}
	control_reply(CTL_FD, answer);
	return 0;
}

static void *winsize_thread(void *arg)
{
	struct boot *b = arg;
	struct winsize ws;
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGWINCH);
	for (;;) {
		if (sigwaitinfo(&set, NULL) < 0 && errno != EINTR)
			return NULL;
		if (ioctl(b->tty_fd, TIOCGWINSZ, &ws) == 0)
			(void)sentry_set_winsize(b->sentry, b->id, 0, ws.ws_row, ws.ws_col);
	}
}

/* The slave becomes our controlling terminal, so that a new window size of the master reaches us as SIGWINCH. */
static void take_terminal(struct boot *b, struct setup *s)
{
	struct winsize ws;

	if (!s->spec->process->terminal)
		return;
	(void)ioctl(s->fds[3], TIOCSCTTY, 0);
	b->tty_fd = fcntl(s->fds[3], F_DUPFD_CLOEXEC, 3);
	if (ioctl(s->fds[3], TIOCGWINSZ, &ws) == 0 && ws.ws_row && ws.ws_col) {
		s->spec->process->rows = ws.ws_row;
		s->spec->process->cols = ws.ws_col;
	}
}

static void block_signals(void)
{
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGWINCH);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static int damage_fd = -EBADF;

/* Whoever restored us reads the reason from exit.json. Nothing is taken apart: the application must not run for another instruction. */
static _Noreturn void image_is_damaged(void)
{
	static const char why[] = "{\"error\":\"" IMAGE_DAMAGED "\"}\n";

	log_error("%s", IMAGE_DAMAGED);
	(void)!pwrite(damage_fd, why, sizeof(why) - 1, 0);
	_exit(128 + SIGBUS); /* as of a process whose memory has failed */
}

void setup_log(const struct setup *s)
{
	if (setup_bool(s, "log"))
		log_init(2, setup_bool(s, "debug") || setup_bool(s, "strace") ? LOG_LVL_DEBUG : LOG_LVL_INFO);
	else
		log_init(2, LOG_LVL_ERROR);
}

int boot_take_setup(struct boot *b, struct setup *s, struct error **err)
{
	(void)setsid();
	b->id = strdup(setup_str(s, "id"));
	if (!b->id)
		return error_set(err, -ENOMEM, "setup message");
	b->exit_fd = damage_fd = s->fds[2];
	take_terminal(b, s);
	setup_log(s);
	return 0;
}

int setup_config(const struct setup *s, struct sentry_config *cfg, struct error **err)
{
	cfg->platform = setup_str(s, "platform")[0] ? setup_str(s, "platform") : NULL;
	cfg->on_damage = image_is_damaged;
	cfg->strace = setup_bool(s, "strace");
	if (!cfg->strace)
		return 0;
	/* Kept: the message goes away. */
	cfg->strace_calls = strdup(setup_str(s, "straceCalls"));
	cfg->strace_comms = strdup(setup_str(s, "straceComms"));
	return cfg->strace_calls && cfg->strace_comms ? 0 : error_set(err, -ENOMEM, "setup message");
}

int boot_finish(struct boot *b, struct setup *s, struct error **err)
{
	pthread_t th;
	int r = make_container(b, s, err);

	if (r < 0)
		return r;
	/* An idle sandbox is small. */
	s->spec = oci_spec_free(s->spec);
	json_decref(s->msg);
	s->msg = NULL;
	free(s->seccomp.prog);
	s->seccomp.prog = NULL;
	if (b->tty_fd >= 0 && pthread_create(&th, NULL, winsize_thread, b) == 0)
		(void)pthread_detach(th);
	return control_server_start(b, CTL_FD, s->fds[1], err);
}

static int boot_up(struct boot *b, struct setup *s, bool host_net, struct error **err)
{
	struct sentry_config cfg = {.host_network = host_net};
	int r = isolate_unshare(host_net, err);

	if (r == 0)
		r = setup_read(s, err);
	if (r == 0)
		r = boot_take_setup(b, s, err);
	if (r < 0)
		return r;
	if (host_net)
		cfg.unprivileged_port = unprivileged_port();
	/* A restored container has its filters in the image. */
	if (!s->restore)
		r = oci_seccomp_compile(json_object_get(json_object_get(s->spec->json, "linux"), "seccomp"), &s->seccomp, err);
	if (r == 0)
		r = confine(s, host_net, err);
	if (r == 0)
		r = setup_config(s, &cfg, err);
	if (r == 0)
		r = sentry_new(&cfg, &b->sentry, err);
	if (r == 0)
		r = seccomp_install_sentry(setup_bool(s, "debug"), host_net, err);
	return r < 0 ? r : boot_finish(b, s, err);
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void record_exit(const struct boot *b, int status)
{
	char line[48];
	int n = snprintf(line, sizeof(line), "{\"status\":%d}\n", status);

	if (pwrite(b->exit_fd, line, (size_t)n, 0) != n)
		log_error("exit.json: %s", strerror(errno));
}

void boot_begin(struct boot *b, const char *comm)
{
	(void)prctl(PR_SET_NAME, comm);
	mutex_init(&b->freezing, "boot.freezing");
	mutex_init(&b->lock, "boot.lock");
	cond_init(&b->changed);
	/* Anything that formats a time later must not look for a time zone file. */
	(void)setenv("TZ", "UTC0", 1);
	tzset();
	crash_init();
	block_signals();
}

void boot_fail(struct error *err)
{
	log_error("%s", error_text(err));
	control_reply_error(CTL_FD, err);
	_exit(1);
}

void boot_serve(struct boot *b)
{
	_cleanup_error_ struct error *e = NULL;
	int status = 0;

	if (sentry_wait(b->sentry, b->id, 0, &status, &e) < 0) {
		log_error("waiting for init: %s", error_text(e));
		status = 1 << 8;
	}
	record_exit(b, status);
	/* The end of the process takes everything apart faster than sentry_destroy_container(). Waiters of exec'd processes are told first. */
	(void)sentry_kill(b->sentry, b->id, 0, true, SIGKILL, NULL);
	control_server_announce_end(b, status);
	sentry_working_set_end(b->sentry);
	/* A checkpoint that was begun before the end is still worth its image. */
	mutex_lock(&b->freezing);
	_exit(exit_code(status));
}

int cmd_boot(struct globals *g, int argc, char **argv, struct error **err)
{
	static struct boot b = BOOT_INIT;
	struct error *e = NULL;
	struct setup s = {0};

	boot_begin(&b, "runsc-sandbox");
	if (boot_up(&b, &s, argc > 0 && !strcmp(argv[0], BOOT_HOST_NET), &e) < 0)
		boot_fail(e);
	boot_serve(&b);
}
