/* SPDX-License-Identifier: Apache-2.0 */
/* Catalogs of records, and the table of references. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schemas/state_toy.pb-c.h"
#include "schemas/task.pb-c.h"
#include "state/catalog.h"
#include "state/record.h"
#include "state/refs.h"

#include "tests/state/toy.inc"

static const struct state_opts opts = { .lookup = toy_lookup };

struct raw {
	uint32_t type;
	uint64_t id;
	const void *data;
	size_t len;
};

static char notes[1024];

static void note(void *arg, uint64_t id, const char *what)
{
	size_t n = strlen(notes);

	snprintf(notes + n, sizeof(notes) - n, "%llu: %s\n", (unsigned long long)id, what);
}

/* A catalog of the records, or the error text in @why. */
static struct catalog *catalog_of(const struct raw *v, size_t n, const struct state_opts *o, char *why, size_t why_len)
{
	struct state_out out = { .fd = -1, .name = "test" };
	struct record_writer *w;
	struct catalog *c = NULL;
	struct error *err = NULL;

	notes[0] = '\0';
	assert_int_equal(record_writer_new(&out, 1, &w, NULL), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(record_write(w, v[i].type, v[i].id, v[i].data, v[i].len, NULL), 0);
	assert_int_equal(record_writer_finish(w, NULL), 0);
	record_writer_free(w);
	if (catalog_read(-1, out.mem, out.size, o, note, NULL, &c, &err) < 0)
		snprintf(why, why_len, "%s", error_text(err));
	error_free(err);
	free(out.mem);
	return c;
}

#define ROOTS { RECORD_TYPE_ROOTS, 0, "\1\0\0\0\0\0\0\0", 8 }
#define REFUSED(text, ...)                                                                                \
	do {                                                                                              \
		const struct raw v[] = { __VA_ARGS__ };                                                   \
		char why_[200] = "";                                                                       \
                                                                                                          \
		assert_null(catalog_of(v, ARRAY_SIZE(v), &opts, why_, sizeof(why_)));                       \
		assert_string_equal(why_, text);                                                           \
	} while (0)

static void records(void **state)
{
	/* value 5; weight 1; of a type nobody knows; value 6; a field nobody knows */
	const struct raw v[] = { { 1, 1, "\x08\x05", 2 }, { 2, 2, "\x08\x01", 2 }, { 77, 3, "x", 1 },
				 { 1, 4, "\x08\x06", 2 }, { 2, 5, "\x48\x01", 2 }, ROOTS };
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	struct catalog *c = catalog_of(v, ARRAY_SIZE(v), &opts, NULL, 0);
	const Sentry__ToyNode *n;
	const char *why;
	size_t nr;

	assert_non_null(c);
	assert_string_equal(notes, "3: unknown type: written by a newer build\n"
				   "5: unknown field 9 of ToyLeaf: written by a newer build\n");
	assert_int_equal(catalog_count(c), 5);
	n = (const void *)catalog_msg(c, 4, &why);
	assert_int_equal(n->value, 6);
	assert_ptr_equal(catalog_msg(c, 4, NULL), n);
	assert_null(catalog_msg(c, 3, &why));
	assert_null(catalog_msg(c, 0, &why));
	assert_null(catalog_msg(c, 6, &why));
	assert_string_equal(why, "there is no such object");
	assert_int_equal(catalog_at(c, 3)->type_id, 77);
	assert_null(catalog_at(c, 3)->type);
	assert_null(catalog_at(c, 6));
	assert_int_equal(catalog_next(c, 1, 0), 1);
	assert_int_equal(catalog_next(c, 1, 1), 4);
	assert_int_equal(catalog_next(c, 1, 4), 0);
	assert_int_equal(catalog_next(c, 9, 0), 0);
	assert_int_equal(catalog_roots(c, &nr)[0], 1);
	assert_int_equal(nr, 1);
	assert_true(catalog_same(c, 1, c, 1));
	assert_false(catalog_same(c, 1, c, 4));
	catalog_json(c, 1, &b, 0);
	assert_non_null(strstr(b.data, "\"value\": 5"));
	strbuf_reset(&b);
	catalog_json(c, 3, &b, 0);
	assert_string_equal(b.data, "{\"type\": 77, \"id\": 3, \"error\": \"unknown type: written by a newer build\"}");
	catalog_free(c);
}

static void hostile(void **state)
{
	struct state_opts o = opts;
	char why[200];
	static unsigned char parts[20000];

	REFUSED("kernel.img: record 2 has id 1: ids are not 1, 2, 3 ...", { 1, 1, "", 0 }, { 1, 1, "", 0 }, ROOTS);
	REFUSED("kernel.img: record 2 has id 3: ids are not 1, 2, 3 ...", { 1, 1, "", 0 }, { 1, 3, "", 0 }, ROOTS);
	REFUSED("kernel.img: record 1 has id 0: ids are not 1, 2, 3 ...", { 1, 0, "", 0 }, ROOTS);
	REFUSED("kernel.img: no list of roots", { 1, 1, "", 0 });
	REFUSED("kernel.img: record after the list of roots", ROOTS, { 1, 1, "", 0 });
	REFUSED("kernel.img: bad list of roots", ROOTS, ROOTS);
	REFUSED("kernel.img: bad list of roots", { RECORD_TYPE_ROOTS, 0, "\0", 1 });
	o.max_objects = 1;
	assert_null(catalog_of((const struct raw[]){ { 1, 1, "", 0 }, { 1, 2, "", 0 }, ROOTS }, 3, &o, why, sizeof(why)));
	assert_string_equal(why, "kernel.img holds more than 1 objects");
	/* 10,000 empty sub-messages of two bytes each: told of that record, the others are there */
	for (size_t i = 0; i < sizeof(parts); i += 2)
		parts[i] = 0x2a;
	o = opts;
	o.max_memory = 100000;
	catalog_free(catalog_of((const struct raw[]){ { 1, 1, parts, sizeof(parts) }, { 1, 2, "", 0 }, ROOTS }, 3, &o, why,
				sizeof(why)));
	assert_string_equal(notes, "1: needs more memory than the limit\n");
}

/* --- references --- */

static struct ref_field {
	const char *message, *field, *target;
} table[] = {
#define STATE_REF(message, field, target) { #message, #field, target },
#include "state/refs.def"
#undef STATE_REF
};

static const uint32_t ids[] = {
#define STATE_TYPE(id, name) (id),
#include "state/types.def"
#undef STATE_TYPE
};

/* How often the field is found in a message of some type, at any depth. */
static int find(const ProtobufCMessageDescriptor *d, const struct ref_field *f)
{
	int n = 0;

	for (unsigned int i = 0; i < d->n_fields; i++) {
		if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			n += find(d->fields[i].descriptor, f);
		else if (!strcmp(d->short_name, f->message) && !strcmp(d->fields[i].name, f->field))
			n += refs_target(d, &d->fields[i]) != NULL;
	}
	return n;
}

static void table_is_right(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct ref_field *f = &table[i];
		int found = 0, allowed = 0;

		if (i) {
			int r = strcmp(f[-1].message, f->message);

			assert_true(r < 0 || (r == 0 && strcmp(f[-1].field, f->field) < 0));
		}
		for (size_t k = 0; k < ARRAY_SIZE(ids); k++) {
			found += find(state_type_by_id(ids[k])->desc, f);
			allowed += refs_allows(f->target, state_type_by_id(ids[k]));
		}
		if (!found || !allowed)
			fail_msg("%s.%s: found %d times, %d types allowed", f->message, f->field, found, allowed);
	}
}

static void kinds(void **state)
{
	assert_true(refs_allows("Pid", &pid_state_type));
	assert_false(refs_allows("Pid", &pid_ns_state_type));
	assert_true(refs_allows("FileBase", &eventfd_state_type));
	assert_true(refs_allows("FdTable|FileBase", &eventfd_state_type));
	assert_false(refs_allows("FileBase", &fd_table_state_type));
	assert_false(refs_allows("FdTable|FileBase", &mm_state_type));
	assert_true(refs_allows("InodeBase|Mount|SuperBlockBase", &tmpfs_sb_state_type));
	assert_true(refs_type_is(&inet_sock_state_type, "SockBase"));
	assert_false(refs_type_is(&socket_state_type, "SockBase"));
}

static int print_use(void *arg, const struct ref_use *u)
{
	struct strbuf *b = arg;

	refs_path_print(b, u->path);
	strbuf_addf(b, "=%llu:%s ", (unsigned long long)u->id, u->target);
	return u->id == 99;
}

static void walk(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	Sentry__Task t = SENTRY__TASK__INIT;
	Sentry__Ptrace pt = SENTRY__PTRACE__INIT;
	uint64_t rings[] = { 0, 8 };

	t.pid = 7;
	t.mm = 0;
	t.clear_child_tid = 12345; /* an address */
	t.ptrace = &pt;
	pt.tracer = 6;
	pt.message = 4;
	t.ring_fds = rings;
	t.n_ring_fds = 2;
	assert_int_equal(refs_walk(&t.base, print_use, &b), 0);
	assert_string_equal(b.data, "pid=7:Pid ptrace.tracer=6:Task ring_fds[1]=8:FileBase ");
	strbuf_reset(&b);
	pt.tracer = 99;
	assert_int_equal(refs_walk(&t.base, print_use, &b), 1);
	assert_string_equal(b.data, "pid=7:Pid ptrace.tracer=99:Task ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),	  cmocka_unit_test(hostile), cmocka_unit_test(table_is_right),
		cmocka_unit_test(kinds), cmocka_unit_test(walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
