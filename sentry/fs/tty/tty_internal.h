/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of this directory. */
#ifndef SENTRY_FS_TTY_TTY_INTERNAL_H
#define SENTRY_FS_TTY_TTY_INTERNAL_H

#include <stdatomic.h>

#include "sentry/fs/fs_type.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/tty/ldisc.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/time.h"

#define PTY_MAX         4096
#define PTS_MAJOR       136u
#define PTMX_MAJOR      5u
#define PTMX_MINOR      2u

struct console;
struct devpts_sb;

/*
 * A pty: the slave with its line discipline, and what the master side needs. The master is a file, or the Sentry itself (console).
 * session and fg change under tasks_mu; fg may be compared without it.
 */
struct tty {
	struct ref ref; /* nosave: counted again by state_deref() */
	struct mutex mu; /* nosave: free when frozen */
	uint32_t index; /* saved: 1 */
	struct ldisc ld; /* saved: 2; guarded by mu, as the fields below */
	struct linux_termios lock; /* saved: 18; TIOCSLCKTRMIOS: bits and characters that settings cannot change */
	struct linux_winsize ws; /* saved: rows, cols, xpixel, ypixel */
	bool locked; /* saved: 4; TIOCSPTLCK: the slave cannot be opened yet */
	bool excl; /* saved: 5; TIOCEXCL */
	bool pkt; /* saved: 6; TIOCPKT */
	uint8_t pktstatus; /* saved: 7 */
	bool master_gone; /* saved: 8; the master was closed: the slave is dead */
	uint32_t gen; /* saved: 9; counts hang-ups: slave files of an older one are dead */
	uint32_t slaves; /* derived: open slave files of this generation */
	bool other_closed; /* saved: 10; the slave was open and is not any more */
	struct session *session; /* saved: 11; not referenced */
	struct pgrp *_Atomic fg; /* saved: 12; referenced */
	struct devpts_sb *ds; /* saved: 13 sb; while the master lives; holds a reference on the super block */
	bool is_console; /* saved: 14; the master is the Sentry, relaying to a host descriptor */
	struct console *console; /* derived: while the relay lives */
	struct waitq slave_wq, master_wq; /* nosave: waiters are never saved */
	struct ktimer vtimer; /* nosave: VTIME; a read that begins again starts it again */
	bool vtime_expired; /* nosave: as vtimer */
	bool vtime_armed; /* nosave: as vtimer */
};

struct tty_file {
	struct file file; /* saved: 1 file_base */
	struct tty *tty; /* saved: 2; referenced */
	bool master; /* saved: 3 */
	uint32_t gen; /* saved: 4; of the tty when it was opened */
};

static inline struct tty_file *tty_f(struct file *f)
{
	return container_of(f, struct tty_file, file);
}

extern const struct file_ops tty_master_ops, tty_slave_ops;

struct tty *tty_new(struct devpts_sb *ds, uint32_t index); /* locked; or NULL */
/* A new open file of either side. Takes a reference on @tty. */
_must_check_ int tty_file_new(struct tty *tty, bool master, struct task *t, const struct path *p, struct inode *i, uint32_t flags,
			      struct file **ret);
/* open(2) of a slave: locked, exclusive, controlling terminal. */
_must_check_ int tty_slave_open(struct tty *tty, struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret);
/* The master is gone, or vhangup: every open slave file is dead; SIGHUP and SIGCONT to the session leader and the foreground. */
void tty_hangup(struct tty *tty);
/* Signals and wake-ups that input or settings asked for (LDISC_*). mu not held. */
void tty_events(struct tty *tty, uint32_t events);
/* Signals the foreground group. No lock held. */
void tty_signal_fg(struct tty *tty, int sig);
/* After output was made: to the master's readers or the console. mu not held. */
void tty_output_ready(struct tty *tty);
/* Input from the master side: bytes taken. */
size_t tty_receive(struct tty *tty, const uint8_t *p, size_t n);
/* May a background process of @t do this (@sig: SIGTTIN or SIGTTOU)? 0, -EIO, -ERESTARTSYS. */
_must_check_ int tty_check_change(struct tty *tty, struct task *t, int sig);
void tty_resize(struct tty *tty, const struct linux_winsize *ws);
int tty_set_ctty_steal(struct thread_group *tg, struct file *f); /* TIOCSCTTY of an administrator: from another session */
/* Takes the terminal from its session. tasks_mu held; the caller has a reference. */
void tty_detach_locked(struct tty *tty);
bool tty_is_ctty_of(struct tty *tty, struct task *t);
int64_t tty_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg);

/* devpts.c */
bool sb_is_devpts(const struct super_block *sb);
_must_check_ int devpts_new_pty(struct devpts_sb *ds, struct task *t, struct tty **ret);
void devpts_remove(struct tty *tty); /* the name and the index; drops tty->ds */
struct dentry *devpts_dentry(struct tty *tty); /* of the slave, referenced, or NULL */
struct super_block *devpts_super(struct devpts_sb *ds);
_must_check_ int devpts_internal(struct devpts_sb **ret); /* mounted nowhere: for consoles of containers without /dev/pts */
struct devpts_sb *devpts_of(struct super_block *sb);

/* console.c; called with mu not held */
void console_output(struct tty *tty);
void console_input_room(struct tty *tty);
void console_slaves_gone(struct tty *tty);
_must_check_ int console_restored(struct tty *tty);
void console_free(struct console *con); /* NULL is fine */
_must_check_ int console_attach(struct tty *tty, int host_fd);

#endif
