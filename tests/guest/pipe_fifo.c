// SPDX-License-Identifier: Apache-2.0
/* FIFOs: blocking open rules, O_NONBLOCK errors, O_RDWR, several readers and writers, contents over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	struct stat st;
	char c[64];
	int r, w, rw;
	pid_t p;

	OK(mkfifo("f", 0640));
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_mode, S_IFIFO | 0640);
	CHECK_ERRNO(mkfifo("f", 0600), EEXIST);
	CHECK_ERRNO(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
	r = OK(open("f", O_RDONLY | O_NONBLOCK));
	CHECK_EQ(read(r, c, 1), 0); /* no writer: end of file, not EAGAIN */
	w = OK(open("f", O_WRONLY | O_NONBLOCK));
	CHECK_ERRNO(read(r, c, 1), EAGAIN);
	CHECK_EQ(write(w, "hello", 5), 5);
	close(w);
	guest_checkpoint();
	CHECK_EQ(read(r, c, sizeof(c)), 5); /* kept while a reader is there */
	CHECK_EQ(read(r, c, sizeof(c)), 0);
	struct pollfd pf = {r, POLLIN, 0};
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(pf.revents, POLLHUP);
	close(r);
	SUBTEST("O_RDWR never blocks");
	rw = OK(open("f", O_RDWR));
	CHECK_EQ(write(rw, "abc", 3), 3);
	guest_checkpoint();
	CHECK_EQ(read(rw, c, sizeof(c)), 3);
	close(rw);
	SUBTEST("contents vanish with the last user");
	rw = OK(open("f", O_RDWR));
	CHECK_EQ(write(rw, "gone", 4), 4);
	close(rw);
	r = OK(open("f", O_RDONLY | O_NONBLOCK));
	CHECK_EQ(read(r, c, sizeof(c)), 0);
	close(r);
	SUBTEST("rendezvous");
	CHILD (p) {
		w = OK(open("f", O_WRONLY));
		CHECK_EQ(write(w, "child", 5), 5);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	r = OK(open("f", O_RDONLY));
	CHECK_EQ(read(r, c, sizeof(c)), 5);
	CHECK_EQ(read(r, c, sizeof(c)), 0);
	guest_reap(p);
	SUBTEST("unlinked but open");
	w = OK(open("f", O_WRONLY));
	OK(unlink("f"));
	CHECK_EQ(write(w, "x", 1), 1);
	guest_checkpoint();
	CHECK_EQ(read(r, c, sizeof(c)), 1);
	close(r);
	guest_catch(SIGPIPE, 0);
	CHECK_ERRNO(write(w, "x", 1), EPIPE);
}
