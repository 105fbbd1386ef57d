/* SPDX-License-Identifier: Apache-2.0 */
/* The line discipline alone: editing, echoes, signals, modes, flow control. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sentry/fs/tty/ldisc.h"

static struct ldisc l;
static uint32_t events;

static int setup(void **state)
{
	ldisc_init(&l);
	events = 0;
	return 0;
}

static size_t type(const char *s)
{
	return ldisc_input(&l, (const uint8_t *)s, strlen(s), &events);
}

static void expect_read(const char *s)
{
	uint8_t buf[256];
	size_t n = ldisc_read(&l, buf, sizeof(buf));

	assert_int_equal(n, strlen(s));
	assert_memory_equal(buf, s, n);
}

static void expect_out(const char *s)
{
	uint8_t buf[LDISC_OUT];
	size_t n = ldisc_out_peek(&l, buf, sizeof(buf));

	buf[n] = '\0';
	assert_string_equal((char *)buf, s);
	ldisc_out_drop(&l, n);
}

static void set(uint32_t iflag_on, uint32_t lflag_on, uint32_t lflag_off)
{
	struct linux_termios t = l.tio;

	t.c_iflag |= iflag_on;
	t.c_lflag = (t.c_lflag | lflag_on) & ~lflag_off;
	ldisc_set_termios(&l, &t, &events);
}

static void lines(void **state)
{
	type("ab");
	assert_false(ldisc_line_ready(&l));
	type("c\rde\n");
	assert_int_equal(ldisc_inq(&l), 7);
	expect_read("abc\n");
	expect_read("de\n");
	assert_false(ldisc_line_ready(&l));
	expect_out("abc\r\nde\r\n");
}

static void short_reads(void **state)
{
	uint8_t b[3];

	type("abcdef\n");
	assert_int_equal(ldisc_read(&l, b, 3), 3);
	assert_int_equal(ldisc_read(&l, b, 3), 3);
	expect_read("\n");
}

static void eof(void **state)
{
	uint8_t b[3];

	type("\004");
	assert_true(ldisc_line_ready(&l));
	expect_read("");
	assert_false(ldisc_line_ready(&l));
	type("abc\004");
	assert_int_equal(ldisc_read(&l, b, 3), 3); /* the mark goes with the bytes that just fit */
	assert_false(ldisc_line_ready(&l));
	type("x\004\004");
	expect_read("x");
	expect_read("");
}

static void erase_and_kill(void **state)
{
	type("abx\177c\n");
	expect_read("abc\n");
	expect_out("abx\b \bc\r\n");
	type("one two\027\027three\n");
	expect_read("three\n");
	expect_out("one two\b \b\b \b\b \b\b \b\b \b\b \b\b \bthree\r\n");
	type("gone\025k\n");
	expect_read("k\n");
	expect_out("gone\b \b\b \b\b \b\b \bk\r\n");
	type("\177\177a\n");
	expect_read("a\n");
}

static void erase_tab_and_control(void **state)
{
	type("a\t\177\n");
	expect_read("a\n");
	expect_out("a\t\b\b\b\b\b\b\b\r\n");
	type("\026\001\177\n");
	expect_read("\n");
	expect_out("^\b^A\b \b\b \b\r\n");
}

static void utf8_erase(void **state)
{
	set(TI_IUTF8, 0, 0);
	type("a\303\244\177\n");
	expect_read("a\n");
	expect_out("a\303\244\b \b\r\n");
}

static void literal_next(void **state)
{
	type("\026\003\026\004x\n");
	expect_read("\003\004x\n");
	assert_int_equal(events, 0);
}

static void signals(void **state)
{
	type("abc\003");
	assert_int_equal(events, LDISC_SIGINT | LDISC_FLUSHED);
	assert_int_equal(ldisc_inq(&l), 0);
	expect_out("^C");
	events = 0;
	set(0, TL_NOFLSH, 0);
	type("keep\032\n");
	assert_int_equal(events, LDISC_SIGTSTP);
	expect_read("keep\n");
	events = 0;
	set(0, 0, TL_ISIG);
	type("\003\n");
	assert_int_equal(events, 0);
	expect_read("\003\n");
}

static void flow(void **state)
{
	type("\023");
	assert_int_equal(events, LDISC_STOP);
	assert_int_equal(ldisc_write(&l, (const uint8_t *)"x", 1), 0);
	type("hi");
	expect_out("");
	type("\021");
	assert_true(events & LDISC_START);
	expect_out("hi");
	assert_int_equal(ldisc_write(&l, (const uint8_t *)"x\n", 2), 2);
	expect_out("x\r\n");
}

static void raw(void **state)
{
	set(0, 0, TL_ICANON | TL_ECHO | TL_ISIG | TL_IEXTEN);
	type("a\003");
	assert_int_equal(ldisc_avail(&l), 2);
	expect_read("a\003");
	expect_out("");
}

static void mode_change_keeps_bytes(void **state)
{
	type("half");
	set(0, 0, TL_ICANON);
	assert_int_equal(ldisc_avail(&l), 4);
	set(0, TL_ICANON, 0);
	assert_true(ldisc_line_ready(&l)); /* what was there counts as a line */
	type(" more\n");
	expect_read("half");
	expect_read(" more\n");
}

static void overflow(void **state)
{
	char big[5000];
	uint8_t buf[LDISC_IN];

	memset(big, 'a', sizeof(big));
	assert_int_equal(ldisc_input(&l, (const uint8_t *)big, sizeof(big), &events), sizeof(big));
	type("\n");
	assert_true(ldisc_line_ready(&l));
	assert_in_range(ldisc_read(&l, buf, sizeof(buf)), 4000, LDISC_IN);
	set(0, 0, TL_ICANON | TL_ECHO);
	assert_in_range(ldisc_input(&l, (const uint8_t *)big, sizeof(big), &events), 4000, LDISC_IN);
	assert_false(ldisc_input_room(&l));
}

static void output_room(void **state)
{
	char big[LDISC_ROOM * 2];
	size_t n;

	memset(big, '\n', sizeof(big));
	n = ldisc_write(&l, (const uint8_t *)big, sizeof(big));
	assert_int_equal(n, LDISC_ROOM / 2);
	type("echo"); /* echoes still find room */
	assert_int_equal(ldisc_out_len(&l), LDISC_ROOM + 4);
}

static void wraps(void **state)
{
	/* Positions run over their 32 bits without anybody noticing. */
	l.read_head = l.read_tail = l.canon_head = UINT32_MAX - 3;
	l.out_head = l.out_tail = UINT32_MAX - 3;
	type("wrapped line\n");
	expect_read("wrapped line\n");
	expect_out("wrapped line\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lines, setup),
		cmocka_unit_test_setup(short_reads, setup),
		cmocka_unit_test_setup(eof, setup),
		cmocka_unit_test_setup(erase_and_kill, setup),
		cmocka_unit_test_setup(erase_tab_and_control, setup),
		cmocka_unit_test_setup(utf8_erase, setup),
		cmocka_unit_test_setup(literal_next, setup),
		cmocka_unit_test_setup(signals, setup),
		cmocka_unit_test_setup(flow, setup),
		cmocka_unit_test_setup(raw, setup),
		cmocka_unit_test_setup(mode_change_keeps_bytes, setup),
		cmocka_unit_test_setup(overflow, setup),
		cmocka_unit_test_setup(output_room, setup),
		cmocka_unit_test_setup(wraps, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
