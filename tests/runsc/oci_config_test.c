/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "runsc/oci.h"

static struct oci_spec *parse_ok(const char *text)
{
	_cleanup_error_ struct error *err = NULL;
	struct oci_spec *s = NULL;

	if (oci_spec_parse(text, strlen(text), "config.json", &s, &err) < 0)
		fail_msg("%s", error_text(err));
	return s;
}

static void parse_fails(const char *text, const char *want)
{
	_cleanup_error_ struct error *err = NULL;
	struct oci_spec *s = NULL;

	assert_true(oci_spec_parse(text, strlen(text), "config.json", &s, &err) < 0);
	assert_null(s);
	assert_string_equal(error_text(err), want);
}

static void full(void **state)
{
	struct oci_spec *s = parse_ok(
		"{\"ociVersion\":\"1.0.2\",\"unknown\":[1],\"hostname\":\"h\","
		"\"process\":{\"args\":[\"sh\",\"-c\"],\"env\":[\"A=b\"],\"cwd\":\"/\",\"terminal\":true,"
		"\"consoleSize\":{\"height\":25,\"width\":80},\"user\":{\"uid\":1,\"gid\":2,\"additionalGids\":[5,6]},"
		"\"capabilities\":{\"bounding\":[\"CAP_CHOWN\",\"CAP_KILL\",\"CAP_FROM_THE_FUTURE\"]},"
		"\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":10,\"hard\":18446744073709551615.0}],"
		"\"oomScoreAdj\":-5},"
		"\"root\":{\"path\":\"rootfs\",\"readonly\":true},"
		"\"mounts\":[{\"destination\":\"/data\",\"source\":\"/"
		"srv\",\"options\":[\"rbind\",\"ro\",\"nosuid\",\"x=1\","
		"\"mode=755\"]}],"
		"\"hooks\":{\"poststop\":[{\"path\":\"/bin/true\",\"timeout\":3}]},"
		"\"linux\":{\"maskedPaths\":[\"/proc/kcore\"],\"sysctl\":{\"kernel.x\":\"1\"},"
		"\"resources\":{\"pids\":{\"limit\":7},\"memory\":{\"limit\":-1}}},"
		"\"annotations\":{\"a\":\"b\"}}");

	assert_string_equal(s->process->args[1], "-c");
	assert_null(s->process->args[2]);
	assert_int_equal(s->process->nr_groups, 2);
	assert_int_equal(s->process->groups[1], 6);
	assert_int_equal(s->process->cap_bounding, 1 << 0 | 1 << 5);
	assert_int_equal(s->process->rlimits[0].resource, RLIMIT_NOFILE);
	assert_true(s->process->rlimits[0].hard == UINT64_MAX);
	assert_int_equal(s->process->oom_score_adj, -5);
	assert_int_equal(s->process->rows, 25);
	assert_true(s->root_readonly);
	assert_true(s->mounts[0].bind && s->mounts[0].recursive);
	assert_int_equal(s->mounts[0].flags, MS_RDONLY | MS_NOSUID);
	assert_string_equal(s->mounts[0].data, "x=1,mode=755");
	assert_int_equal(s->hooks[OCI_HOOK_POSTSTOP].v[0].timeout, 3);
	assert_int_equal(s->lnx.resources.pids_limit, 7);
	assert_int_equal(s->lnx.resources.memory_limit, 0);
	assert_string_equal(oci_annotation(s, "a"), "b");
	oci_spec_free(s);
}

#define HEAD "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"},"

static void wrong_types(void **state)
{
	parse_fails(HEAD "\"process\":{\"args\":[\"a\",3]}}",
		    "config.json: process.args[1]: must be a string, is a number");
	parse_fails(HEAD "\"process\":{\"args\":\"a\"}}", "config.json: process.args: must be an array, is a string");
	parse_fails(HEAD "\"process\":[]}", "config.json: process: must be an object, is an array");
	parse_fails(HEAD "\"linux\":{\"sysctl\":{\"k\":1}}}",
		    "config.json: linux.sysctl.k: must be a string, is a number");
	parse_fails(HEAD "\"process\":{\"user\":{\"uid\":-1}}}",
		    "config.json: process.user.uid: must be between 0 and 4294967295, is -1");
	parse_fails("{\"ociVersion\":\"1.0.2\"}", "config.json: root.path: is missing");
	parse_fails("[]", "config.json: must be an object, is an array");
}

static void truncated_never_parses(void **state)
{
	static const char text[] = HEAD "\"process\":{\"args\":[\"a\"],\"rlimits\":[{\"type\":\"RLIMIT_CPU\"}]}}";

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		_cleanup_error_ struct error *err = NULL;
		struct oci_spec *s = NULL;

		assert_true(oci_spec_parse(text, n, "config.json", &s, &err) < 0);
		assert_non_null(err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full),
		cmocka_unit_test(wrong_types),
		cmocka_unit_test(truncated_never_parses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
