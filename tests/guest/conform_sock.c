// SPDX-License-Identifier: Apache-2.0
/* Prints outcomes of unix-socket calls in corner cases; the runner compares them with the host. */
#include "guest.h"

#define V(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s = %lld%s%s\n", __LINE__, #x, v_, v_ == -1 ? " " : "", v_ == -1 ? strerrorname_np(errno) : ""); CHECK(true); v_; })
#define E(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s: %s\n", __LINE__, #x, v_ == -1 ? strerrorname_np(errno) : "ok"); CHECK(true); v_; })

static struct sockaddr_un un(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	strcpy(a.sun_path, path);
	return a;
}

static void pairs(int type)
{
	int s[2], v;
	char b[64];
	socklen_t l;
	struct iovec iov = {b, sizeof(b)}, out = {"data", 4};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1}, mo = {.msg_iov = &out, .msg_iovlen = 1};
	struct pollfd pf;

	dprintf(1, "call type %d\n", type);
	E(socketpair(AF_UNIX, type, 0, s));
	V(send(s[0], "hello", 5, 0));
	V(recv(s[1], b, 2, MSG_PEEK));
	V(recv(s[1], b, 2, MSG_TRUNC));
	V(recv(s[1], b, 64, MSG_DONTWAIT));
	V(recv(s[1], b, 64, MSG_DONTWAIT));
	V(send(s[0], "", 0, 0));
	V(recv(s[1], b, 64, MSG_DONTWAIT));
	V(recv(s[1], b, 64, MSG_DONTWAIT));
	V(send(s[0], (void *)8, 5, 0));
	V(sendmsg(s[0], &mo, 0));
	V(sendmsg(s[0], &mo, MSG_MORE));
	V(recvmsg(s[1], &m, MSG_DONTWAIT));
	V(m.msg_flags);
	iov.iov_len = 1;
	V(recvmsg(s[1], &m, MSG_DONTWAIT));
	V(m.msg_flags);
	V(recvmsg(s[1], &m, MSG_DONTWAIT | MSG_TRUNC));
	l = sizeof(v);
	E(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &l));
	V(v);
	V((l = 4, getsockopt(s[0], SOL_SOCKET, SO_ERROR, &v, &l), v));
	V((l = 4, getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &v, &l), v));
	V((l = 4, getsockopt(s[0], SOL_SOCKET, SO_PROTOCOL, &v, &l), v));
	V((l = 4, getsockopt(s[0], SOL_SOCKET, SO_ACCEPTCONN, &v, &l), v));
	V((l = 2, v = 0, getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &l), v));
	V(l);
	V((l = -1, getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &l)));
	V((l = 4, getsockopt(s[0], SOL_SOCKET, 9999, &v, &l)));
	V((l = 4, getsockopt(s[0], 77, 1, &v, &l)));
	V((v = 1, setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &v, 4)));
	V(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &v, 2));
	V(setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &v, 4));
	V(setsockopt(s[0], SOL_SOCKET, SO_KEEPALIVE, &v, 4));
	V(setsockopt(s[0], SOL_SOCKET, SO_BROADCAST, &v, 4));
	V(setsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, 4));
	V(setsockopt(s[0], SOL_SOCKET, 9999, &v, 4));
	V(setsockopt(s[0], 6, 1, &v, 4));
	V((v = 5000, setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, 4)));
	V((l = 4, getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &l), v));
	V((v = 1, setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, 4)));
	V((l = 4, getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &l), v));
	V((v = 1, setsockopt(s[0], SOL_SOCKET, SO_RCVBUF, &v, 4)));
	V((l = 4, getsockopt(s[0], SOL_SOCKET, SO_RCVBUF, &v, &l), v));
	struct linger lg = {1, 5};
	V(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &lg, sizeof(lg)));
	V((l = sizeof(lg), lg.l_linger = 0, getsockopt(s[0], SOL_SOCKET, SO_LINGER, &lg, &l), lg.l_linger));
	struct timeval tv = {0, 1000000};
	V(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	tv.tv_usec = 10000;
	V(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	V(recv(s[0], b, 1, 0));
	struct sockaddr_un a;
	V((l = sizeof(a), getsockname(s[0], (void *)&a, &l)));
	V(l);
	V((l = sizeof(a), getpeername(s[0], (void *)&a, &l)));
	V(l);
	V((l = 0, getpeername(s[0], (void *)&a, &l)));
	V(listen(s[0], 5));
	V(accept(s[0], NULL, NULL));
	a = un("x");
	V(connect(s[0], (void *)&a, sizeof(a)));
	V(sendto(s[0], "x", 1, 0, (void *)&a, sizeof(a)));
	V(bind(s[0], (void *)&a, sizeof(a)));
	V(bind(s[0], (void *)&a, sizeof(a)));
	unlink("x");
	V(ioctl(s[1], FIONREAD, &v));
	V(v);
	V(ioctl(s[0], 0x5411, &v));
	pf = (struct pollfd){s[0], POLLIN | POLLOUT | POLLRDHUP, 0};
	V(poll(&pf, 1, 0));
	V(pf.revents);
	V(shutdown(s[1], SHUT_WR));
	V((poll(&pf, 1, 0), pf.revents));
	V(recv(s[0], b, 10, MSG_DONTWAIT));
	V(send(s[1], "x", 1, MSG_NOSIGNAL));
	V(shutdown(s[0], SHUT_RD));
	V((poll(&pf, 1, 0), pf.revents));
	V(shutdown(s[0], SHUT_RDWR));
	V((poll(&pf, 1, 0), pf.revents));
	close(s[1]);
	V((poll(&pf, 1, 0), pf.revents));
	V(send(s[0], "x", 1, MSG_NOSIGNAL));
	V(recv(s[0], b, 10, MSG_DONTWAIT));
	V((l = sizeof(a), getpeername(s[0], (void *)&a, &l)));
	close(s[0]);
	E(socketpair(AF_UNIX, type, 0, s));
	V(send(s[1], "unread", 6, 0));
	close(s[0]);
	V(recv(s[1], b, 10, MSG_DONTWAIT));
	V(recv(s[1], b, 10, MSG_DONTWAIT));
	V((l = 4, getsockopt(s[1], SOL_SOCKET, SO_ERROR, &v, &l), v));
	pf.fd = s[1];
	V((poll(&pf, 1, 0), pf.revents));
	close(s[1]);
}

static void names(int type)
{
	struct sockaddr_un a = un("sock"), b = un("none"), abs = {.sun_family = AF_UNIX, .sun_path = "\0guest-conform"}, q;
	int s = socket(AF_UNIX, type, 0), c = socket(AF_UNIX, type | SOCK_NONBLOCK, 0), d = socket(AF_UNIX, type, 0);
	struct pollfd pf = {c, POLLIN | POLLOUT | POLLRDHUP, 0};
	socklen_t l;
	char buf[64];

	dprintf(1, "call names %d\n", type);
	V((poll(&pf, 1, 0), pf.revents));
	V(listen(c, 1));
	V(accept(c, NULL, NULL));
	V(connect(c, (void *)&a, sizeof(a)));
	V(bind(s, (void *)&a, 1));
	V(bind(s, (void *)&a, 200));
	V(bind(s, (void *)8, sizeof(a)));
	a.sun_family = AF_INET;
	V(bind(s, (void *)&a, sizeof(a)));
	V(connect(c, (void *)&a, sizeof(a)));
	a.sun_family = AF_UNIX;
	V(bind(s, (void *)&a, sizeof(a)));
	V(bind(d, (void *)&a, sizeof(a)));
	V((l = sizeof(q), getsockname(s, (void *)&q, &l)));
	V(l);
	V(connect(c, (void *)&a, sizeof(a)));
	V(connect(c, (void *)&b, sizeof(b)));
	V(listen(s, 0));
	V(listen(s, -1));
	V(listen(s, 1));
	V(connect(c, (void *)&a, sizeof(a)));
	V(connect(c, (void *)&a, sizeof(a)));
	V((poll(&pf, 1, 0), pf.revents));
	V((l = sizeof(q), getpeername(c, (void *)&q, &l)));
	V(l);
	V(accept4(s, NULL, NULL, 0x10));
	V(sendto(c, "x", 1, 0, (void *)&b, sizeof(b)));
	V(sendto(c, "x", 1, 0, NULL, 0));
	V(bind(d, (void *)&abs, 2));
	V((l = sizeof(q), getsockname(d, (void *)&q, &l)));
	V(l);
	close(d);
	d = socket(AF_UNIX, type, 0);
	V(bind(d, (void *)&abs, 16));
	V(bind(c, (void *)&abs, 16));
	guest_write_file("plain", "");
	a = un("plain");
	V(connect(d, (void *)&a, sizeof(a)));
	a = un("nodir/x");
	V(bind(socket(AF_UNIX, type, 0), (void *)&a, sizeof(a)));
	a = un("plain");
	V(bind(socket(AF_UNIX, type, 0), (void *)&a, sizeof(a)));
	V(recv(d, buf, 1, MSG_DONTWAIT));
	V(send(d, buf, 1, MSG_DONTWAIT | MSG_NOSIGNAL));
	a.sun_family = AF_UNSPEC;
	V(connect(c, (void *)&a, sizeof(a.sun_family)));
	V((l = sizeof(q), getpeername(c, (void *)&q, &l)));
	V(ftruncate(c, 0));
	V(lseek(c, 0, SEEK_SET));
	V(pread(c, buf, 1, 0));
	V(fsync(c));
	V(read(c, (void *)8, 0));
	V(syscall(SYS_getdents64, c, buf, 64));
	struct stat st;
	V((fstat(c, &st), st.st_mode));
	V((stat("sock", &st), st.st_mode));
	close(s);
	close(c);
	close(d);
	a = un("sock");
	V(connect(socket(AF_UNIX, type, 0), (void *)&a, sizeof(a)));
	unlink("sock");
}

static void control(void)
{
	int s[2], fds[2], v = 1;
	char buf[256], b[4];
	struct iovec iov = {"x", 1}, in = {b, 4};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = buf, .msg_controllen = CMSG_SPACE(sizeof(int))};
	struct cmsghdr *c = (void *)buf;

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	pipe(fds);
	*c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &(int){999}, 4);
	V(sendmsg(s[0], &m, 0));
	memcpy(CMSG_DATA(c), fds, 4);
	c->cmsg_len = 4;
	V(sendmsg(s[0], &m, 0));
	c->cmsg_len = 1000;
	V(sendmsg(s[0], &m, 0));
	c->cmsg_len = CMSG_LEN(4);
	c->cmsg_type = 99;
	V(sendmsg(s[0], &m, 0));
	c->cmsg_level = 99;
	V(sendmsg(s[0], &m, 0));
	*c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	iov.iov_len = 0;
	V(sendmsg(s[0], &m, 0));
	iov.iov_len = 1;
	V(sendmsg(s[0], &m, 0));
	V(recv(s[1], b, 4, MSG_DONTWAIT));
	V(recv(s[1], b, 4, MSG_DONTWAIT));
	V(sendmsg(s[0], &m, 0));
	m.msg_iov = &in;
	m.msg_controllen = 4;
	V(recvmsg(s[1], &m, MSG_DONTWAIT));
	V(m.msg_flags);
	V(m.msg_controllen);
	struct ucred uc = {999999, 0, 0};
	struct msghdr mc = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = buf, .msg_controllen = CMSG_SPACE(sizeof(uc))};
	*c = (struct cmsghdr){CMSG_LEN(sizeof(uc)), SOL_SOCKET, SCM_CREDENTIALS};
	memcpy(CMSG_DATA(c), &uc, sizeof(uc));
	V(sendmsg(s[0], &mc, 0));
	uc.pid = getpid();
	memcpy(CMSG_DATA(c), &uc, sizeof(uc));
	V(sendmsg(s[0], &mc, 0));
	V(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &v, 4));
	m.msg_controllen = sizeof(buf);
	V(recvmsg(s[1], &m, MSG_DONTWAIT));
	V(m.msg_controllen);
	V(c->cmsg_type);
	V(send(s[0], "y", 1, 0));
	m.msg_controllen = sizeof(buf);
	V(recvmsg(s[1], &m, MSG_DONTWAIT));
	V(m.msg_controllen);
	struct ucred pc;
	socklen_t l = sizeof(pc);
	V(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &pc, &l));
	V(pc.pid == getpid());
	m.msg_iovlen = 2000;
	V(recvmsg(s[1], &m, MSG_DONTWAIT));
	V(sendmsg(s[0], &m, 0));
	V(recvmsg(s[1], (void *)8, 0));
	V(recvmsg(0, &m, 0));
	struct mmsghdr mm[2] = {{.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}}, {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}}};
	V(sendmmsg(s[0], mm, 2, 0));
	V(mm[1].msg_len);
	V(sendmmsg(s[0], mm, 0, 0));
	mm[0].msg_hdr.msg_iov = mm[1].msg_hdr.msg_iov = &in;
	V(recvmmsg(s[1], mm, 2, MSG_DONTWAIT, NULL));
	V(recvmmsg(s[1], mm, 2, MSG_DONTWAIT, NULL));
	V(recvmmsg(s[1], mm, 2, MSG_DONTWAIT, &(struct timespec){0, 1000000000}));
}

void guest_test(void)
{
	signal(SIGPIPE, SIG_IGN);
	V(socket(AF_UNIX, SOCK_RAW, 0));
	V(socket(AF_UNIX, SOCK_STREAM, 1) >= 0 ? 0 : -1);
	V(socket(AF_UNIX, 0, 0));
	V(socket(AF_UNIX, SOCK_RDM, 0));
	V(socket(AF_UNIX, 11, 0));
	V(socket(AF_UNIX, SOCK_STREAM | 0x100000, 0));
	V(socket(-1, SOCK_STREAM, 0));
	V(socket(45, SOCK_STREAM, 0));
	pairs(SOCK_STREAM);
	pairs(SOCK_DGRAM);
	pairs(SOCK_SEQPACKET);
	names(SOCK_STREAM);
	names(SOCK_DGRAM);
	names(SOCK_SEQPACKET);
	control();
}
