/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every registered type meets messages with random and extreme fields: load() and after_load() refuse them or take them, and never
 * crash. Best under the address sanitizer. Each load has its own process, as in a restore, where a failed load ends it.
 *
 * HOSTILE_SEED=n, HOSTILE_ROUNDS=n, HOSTILE_TYPE=name: other or more cases. HOSTILE_IMAGE=kernel.img HOSTILE_MOUNTS=/:dir,/ckpt:dir:
 * mutations of a real image too, with the directories its gofer mounts show (tests/guest/run --mode resume --keep leaves all behind).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "gofer/client/p9_client.h"
#include "gofer/server/gofer.h"
#include "sentry/fs/epoll.h"
#include "sentry/fs/eventfd.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/host/hostfile.h"
#include "sentry/fs/inotify.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/pipe.h"
#include "sentry/fs/signalfd.h"
#include "sentry/fs/timerfd.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/checkpoint.h"
#include "sentry/net/inet.h"
#include "sentry/net/unix.h"
#include "tests/fakes/fake_fs.h"
#include "tests/fakes/hostile.h"

static unsigned long env_number(const char *name, unsigned long def)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 0) : def;
}

static uint64_t case_seed(uint64_t a, uint64_t b)
{
	return (a * 1000003 + b + 1) * 0x9e3779b97f4a7c15ull | 1;
}

/* A gofer that exports what HOSTILE_MOUNTS says, and standard input, output and error, for the container to be restored. */
static void attach_gofer(char *mounts)
{
	static struct sentry_mount mnt[8];
	static struct sentry_container sc = { .id = "hostile", .mounts = mnt };
	static struct restore_ctx ctx = { .sc = &sc };
	struct gofer_export ex[8];
	int sv[2];

	for (char *at, *m = strtok_r(mounts, ",", &at); m && sc.nr_mounts < ARRAY_SIZE(mnt); m = strtok_r(NULL, ",", &at)) {
		char *dir = strchr(m, ':');

		if (!dir)
			_exit(2);
		*dir++ = '\0';
		ex[sc.nr_mounts] = (struct gofer_export){ m, open(dir, O_PATH | O_CLOEXEC), GOFER_READONLY };
		mnt[sc.nr_mounts++] = (struct sentry_mount){ .kind = SENTRY_MOUNT_GOFER, .destination = m, .source = "none",
							     .options = "", .aname = m, .overlay = true, .exclusive = true };
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		_exit(2);
	if (!fork()) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(sv[0]);
		_exit(gofer_serve(sv[1], gofer_open_proc(), ex, sc.nr_mounts) < 0);
	}
	(void)close(sv[1]);
	if (p9_client_new(sv[0], &ctx.gofer) < 0)
		_exit(2);
	for (int i = 0; i < 3; i++)
		hostfile_set_restore_fd(i, dup(i));
	ctx.k = hostile_kernel();
	ctx.k->restore = &ctx;
}

/* What becomes of a load in a process of its own: 0, 1 (refused), or fails the test. */
static int load_in_child(const struct strbuf *image, const char *what, unsigned long n)
{
	int status;
	pid_t pid;

	assert_int_equal(strbuf_error(image), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* Of exactly that size, for the address sanitizer. */
		void *copy = malloc(image->len);
		struct error *err = NULL;
		int r;

		alarm(60); /* an endless loop is a failure; a loaded machine is not */
		if (getenv("HOSTILE_MOUNTS"))
			attach_gofer(getenv("HOSTILE_MOUNTS"));
		memcpy(copy, image->data, image->len);
		r = hostile_load(copy, image->len, &err);
		if (getenv("HOSTILE_VERBOSE"))
			fprintf(stderr, "%s %lu: %s\n", what, n, r < 0 ? error_text(err) : "loaded");
		_exit(r < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		fail_msg("%s, case %lu: the load crashed (status %#x)", what, n, (unsigned)status);
	return WEXITSTATUS(status);
}

static void every_type(void **state)
{
	unsigned long rounds = env_number("HOSTILE_ROUNDS", 8), seed = env_number("HOSTILE_SEED", 1);
	const char *only = getenv("HOSTILE_TYPE");
	const struct state_type *t;

	hostile_kernel();
	for (size_t i = 0; (t = hostile_type(i)); i++) {
		for (unsigned long n = 0; n < rounds && (!only || !strcmp(only, t->name)); n++) {
			struct hostile h = { .seed = case_seed(seed * 1000 + t->id, n) };
			struct strbuf b = STRBUF_INIT;

			hostile_image_of(&h, t, &b);
			(void)load_in_child(&b, t->name, n);
			strbuf_done(&b);
		}
	}
}

/* The generator reaches fields at all: with one seed or another it makes a message that is not empty for every type, always the same. */
static void generator(void **state)
{
	const struct state_type *t;

	for (size_t i = 0; (t = hostile_type(i)); i++) {
		bool some = false;

		for (uint64_t n = 0; n < 8; n++) {
			struct hostile h = { .seed = case_seed(7, n), .nr_ids = 3 }, g = h;
			struct strbuf b = STRBUF_INIT, c = STRBUF_INIT, m = STRBUF_INIT;
			ProtobufCMessage *msg;

			hostile_message(&h, t->desc, &b);
			hostile_message(&g, t->desc, &c);
			assert_int_equal(b.len, c.len);
			if (b.len) {
				some = true;
				assert_memory_equal(b.data, c.data, b.len);
			}
			msg = protobuf_c_message_unpack(t->desc, NULL, b.len, (const uint8_t *)b.data);
			if (!msg)
				fail_msg("%s, seed %lu: not a message", t->name, (unsigned long)n);
			assert_int_equal(msg->n_unknown_fields, 0);
			protobuf_c_message_free_unpacked(msg, NULL);
			hostile_mutate(&h, t->desc, b.data, b.len, &m);
			msg = protobuf_c_message_unpack(t->desc, NULL, m.len, (const uint8_t *)m.data);
			assert_non_null(msg);
			protobuf_c_message_free_unpacked(msg, NULL);
			strbuf_done(&b);
			strbuf_done(&c);
			strbuf_done(&m);
		}
		if (t->desc->n_fields)
			assert_true(some);
	}
}

/* Whether the image itself, the first case, loads. */
static bool mutations(const void *mem, size_t len, const char *what, unsigned long rounds)
{
	unsigned long seed = env_number("HOSTILE_SEED", 1), loaded = 0;
	bool ok = false;

	for (unsigned long n = 0; n < rounds; n++) {
		struct hostile h = { .seed = case_seed(seed * 1000, n) };
		struct strbuf b = STRBUF_INIT;

		assert_true(hostile_image_from(&h, mem, len, n ? 1 + (unsigned)n % 3 : 0, &b));
		if (!load_in_child(&b, what, n)) {
			loaded++;
			ok |= !n;
		}
		strbuf_done(&b);
	}
	print_message("%s: %lu of %lu mutations loaded\n", what, loaded, rounds);
	return ok;
}

static void real_image(void **state)
{
	const char *path = getenv("HOSTILE_IMAGE");
	struct stat st;
	void *mem;
	int fd;

	if (!path)
		skip();
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	mem = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(mem != MAP_FAILED);
	hostile_kernel();
	assert_true(mutations(mem, (size_t)st.st_size, path, env_number("HOSTILE_ROUNDS", 500)));
}

/* @f is a pointer to the variable that the call before, @r, has set. */
static void add_file(struct task *t, int r, struct file **f)
{
	assert_int_equal(r, 0);
	assert_true(fd_install(t, *f, 0, false) >= 0);
}

/* A mount tree and a table of descriptors of many kinds: mutations that go through load() and meet after_load(). */
static void descriptors(void **state)
{
	struct task *t;
	struct state_opts opts = { .ctx = hostile_kernel() };
	struct uio u;
	struct file *f, *g, *ep;
	struct net_ns *net = net_ns_new();
	struct state_writer *w = NULL;
	struct error *err = NULL;
	const void *mem;
	size_t len;
	int fd;

	t = fake_task_new();
	cred_put(t->cred);
	t->cred = NULL; /* no task and no credentials in the image */
	assert_non_null(net);
	assert_int_equal(vfs_openat(t, LINUX_AT_FDCWD, "/file", LINUX_O_RDWR | LINUX_O_CREAT, 0644, 0, &f), 0);
	uio_kernel(&u, (void *)(uintptr_t)"content", 7);
	assert_int_equal(file_write(f, t, &u, -1, 0), 7);
	add_file(t, 0, &f);
	add_file(t, memfd_new(t, "m", 0, &f), &f);
	add_file(t, pipe_new(t, 0, &f, &g), &f);
	uio_kernel(&u, (void *)(uintptr_t)"in the pipe", 11);
	assert_int_equal(file_write(g, t, &u, -1, 0), 11);
	add_file(t, 0, &g);
	add_file(t, epoll_new(t, &ep), &ep);
	assert_int_equal(eventfd_new(t, 3, false, 0, &f), 0);
	fd = fd_install(t, f, 0, false);
	assert_true(fd >= 0);
	assert_int_equal(epoll_do_ctl(ep, LINUX_EPOLL_CTL_ADD, f, fd, &(struct linux_epoll_event){ .events = LINUX_POLLIN }), 0);
	add_file(t, timerfd_new(t, KCLOCK_MONOTONIC, 0, &f), &f);
	add_file(t, signalfd_new(t, 0xff00, 0, &f), &f);
	add_file(t, inotify_new(t, 0, &f), &f);
	add_file(t, socket_file_new(NULL, &unix_new(net, LINUX_SOCK_STREAM)->sk, 0, &f), &f);
	add_file(t, socket_file_new(NULL, &inet_new(net, LINUX_AF_INET, LINUX_SOCK_STREAM)->sk, 0, &f), &f);
	add_file(t, socket_file_new(NULL, &inet_new(net, LINUX_AF_INET6, LINUX_SOCK_DGRAM)->sk, 0, &f), &f);
	{
		const struct state_root roots[] = {
			{ &fd_table_state_type, t->files }, { &mnt_ns_state_type, t->ns->mnt }, { &fs_ctx_state_type, t->fs },
		};

		assert_int_equal(state_writer_new(-1, &opts, &w, &err), 0);
		if (state_writer_save_roots(w, roots, ARRAY_SIZE(roots), &err) < 0 || state_writer_finish(w, NULL, &err) < 0)
			fail_msg("%s", error_text(err));
	}
	mem = state_writer_memory(w, &len);
	assert_true(mutations(mem, len, "descriptors", env_number("HOSTILE_ROUNDS", 150)));
	state_writer_free(w);
	fake_task_free(t);
	net_ns_put(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generator),
		cmocka_unit_test(every_type),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(real_image),
	};
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
