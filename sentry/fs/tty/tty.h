/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals: the tty object behind /dev/pts/N and the container's console, and what job control needs of it.
 *
 * Lock order: kernel.tasks_mu > tty.mu > waitq.mu. session.ctty is guarded by tasks_mu.
 */
#ifndef SENTRY_FS_TTY_TTY_H
#define SENTRY_FS_TTY_TTY_H

#include "sentry/fs/file.h"
#include "sentry/kernel/task.h"

struct container;
struct tty;

struct tty *tty_get(struct tty *tty);
void tty_put(struct tty *tty);
/* The session leader exits: SIGHUP and SIGCONT to the foreground group, the terminal is nobody's any more. tasks_mu held. */
void tty_session_leader_exit_locked(struct session *s);
/* /proc/pid/stat: device number (0 none) and foreground process group. tasks_mu held. */
uint32_t tty_dev(const struct tty *tty);
struct pgrp *tty_foreground(const struct tty *tty);

/* The container's console (process.terminal): a pty of the sandbox whose master side is the Sentry, relaying to host descriptor @host_fd
 * (taken over on success; a host pty slave set raw, or anything). *@ret: the slave side opened read-write, shown as /dev/pts/0 and
 * /dev/console of the container. The caller makes it the controlling terminal with tty_set_ctty(). */
_must_check_ int console_new(struct container *c, int host_fd, uint16_t rows, uint16_t cols, struct file **ret);
/* Before an image with a console is loaded: the host descriptor its console gets. */
void console_set_restore_fd(int host_fd);
/* Makes the terminal of @f the controlling one of @t's session (leader, no terminal yet), foreground = its process group. */
_must_check_ int tty_set_ctty(struct thread_group *tg, struct file *f);
/* Sets the size of the controlling terminal of @tg's session; SIGWINCH to the foreground. -ENOTTY when it has none. */
_must_check_ int tty_set_winsize(struct thread_group *tg, uint16_t rows, uint16_t cols);

#endif
