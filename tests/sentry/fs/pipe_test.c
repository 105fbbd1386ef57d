/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes: order, capacity, atomicity, packets, end of file, FIFOs, splice helpers, a round trip. */
#include "tests/sentry/fs/fdobj_util.h"

#include "sentry/fs/inode.h"
#include "sentry/fs/pipe.h"

static void order_and_eof(void **state)
{
	struct task *t = *state;
	struct file *r, *w;
	char buf[16] = { 0 };

	assert_int_equal(pipe_new(t, 0, &r, &w), 0);
	assert_int_equal(op_read(r, t, buf, 4), -EAGAIN);
	assert_int_equal(op_write(w, t, "hello", 5), 5);
	assert_int_equal(op_write(w, t, " world", 6), 6);
	assert_int_equal(file_poll(r), POLL_READ);
	assert_int_equal(op_read(r, t, buf, 7), 7);
	assert_string_equal(buf, "hello w");
	file_put(w);
	assert_int_equal(file_poll(r), POLL_READ | LINUX_POLLHUP);
	assert_int_equal(op_read(r, t, buf, 16), 4);
	assert_int_equal(op_read(r, t, buf, 16), 0);
	assert_int_equal(file_poll(r), LINUX_POLLHUP);
	file_put(r);
}

static void capacity_as_linux(void **state)
{
	static uint8_t big[1 << 20];
	struct task *t = *state;
	struct file *r, *w;
	int n = 0;

	assert_int_equal(pipe_new(t, LINUX_O_NONBLOCK, &r, &w), 0);
	while (op_write(w, t, big, 1) == 1)
		n++;
	assert_int_equal(n, 65536);
	assert_int_equal(file_poll(w), 0);
	assert_int_equal(op_read(r, t, big, 4095), 4095);
	assert_int_equal(file_poll(w), 0); /* a slot is free only when it is empty */
	assert_int_equal(op_read(r, t, big, 1), 1);
	assert_int_equal(file_poll(w), POLL_WRITE);
	assert_int_equal(op_write(w, t, big, sizeof(big)), 4096);
	assert_int_equal(op_read(r, t, big, sizeof(big)), 65536);
	/* Odd sizes: four of 1000 bytes share a page, as in Linux. */
	for (n = 0; op_write(w, t, big, 1000) == 1000; n++)
		;
	assert_int_equal(n, 64);
	assert_int_equal(op_write(w, t, big, 1000), -EAGAIN); /* atomic: nothing of it */
	assert_int_equal(pipe_fcntl(w, t, LINUX_F_SETPIPE_SZ, 4096), -EBUSY);
	assert_int_equal(pipe_fcntl(w, t, LINUX_F_SETPIPE_SZ, 100000), 131072);
	assert_int_equal(pipe_fcntl(r, t, LINUX_F_GETPIPE_SZ, 0), 131072);
	assert_int_equal(op_write(w, t, big, 4096), 4096);
	assert_int_equal(op_read(r, t, big, sizeof(big)), 64000 + 4096);
	assert_int_equal(pipe_fcntl(w, t, LINUX_F_SETPIPE_SZ, 1), 4096);
	fake_task_setuid(t, 1000, 1000);
	assert_int_equal(pipe_fcntl(w, t, LINUX_F_SETPIPE_SZ, 1 << 20), 1 << 20);
	assert_int_equal(pipe_fcntl(w, t, LINUX_F_SETPIPE_SZ, (1 << 20) + 1), -EPERM);
	file_put(r);
	assert_int_equal(op_write(w, t, big, 1), -EPIPE);
	assert_int_equal(file_poll(w), POLL_WRITE | LINUX_POLLERR);
	file_put(w);
}

static void packets(void **state)
{
	struct task *t = *state;
	struct file *r, *w;
	char buf[64];

	assert_int_equal(pipe_new(t, LINUX_O_DIRECT, &r, &w), 0);
	assert_int_equal(op_write(w, t, "one", 3), 3);
	assert_int_equal(op_write(w, t, "twotwo", 6), 6);
	assert_int_equal(op_read(r, t, buf, 64), 3);
	assert_int_equal(op_read(r, t, buf, 2), 2); /* the rest of the packet is lost */
	assert_int_equal(op_read(r, t, buf, 64), -EAGAIN);
	file_put(r);
	file_put(w);
}

static void fifo(void **state)
{
	struct task *t = *state;
	struct inode *i = anon_inode_new(t, LINUX_S_IFIFO | 0600, 0);
	struct file *r, *w, *rw;
	char c;

	assert_int_equal(fifo_open(i, NULL, LINUX_O_WRONLY | LINUX_O_NONBLOCK, t, &w), -ENXIO);
	assert_null(i->pipe);
	assert_int_equal(fifo_open(i, NULL, LINUX_O_RDONLY | LINUX_O_NONBLOCK, t, &r), 0);
	assert_int_equal(file_poll(r), 0); /* no hang-up before the first writer */
	assert_int_equal(op_read(r, t, &c, 1), 0);
	assert_int_equal(fifo_open(i, NULL, LINUX_O_WRONLY, t, &w), 0);
	assert_int_equal(op_read(r, t, &c, 1), -EAGAIN);
	file_put(w);
	assert_int_equal(file_poll(r), LINUX_POLLHUP);
	file_put(r);
	assert_int_equal(fifo_open(i, NULL, LINUX_O_RDWR, t, &rw), 0);
	assert_int_equal(op_write(rw, t, "x", 1), 1);
	assert_int_equal(op_read(rw, t, &c, 1), 1);
	file_put(rw);
	assert_null(i->pipe);
	inode_put(i);
}

static void peek_and_consume(void **state)
{
	struct task *t = *state;
	struct file *r, *w;
	char buf[8] = { 0 };

	assert_int_equal(pipe_new(t, 0, &r, &w), 0);
	assert_int_equal(pipe_push(w, t, "abcdef", 6), 6);
	assert_int_equal(pipe_peek(r, 2, buf, 3), 3);
	assert_string_equal(buf, "cde");
	assert_int_equal(pipe_consume(r, 4), 4);
	assert_int_equal(op_read(r, t, buf, 8), 2);
	assert_int_equal(pipe_space(w), 65536);
	file_put(r);
	file_put(w);
}

static void survives(void **state)
{
	struct task *t = *state;
	struct file *in[2], *out[2];
	char buf[16] = { 0 };

	assert_int_equal(pipe_new(NULL, LINUX_O_NONBLOCK, &in[0], &in[1]), 0);
	assert_int_equal(op_write(in[1], t, "abcdef", 6), 6);
	assert_int_equal(op_read(in[0], t, buf, 2), 2);
	assert_int_equal(pipe_fcntl(in[0], t, LINUX_F_SETPIPE_SZ, 8192), 8192);
	round_trip(in, out, 2);
	assert_int_equal(out[0]->flags, LINUX_O_RDONLY | LINUX_O_NONBLOCK);
	assert_int_equal(pipe_fcntl(out[1], t, LINUX_F_GETPIPE_SZ, 0), 8192);
	assert_int_equal(op_write(out[1], t, "g", 1), 1);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(op_read(out[0], t, buf, 16), 5);
	assert_string_equal(buf, "cdefg");
	file_put(out[1]);
	assert_int_equal(op_read(out[0], t, buf, 16), 0);
	file_put(out[0]);
	assert_int_equal(op_read(in[0], t, buf, 16), 4); /* saving changed nothing */
	file_put(in[0]);
	file_put(in[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(order_and_eof, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(capacity_as_linux, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(packets, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(fifo, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(peek_and_consume, task_setup, task_teardown),
		cmocka_unit_test_setup_teardown(survives, task_setup, task_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
