/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and records as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "state/json.h"

#include "tests/state/toy.inc"

static const struct state_opts opts = { .lookup = toy_lookup };

static void message(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	Sentry__ToyNode n = SENTRY__TOY_NODE__INIT;
	Sentry__ToyPart p = SENTRY__TOY_PART__INIT, *pp = &p;
	uint64_t peers[] = { 1, UINT64_MAX };

	n.value = 5;
	n.name = (char *)"a\"\\\n\x01\xc3\xa9\xff";
	n.n_peers = 2;
	n.peers = peers;
	n.n_parts = 1;
	n.parts = &pp;
	n.colour = SENTRY__TOY_NODE__COLOUR__GREEN;
	p.data.len = 2;
	p.data.data = (uint8_t *)"\x00\xab";
	p.delta = -3;
	state_msg_json(&b, &n.base, 0);
	assert_string_equal(b.data,
			    "{\"value\": 5, \"name\": \"a\\\"\\\\\\n\\u0001\xc3\xa9\\u00ff\", \"peers\": [1, 18446744073709551615], "
			    "\"any\": 0, \"parts\": [{\"data\": {\"hex\": \"00ab\"}, \"delta\": -3}], \"colour\": \"GREEN\"}");
	n.colour = 99;
	strbuf_reset(&b);
	state_msg_json(&b, &n.base, 2);
	assert_non_null(strstr(b.data, "\n  \"colour\": 99\n}"));
	assert_non_null(strstr(b.data, "\n  \"parts\": [\n    {\n      \"data\""));
}

static void whole_image(void **state)
{
	struct toy_node *n = toy_node_new(1, "one");
	struct toy_leaf *l = toy_leaf_new(3);
	struct state_root root = { &toy_node_state_type, n };
	struct state_dump_record rec;
	struct state_writer *w;
	struct state_dump *d;
	size_t len;
	const void *mem;
	int count = 0;

	n->any = l;
	n->any_type = &toy_leaf_state_type;
	snprintf(l->text, sizeof(l->text), "t");
	assert_int_equal(state_writer_new(-1, &opts, &w, NULL), 0);
	assert_int_equal(state_writer_save_roots(w, &root, 1, NULL), 0);
	assert_int_equal(state_writer_finish(w, NULL, NULL), 0);
	mem = state_writer_memory(w, &len);
	assert_int_equal(state_dump_new(-1, mem, len, &opts, &d, NULL), 0);
	while (state_dump_next(d, &rec, NULL) > 0) {
		for (unsigned int indent = 0; indent < 3; indent++) {
			_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
			json_t *j;

			state_record_json(&b, &rec, indent);
			j = json_loads(b.data, 0, NULL);
			assert_non_null(j);
			if (rec.id == 2)
				assert_string_equal(json_string_value(json_object_get(json_object_get(j, "fields"), "text")), "t");
			if (rec.roots)
				assert_int_equal(json_integer_value(json_array_get(json_object_get(j, "roots"), 0)), 1);
			json_decref(j);
		}
		count++;
	}
	assert_int_equal(count, 3);
	state_dump_free(d);
	/* A build that does not know the types still shows what is there. */
	assert_int_equal(state_dump_new(-1, mem, len, &(struct state_opts){ .lookup = state_type_by_id }, &d, NULL), 0);
	assert_int_equal(state_dump_next(d, &rec, NULL), 1);
	state_dump_free(d);
	state_writer_free(w);
	toy_free_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message),
		cmocka_unit_test(whole_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
