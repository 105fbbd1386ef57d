// SPDX-License-Identifier: Apache-2.0
/* SO_PEERCRED and SCM_CREDENTIALS: who sent, forged ids, SO_PASSCRED; queued credentials over a checkpoint. */
#include "guest.h"

static int send_cred(int s, struct ucred uc)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(sizeof(struct ucred))];
	} u;
	struct iovec iov = {(void *)"m", 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.b, .msg_controllen = sizeof(u.b)};
	struct cmsghdr *c;

	memset(&u, 0, sizeof(u));
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof(uc));
	memcpy(CMSG_DATA(c), &uc, sizeof(uc));
	return (int)sendmsg(s, &m, 0);
}

static bool recv_cred(int s, struct ucred *uc)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(sizeof(struct ucred))];
	} u;
	char c1;
	struct iovec iov = {&c1, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.b, .msg_controllen = sizeof(u.b)};
	struct cmsghdr *c;

	CHECK_EQ(recvmsg(s, &m, 0), 1);
	c = CMSG_FIRSTHDR(&m);
	if (!c)
		return false;
	CHECK_EQ(c->cmsg_type, SCM_CREDENTIALS);
	memcpy(uc, CMSG_DATA(c), sizeof(*uc));
	return true;
}

void guest_test(void)
{
	struct ucred uc;
	socklen_t l = sizeof(uc);
	int s[2], on = 1;
	pid_t p;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &uc, &l), 0);
	CHECK(uc.pid == getpid() && uc.uid == 0 && uc.gid == 0);
	SUBTEST("without SO_PASSCRED nothing arrives");
	CHECK_EQ(send_cred(s[0], (struct ucred){getpid(), 0, 0}), 1);
	CHECK(!recv_cred(s[1], &uc));
	CHECK_EQ(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	SUBTEST("implicit credentials of a dead sender over a checkpoint");
	CHILD (p) {
		OK(setresgid(20, 30, 40));
		OK(setresuid(1000, 2000, 0));
		CHECK_EQ(send(s[0], "x", 1, 0), 1);
		_exit(0);
	}
	guest_reap(p);
	guest_checkpoint();
	CHECK(recv_cred(s[1], &uc));
	CHECK_EQ(uc.pid, p);
	CHECK_EQ(uc.uid, 1000); /* real ids when sent implicitly */
	CHECK_EQ(uc.gid, 20);
	SUBTEST("explicit");
	CHILD (p) {
		OK(setresgid(20, 30, 40));
		OK(setresuid(1000, 2000, 3000));
		CHECK_EQ(send_cred(s[0], (struct ucred){getpid(), 3000, 40}), 1);
		CHECK_ERRNO(send_cred(s[0], (struct ucred){getpid(), 1, 20}), EPERM);
		CHECK_ERRNO(send_cred(s[0], (struct ucred){getpid(), 1000, 1}), EPERM);
		CHECK_ERRNO(send_cred(s[0], (struct ucred){getppid(), 1000, 20}), EPERM);
		_exit(0);
	}
	guest_reap(p);
	guest_checkpoint();
	CHECK(recv_cred(s[1], &uc));
	CHECK(uc.pid == p && uc.uid == 3000 && uc.gid == 40);
	CHECK_EQ(send_cred(s[0], (struct ucred){1, 77, 88}), 1); /* root may claim anything */
	CHECK(recv_cred(s[1], &uc));
	CHECK(uc.uid == 77 && uc.gid == 88);
	SUBTEST("peer credentials are those of connect and listen");
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "sock"};
	int li = OK(socket(AF_UNIX, SOCK_STREAM, 0)), c;
	OK(bind(li, (void *)&a, sizeof(a)));
	OK(chmod("sock", 0777));
	OK(listen(li, 5));
	struct gate g;
	gate_init(&g);
	CHILD (p) {
		OK(setresgid(1000, 1000, 1000));
		OK(setresuid(1000, 1000, 1000));
		c = OK(socket(AF_UNIX, SOCK_STREAM, 0));
		OK(connect(c, (void *)&a, sizeof(a)));
		l = sizeof(uc);
		CHECK_EQ(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &uc, &l), 0);
		CHECK(uc.pid == getppid() && uc.uid == 0);
		gate_wait(&g);
		_exit(0);
	}
	c = OK(accept(li, NULL, NULL));
	guest_checkpoint();
	l = sizeof(uc);
	CHECK_EQ(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &uc, &l), 0);
	CHECK(uc.pid == p && uc.uid == 1000 && uc.gid == 1000);
	gate_post(&g);
	guest_reap(p);
	CHILD (p) {
		OK(chmod("sock", 0755));
		OK(setresuid(1000, 1000, 1000));
		c = OK(socket(AF_UNIX, SOCK_STREAM, 0));
		CHECK_ERRNO(connect(c, (void *)&a, sizeof(a)), EACCES);
		_exit(0);
	}
	guest_reap(p);
}
