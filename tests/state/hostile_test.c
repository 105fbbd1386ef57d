/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every registered type meets messages with random and extreme fields: load() and after_load() refuse them or take them, and never
 * crash. Best under the address sanitizer. Each load has its own process, as in a restore, where a failed load ends it.
 *
 * HOSTILE_SEED=n, HOSTILE_ROUNDS=n, HOSTILE_TYPE=name: other or more cases. HOSTILE_IMAGE=kernel.img: mutations of a real image too.
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
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
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
	unsigned long rounds = env_number("HOSTILE_ROUNDS", 24), seed = env_number("HOSTILE_SEED", 1);
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

static void mutations(const void *mem, size_t len, const char *what, unsigned long rounds)
{
	unsigned long seed = env_number("HOSTILE_SEED", 1), loaded = 0;

	for (unsigned long n = 0; n < rounds; n++) {
		struct hostile h = { .seed = case_seed(seed * 1000, n) };
		struct strbuf b = STRBUF_INIT;

		assert_true(hostile_image_from(&h, mem, len, n ? 1 + (unsigned)n % 3 : 0, &b));
		/* The first is the image itself. */
		if (!load_in_child(&b, what, n))
			loaded++;
		else if (!n)
			print_message("%s: the image itself does not load\n", what);
		strbuf_done(&b);
	}
	print_message("%s: %lu of %lu mutations loaded\n", what, loaded, rounds);
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
	mutations(mem, (size_t)st.st_size, path, env_number("HOSTILE_ROUNDS", 500));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generator),
		cmocka_unit_test(every_type),
		cmocka_unit_test(real_image),
	};
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
