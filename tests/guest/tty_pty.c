// SPDX-License-Identifier: Apache-2.0
/*
 * Pseudo-terminals: allocation, names, canonical editing, echo, output processing, raw reads; queued input over a
 * checkpoint.
 */
#include "guest.h"
#include <termios.h>

static int m, s;
static char b[256];

static const char *got(int fd)
{
	struct pollfd pf = {fd, POLLIN, 0};
	ssize_t n = 0;

	memset(b, 0, sizeof(b));
	while (poll(&pf, 1, 30) == 1) {
		ssize_t r = read(fd, b + n, sizeof(b) - 1 - (size_t)n);

		if (r <= 0)
			break;
		n += r;
		if (fd == s)
			break;
	}
	return b;
}

static void put(int fd, const char *t)
{
	CHECK_EQ(write(fd, t, strlen(t)), strlen(t));
}

void guest_test(void)
{
	struct termios t, t2;
	struct winsize w = {0}, w2 = {33, 101, 5, 6};
	char name[64];
	int n, unlock = 0;

	m = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	OK(ioctl(m, TIOCGPTN, &n));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	CHECK_ERRNO(open(name, O_RDWR | O_NOCTTY), EIO); /* locked */
	OK(ioctl(m, TIOCSPTLCK, &unlock));
	s = OK(open(name, O_RDWR | O_NOCTTY));
	CHECK(isatty(m) && isatty(s));
	CHECK_EQ(tcgetattr(s, &t), 0);
	CHECK_EQ(t.c_lflag & (ICANON | ECHO | ISIG | IEXTEN), ICANON | ECHO | ISIG | IEXTEN);
	CHECK_EQ(t.c_iflag & ICRNL, ICRNL);
	CHECK_EQ(t.c_oflag & (OPOST | ONLCR), OPOST | ONLCR);
	CHECK_EQ(t.c_cc[VEOF], 4);
	CHECK_EQ(t.c_cc[VINTR], 3);
	SUBTEST("canonical input: nothing before the line ends; echo with newline translation");
	put(m, "hel");
	struct pollfd pf = {s, POLLIN, 0};
	CHECK_EQ(poll(&pf, 1, 0), 0);
	guest_checkpoint();
	CHECK_EQ(poll(&pf, 1, 0), 0);
	put(m, "lo\rnext\n");
	CHECK_STR(got(s), "hello\n");
	CHECK_STR(got(m), "hello\r\nnext\r\n");
	guest_checkpoint();
	CHECK_STR(got(s), "next\n");
	SUBTEST("editing: erase, kill, word erase, literal next");
	put(m, "abcd\177\177X\n");
	CHECK_STR(got(s), "abX\n");
	CHECK_STR(got(m), "abcd\b \b\b \bX\r\n");
	put(m, "gone\025kept one two\027three\n");
	CHECK_STR(got(s), "kept one three\n");
	got(m);
	put(m, "a\026\003b\n");
	CHECK_STR(got(s), "a\003b\n");
	CHECK_STR(got(m), "a^\b^Cb\r\n");
	SUBTEST("end of file");
	put(m, "part\004");
	CHECK_STR(got(s), "part");
	put(m, "\004");
	CHECK_EQ(read(s, b, 10), 0);
	got(m);
	SUBTEST("output");
	put(s, "out\n");
	CHECK_STR(got(m), "out\r\n");
	SUBTEST("small reads take a line in parts");
	put(m, "012345\n");
	CHECK_EQ(read(s, b, 3), 3);
	guest_checkpoint();
	CHECK_EQ(read(s, b, 10), 4);
	CHECK(memcmp(b, "345\n", 4) == 0);
	got(m);
	SUBTEST("raw");
	t2 = t;
	cfmakeraw(&t2);
	CHECK_EQ(tcsetattr(s, TCSANOW, &t2), 0);
	put(m, "x\r\003");
	guest_checkpoint();
	CHECK_EQ(tcgetattr(s, &t2), 0);
	CHECK_EQ(t2.c_lflag & (ICANON | ECHO | ISIG), 0);
	CHECK_STR(got(s), "x\r\003");
	CHECK_STR(got(m), "");
	put(s, "\n");
	CHECK_STR(got(m), "\n");
	SUBTEST("VMIN and VTIME");
	t2.c_cc[VMIN] = 0;
	t2.c_cc[VTIME] = 0;
	CHECK_EQ(tcsetattr(s, TCSANOW, &t2), 0);
	CHECK_EQ(read(s, b, 10), 0);
	t2.c_cc[VTIME] = 1;
	CHECK_EQ(tcsetattr(s, TCSANOW, &t2), 0);
	int64_t t0 = now_ns(CLOCK_MONOTONIC);
	CHECK_EQ(read(s, b, 10), 0);
	CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 80 * MS);
	t2.c_cc[VMIN] = 4;
	t2.c_cc[VTIME] = 0;
	CHECK_EQ(tcsetattr(s, TCSANOW, &t2), 0);
	pid_t p;
	CHILD (p) {
		CHECK_EQ(read(s, b, 10), 5);
		_exit(0);
	}
	guest_blocked(p);
	put(m, "12");
	guest_blocked(p);
	guest_checkpoint();
	CHECK_EQ(waitpid(p, NULL, WNOHANG), 0);
	put(m, "345");
	guest_reap(p);
	CHECK_EQ(tcsetattr(s, TCSANOW, &t), 0);
	SUBTEST("flushing");
	put(m, "dropped\n");
	got(m);
	CHECK_EQ(tcflush(s, TCIFLUSH), 0);
	CHECK_EQ(poll(&pf, 1, 0), 0);
	SUBTEST("window size");
	CHECK_EQ(ioctl(s, TIOCGWINSZ, &w), 0);
	CHECK_EQ(w.ws_row, 0);
	CHECK_EQ(ioctl(m, TIOCSWINSZ, &w2), 0);
	guest_checkpoint();
	CHECK_EQ(ioctl(s, TIOCGWINSZ, &w), 0);
	CHECK(w.ws_row == 33 && w.ws_col == 101 && w.ws_xpixel == 5);
	SUBTEST("hang-up");
	close(s);
	CHECK_ERRNO(read(m, b, 10), EIO);
	s = OK(open(name, O_RDWR | O_NOCTTY));
	close(m);
	CHECK_EQ(read(s, b, 10), 0);
	CHECK_ERRNO(write(s, "x", 1), EIO);
	pf = (struct pollfd){s, POLLIN | POLLOUT, 0};
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK(pf.revents & POLLHUP);
	close(s);
	CHECK_ERRNO(open(name, O_RDWR | O_NOCTTY), ENOENT);
	int null = OK(open("/dev/null", O_RDWR));
	CHECK_ERRNO(tcgetattr(null, &t), ENOTTY);
	CHECK_ERRNO(ioctl(null, TIOCGWINSZ, &w), ENOTTY);
}
