/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "runsc/flags.h"

static const char *bundle;
static bool detach, tty;
static int64_t nr;
static struct flag_list env;

static const struct flag flags[] = {
	{"bundle", 'b', FLAG_STR, &bundle, NULL, NULL},
	{"detach", 'd', FLAG_BOOL, &detach, NULL, NULL},
	{"tty", 't', FLAG_BOOL, &tty, NULL, NULL},
	{"preserve-fds", 0, FLAG_INT, &nr, NULL, NULL},
	{"env", 'e', FLAG_LIST, &env, NULL, NULL},
	{"lsm-mount-context", 0, FLAG_NOP_STR, NULL, NULL, NULL},
	{"no-subreaper", 0, FLAG_NOP_BOOL, NULL, NULL, NULL},
	{0},
};

static size_t run(enum flags_mode mode, const char *const *argv, const char *want_err)
{
	_cleanup_error_ struct error *err = NULL;
	struct flags_rest rest = {0};
	int argc = 0, r;

	bundle = NULL;
	detach = tty = false;
	nr = 0;
	flag_list_done(&env);
	while (argv[argc])
		argc++;
	r = flags_parse(flags, mode, argc, (char **)(uintptr_t)argv, &rest, &err);
	if (want_err) {
		assert_true(r < 0);
		assert_string_equal(error_text(err), want_err);
		return 0;
	}
	assert_int_equal(r, 0);
	free(rest.args);
	return rest.n;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void forms(void **state)
{
	const char *const *const forms[] = {
		ARGS("--bundle", "x", "-d", "id"),     ARGS("--bundle=x", "--detach=true", "id"),
		ARGS("-bundle", "x", "-detach", "id"), ARGS("-b", "x", "id", "-d"),
		ARGS("-b=x", "id", "--detach"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		assert_int_equal(run(FLAGS_ANYWHERE, forms[i], NULL), 1);
		assert_string_equal(bundle, "x");
		assert_true(detach);
	}
	assert_int_equal(run(FLAGS_ANYWHERE, ARGS("-dt", "-e", "A=1", "--env", "B=2", "-no-subreaper", "id"), NULL), 1);
	assert_true(detach && tty && env.n == 2);
	assert_int_equal(run(FLAGS_ANYWHERE, ARGS("--preserve-fds=3", "--", "-d"), NULL), 1);
	assert_true(nr == 3 && !detach);
	flag_list_done(&env);
}

static void command_is_not_parsed(void **state)
{
	assert_int_equal(run(FLAGS_BEFORE_COMMAND, ARGS("-t", "id", "-d", "ls", "-d", "--env"), NULL), 4);
	assert_true(detach && tty);
	assert_int_equal(run(FLAGS_FIRST, ARGS("-t", "create", "--detach"), NULL), 2);
	assert_true(!detach && tty);
}

static void errors(void **state)
{
	(void)run(FLAGS_ANYWHERE, ARGS("--lsm-mount-context"), "flag needs an argument: --lsm-mount-context");
	(void)run(FLAGS_ANYWHERE, ARGS("-b"), "flag needs an argument: --bundle");
	(void)run(FLAGS_ANYWHERE, ARGS("--nope=1"), "unknown flag: --nope");
	(void)run(FLAGS_ANYWHERE, ARGS("--preserve-fds", "x"), "--preserve-fds: \"x\" is not a number");
	(void)run(FLAGS_ANYWHERE, ARGS("--detach=maybe"), "--detach: \"maybe\" is neither true nor false");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(command_is_not_parsed),
		cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
