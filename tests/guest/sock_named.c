// SPDX-License-Identifier: Apache-2.0
/*
 * Named and abstract unix sockets: bind, listen, backlog, accept, names, ECONNREFUSED; queued connections over a
 * checkpoint.
 */
#include "guest.h"

static struct sockaddr_un addr(const char *path, socklen_t *l)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	strcpy(a.sun_path, path);
	*l = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
	return a;
}

void guest_test(void)
{
	struct sockaddr_un a, r;
	socklen_t l, rl = sizeof(r);
	int s = OK(socket(AF_UNIX, SOCK_STREAM, 0)), c, d, e, x;
	struct stat st;
	char b[16];
	pid_t p;

	a = addr("sock", &l);
	CHECK_EQ(getsockname(s, (void *)&r, &rl), 0);
	CHECK_EQ(rl, 2);
	OK(bind(s, (void *)&a, l));
	OK(stat("sock", &st));
	CHECK(S_ISSOCK(st.st_mode));
	CHECK_EQ(st.st_mode & 0777, 0755);
	c = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	CHECK_ERRNO(connect(c, (void *)&a, l), ECONNREFUSED); /* not listening */
	CHECK_ERRNO(accept(s, NULL, NULL), EINVAL);
	CHECK_ERRNO(bind(s, (void *)&a, l), EADDRINUSE);
	r = addr("other", &rl);
	CHECK_ERRNO(bind(s, (void *)&r, rl), EINVAL); /* bound already */
	CHECK_ERRNO(access("other", F_OK), ENOENT);
	d = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	CHECK_ERRNO(bind(d, (void *)&a, l), EADDRINUSE);
	OK(listen(s, 1));
	SUBTEST("queued connections with data over a checkpoint");
	OK(connect(c, (void *)&a, l));
	OK(connect(d, (void *)&a, l));
	CHECK_EQ(send(c, "from c", 6, 0), 6);
	CHECK_EQ(send(d, "from d", 6, 0), 6);
	e = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
	CHECK_ERRNO(connect(e, (void *)&a, l), EAGAIN); /* the backlog is full: one more than asked */
	struct pollfd pf = {s, POLLIN, 0};
	CHECK_EQ(poll(&pf, 1, 0), 1);
	guest_checkpoint();
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_ERRNO(connect(e, (void *)&a, l), EAGAIN);
	rl = sizeof(r);
	x = OK(accept4(s, (void *)&r, &rl, SOCK_CLOEXEC));
	CHECK_EQ(fcntl(x, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(rl, 2); /* the client has no name */
	CHECK_EQ(recv(x, b, 16, 0), 6);
	CHECK(memcmp(b, "from c", 6) == 0);
	OK(connect(e, (void *)&a, l));
	rl = sizeof(r);
	CHECK_EQ(getpeername(c, (void *)&r, &rl), 0);
	CHECK_STR(r.sun_path, "sock");
	rl = sizeof(r);
	CHECK_EQ(getsockname(x, (void *)&r, &rl), 0);
	CHECK_STR(r.sun_path, "sock"); /* inherited from the listener */
	x = OK(accept(s, NULL, NULL));
	CHECK_EQ(recv(x, b, 16, 0), 6);
	CHECK(memcmp(b, "from d", 6) == 0);
	SUBTEST("a connect blocked by the backlog over a checkpoint");
	int f = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(connect(f, (void *)&a, l));
	CHILD (p) {
		int g = OK(socket(AF_UNIX, SOCK_STREAM, 0));

		OK(connect(g, (void *)&a, l));
		CHECK_EQ(send(g, "blocked", 7, 0), 7);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	CHECK_EQ(waitpid(p, NULL, WNOHANG), 0);
	for (int i = 0; i < 3; i++)
		x = OK(accept(s, NULL, NULL));
	CHECK_EQ(recv(x, b, 16, 0), 7);
	guest_reap(p);
	SUBTEST("renamed and unlinked sockets");
	OK(rename("sock", "moved"));
	CHECK_ERRNO(connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (void *)&a, l), ENOENT);
	a = addr("moved", &l);
	guest_checkpoint();
	OK(connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (void *)&a, l));
	close(s);
	CHECK_ERRNO(connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (void *)&a, l), ECONNREFUSED);
	OK(unlink("moved"));
	guest_write_file("plain", "");
	a = addr("plain", &l);
	CHECK_ERRNO(connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (void *)&a, l), ECONNREFUSED);
	SUBTEST("abstract names");
	memset(&a, 0, sizeof(a));
	a.sun_family = AF_UNIX;
	memcpy(a.sun_path, "\0abs\0tract", 10);
	l = 12;
	s = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(bind(s, (void *)&a, l));
	OK(listen(s, 5));
	guest_checkpoint();
	c = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(connect(c, (void *)&a, l));
	rl = sizeof(r);
	CHECK_EQ(getpeername(c, (void *)&r, &rl), 0);
	CHECK_EQ(rl, 12);
	CHECK(memcmp(&r, &a, 12) == 0);
	CHECK_ERRNO(bind(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (void *)&a, l), EADDRINUSE);
	CHECK_ERRNO(connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (void *)&a, 11), ECONNREFUSED); /* length counts */
	close(s);
	CHECK_ERRNO(connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (void *)&a, l), ECONNREFUSED);
	SUBTEST("autobind");
	a.sun_family = AF_UNIX;
	s = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(bind(s, (void *)&a, 2));
	rl = sizeof(r);
	CHECK_EQ(getsockname(s, (void *)&r, &rl), 0);
	CHECK_EQ(rl, 8);
	CHECK_EQ(r.sun_path[0], 0);
	SUBTEST("errors");
	a = addr("x", &l);
	a.sun_family = AF_INET;
	c = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	CHECK_ERRNO(bind(c, (void *)&a, l), EINVAL);
	CHECK_ERRNO(connect(c, (void *)&a, l), EINVAL);
	CHECK_ERRNO(bind(c, (void *)&a, 200), EINVAL);
	a = addr("none/x", &l);
	CHECK_ERRNO(bind(c, (void *)&a, l), ENOENT);
	CHECK_ERRNO(listen(c, 1), EINVAL);
	CHECK_ERRNO(getpeername(c, (void *)&r, &rl), ENOTCONN);
	CHECK_ERRNO(listen(0, 1), ENOTSOCK);
}
