/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd and epoll: level, edge, one-shot, nesting, closing what is watched, a round trip. */
#include "tests/sentry/fs/fdobj_util.h"

#include "sentry/fs/epoll.h"
#include "sentry/fs/eventfd.h"

static struct file *efd(struct task *t, uint32_t count)
{
	struct file *f;

	assert_int_equal(eventfd_new(t, count, false, 0, &f), 0);
	return f;
}

static void bump(struct file *f, struct task *t)
{
	uint64_t one = 1;

	assert_int_equal(op_write(f, t, &one, 8), 8);
}

static uint64_t drain(struct file *f, struct task *t)
{
	uint64_t v = 0;
	int64_t r = op_read(f, t, &v, 8);

	return r == 8 ? v : 0;
}

static int ctl(struct file *ep, int op, struct file *f, int fd, uint32_t events)
{
	struct linux_epoll_event ev = { events, (uint64_t)fd };

	return epoll_do_ctl(ep, op, f, fd, &ev);
}

static int collect(struct file *ep, struct linux_epoll_event *out)
{
	return epoll_collect(ep, out, 8);
}

static void eventfd_counts(void **state)
{
	struct task *t = *state;
	struct file *f = efd(t, 3), *s;
	uint64_t v = UINT64_MAX;

	assert_int_equal(op_write(f, t, &v, 8), -EINVAL);
	assert_int_equal(op_write(f, t, &v, 7), -EINVAL);
	v = UINT64_MAX - 1 - 3;
	assert_int_equal(op_write(f, t, &v, 8), 8);
	assert_int_equal(file_poll(f), LINUX_POLLIN);
	v = 1;
	assert_int_equal(op_write(f, t, &v, 8), -EAGAIN);
	assert_int_equal(drain(f, t), UINT64_MAX - 1);
	assert_int_equal(op_read(f, t, &v, 8), -EAGAIN);
	assert_int_equal(file_poll(f), LINUX_POLLOUT);
	assert_int_equal(eventfd_new(t, 2, true, 0, &s), 0);
	assert_int_equal(drain(s, t), 1);
	assert_int_equal(drain(s, t), 1);
	assert_int_equal(op_read(s, t, &v, 8), -EAGAIN);
	file_put(f);
	file_put(s);
}

static void level_edge_oneshot(void **state)
{
	struct linux_epoll_event ev[8];
	struct task *t = *state;
	struct file *ep, *lt = efd(t, 0), *et = efd(t, 0), *os = efd(t, 0);

	assert_int_equal(epoll_new(t, &ep), 0);
	assert_int_equal(ctl(ep, LINUX_EPOLL_CTL_ADD, lt, 1, LINUX_POLLIN), 0);
	assert_int_equal(ctl(ep, LINUX_EPOLL_CTL_ADD, lt, 1, LINUX_POLLIN), -EEXIST);
	assert_int_equal(ctl(ep, LINUX_EPOLL_CTL_ADD, et, 2, LINUX_POLLIN | LINUX_EPOLLET), 0);
	assert_int_equal(ctl(ep, LINUX_EPOLL_CTL_ADD, os, 3, LINUX_POLLIN | LINUX_EPOLLONESHOT), 0);
	assert_int_equal(ctl(ep, LINUX_EPOLL_CTL_MOD, et, 1, LINUX_POLLIN), -ENOENT);
	assert_int_equal(collect(ep, ev), 0);
	assert_int_equal(file_poll(ep), 0);
	bump(lt, t);
	bump(et, t);
	bump(os, t);
	assert_int_equal(file_poll(ep), POLL_READ);
	assert_int_equal(collect(ep, ev), 3);
	assert_int_equal(ev[0].data, 1);
	assert_int_equal(ev[1].data, 2);
	assert_int_equal(ev[2].data, 3);
	assert_int_equal(ev[2].events, LINUX_POLLIN);
	assert_int_equal(collect(ep, ev), 1); /* only the level-triggered one */
	bump(et, t);
	bump(os, t);
	assert_int_equal(collect(ep, ev), 2);
	assert_int_equal(ctl(ep, LINUX_EPOLL_CTL_MOD, os, 3, LINUX_POLLIN | LINUX_EPOLLONESHOT), 0);
	assert_int_equal(collect(ep, ev), 2);
	assert_int_equal(drain(lt, t), 1);
	assert_int_equal(collect(ep, ev), 0);
	/* A closed file leaves the set. */
	bump(lt, t);
	file_put(lt);
	assert_int_equal(collect(ep, ev), 0);
	assert_int_equal(ctl(ep, LINUX_EPOLL_CTL_DEL, et, 2, 0), 0);
	assert_int_equal(ctl(ep, LINUX_EPOLL_CTL_DEL, et, 2, 0), -ENOENT);
	bump(et, t);
	assert_int_equal(collect(ep, ev), 0);
	file_put(ep);
	file_put(et);
	file_put(os);
}

static void nesting(void **state)
{
	struct linux_epoll_event out[8];
	struct task *t = *state;
	struct file *ep[6], *e = efd(t, 0);

	for (int i = 0; i < 6; i++)
		assert_int_equal(epoll_new(t, &ep[i]), 0);
	assert_int_equal(ctl(ep[0], LINUX_EPOLL_CTL_ADD, ep[0], 0, LINUX_POLLIN), -EINVAL);
	for (int i = 1; i < 5; i++)
		assert_int_equal(ctl(ep[i], LINUX_EPOLL_CTL_ADD, ep[i - 1], i, LINUX_POLLIN), 0);
	assert_int_equal(ctl(ep[5], LINUX_EPOLL_CTL_ADD, ep[4], 5, LINUX_POLLIN), -ELOOP);
	assert_int_equal(ctl(ep[0], LINUX_EPOLL_CTL_ADD, ep[4], 5, LINUX_POLLIN), -ELOOP);
	assert_int_equal(ctl(ep[0], LINUX_EPOLL_CTL_ADD, e, 9, LINUX_POLLIN), 0);
	assert_int_equal(collect(ep[4], out), 0);
	bump(e, t);
	assert_int_equal(collect(ep[4], out), 1);
	assert_int_equal(drain(e, t), 1);
	assert_int_equal(collect(ep[4], out), 0);
	for (int i = 0; i < 6; i++)
		file_put(ep[i]);
	file_put(e);
}

static void exclusive(void **state)
{
	struct linux_epoll_event out[8];
	struct task *t = *state;
	struct file *a, *e = efd(t, 0);

	assert_int_equal(epoll_new(t, &a), 0);
	assert_int_equal(ctl(a, LINUX_EPOLL_CTL_ADD, e, 1, LINUX_POLLIN | LINUX_EPOLLEXCLUSIVE | LINUX_EPOLLONESHOT), -EINVAL);
	assert_int_equal(ctl(a, LINUX_EPOLL_CTL_ADD, e, 1, LINUX_POLLIN | LINUX_EPOLLEXCLUSIVE), 0);
	assert_int_equal(ctl(a, LINUX_EPOLL_CTL_MOD, e, 1, LINUX_POLLIN), -EINVAL);
	bump(e, t);
	assert_int_equal(collect(a, out), 1);
	file_put(e);
	file_put(a);
}

static void survives(void **state)
{
	struct linux_epoll_event ev[8];
	struct task *t = *state;
	struct file *in[4], *out[4];

	assert_int_equal(epoll_new(NULL, &in[0]), 0);
	for (int i = 1; i < 4; i++)
		in[i] = efd(NULL, 0);
	assert_int_equal(ctl(in[0], LINUX_EPOLL_CTL_ADD, in[1], 1, LINUX_POLLIN), 0);
	assert_int_equal(ctl(in[0], LINUX_EPOLL_CTL_ADD, in[2], 2, LINUX_POLLIN | LINUX_EPOLLET), 0);
	assert_int_equal(ctl(in[0], LINUX_EPOLL_CTL_ADD, in[3], 3, LINUX_POLLIN | LINUX_EPOLLONESHOT), 0);
	bump(in[2], t);
	bump(in[3], t);
	assert_int_equal(collect(in[0], ev), 2); /* edge seen, one-shot fired */
	bump(in[1], t);
	round_trip(in, out, 4);
	assert_int_equal(collect(out[0], ev), 1);
	assert_int_equal(ev[0].data, 1);
	bump(out[3], t);
	assert_int_equal(collect(out[0], ev), 1);
	bump(out[2], t);
	assert_int_equal(collect(out[0], ev), 2);
	for (int i = 0; i < 4; i++) {
		file_put(out[i]);
		file_put(in[3 - i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(eventfd_counts, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(level_edge_oneshot, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(nesting, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(exclusive, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(survives, task_setup, task_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
