/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting in the foreground for a container made by this process: terminal bytes go both ways, signals go in, the
 * sandbox's exit comes out. One poll(2), no timers.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "runsc/control.h"
#include "runsc/foreground.h"
#include "runsc/lifecycle.h"
#include "runsc/stream.h"
#include "runsc/tty.h"

static const int forwarded[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,  SIGUSR1,
				SIGUSR2, SIGCONT, SIGTSTP, SIGWINCH, SIGALRM};

int foreground_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		(void)sigaddset(&set, forwarded[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void foreground_forward(int sigfd, const struct container *c, pid_t pid, struct tty_relay *relay)
{
	struct signalfd_siginfo si;

	while (read(sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGWINCH) {
			if (relay)
				tty_relay_copy_size(relay);
			continue;
		}
		/* A container that has just ended needs no signal. */
		if (control_once(
			    c, json_pack("{s:s, s:i, s:i}", "op", "kill", "signal", (int)si.ssi_signo, "pid", (int)pid),
			    NULL, NULL) < 0)
			continue;
	}
}

void foreground_loop(int event_fd, int sigfd, const struct container *c, pid_t pid, struct tty_relay *relay)
{
	for (;;) {
		struct pollfd p[4] = {
			{.fd = event_fd, .events = POLLIN},
			{.fd = sigfd, .events = POLLIN},
			{.fd = -1},
			{.fd = -1},
		};

		if (relay)
			tty_relay_prepare(relay, p + 2);
		if (poll(p, 4, -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (p[1].revents)
			foreground_forward(sigfd, c, pid, relay);
		if (relay && !tty_relay_move(relay, p + 2))
			relay = NULL; /* its output is over; the end itself is still to come */
		if (p[0].revents)
			return;
	}
}

static int recorded_exit(const struct container *c, struct error **err)
{
	int status = container_exit_status(c);

	if (status < 0)
		return error_msg(err, -EIO, "container %s: the sandbox died (its log: %s)", c->id, c->debug_log);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Of a process that is not our child nothing may be left, or its number may be another's by now. */
static int open_sandbox(const struct container *c)
{
	int fd = pidfd_open(c->sandbox.pid, 0);
	struct proc_id now;

	if (fd < 0)
		return -errno;
	if (proc_identify(c->sandbox.pid, &now) < 0 || now.start != c->sandbox.start) {
		(void)close(fd);
		return -ESRCH;
	}
	return fd;
}

/* Waits for the end of a container started by this very process, relaying terminal and signals. Returns its exit code.
 */
static int foreground_run(struct created *x, int sigfd, struct error **err)
{
	_cleanup_close_ int pidfd = open_sandbox(x->c);
	struct tty_relay relay;
	bool tty = x->master >= 0;
	char how[120];
	int status = 0;

	if (pidfd < 0 && pidfd != -ESRCH)
		return error_set(err, pidfd, "waiting for container %s", x->c->id);
	if (tty)
		tty_relay_start(&relay, x->master);
	if (pidfd >= 0)
		foreground_loop(pidfd, sigfd, x->c, 0, tty ? &relay : NULL);
	if (tty) {
		tty_relay_drain(&relay);
		tty_relay_stop(&relay);
	}
	while (waitpid(x->c->sandbox.pid, &status, 0) < 0) {
		if (errno == ECHILD) /* a template's fork, which its keeper reaps */
			return recorded_exit(x->c, err);
		if (errno != EINTR)
			return error_set(err, -errno, "waiting for container %s", x->c->id);
	}
	if (WIFSIGNALED(status) || container_exit_status(x->c) < 0) {
		_cleanup_free_ char *why = container_exit_error(x->c);

		if (why)
			return error_msg(err, -EIO, "container %s: %s", x->c->id, why);
		sandbox_describe_death(status, how, sizeof(how));
		return error_msg(err, -EIO, "container %s: the sandbox %s (its log: %s)", x->c->id, how,
				 x->c->debug_log);
	}
	return WEXITSTATUS(status);
}

int run_created(const struct globals *g, struct created *x, bool detach, bool keep, struct error **err)
{
	_cleanup_error_ struct error *ignored = NULL;
	_cleanup_close_ int sigfd = -EBADF;
	int r, d;

	/* From its first instruction on, a signal to us is one to the container. */
	if (!detach) {
		sigfd = foreground_signals();
		if (sigfd < 0)
			return error_set(err, -errno, "signalfd");
	}
	/* A sender that cannot be told lets its own container go on, so ours must not run. */
	r = x->ack ? stream_send_ack(err) : 0;
	if (r == 0)
		r = lifecycle_start(g, x->c, x->spec, x->ctl, x->keep_at_start, err);
	if (r < 0) {
		if (lifecycle_delete(g, x->c, true, &ignored) < 0)
			report_warning(g, "%s", error_text(ignored));
		return r;
	}
	if (detach)
		return 0;
	if (!x->throw_away) {
		cleanup_closep(&x->ctl);
		x->ctl = -EBADF;
	}
	/* Other verbs work on the container meanwhile. */
	(void)flock(x->c->lockfd, LOCK_UN);
	r = foreground_run(x, sigfd, err);
	if (keep)
		return r;
	while (flock(x->c->lockfd, LOCK_EX) < 0 && errno == EINTR)
		;
	d = lifecycle_delete(g, x->c, true, r < 0 ? &ignored : err);
	return d < 0 && r >= 0 ? d : r;
}
