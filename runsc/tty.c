/* SPDX-License-Identifier: Apache-2.0 */
/* See tty.h. */
#include "runsc/tty.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd_util.h"

int tty_open_pair(uint32_t rows, uint32_t cols, int *ret_master, int *ret_slave, struct error **err)
{
	_cleanup_close_ int m = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	_cleanup_close_ int s = -EBADF;
	struct termios tio;
	int zero = 0;

	if (m < 0 || ioctl(m, TIOCSPTLCK, &zero) < 0)
		return error_set(err, -errno, "terminal: /dev/ptmx");
	s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s < 0)
		return error_set(err, -errno, "terminal: opening the slave");
	if (tcgetattr(s, &tio) == 0) {
		cfmakeraw(&tio);
		(void)tcsetattr(s, TCSANOW, &tio);
	}
	if (rows && cols) {
		struct winsize ws = {.ws_row = (uint16_t)rows, .ws_col = (uint16_t)cols};

		(void)ioctl(m, TIOCSWINSZ, &ws);
	}
	*ret_master = TAKE_FD(m);
	*ret_slave = TAKE_FD(s);
	return 0;
}

int tty_send_master(const char *socket_path, int master, struct error **err)
{
	_cleanup_close_ int dir = -EBADF;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	static const char name[] = "/dev/pts/runsc";
	int r;

	if (fd < 0)
		return error_set(err, -errno, "--console-socket");
	if (strlen(socket_path) < sizeof(sa.sun_path)) {
		strcpy(sa.sun_path, socket_path);
	} else { /* name a long path by its descriptor */
		dir = open(socket_path, O_PATH | O_CLOEXEC);
		(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d", dir);
	}
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return error_set(err, -errno, "--console-socket %s", socket_path);
	r = send_with_fds(fd, name, sizeof(name), &master, 1);
	return r < 0 ? error_set(err, r, "--console-socket %s", socket_path) : 0;
}

void tty_relay_copy_size(struct tty_relay *t)
{
	struct winsize ws;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) == 0)
		(void)ioctl(t->master, TIOCSWINSZ, &ws);
}

void tty_relay_start(struct tty_relay *t, int master)
{
	struct termios raw;

	*t = (struct tty_relay){.master = master, .stdin_open = true};
	(void)fcntl(master, F_SETFL, fcntl(master, F_GETFL) | O_NONBLOCK);
	tty_relay_copy_size(t);
	if (tcgetattr(STDIN_FILENO, &t->saved) < 0)
		return;
	raw = t->saved;
	cfmakeraw(&raw);
	t->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void tty_relay_stop(struct tty_relay *t)
{
	if (t->raw)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &t->saved);
	t->raw = false;
}

void tty_relay_prepare(const struct tty_relay *t, struct pollfd *wants)
{
	bool room = t->pending == t->sent;

	wants[0] = (struct pollfd){.fd = t->stdin_open && room ? STDIN_FILENO : -1, .events = POLLIN};
	wants[1] = (struct pollfd){.fd = t->master, .events = (short)(POLLIN | (room ? 0 : POLLOUT))};
}

/* Returns false at the end of the master. */
static bool copy_out(struct tty_relay *t)
{
	char buf[8192];
	ssize_t n = read(t->master, buf, sizeof(buf));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	return n > 0 && write_all(STDOUT_FILENO, buf, (size_t)n) == 0;
}

bool tty_relay_move(struct tty_relay *t, const struct pollfd *wants)
{
	ssize_t n;

	if (wants[0].revents) {
		n = read(STDIN_FILENO, t->to_master, sizeof(t->to_master));
		if (n > 0) {
			t->pending = (size_t)n;
			t->sent = 0;
		} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
			/* A finished pipe is end of file to a terminal's reader as ^D would be. */
			t->stdin_open = false;
			t->to_master[0] = 4;
			t->pending = 1;
			t->sent = 0;
		}
	}
	if (t->sent < t->pending) {
		n = write(t->master, t->to_master + t->sent, t->pending - t->sent);
		if (n > 0)
			t->sent += (size_t)n;
	}
	return !(wants[1].revents & (POLLIN | POLLHUP | POLLERR)) || copy_out(t);
}

void tty_relay_drain(struct tty_relay *t)
{
	struct pollfd p = {.fd = t->master, .events = POLLIN};

	while (poll(&p, 1, 0) == 1 && copy_out(t))
		;
}
