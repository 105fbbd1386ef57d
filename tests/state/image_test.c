/* SPDX-License-Identifier: Apache-2.0 */
/* Records, writer and reader: graphs, determinism, damage at every byte, hostile records, full disks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "state/crc32c.h"
#include "state/record.h"

#include "tests/state/toy.inc"

static const struct state_opts opts = { .lookup = toy_lookup };

/* A cycle of three nodes, a self-reference, a leaf, a shared leaf, NULLs. */
static struct toy_node *graph(void)
{
	struct toy_node *a = toy_node_new(1, "a"), *b = toy_node_new(2, "b"), *c = toy_node_new(UINT64_MAX, "c");
	struct toy_leaf *l = toy_leaf_new(42), *t = toy_leaf_new(7);

	toy_node_peer(a, b);
	toy_node_peer(b, c);
	toy_node_peer(c, a);
	toy_node_peer(c, NULL);
	toy_node_peer(a, a);
	a->any = l;
	a->any_type = &toy_leaf_state_type;
	l->has_part = true;
	l->delta = -5;
	b->any = t;
	b->any_type = &toy_leaf_state_type;
	snprintf(t->text, sizeof(t->text), "text");
	c->any = a;
	c->any_type = &toy_node_state_type;
	c->colour = 1;
	c->deltas = calloc(2, sizeof(*c->deltas));
	c->nr_parts = 2;
	c->deltas[0] = -1;
	c->deltas[1] = 1 << 30;
	return a;
}

static struct state_writer *save_mem(const void *root, struct state_stats *st)
{
	struct state_writer *w;
	const struct state_root roots[] = { { &toy_node_state_type, root }, { &toy_leaf_state_type, NULL } };

	assert_int_equal(state_writer_new(-1, &opts, &w, NULL), 0);
	assert_int_equal(state_writer_save_roots(w, roots, 2, NULL), 0);
	assert_int_equal(state_writer_finish(w, st, NULL), 0);
	return w;
}

static int load_mem(const void *mem, size_t len, struct state_reader **ret, struct error **err)
{
	int r = state_reader_new(-1, mem, len, &opts, ret, err);

	if (r < 0)
		*ret = NULL;
	return r < 0 ? r : state_reader_load(*ret, err);
}

static void round_trip(void **state)
{
	struct toy_node *a = graph(), *x, *y, *z;
	struct state_writer *w, *w2;
	struct state_reader *r;
	struct state_stats st, st2;
	struct error *err = NULL;
	size_t len, len2;
	const void *mem;
	void *none = a;
	uint64_t pos = 0;
	int count = 0;

	w = save_mem(a, &st);
	mem = state_writer_memory(w, &len);
	assert_int_equal(st.objects, 5);
	assert_int_equal(st.file_bytes, len);
	assert_int_equal(st.file_crc, crc32c(0, mem, len));
	toy_after_seq = 0;
	assert_int_equal(load_mem(mem, len, &r, &err), 0);
	assert_int_equal(state_reader_nr_roots(r), 2);
	assert_int_equal(state_reader_root(r, 0, &toy_node_state_type, (void **)&x, NULL), 0);
	assert_int_equal(state_reader_root(r, 1, &toy_leaf_state_type, &none, NULL), 0);
	assert_null(none);
	assert_int_equal(state_reader_root(r, 0, &toy_leaf_state_type, &none, &err), -EINVAL);
	assert_string_equal(error_text(err), "kernel.img: root 0 is a toy_node, not a toy_leaf");
	err = error_free(err);
	while (state_reader_next(r, &toy_leaf_state_type, &pos))
		count++;
	assert_int_equal(count, 2);
	state_reader_stats(r, &st2);
	assert_int_equal(st2.file_crc, st.file_crc);
	state_reader_free(r);
	y = x->peers[0];
	z = y->peers[0];
	assert_ptr_equal(x->peers[1], x);
	assert_ptr_equal(z->peers[0], x);
	assert_null(z->peers[1]);
	assert_ptr_equal(z->any, x);
	assert_string_equal(z->name, "c");
	assert_true(z->value == UINT64_MAX && z->colour == 1 && z->nr_parts == 2 && z->deltas[0] == -1);
	assert_ptr_equal(x->any_type, &toy_leaf_state_type);
	assert_int_equal(((struct toy_leaf *)x->any)->delta, -5);
	assert_string_equal(((struct toy_leaf *)y->any)->text, "text");
	/* Leaves have the lower priority; then nodes by id. */
	assert_int_equal(((struct toy_leaf *)x->any)->after + ((struct toy_leaf *)y->any)->after, 3);
	assert_true(x->after == 3 && y->after == 4 && z->after == 5);
	/* root + self + c.peers + c.any; the loader's own is gone */
	assert_int_equal(x->refs, 4);
	assert_int_equal(y->refs, 1);
	/* save(restore(save)) is the same bytes, and so is saving twice. */
	w2 = save_mem(x, &st2);
	(void)state_writer_memory(w2, &len2);
	assert_int_equal(len, len2);
	assert_memory_equal(mem, state_writer_memory(w2, &len2), len);
	state_writer_free(w2);
	w2 = save_mem(a, &st2);
	assert_memory_equal(mem, state_writer_memory(w2, &len2), len);
	state_writer_free(w2);
	state_writer_free(w);
	toy_free_all();
}

/* kernel.img of graph() as the first release wrote it must load for ever. GOLDEN=<file> writes a new one. */
static const unsigned char golden_v1[] = {
#include "tests/state/golden_kernel_v1.inc"
};

static void golden_image(void **state)
{
	const char *path = getenv("GOLDEN");
	struct toy_node *x;
	struct state_reader *r;

	if (path) {
		struct state_stats st;
		struct state_writer *w = save_mem(graph(), &st);
		size_t len;
		const unsigned char *p = state_writer_memory(w, &len);
		FILE *f = fopen(path, "we");

		for (size_t i = 0; i < len; i++)
			fprintf(f, "0x%02x,%c", p[i], i % 16 == 15 || i + 1 == len ? '\n' : ' ');
		fclose(f);
		state_writer_free(w);
		toy_free_all();
	}
	assert_int_equal(load_mem(golden_v1, sizeof(golden_v1), &r, NULL), 0);
	assert_int_equal(state_reader_root(r, 0, &toy_node_state_type, (void **)&x, NULL), 0);
	state_reader_free(r);
	assert_true(x->value == 1 && x->peers[0]->peers[0]->any == x && x->peers[0]->peers[0]->nr_parts == 2);
	toy_free_all();
}

static void through_a_file(void **state)
{
	int fd = memfd_create("k", MFD_CLOEXEC);
	struct state_writer *w;
	struct state_reader *r;
	struct state_stats st;
	struct state_root root = { &toy_node_state_type, NULL };
	struct toy_node *prev = NULL, *n = NULL;
	const size_t count = 20000;

	/* A long chain: no recursion, many blocks. */
	for (size_t i = 0; i < count; i++) {
		char name[TOY_NAME];

		snprintf(name, sizeof(name), "node %zu of a long chain %zx", i, i * 2654435761u);
		n = toy_node_new(i * 0x9e3779b97f4a7c15ull, name);
		if (prev)
			toy_node_peer(n, prev);
		prev = n;
	}
	root.obj = n;
	assert_int_equal(state_writer_new(fd, &opts, &w, NULL), 0);
	assert_int_equal(state_writer_save_roots(w, &root, 1, NULL), 0);
	assert_int_equal(state_writer_finish(w, &st, NULL), 0);
	state_writer_free(w);
	assert_int_equal(st.objects, count);
	assert_int_equal(lseek(fd, 0, SEEK_END), st.file_bytes);
	assert_true(st.raw_bytes > 3 * RECORD_BLOCK);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(state_reader_new(fd, NULL, 0, &opts, &r, NULL), 0);
	assert_int_equal(state_reader_load(r, NULL), 0);
	state_reader_free(r);
	assert_int_equal(toy_free_all(), 2 * count);
	close(fd);
}

/* A process that has begun is forked; each copy goes on, and none of them needs the file. */
static void two_halves(void **state)
{
	struct state_stats st;
	struct state_writer *w = save_mem(graph(), &st);
	struct state_reader *r;
	struct toy_leaf *l;
	struct toy_node *n;
	uint64_t pos = 0;
	int status, nr = 0;
	size_t len;
	const void *mem = state_writer_memory(w, &len);
	unsigned char *copy = malloc(len);

	memcpy(copy, mem, len);
	state_writer_free(w);
	toy_free_all();
	assert_int_equal(state_reader_new(-1, copy, len, &opts, &r, NULL), 0);
	toy_after_seq = 0;
	assert_int_equal(state_reader_begin(r, NULL), 0);
	assert_int_equal(state_reader_phase(r), STATE_LOAD);
	memset(copy, 0xa5, len);
	free(copy);
	while ((n = state_reader_next(r, &toy_node_state_type, &pos)))
		nr += n->name[0] != '\0';
	assert_int_equal(nr, 3);
	for (pos = 0; (l = state_reader_next(r, &toy_leaf_state_type, &pos));)
		assert_int_equal(l->weight, 0);
	assert_int_equal(toy_after_seq, 0);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			nr = 0;
			if (state_reader_load(r, NULL) < 0 || state_reader_phase(r) != STATE_DONE)
				_exit(1);
			for (pos = 0; (l = state_reader_next(r, &toy_leaf_state_type, &pos));)
				nr += l->weight != 0;
			_exit(nr == 2 && toy_after_seq > 0 && state_reader_root(r, 0, &toy_node_state_type, (void **)&n, NULL) == 0 ? 0 : 2);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	state_reader_free(r);
	assert_int_equal(toy_free_all(), 5);
}

static void damage_at_every_byte(void **state)
{
	struct state_stats st;
	struct state_writer *w = save_mem(graph(), &st);
	size_t len;
	const void *mem = state_writer_memory(w, &len);
	unsigned char *copy = malloc(len + 1);
	struct state_reader *r;
	struct error *err = NULL;

	toy_free_all();
	for (size_t i = 0; i < len; i++) {
		/* A copy of exactly that size, for the address sanitizer. */
		unsigned char *cut = malloc(i ? i : 1);

		memcpy(cut, mem, i);
		assert_true(load_mem(cut, i, &r, &err) < 0);
		assert_non_null(err);
		err = error_free(err);
		state_reader_free(r);
		toy_free_all();
		free(cut);
		for (int bit = 0; bit < 8; bit++) {
			memcpy(copy, mem, len);
			copy[i] ^= (unsigned char)(1 << bit);
			assert_true(load_mem(copy, len, &r, &err) < 0);
			err = error_free(err);
			state_reader_free(r);
			toy_free_all();
		}
	}
	memcpy(copy, mem, len);
	copy[len] = 0;
	assert_true(load_mem(copy, len + 1, &r, NULL) < 0);
	state_reader_free(r);
	free(copy);
	state_writer_free(w);
}

/* Builds an image of given records with right checksums. */
struct raw {
	uint32_t type;
	uint64_t id;
	const void *data;
	size_t len;
};

static int load_raw(const struct raw *recs, size_t n, const struct state_opts *o, struct error **err)
{
	struct state_out out = { .fd = -1, .name = "t" };
	struct record_writer *w;
	struct state_reader *r = NULL;
	int x;

	assert_int_equal(record_writer_new(&out, 1, &w, NULL), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(record_write(w, recs[i].type, recs[i].id, recs[i].data, recs[i].len, NULL), 0);
	assert_int_equal(record_writer_finish(w, NULL), 0);
	record_writer_free(w);
	x = state_reader_new(-1, out.mem, out.size, o, &r, err);
	if (x >= 0)
		x = state_reader_load(r, err);
	state_reader_free(r);
	toy_free_all();
	free(out.mem);
	return x;
}

#define ROOTS { RECORD_TYPE_ROOTS, 0, NULL, 0 }
#define REFUSED(text, ...)                                                                                                     \
	do {                                                                                                                   \
		const struct raw _r[] = { __VA_ARGS__ };                                                                       \
		struct error *_e = NULL;                                                                                       \
		assert_true(load_raw(_r, ARRAY_SIZE(_r), &opts, &_e) < 0);                                                     \
		assert_string_equal(error_text(_e), text);                                                                     \
		error_free(_e);                                                                                                \
	} while (0)

static void hostile_records(void **state)
{
	const struct raw ok[] = { { 1, 1, "", 0 }, ROOTS };
	unsigned char deep[2000];

	assert_int_equal(load_raw(ok, 2, &opts, NULL), 0);
	REFUSED("object 1 is of unknown type 77: written by a newer build", { 77, 1, "", 0 }, ROOTS);
	REFUSED("toy_node 1: duplicate id", { 1, 1, "", 0 }, { 1, 1, "", 0 }, ROOTS);
	REFUSED("toy_node 3: id out of order", { 1, 1, "", 0 }, { 1, 3, "", 0 }, ROOTS);
	REFUSED("toy_node 0: id out of order", { 1, 0, "", 0 }, ROOTS);
	REFUSED("kernel.img: no list of roots", { 1, 1, "", 0 });
	REFUSED("kernel.img: record after the list of roots", ROOTS, { 1, 1, "", 0 });
	REFUSED("kernel.img: root 0 does not exist", { 1, 1, "", 0 }, { RECORD_TYPE_ROOTS, 0, "\2\0\0\0\0\0\0\0", 8 });
	REFUSED("kernel.img: bad list of roots", { RECORD_TYPE_ROOTS, 0, "\0", 1 });
	/* any = 9; a peer that is a leaf; weight 101; weight 13; unknown field; unknown field inside a part; bad wire data */
	REFUSED("toy_node 1: refers to object 9, which does not exist", { 1, 1, "\x20\x09", 2 }, ROOTS);
	REFUSED("toy_node 1: refers to object 2 as a toy_node, but it is a toy_leaf", { 1, 1, "\x1a\x01\x02", 3 },
		{ 2, 2, "", 0 }, ROOTS);
	REFUSED("toy_leaf 1: weight is over 100", { 2, 1, "\x08\x65", 2 }, ROOTS);
	REFUSED("toy_leaf 1: cannot be loaded: Operation not permitted", { 2, 1, "\x08\x0d", 2 }, ROOTS);
	REFUSED("toy_node 1: value 667 is never right", { 1, 1, "\x08\x9b\x05", 3 }, ROOTS);
	REFUSED("toy_node 1: unknown colour", { 1, 1, "\x30\x07", 2 }, ROOTS);
	REFUSED("toy_leaf 1: unknown field 9 of ToyLeaf: written by a newer build", { 2, 1, "\x48\x01", 2 }, ROOTS);
	REFUSED("toy_node 1: unknown field 9 of ToyPart: written by a newer build", { 1, 1, "\x2a\x02\x48\x01", 4 }, ROOTS);
	REFUSED("toy_leaf 1: unknown field 9 of ToyPart: written by a newer build", { 2, 1, "\x22\x02\x48\x01", 4 }, ROOTS);
	REFUSED("toy_node 1: is not a valid message", { 1, 1, "\xff\xff", 2 }, ROOTS);
	REFUSED("toy_node 1: is not a valid message", { 1, 1, "\x12\x7f" "a", 3 }, ROOTS);
	memset(deep, 0x2a, sizeof(deep));
	assert_true(load_raw((const struct raw[]){ { 1, 1, deep, sizeof(deep) }, ROOTS }, 2, &opts, NULL) < 0);
}

static void limits(void **state)
{
	const struct raw recs[] = { { 1, 1, "", 0 }, { 1, 2, "", 0 }, ROOTS };
	static unsigned char parts[20000];
	struct state_opts o = opts;
	struct error *err = NULL;

	o.max_objects = 1;
	assert_int_equal(load_raw(recs, 3, &o, &err), -EFBIG);
	err = error_free(err);
	o = opts;
	o.max_total = 10;
	assert_int_equal(load_raw(recs, 3, &o, &err), -EFBIG);
	err = error_free(err);
	/* 10,000 empty sub-messages of two bytes each */
	for (size_t i = 0; i < sizeof(parts); i += 2)
		parts[i] = 0x2a;
	o = opts;
	assert_int_equal(load_raw((const struct raw[]){ { 1, 1, parts, sizeof(parts) }, ROOTS }, 2, &o, &err), 0);
	o.max_memory = 100000;
	assert_true(load_raw((const struct raw[]){ { 1, 1, parts, sizeof(parts) }, ROOTS }, 2, &o, &err) < 0);
	assert_string_equal(error_text(err), "toy_node 1: needs more memory than the limit");
	err = error_free(err);
	o = opts;
	o.max_record = sizeof(parts) - 1;
	assert_int_equal(load_raw((const struct raw[]){ { 1, 1, parts, sizeof(parts) }, ROOTS }, 2, &o, &err), -EFBIG);
	error_free(err);
}

static void save_failures(void **state)
{
	struct toy_node *n = toy_node_new(1, "n");
	struct state_root root = { &toy_node_state_type, n };
	struct state_writer *w;
	struct error *err = NULL;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(state_writer_new(fd, &opts, &w, &err), -ENOSPC);
	assert_string_equal(error_text(err), "cannot write kernel.img (20 bytes at offset 0): No space left on device");
	err = error_free(err);
	close(fd);

	/* The object refuses; the error is sticky. */
	n->value = 666;
	assert_int_equal(state_writer_new(-1, &opts, &w, NULL), 0);
	assert_int_equal(state_writer_save_roots(w, &root, 1, &err), -EINVAL);
	assert_string_equal(error_text(err), "toy_node 1: value 666 cannot be saved");
	err = error_free(err);
	assert_int_equal(state_writer_finish(w, NULL, &err), -EINVAL);
	err = error_free(err);
	state_writer_free(w);

	/* One address, two types. */
	n->value = 1;
	n->any = n;
	n->any_type = &toy_leaf_state_type;
	assert_int_equal(state_writer_new(-1, &opts, &w, NULL), 0);
	assert_int_equal(state_writer_save_roots(w, &root, 1, &err), -EINVAL);
	assert_string_equal(error_text(err), "object 1 is referred to both as toy_node and as toy_leaf");
	err = error_free(err);
	state_writer_free(w);

	/* A type nobody registered. */
	assert_int_equal(state_writer_new(-1, NULL, &w, NULL), 0);
	assert_int_equal(state_writer_save_roots(w, &root, 1, &err), -EINVAL);
	err = error_free(err);
	state_writer_free(w);
	toy_free_all();
}

/* The file-size limit strikes at every length of a small file. */
static void disk_full_at_every_size(void **state)
{
	struct toy_node *a = graph();
	const struct state_root root = { &toy_node_state_type, a };
	struct rlimit old, lim;
	struct state_writer *w;
	size_t len, fails = 0;
	struct state_stats st;

	w = save_mem(a, &st);
	(void)state_writer_memory(w, &len);
	state_writer_free(w);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	for (size_t i = 0; i < len; i++) {
		FILE *f = tmpfile();
		struct error *err = NULL;
		int r;

		assert_non_null(f);
		lim = old;
		lim.rlim_cur = i;
		setrlimit(RLIMIT_FSIZE, &lim);
		r = state_writer_new(fileno(f), &opts, &w, &err);
		if (r >= 0) {
			r = state_writer_save_roots(w, &root, 1, &err);
			if (r >= 0)
				r = state_writer_finish(w, NULL, &err);
			state_writer_free(w);
		}
		setrlimit(RLIMIT_FSIZE, &old);
		fclose(f);
		if (r < 0) {
			assert_int_equal(r, -EFBIG);
			fails++;
		}
		error_free(err);
	}
	assert_true(fails > len - 12);
	toy_free_all();
}

static void big_message(void **state)
{
	struct toy_node *n = toy_node_new(5, "big");
	struct state_writer *w;
	struct state_reader *r;
	struct state_stats st;
	size_t len;
	const void *mem;

	/* Larger than an arena chunk and than a block. */
	for (size_t i = 0; i < 100000; i++)
		toy_node_peer(n, n);
	w = save_mem(n, &st);
	mem = state_writer_memory(w, &len);
	assert_int_equal(load_mem(mem, len, &r, NULL), 0);
	assert_int_equal(st.objects, 1);
	state_reader_free(r);
	state_writer_free(w);
	toy_free_all();
}

static void dump(void **state)
{
	struct state_stats st;
	struct state_writer *w = save_mem(graph(), &st);
	size_t len;
	const void *mem = state_writer_memory(w, &len);
	struct state_dump *d;
	struct state_dump_record rec;
	uint64_t n = 0;
	int r;

	assert_int_equal(state_dump_new(-1, mem, len, &opts, &d, NULL), 0);
	while ((r = state_dump_next(d, &rec, NULL)) > 0) {
		n++;
		if (rec.roots) {
			assert_int_equal(rec.nr_roots, 2);
			assert_int_equal(rec.roots[0], 1);
			assert_int_equal(rec.roots[1], 0);
		} else {
			assert_int_equal(rec.id, n);
			assert_non_null(rec.msg);
		}
	}
	assert_int_equal(r, 0);
	assert_int_equal(n, 6);
	state_dump_free(d);
	state_writer_free(w);
	toy_free_all();
}

static void crc(void **state)
{
	unsigned char buf[20000];

	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c_table(0, "123456789", 9), 0xe3069283);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (unsigned char)(i * i >> 3);
	for (size_t n = 0; n < sizeof(buf); n += 97) {
		assert_int_equal(crc32c(1, buf + n % 7, n - n % 7), crc32c_table(1, buf + n % 7, n - n % 7));
		assert_int_equal(crc32c(crc32c(0, buf, n), buf + n, sizeof(buf) - n), crc32c(0, buf, sizeof(buf)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(golden_image),
		cmocka_unit_test(through_a_file),
		cmocka_unit_test(damage_at_every_byte),
		cmocka_unit_test(hostile_records),
		cmocka_unit_test(two_halves),
		cmocka_unit_test(limits),
		cmocka_unit_test(save_failures),
		cmocka_unit_test(disk_full_at_every_size),
		cmocka_unit_test(big_message),
		cmocka_unit_test(dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
