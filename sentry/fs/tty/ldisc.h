/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The N_TTY line discipline as a plain value: what is typed goes in at one end, what the application reads comes out; what it
 * writes, and echoes, gather for whoever shows them. No locks, no tasks, no signals sent: callers hold tty.mu and act on the bits returned.
 */
#ifndef SENTRY_FS_TTY_LDISC_H
#define SENTRY_FS_TTY_LDISC_H

#include "sentry/fs/tty/termios.h"

#define LDISC_IN   4096u /* N_TTY_BUF_SIZE */
#define LDISC_OUT  16384u
#define LDISC_ROOM 8192u /* what writes may fill of it; the rest is for echoes */
#define LDISC_HELD 1024u

struct ldisc {
	struct linux_termios tio; /* saved: 1 */
	/* Input. Positions count up for ever; their low bits index. read_tail <= canon_head <= read_head. */
	uint32_t read_head, canon_head, read_tail; /* derived: renumbered by loading */
	uint8_t in[LDISC_IN]; /* saved: 2 */
	uint64_t ends[LDISC_IN / 64]; /* saved: 3; bytes that end a line */
	bool push; /* saved: 4; what was typed before ICANON was set is a line without end */
	bool lnext, erasing; /* saved: 5, 6 */
	uint32_t column, canon_column; /* saved: 7, 8 */
	/* Output. */
	uint32_t out_head, out_tail; /* derived: renumbered by loading */
	uint8_t out[LDISC_OUT]; /* saved: 9 */
	bool stopped; /* saved: 10; ^S */
	bool app_stopped; /* saved: 11; tcflow(TCOOFF) */
	uint8_t held[LDISC_HELD]; /* saved: 12; echoes while stopped */
	uint32_t nr_held; /* saved: 12 held */
};

/* What an input asks for. */
#define LDISC_SIGINT  (1u << 0)
#define LDISC_SIGQUIT (1u << 1)
#define LDISC_SIGTSTP (1u << 2)
#define LDISC_FLUSHED (1u << 3) /* buffers were flushed by a signal character */
#define LDISC_STOP    (1u << 4)
#define LDISC_START   (1u << 5)

void ldisc_init(struct ldisc *l);
extern const struct linux_termios ldisc_default_termios;
/* New settings; the speed fields are normalised. Sets LDISC_START when output goes on. */
void ldisc_set_termios(struct ldisc *l, const struct linux_termios *tio, uint32_t *events);

/* Bytes typed: how many were taken (less than @n: no room until the application reads). */
size_t ldisc_input(struct ldisc *l, const uint8_t *p, size_t n, uint32_t *events);
/* True when ldisc_input() would take something. */
bool ldisc_input_room(const struct ldisc *l);
/* Bytes a read may return now: in canonical mode 0 unless a line is complete. */
size_t ldisc_avail(const struct ldisc *l);
/* A read is satisfied in canonical mode (a line, perhaps empty by EOF, is there). */
bool ldisc_line_ready(const struct ldisc *l);
/* Moves input out: at most one line in canonical mode (then 0 means end of file; call only when ldisc_line_ready()). */
size_t ldisc_read(struct ldisc *l, uint8_t *dst, size_t n);
/* FIONREAD. */
size_t ldisc_inq(const struct ldisc *l);

/* Output of the application with OPOST: bytes consumed of @n (0: stopped or full). */
size_t ldisc_write(struct ldisc *l, const uint8_t *p, size_t n);
size_t ldisc_write_room(const struct ldisc *l);
/* Whoever shows it takes it. */
size_t ldisc_out_len(const struct ldisc *l);
size_t ldisc_out_peek(const struct ldisc *l, uint8_t *dst, size_t n);
void ldisc_out_drop(struct ldisc *l, size_t n);

void ldisc_flush_input(struct ldisc *l);
void ldisc_flush_output(struct ldisc *l);
void ldisc_stop(struct ldisc *l, uint32_t *events);
void ldisc_start(struct ldisc *l, uint32_t *events);

static inline bool ldisc_icanon(const struct ldisc *l)
{
	return l->tio.c_lflag & TL_ICANON;
}

#endif
