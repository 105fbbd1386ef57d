/* SPDX-License-Identifier: Apache-2.0 */
/* inotify: order, merging, one-shot, rename cookies, IN_IGNORED, a round trip. */
#include "tests/sentry/fs/fdobj_util.h"

#include "sentry/fs/inode.h"
#include "sentry/fs/inotify.h"
#include "sentry/fs/notify.h"

struct ev {
	int32_t wd;
	uint32_t mask, cookie, len;
	char name[16];
};

static void queue_and_survive(void **state)
{
	struct inode *dir = anon_inode_new(NULL, LINUX_S_IFDIR | 0755, 0), *once = anon_inode_new(NULL, LINUX_S_IFREG | 0644, 0);
	struct file *in, *out;
	struct ev ev[2];

	assert_int_equal(inotify_new(NULL, LINUX_O_NONBLOCK, &in), 0);
	assert_int_equal(inotify_watch(in, dir, LINUX_IN_CREATE | LINUX_IN_DELETE), 1);
	assert_int_equal(inotify_watch(in, once, LINUX_IN_MODIFY | 0x80000000u), 2);
	assert_int_equal(inotify_watch(in, dir, LINUX_IN_CREATE), 1);
	fsnotify_event(dir, LINUX_IN_DELETE, "not", 0); /* no longer asked for */
	fsnotify_event(dir, LINUX_IN_CREATE, "a", 0);
	fsnotify_event(dir, LINUX_IN_CREATE, "a", 0); /* the same as the last */
	fsnotify_event(dir, LINUX_IN_CREATE | LINUX_IN_ISDIR, "b", 0);
	fsnotify_event(once, LINUX_IN_MODIFY, NULL, 0);
	fsnotify_event(once, LINUX_IN_MODIFY, NULL, 0); /* one-shot: gone */
	assert_int_equal(op_read(in, NULL, ev, 8), -EINVAL);
	assert_int_equal(op_read(in, NULL, ev, 32), 32);
	assert_int_equal(ev[0].wd, 1);
	assert_int_equal(ev[0].mask, LINUX_IN_CREATE);
	assert_string_equal(ev[0].name, "a");
	round_trip(&in, &out, 1);
	assert_int_equal(op_read(out, NULL, ev, 32), 32);
	assert_int_equal(ev[0].mask, LINUX_IN_CREATE | LINUX_IN_ISDIR);
	assert_int_equal(op_read(out, NULL, ev, 64), 32);
	assert_int_equal(ev[0].wd, 2);
	assert_int_equal(ev[0].mask, LINUX_IN_MODIFY);
	assert_int_equal(op_read(out, NULL, ev, 64), -EAGAIN);
	file_put(out);
	file_put(in);
	inode_put(dir);
	inode_put(once);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(queue_and_survive, task_setup, task_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
