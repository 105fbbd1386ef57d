// SPDX-License-Identifier: Apache-2.0
/* Locked terminal settings (TIOCSLCKTRMIOS) and the software carrier; the lock holds after a checkpoint. */
#include "guest.h"
#include <termios.h>

void guest_test(void)
{
	int m = OK(posix_openpt(O_RDWR | O_NOCTTY)), s, on = 1, off = 0, v = -1;
	struct termios t, old, lock, got;

	OK(unlockpt(m));
	s = OK(open(ptsname(m), O_RDWR | O_NOCTTY));
	SUBTEST("nothing is locked at first");
	memset(&lock, 0xff, sizeof(lock));
	OK(ioctl(s, TIOCGLCKTRMIOS, &lock));
	CHECK(!lock.c_iflag && !lock.c_oflag && !lock.c_cflag && !lock.c_lflag && !lock.c_cc[VINTR]);
	OK(tcgetattr(s, &old));
	SUBTEST("ECHO and the interrupt character stay");
	lock.c_lflag = ECHO;
	lock.c_cc[VINTR] = 1;
	if (ioctl(s, TIOCSLCKTRMIOS, &lock) < 0) { /* CAP_SYS_ADMIN */
		CHECK_EQ(errno, EPERM);
		guest_checkpoint();
		return;
	}
	guest_checkpoint();
	t = old;
	t.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
	t.c_cc[VINTR] = 'x';
	t.c_cc[VQUIT] = 'q';
	OK(ioctl(s, TCSETS, &t));
	OK(tcgetattr(s, &t));
	CHECK_EQ(t.c_lflag & (ECHO | ICANON), ECHO);
	CHECK_EQ(t.c_cc[VINTR], old.c_cc[VINTR]);
	CHECK_EQ(t.c_cc[VQUIT], 'q');
	SUBTEST("either side asks");
	OK(ioctl(m, TIOCGLCKTRMIOS, &got));
	CHECK_EQ(got.c_lflag, ECHO);
	CHECK_EQ(got.c_cc[VINTR], 1);
	SUBTEST("unlocked again");
	memset(&lock, 0, sizeof(lock));
	OK(ioctl(m, TIOCSLCKTRMIOS, &lock));
	t.c_lflag &= ~(tcflag_t)ECHO;
	OK(ioctl(s, TCSETS, &t));
	OK(tcgetattr(s, &t));
	CHECK_EQ(t.c_lflag & ECHO, 0);
	CHECK_ERRNO(ioctl(s, TIOCSLCKTRMIOS, (void *)8), EFAULT);
	SUBTEST("software carrier: CLOCAL");
	OK(ioctl(s, TIOCSSOFTCAR, &on));
	OK(ioctl(s, TIOCGSOFTCAR, &v));
	CHECK_EQ(v, 1);
	OK(tcgetattr(s, &t));
	CHECK(t.c_cflag & CLOCAL);
	OK(ioctl(s, TIOCSSOFTCAR, &off));
	OK(tcgetattr(s, &t));
	CHECK(!(t.c_cflag & CLOCAL));
	close(s);
	close(m);
}
