/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole server against a session of arbitrary messages. The input is a sequence of {length byte, message without its size
 * field}; the harness adds correct sizes, so that bytes reach the handlers. The server works on a scratch directory whose parent
 * holds a canary file: if a session ever changes anything outside the export, the fuzzer aborts.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "gofer/proto/p9.h"
#include "gofer/server/gofer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char base[] = "/tmp/fuzz-9p-XXXXXX";
static struct gofer_export exports[2] = { { "r", -1, GOFER_CONNECT | GOFER_BIND }, { "o", -1, GOFER_READONLY } };
static int proc_fd = -1;

static void *drain(void *arg)
{
	uint8_t buf[8192];

	while (recv(*(int *)arg, buf, sizeof(buf), 0) > 0)
		;
	return NULL;
}


static void *serve(void *arg)
{
	(void)gofer_serve(*(int *)arg, proc_fd, exports, 2);
	(void)shutdown(*(int *)arg, SHUT_RDWR);
	return NULL;
}

static void send_msg(int sock, const uint8_t *p, size_t n)
{
	uint8_t m[4 + 256];
	uint32_t size = (uint32_t)n + 4;

	for (int i = 0; i < 4; i++)
		m[i] = (uint8_t)(size >> 8 * i);
	memcpy(m + 4, p, n);
	(void)send(sock, m, size, MSG_NOSIGNAL);
}

static void begin(void)
{
	char path[64];

	proc_fd = gofer_open_proc();
	if (proc_fd < 0 || !mkdtemp(base))
		abort();
	(void)snprintf(path, sizeof(path), "%s/export", base);
	if (mkdir(path, 0755) < 0)
		abort();
	for (int i = 0; i < 2; i++)
		exports[i].fd = open(path, O_PATH | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "%s/canary", base);
	if (mkdir(path, 0711) < 0)
		abort();
}

static void check_canary(void)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/canary", base);
	if (stat(path, &st) < 0 || (st.st_mode & 07777) != 0711 || st.st_nlink != 2)
		abort();
	if (stat(base, &st) < 0 || st.st_nlink != 4)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t attach[] = { P9_tattach, 1, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 1, 0, 'r', 0, 0, 0, 0 };
	static const uint8_t ext[] = P9_VERSION_EXT;
	uint8_t version[64] = { P9_tversion, 255, 255, 0, 0, 1, 0, sizeof(ext) - 1, 0 };
	pthread_t server, drainer;
	int sv[2];

	if (exports[0].fd < 0)
		begin();
	if (size < 1 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return 0;
	/* The first byte says which dialect. */
	version[7] = data[0] & 1 ? 8 : sizeof(ext) - 1;
	memcpy(version + 9, ext, version[7]);
	if (pthread_create(&server, NULL, serve, &sv[1]) || pthread_create(&drainer, NULL, drain, &sv[0]))
		abort();
	send_msg(sv[0], version, 9 + (size_t)version[7]);
	send_msg(sv[0], attach, sizeof(attach));
	for (size_t pos = 1; pos < size;) {
		size_t n = data[pos++];

		n = MIN(n, size - pos);
		send_msg(sv[0], data + pos, n);
		pos += n;
	}
	(void)shutdown(sv[0], SHUT_WR);
	(void)pthread_join(server, NULL);
	(void)pthread_join(drainer, NULL);
	(void)close(sv[0]);
	(void)close(sv[1]);
	check_canary();
	return 0;
}
