/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of the foreground loop shared by run, restore and exec. */
#ifndef RUNSC_FOREGROUND_H
#define RUNSC_FOREGROUND_H

#include "runsc/container.h"
#include "runsc/tty.h"

/* Blocks the signals we pass on and returns a signalfd for them. */
int foreground_signals(void);
/* Passes pending signals to process @pid (0: init); SIGWINCH goes to the relay's pty. */
void foreground_forward(int sigfd, const struct container *c, pid_t pid, struct tty_relay *relay);
/* Relays until @event_fd is readable. @relay may be NULL. */
void foreground_loop(int event_fd, int sigfd, const struct container *c, pid_t pid, struct tty_relay *relay);

#endif
