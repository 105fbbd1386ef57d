// SPDX-License-Identifier: Apache-2.0
/* accept blocked over a checkpoint, then a connection arrives; recv blocked on a connection likewise. */
#include "guest.h"

void guest_test(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "sock"};
	int l = OK(socket(AF_UNIX, SOCK_STREAM, 0)), c;
	char buf[16];
	pid_t p;

	OK(bind(l, (struct sockaddr *)&a, sizeof(a)));
	OK(listen(l, 1));
	CHILD (p) {
		int s = OK(accept(l, NULL, NULL));

		CHECK_EQ(recv(s, buf, sizeof(buf), 0), 5);
		CHECK(memcmp(buf, "hello", 5) == 0);
		CHECK_EQ(send(s, "back", 4, 0), 4);
		CHECK_EQ(recv(s, buf, sizeof(buf), 0), 0);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	c = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(connect(c, (struct sockaddr *)&a, sizeof(a)));
	guest_blocked(p);
	guest_checkpoint();
	CHECK_EQ(send(c, "hello", 5, 0), 5);
	CHECK_EQ(recv(c, buf, sizeof(buf), 0), 4);
	guest_blocked(p);
	guest_checkpoint();
	close(c);
	guest_reap(p);
}
