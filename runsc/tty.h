/* SPDX-License-Identifier: Apache-2.0 */
/* Host pseudo-terminals and the foreground relay between one and our own terminal. */
#ifndef RUNSC_TTY_H
#define RUNSC_TTY_H

#include <termios.h>

#include "base/error.h"
#include "base/util.h"

/* A pty in raw mode: line discipline is the sandbox's business. rows or cols 0: left alone. */
_must_check_ int tty_open_pair(uint32_t rows, uint32_t cols, int *ret_master, int *ret_slave, struct error **err);
/* Sends the master over the engine's console socket. */
_must_check_ int tty_send_master(const char *socket_path, int master, struct error **err);

struct tty_relay {
	int master;
	bool raw; /* stdin was put into raw mode */
	struct termios saved;
	bool stdin_open;
	char to_master[4096]; /* typed, not yet taken by the pty */
	size_t pending, sent;
};

/* Makes the master non-blocking, stdin raw if it is a terminal, and copies its size. */
void tty_relay_start(struct tty_relay *t, int master);
void tty_relay_stop(struct tty_relay *t);
void tty_relay_copy_size(struct tty_relay *t);
/* For poll(2): wants[0] is stdin, wants[1] the master. */
struct pollfd;
void tty_relay_prepare(const struct tty_relay *t, struct pollfd *wants);
/* Moves what can be moved. Returns false when the master has ended. */
bool tty_relay_move(struct tty_relay *t, const struct pollfd *wants);
/* After the process has ended: the rest of its output. */
void tty_relay_drain(struct tty_relay *t);

#endif
