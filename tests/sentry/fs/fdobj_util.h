/* SPDX-License-Identifier: Apache-2.0 */
/* Transfers through kernel buffers, and a save/load round trip of files, for the tests of descriptor kinds. */
#ifndef TESTS_SENTRY_FS_FDOBJ_UTIL_H
#define TESTS_SENTRY_FS_FDOBJ_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/poll.h"
#include "state/image.h"
#include "tests/fakes/fake_fs.h"

static inline int64_t op_write(struct file *f, struct task *t, const void *p, size_t n)
{
	struct uio u;

	uio_kernel(&u, (void *)(uintptr_t)p, n);
	return f->ops->write(f, t, &u, NULL, 0);
}

static inline int64_t op_read(struct file *f, struct task *t, void *p, size_t n)
{
	struct uio u;

	uio_kernel(&u, p, n);
	return f->ops->read(f, t, &u, NULL, 0);
}

/* Saves the files @in (all they refer to with them) and loads them again as @out, each with a reference; then saves those and
 * compares the bytes. */
static inline void round_trip(struct file **in, struct file **out, size_t n)
{
	struct state_root roots[8];
	struct state_writer *w, *w2;
	struct state_reader *r;
	struct error *err = NULL;
	const void *a, *b;
	size_t la, lb;

	for (size_t i = 0; i < n; i++)
		roots[i] = (struct state_root){ in[i]->ops->state, in[i] };
	assert_int_equal(state_writer_new(-1, NULL, &w, NULL), 0);
	assert_int_equal(state_writer_save_roots(w, roots, n, &err), 0);
	assert_int_equal(state_writer_finish(w, NULL, NULL), 0);
	a = state_writer_memory(w, &la);
	assert_int_equal(state_reader_new(-1, a, la, NULL, &r, &err), 0);
	if (state_reader_load(r, &err))
		fail_msg("%s", error_text(err));
	for (size_t i = 0; i < n; i++) {
		void *obj = NULL;

		assert_int_equal(state_reader_root(r, i, roots[i].type, &obj, &err), 0);
		assert_non_null(obj);
		out[i] = obj;
	}
	state_reader_free(r);
	for (size_t i = 0; i < n; i++)
		roots[i].obj = out[i];
	assert_int_equal(state_writer_new(-1, NULL, &w2, NULL), 0);
	assert_int_equal(state_writer_save_roots(w2, roots, n, &err), 0);
	assert_int_equal(state_writer_finish(w2, NULL, NULL), 0);
	b = state_writer_memory(w2, &lb);
	assert_int_equal(la, lb);
	assert_memory_equal(a, b, la);
	state_writer_free(w);
	state_writer_free(w2);
}

static inline int task_setup(void **state)
{
	*state = fake_task_new();
	return 0;
}

static inline int task_teardown(void **state)
{
	fake_task_free(*state);
	return 0;
}

#endif
