/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real gofer process for tests: a temporary directory is exported as "root" (all rights), "ro" (read-only) and "plain" (no
 * sockets, no devices), and "file" is a single file. As root the server's root is an empty directory; it always runs under exactly its
 * own seccomp list with everything else killing it.
 */
#ifndef TESTS_GOFER_FIXTURE_H
#define TESTS_GOFER_FIXTURE_H

#include <fcntl.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gofer/client/p9_client.h"
#include "gofer/server/gofer.h"
#include "gofer/server/seccomp.h"

struct fix {
	char dir[64], empty[64];
	int sock; /* client end, -1 once a client owns it */
	pid_t pid;
	struct p9_client *c;
	uint32_t root;
	bool expect_failure; /* the server may end with -EPROTO */
};

static inline void fix_seccomp(void)
{
#if !defined(RUNSC_SANITIZE_address) && !defined(RUNSC_SANITIZE_thread)
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);

	for (size_t i = 0; i < nr_gofer_syscalls; i++)
		if (!ctx || seccomp_rule_add(ctx, SCMP_ACT_ALLOW, gofer_syscalls[i].nr, 0) < 0)
			_exit(101);
	if (seccomp_load(ctx) < 0)
		_exit(102);
	seccomp_release(ctx);
#endif
}

static inline void fix_server(struct fix *f, int sock)
{
	struct gofer_export ex[4] = { { "root", 0, GOFER_CONNECT | GOFER_BIND | GOFER_DEVICES },
				      { "ro", 0, GOFER_READONLY },
				      { "plain", 0, 0 },
				      { "file", 0, 0 } };
	char path[128];
	int proc, r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < 3; i++)
		ex[i].fd = open(f->dir, O_PATH | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "%s/single", f->dir);
	ex[3].fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	proc = gofer_open_proc();
	if (proc < 0)
		_exit(103);
	if (geteuid() == 0 && (chroot(f->empty) < 0 || chdir("/") < 0))
		_exit(104);
	fix_seccomp();
	r = gofer_serve(sock, proc, ex, 4);
	_exit(r < 0 ? -r : 0);
}

static inline struct fix *fix_new(int type, bool client)
{
	struct fix *f = calloc(1, sizeof(*f));
	int sv[2];

	assert_non_null(f);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/gofer-test-XXXXXX");
	(void)snprintf(f->empty, sizeof(f->empty), "/tmp/gofer-empty-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_non_null(mkdtemp(f->empty));
	assert_int_equal(chmod(f->dir, 0755), 0);
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sv), 0);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0) {
		(void)close(sv[0]);
		fix_server(f, sv[1]);
	}
	(void)close(sv[1]);
	f->sock = sv[0];
	if (client) {
		assert_int_equal(p9_client_new(f->sock, &f->c), 0);
		f->sock = -1;
		assert_int_equal(p9_attach(f->c, "root", &f->root, NULL), 0);
	}
	return f;
}

static inline void fix_free(struct fix *f)
{
	char cmd[160];
	int status;

	if (f->c)
		assert_null(p9_client_error(f->c));
	p9_client_put(f->c);
	if (f->sock >= 0)
		(void)close(f->sock);
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	if (!f->expect_failure)
		assert_int_equal(status, 0);
	else
		assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == EPROTO));
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s %s", f->dir, f->empty);
	assert_int_equal(system(cmd), 0);
	free(f);
}

/* Host path of @name in the exported directory. */
static inline const char *fix_path(const struct fix *f, const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return path;
}

static inline void fix_write(const struct fix *f, const char *name, const char *text)
{
	int fd = open(fix_path(f, name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

#endif
