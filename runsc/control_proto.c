/* SPDX-License-Identifier: Apache-2.0 */
/* Framing and client side of the control protocol (control.h). */
#include <endian.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd_util.h"
#include "runsc/control.h"

int control_send(int sock, json_t *msg, const int *fds, size_t nr_fds)
{
	_cleanup_free_ char *buf = NULL;
	size_t len = json_dumpb(msg, NULL, 0, JSON_COMPACT);
	uint32_t le;

	if (len == 0 || len > CONTROL_MSG_MAX)
		return -EMSGSIZE;
	buf = malloc(4 + len);
	if (!buf)
		return -ENOMEM;
	le = htole32((uint32_t)len);
	memcpy(buf, &le, 4);
	(void)json_dumpb(msg, buf + 4, len, JSON_COMPACT);
	return send_with_fds(sock, buf, 4 + len, fds, nr_fds);
}

/* The length word, with which descriptors come. */
static int recv_length(int sock, uint32_t *ret, int *fds, size_t max_fds, size_t *nr_fds)
{
	uint32_t le;
	size_t got = 0;

	while (got < 4) {
		ssize_t k = recv_with_fds(sock, (char *)&le + got, 4 - got, fds, max_fds, nr_fds);

		if (k <= 0)
			return k < 0 ? (int)k : -ECONNRESET;
		got += (size_t)k;
	}
	*ret = le32toh(le);
	return *ret == 0 || *ret > CONTROL_MSG_MAX ? -EMSGSIZE : 0;
}

static int recv_body(int sock, uint32_t len, json_t **ret)
{
	_cleanup_free_ char *buf = malloc(len);
	json_t *msg;
	int r;

	if (!buf)
		return -ENOMEM;
	r = read_exact(sock, buf, len);
	if (r < 0)
		return r;
	msg = json_loadb(buf, len, 0, NULL);
	if (!json_is_object(msg)) {
		json_decref(msg);
		return -EPROTO;
	}
	*ret = msg;
	return 0;
}

int control_recv(int sock, json_t **ret, int *fds, size_t max_fds, size_t *nr_fds)
{
	size_t n = 0;
	uint32_t len = 0;
	int r = recv_length(sock, &len, fds, fds ? max_fds : 0, &n);

	if (r == 0)
		r = recv_body(sock, len, ret);
	if (r < 0) {
		for (size_t i = 0; i < n; i++) /* descriptors that came along are nobody's */
			(void)close(fds[i]);
		return r;
	}
	if (nr_fds)
		*nr_fds = n;
	return 0;
}

/* A path of any length: the directory is named by its descriptor. */
static int take_answer(json_t *msg, struct error **err)
{
	const char *text = json_string_value(json_object_get(msg, "error"));
	int code = (int)json_integer_value(json_object_get(msg, "code"));

	if (!text)
		return 0;
	return error_msg(err, code < 0 ? code : -EIO, "%s", text);
}

static socklen_t socket_address(const struct container *c, const char *name, struct sockaddr_un *sa)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	(void)snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/%s", c->dirfd, name);
	return sizeof(*sa);
}

int control_listen(const struct container *c, const char *name, int *ret, struct error **err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa;
	socklen_t n = socket_address(c, name, &sa);

	(void)unlinkat(c->dirfd, name, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, n) < 0 || listen(fd, 128) < 0)
		return error_set(err, -errno, "%s/%s", c->dir, name);
	*ret = TAKE_FD(fd);
	return 0;
}

static int connect_to(int fd, const struct container *c, const char *name, struct error **err)
{
	struct sockaddr_un sa;
	socklen_t n = socket_address(c, name, &sa);

	if (fd < 0)
		return error_set(err, -errno, "socket");
	if (connect(fd, (struct sockaddr *)&sa, n) < 0) {
		if (errno == ECONNREFUSED || errno == ENOENT)
			return error_msg(err, -ESRCH, "container not running: \"%s\"", c->id);
		return error_set(err, -errno, "%s/%s", c->dir, name);
	}
	return 0;
}

int control_connect(const struct container *c, int *ret, struct error **err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = connect_to(fd, c, CONTROL_SOCK, err);

	if (r < 0)
		return r;
	*ret = TAKE_FD(fd);
	return 0;
}

int control_peek_sender(int sock, pid_t *ret)
{
	char byte, buf[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = buf, .msg_controllen = sizeof(buf)};
	struct cmsghdr *c;
	struct ucred cred;
	ssize_t n;

	while ((n = recvmsg(sock, &m, MSG_PEEK)) < 0)
		if (errno != EINTR)
			return -errno;
	c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS || c->cmsg_len != CMSG_LEN(sizeof(cred)))
		return n ? -EPROTO : -ECONNRESET;
	memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	*ret = cred.pid;
	return cred.pid > 0 ? 0 : -ESRCH;
}

int control_fork_begin(const struct container *c, const char *name, int *ret, struct error **err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_(json_decrefp) json_t *hello = json_pack("{s:s}", "op", "hello");
	int on = 1, r;

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return error_set(err, -errno, "SO_PASSCRED");
	r = connect_to(fd, c, name, err);
	if (r < 0)
		return r;
	r = hello ? control_send(fd, hello, NULL, 0) : -ENOMEM;
	if (r < 0)
		return error_set(err, r, "%s/%s", c->dir, name);
	*ret = TAKE_FD(fd);
	return 0;
}

int control_fork_end(int sock, pid_t *ret_pid, struct error **err)
{
	_cleanup_(json_decrefp) json_t *a = NULL;
	int off = 0, r = control_peek_sender(sock, ret_pid);

	if (r == 0 && setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off)) < 0)
		r = -errno;
	if (r == 0)
		r = control_recv(sock, &a, NULL, 0, NULL);
	return r < 0 ? error_set(err, r, "no fork of the template answers") : take_answer(a, err);
}

int control_call(int sock, json_t *req, const int *fds, size_t nr_fds, json_t **ret, struct error **err)
{
	_cleanup_(json_decrefp) json_t *q = req;
	_cleanup_(json_decrefp) json_t *a = NULL;
	int r;

	if (!q)
		return error_set(err, -ENOMEM, "control request");
	r = control_send(sock, q, fds, nr_fds);
	if (r == 0 || r == -EPIPE)
		r = control_recv(sock, &a, NULL, 0, NULL); /* a peer that closed may have left its reason */
	if (r == -ECONNRESET || r == -EPIPE)
		return error_msg(err, -ECONNRESET, "the sandbox died");
	if (r < 0)
		return error_set(err, r, "control connection to the sandbox");
	r = take_answer(a, err);
	if (r < 0)
		return r;
	if (ret)
		*ret = TAKE_PTR(a);
	return 0;
}

int control_once(const struct container *c, json_t *req, json_t **ret, struct error **err)
{
	_cleanup_(json_decrefp) json_t *q = req;
	_cleanup_close_ int sock = -EBADF;
	int r = control_connect(c, &sock, err);

	if (r < 0)
		return r;
	r = control_call(sock, TAKE_PTR(q), NULL, 0, ret, err);
	if (r == -ECONNRESET)
		(void)error_prefix(err, "container %s (its log: %s)", c->id, c->debug_log);
	return r;
}

void control_reply(int sock, json_t *reply)
{
	if (!reply)
		reply = json_pack("{s:b}", "ok", 1);
	if (reply && control_send(sock, reply, NULL, 0) < 0)
		(void)shutdown(sock, SHUT_RDWR); /* the peer left; its reader ends the connection */
	json_decref(reply);
}

void control_reply_error(int sock, const struct error *err)
{
	control_reply(sock, json_pack("{s:s, s:i}", "error", error_text(err), "code", err ? err->code : -EIO));
}
