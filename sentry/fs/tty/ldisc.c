/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The N_TTY line discipline. See ldisc.h. Linux: drivers/tty/n_tty.c, whose observable behaviour this follows.
 *
 * Invariant: between canon_head and read_head lies the line being typed, which erase and kill may still change; before canon_head are
 * whole lines, their last bytes marked in `ends`. A marked NUL that was made by the EOF character is not part of the line.
 * Without ICANON canon_head does not matter and everything typed can be read.
 * Checkpoint: fields tagged below are saved by tty.c. DEVIATION: IUTF8 erase counts columns by characters, not by their width.
 */
#include "sentry/fs/tty/ldisc.h"

#include <ctype.h>
#include <string.h>

#define DISABLED 0 /* _POSIX_VDISABLE */
#define IN(l, i)  ((l)->in[(i) & (LDISC_IN - 1)])
#define OUT(l, i) ((l)->out[(i) & (LDISC_OUT - 1)])

#define I_(l, f) ((l)->tio.c_iflag & (f))
#define O_(l, f) ((l)->tio.c_oflag & (f))
#define L_(l, f) ((l)->tio.c_lflag & (f))

const struct linux_termios ldisc_default_termios = {
	.c_iflag = TI_ICRNL | TI_IXON,
	.c_oflag = TO_OPOST | TO_ONLCR,
	.c_cflag = TC_B38400 | TC_CS8 | TC_CREAD,
	.c_lflag = TL_ISIG | TL_ICANON | TL_ECHO | TL_ECHOE | TL_ECHOK | TL_ECHOCTL | TL_ECHOKE | TL_IEXTEN,
	.c_cc = { [CC_INTR] = 3, [CC_QUIT] = 28, [CC_ERASE] = 127, [CC_KILL] = 21, [CC_EOF] = 4, [CC_MIN] = 1, [CC_START] = 17,
		  [CC_STOP] = 19, [CC_SUSP] = 26, [CC_REPRINT] = 18, [CC_DISCARD] = 15, [CC_WERASE] = 23, [CC_LNEXT] = 22 },
	.c_ispeed = 38400,
	.c_ospeed = 38400,
};

static bool is_cntrl(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

/* The second and following bytes of a UTF-8 character. */
static bool is_cont(const struct ldisc *l, uint8_t c)
{
	return I_(l, TI_IUTF8) && (c & 0xc0) == 0x80;
}

static bool is_cc(const struct ldisc *l, int cc, uint8_t c)
{
	return l->tio.c_cc[cc] == c && c != DISABLED;
}

static bool end_test(const struct ldisc *l, uint32_t i)
{
	return l->ends[(i & (LDISC_IN - 1)) / 64] >> (i & 63) & 1;
}

static void end_set(struct ldisc *l, uint32_t i, bool on)
{
	uint64_t bit = 1ULL << (i & 63), *w = &l->ends[(i & (LDISC_IN - 1)) / 64];

	*w = on ? *w | bit : *w & ~bit;
}

void ldisc_init(struct ldisc *l)
{
	memset(l, 0, sizeof(*l));
	l->tio = ldisc_default_termios;
}

/* --- output --- */

size_t ldisc_out_len(const struct ldisc *l)
{
	return l->out_head - l->out_tail;
}

static size_t out_free(const struct ldisc *l)
{
	return LDISC_OUT - ldisc_out_len(l);
}

/* @n bytes at once or not at all. */
static bool out_put(struct ldisc *l, const void *p, size_t n)
{
	const uint8_t *s = p;

	if (out_free(l) < n)
		return false;
	for (size_t i = 0; i < n; i++)
		OUT(l, l->out_head++) = s[i];
	return true;
}

/* One byte through OPOST. @room: how many bytes may be put. False: does not fit. */
static bool output_char(struct ldisc *l, uint8_t c, size_t room)
{
	uint32_t col = l->column, canon = l->canon_column, spaces;
	uint8_t buf[8];
	size_t n = 1;

	buf[0] = c;
	if (!O_(l, TO_OPOST))
		return room && out_put(l, buf, 1);
	switch (c) {
	case '\n':
		if (O_(l, TO_ONLRET))
			col = 0;
		if (O_(l, TO_ONLCR)) {
			memcpy(buf, "\r\n", 2);
			n = 2;
			col = 0;
		}
		canon = col;
		break;
	case '\r':
		if (O_(l, TO_ONOCR) && col == 0)
			return true;
		if (O_(l, TO_OCRNL)) {
			buf[0] = '\n';
			if (O_(l, TO_ONLRET))
				canon = col = 0;
			break;
		}
		canon = col = 0;
		break;
	case '\t':
		spaces = 8 - (col & 7);
		if (O_(l, TO_TABDLY) == TO_XTABS) {
			memset(buf, ' ', spaces);
			n = spaces;
		}
		col += spaces;
		break;
	case '\b':
		if (col > 0)
			col--;
		break;
	default:
		if (is_cntrl(c))
			break;
		if (O_(l, TO_OLCUC))
			buf[0] = (uint8_t)toupper(c);
		if (!is_cont(l, c))
			col++;
		break;
	}
	if (n > room || !out_put(l, buf, n))
		return false;
	l->column = col;
	l->canon_column = canon;
	return true;
}

size_t ldisc_write_room(const struct ldisc *l)
{
	size_t used = ldisc_out_len(l);

	return l->stopped || used >= LDISC_ROOM ? 0 : LDISC_ROOM - used;
}

size_t ldisc_write(struct ldisc *l, const uint8_t *p, size_t n)
{
	size_t done = 0;

	while (done < n && output_char(l, p[done], ldisc_write_room(l)))
		done++;
	return done;
}

size_t ldisc_out_peek(const struct ldisc *l, uint8_t *dst, size_t n)
{
	n = MIN(n, ldisc_out_len(l));
	for (size_t i = 0; i < n; i++)
		dst[i] = OUT(l, l->out_tail + (uint32_t)i);
	return n;
}

void ldisc_out_drop(struct ldisc *l, size_t n)
{
	l->out_tail += (uint32_t)MIN(n, ldisc_out_len(l));
}

void ldisc_flush_output(struct ldisc *l)
{
	l->out_tail = l->out_head;
	l->nr_held = 0;
}

void ldisc_stop(struct ldisc *l, uint32_t *events)
{
	if (!l->stopped)
		*events |= LDISC_STOP;
	l->stopped = true;
}

void ldisc_start(struct ldisc *l, uint32_t *events)
{
	if (!l->stopped || l->app_stopped)
		return;
	l->stopped = false;
	*events |= LDISC_START;
	(void)out_put(l, l->held, l->nr_held);
	l->nr_held = 0;
}

/* --- echo --- */

static void echo_byte(struct ldisc *l, uint8_t c)
{
	if (l->stopped) { /* kept as typed; OPOST is close enough when it is shown */
		if (c == '\n' && O_(l, TO_OPOST) && O_(l, TO_ONLCR) && l->nr_held < LDISC_HELD)
			l->held[l->nr_held++] = '\r';
		if (l->nr_held < LDISC_HELD)
			l->held[l->nr_held++] = c;
		return;
	}
	(void)output_char(l, c, out_free(l));
}

static void echo_str(struct ldisc *l, const char *s)
{
	for (; *s; s++)
		echo_byte(l, (uint8_t)*s);
}

static void echo_char(struct ldisc *l, uint8_t c)
{
	if (L_(l, TL_ECHOCTL) && is_cntrl(c) && c != '\t') {
		echo_byte(l, '^');
		echo_byte(l, c ^ 0100);
	} else {
		echo_byte(l, c);
	}
}

static void finish_erasing(struct ldisc *l)
{
	if (l->erasing)
		echo_byte(l, '/');
	l->erasing = false;
}

static void erase_tab(struct ldisc *l)
{
	uint32_t cols = 0, i = l->read_head, n;
	bool after_tab = false;

	while (i != l->canon_head && !after_tab) {
		uint8_t c = IN(l, --i);

		if (c == '\t')
			after_tab = true;
		else if (is_cntrl(c))
			cols += L_(l, TL_ECHOCTL) ? 2 : 0;
		else if (!is_cont(l, c))
			cols++;
	}
	if (!after_tab)
		cols += l->canon_column;
	for (n = 8 - (cols & 7); n; n--)
		echo_byte(l, '\b');
}

/* --- editing --- */

enum kill_type { KILL_CHAR, KILL_WORD, KILL_LINE };

static void show_erased(struct ldisc *l, enum kill_type type, uint8_t c, uint32_t head, uint32_t cnt)
{
	if (L_(l, TL_ECHOPRT)) {
		if (!l->erasing)
			echo_byte(l, '\\');
		l->erasing = true;
		echo_char(l, c);
		while (--cnt)
			echo_byte(l, IN(l, ++head));
	} else if (type == KILL_CHAR && !L_(l, TL_ECHOE)) {
		echo_char(l, l->tio.c_cc[CC_ERASE]);
	} else if (c == '\t') {
		erase_tab(l);
	} else {
		if (is_cntrl(c) && L_(l, TL_ECHOCTL))
			echo_str(l, "\b \b");
		if (!is_cntrl(c) || L_(l, TL_ECHOCTL))
			echo_str(l, "\b \b");
	}
}

static void erase(struct ldisc *l, enum kill_type type)
{
	bool seen_word = false;

	if (l->read_head == l->canon_head)
		return;
	if (type == KILL_LINE && (!L_(l, TL_ECHO) || !L_(l, TL_ECHOK) || !L_(l, TL_ECHOKE) || !L_(l, TL_ECHOE))) {
		l->read_head = l->canon_head;
		if (!L_(l, TL_ECHO))
			return;
		finish_erasing(l);
		echo_char(l, l->tio.c_cc[CC_KILL]);
		if (L_(l, TL_ECHOK))
			echo_byte(l, '\n');
		return;
	}
	while (l->read_head != l->canon_head) {
		uint32_t head = l->read_head, cnt;
		uint8_t c;

		do
			c = IN(l, --head);
		while (is_cont(l, c) && head != l->canon_head);
		if (is_cont(l, c))
			break;
		if (type == KILL_WORD) {
			if (isalnum(c) || c == '_' || c >= 0x80)
				seen_word = true;
			else if (seen_word)
				break;
		}
		cnt = l->read_head - head;
		l->read_head = head;
		if (L_(l, TL_ECHO))
			show_erased(l, type, c, head, cnt);
		if (type == KILL_CHAR)
			break;
	}
	if (l->read_head == l->canon_head && L_(l, TL_ECHO))
		finish_erasing(l);
}

/* --- input --- */

static void queue_byte(struct ldisc *l, uint8_t c)
{
	end_set(l, l->read_head, false);
	IN(l, l->read_head++) = c;
}

static void end_line(struct ldisc *l, uint8_t c)
{
	end_set(l, l->read_head, true);
	IN(l, l->read_head++) = c;
	l->canon_head = l->read_head;
}

static void echo_typed(struct ldisc *l, uint8_t c)
{
	finish_erasing(l);
	if (c == '\n') {
		echo_byte(l, c);
	} else {
		if (l->canon_head == l->read_head)
			l->canon_column = l->column;
		echo_char(l, c);
	}
}

static void plain_byte(struct ldisc *l, uint8_t c)
{
	if (L_(l, TL_ECHO))
		echo_typed(l, c);
	else if (c == '\n' && L_(l, TL_ECHONL) && ldisc_icanon(l))
		echo_byte(l, c);
	if (c == 0xff && I_(l, TI_PARMRK))
		queue_byte(l, c);
	queue_byte(l, c);
}

static void signal_char(struct ldisc *l, uint8_t c, uint32_t sig, uint32_t *events)
{
	*events |= sig;
	if (!L_(l, TL_NOFLSH)) {
		ldisc_flush_output(l);
		ldisc_flush_input(l);
		*events |= LDISC_FLUSHED;
	}
	if (I_(l, TI_IXON))
		ldisc_start(l, events);
	if (L_(l, TL_ECHO))
		echo_char(l, c);
}

/* Editing keys and ends of lines. True: done with @c. */
static bool canon_char(struct ldisc *l, uint8_t c)
{
	bool ext = L_(l, TL_IEXTEN);

	if (is_cc(l, CC_ERASE, c)) {
		erase(l, KILL_CHAR);
		return true;
	}
	if (is_cc(l, CC_KILL, c)) {
		erase(l, KILL_LINE);
		return true;
	}
	if (ext && is_cc(l, CC_WERASE, c)) {
		erase(l, KILL_WORD);
		return true;
	}
	if (ext && is_cc(l, CC_LNEXT, c)) {
		l->lnext = true;
		if (L_(l, TL_ECHO)) {
			finish_erasing(l);
			if (L_(l, TL_ECHOCTL))
				echo_str(l, "^\b");
		}
		return true;
	}
	if (ext && L_(l, TL_ECHO) && is_cc(l, CC_REPRINT, c)) {
		finish_erasing(l);
		echo_char(l, c);
		echo_byte(l, '\n');
		for (uint32_t i = l->canon_head; i != l->read_head; i++)
			echo_char(l, IN(l, i));
		return true;
	}
	if (c == '\n') {
		if (L_(l, TL_ECHO | TL_ECHONL))
			echo_byte(l, '\n');
		end_line(l, c);
		return true;
	}
	if (is_cc(l, CC_EOF, c)) {
		end_line(l, DISABLED);
		return true;
	}
	if (is_cc(l, CC_EOL, c) || (ext && is_cc(l, CC_EOL2, c))) {
		if (L_(l, TL_ECHO)) {
			if (l->canon_head == l->read_head)
				l->canon_column = l->column;
			echo_char(l, c);
		}
		if (c == 0xff && I_(l, TI_PARMRK))
			queue_byte(l, c);
		end_line(l, c);
		return true;
	}
	return false;
}

static void input_char(struct ldisc *l, uint8_t c, uint32_t *events)
{
	if (I_(l, TI_ISTRIP))
		c &= 0x7f;
	if (I_(l, TI_IUCLC) && L_(l, TL_IEXTEN))
		c = (uint8_t)tolower(c);
	if (L_(l, TL_EXTPROC)) {
		queue_byte(l, c);
		return;
	}
	if (l->lnext) {
		l->lnext = false;
		plain_byte(l, c);
		return;
	}
	if (I_(l, TI_IXON)) {
		if (is_cc(l, CC_START, c)) {
			ldisc_start(l, events);
			return;
		}
		if (is_cc(l, CC_STOP, c)) {
			ldisc_stop(l, events);
			return;
		}
	}
	if (l->stopped && I_(l, TI_IXON) && I_(l, TI_IXANY) && !is_cc(l, CC_INTR, c) && !is_cc(l, CC_QUIT, c) && !is_cc(l, CC_SUSP, c))
		ldisc_start(l, events);
	if (L_(l, TL_ISIG)) {
		uint32_t sig = is_cc(l, CC_INTR, c) ? LDISC_SIGINT : is_cc(l, CC_QUIT, c) ? LDISC_SIGQUIT : is_cc(l, CC_SUSP, c) ? LDISC_SIGTSTP : 0;

		if (sig) {
			signal_char(l, c, sig, events);
			return;
		}
	}
	if (c == '\r') {
		if (I_(l, TI_IGNCR))
			return;
		if (I_(l, TI_ICRNL))
			c = '\n';
	} else if (c == '\n' && I_(l, TI_INLCR)) {
		c = '\r';
	}
	if (ldisc_icanon(l) && canon_char(l, c))
		return;
	plain_byte(l, c);
}

static uint32_t in_used(const struct ldisc *l)
{
	return l->read_head - l->read_tail;
}

/* The queue is full by a line without end, which nobody could read: it goes on losing bytes until its end comes. */
static bool overflowing(const struct ldisc *l)
{
	return ldisc_icanon(l) && l->canon_head == l->read_tail;
}

bool ldisc_input_room(const struct ldisc *l)
{
	return in_used(l) + 2 < LDISC_IN || overflowing(l);
}

size_t ldisc_input(struct ldisc *l, const uint8_t *p, size_t n, uint32_t *events)
{
	size_t done = 0;

	for (; done < n && ldisc_input_room(l); done++) {
		if (in_used(l) + 2 >= LDISC_IN)
			l->read_head--;
		input_char(l, p[done], events);
	}
	return done;
}

bool ldisc_line_ready(const struct ldisc *l)
{
	return l->canon_head != l->read_tail;
}

size_t ldisc_inq(const struct ldisc *l)
{
	size_t n = 0;

	if (!ldisc_icanon(l))
		return in_used(l);
	for (uint32_t i = l->read_tail; i != l->canon_head; i++)
		n += !(end_test(l, i) && IN(l, i) == DISABLED);
	return n;
}

size_t ldisc_avail(const struct ldisc *l)
{
	return ldisc_icanon(l) ? l->canon_head - l->read_tail : in_used(l);
}

size_t ldisc_read(struct ldisc *l, uint8_t *dst, size_t n)
{
	size_t done = 0;

	if (!ldisc_icanon(l)) {
		for (; done < n && l->read_tail != l->read_head; done++)
			dst[done] = IN(l, l->read_tail++);
		/* Nothing of it is a line if ICANON comes back. */
		l->canon_head = l->read_tail;
		return done;
	}
	while (l->read_tail != l->canon_head) {
		bool end = end_test(l, l->read_tail);
		uint8_t c = IN(l, l->read_tail);

		/* The end-of-file mark is eaten by the read that gets the bytes before it, even when they just fill the buffer. */
		if (end && c == DISABLED) {
			end_set(l, l->read_tail++, false);
			break;
		}
		if (done == n)
			break;
		end_set(l, l->read_tail++, false);
		dst[done++] = c;
		if (end)
			break;
	}
	if (l->read_tail == l->canon_head)
		l->push = false;
	return done;
}

void ldisc_flush_input(struct ldisc *l)
{
	l->read_head = l->canon_head = l->read_tail;
	memset(l->ends, 0, sizeof(l->ends));
	l->push = l->lnext = l->erasing = false;
}

/* --- settings --- */

static uint32_t baud_of(uint32_t bits, uint32_t other)
{
	static const uint32_t low[] = { 0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400 };
	static const uint32_t high[] = { 0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000,
					 2500000, 3000000, 3500000, 4000000 };

	if (bits == TC_BOTHER)
		return other;
	return bits & TC_BOTHER ? high[bits & 15] : low[bits & 15];
}

void ldisc_set_termios(struct ldisc *l, const struct linux_termios *tio, uint32_t *events)
{
	uint32_t old_l = l->tio.c_lflag, old_i = l->tio.c_iflag, ibits;

	l->tio = *tio;
	/* A pty is always 8 bits, no parity, receiver on. */
	l->tio.c_cflag = (l->tio.c_cflag & ~(TC_CSIZE | TC_PARENB)) | TC_CS8 | TC_CREAD;
	l->tio.c_ospeed = baud_of(l->tio.c_cflag & TC_CBAUD, tio->c_ospeed);
	ibits = l->tio.c_cflag >> TC_IBSHIFT & TC_CBAUD;
	l->tio.c_ispeed = ibits ? baud_of(ibits, tio->c_ispeed) : l->tio.c_ospeed;
	if ((old_l ^ l->tio.c_lflag) & (TL_ICANON | TL_EXTPROC)) {
		memset(l->ends, 0, sizeof(l->ends));
		if (!ldisc_icanon(l) || l->read_head == l->read_tail) {
			l->canon_head = l->read_tail;
			l->push = false;
		} else {
			end_set(l, l->read_head - 1, true);
			l->canon_head = l->read_head;
			l->push = true;
		}
		l->erasing = l->lnext = false;
	}
	if (old_i & TI_IXON && !I_(l, TI_IXON))
		ldisc_start(l, events);
}
