/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "sentry/fs/container_mounts.h"
#include "sentry/fs/namei.h"
#include "sentry/sentry.h"
#include "tests/fakes/fake_fs.h"

static int look(const struct path *root, const char *name, uint32_t *mode)
{
	struct path p = { 0 };
	int err = namei_at(NULL, root, root, name, 0, &p);

	if (!err)
		*mode = ((struct inode *)p.dentry->inode)->mode;
	path_put(&p);
	return err;
}

static void builds(void **state)
{
	struct task *t = fake_task_new();
	const struct sentry_mount mounts[] = {
		{ .kind = SENTRY_MOUNT_TMPFS, .destination = "/", .source = "root", .options = "mode=755", .flags = LINUX_MS_RDONLY },
		{ .kind = SENTRY_MOUNT_TMPFS, .destination = "/a/b", .source = "x", .options = "size=1m", .flags = LINUX_MS_NOSUID },
		{ .kind = SENTRY_MOUNT_TMPFS, .destination = "/a/b/c", .source = "y", .options = "" },
	};
	const struct sentry_device devices[] = { { .path = "/dev/null", .type = 'c', .major = 1, .minor = 3, .mode = 0666 } };
	char *masked[] = { "/a/b/c", "/nowhere", NULL }, *ro[] = { "/dev", NULL };
	struct sentry_container sc = { .id = "x", .mounts = mounts, .nr_mounts = 3, .devices = devices, .nr_devices = 1,
				       .masked_paths = masked, .readonly_paths = ro };
	struct mnt_ns *ns = NULL;
	struct error *err = NULL;
	struct fs_ctx *fs = NULL;
	struct path root;
	struct strbuf b = STRBUF_INIT;
	uint32_t mode;

	assert_int_equal(container_mounts(t->k, &sc, NULL, NULL, &ns, &err), 0);
	mnt_ns_root(ns, &root);
	assert_int_equal(look(&root, "/dev/null", &mode), 0);
	assert_int_equal(mode, LINUX_S_IFCHR | 0666);
	assert_int_equal(mnt_ns_show(ns, &root, MOUNTS_MOUNTS, &b), 0);
	assert_string_equal(b.data, "root / tmpfs ro,relatime,mode=755 0 0\n"
				    "x /a/b tmpfs rw,nosuid,relatime,size=1024k 0 0\n"
				    "y /a/b/c tmpfs rw,relatime 0 0\n"
				    "root /dev tmpfs ro,relatime,mode=755 0 0\n"
				    "tmpfs /a/b/c tmpfs ro,relatime 0 0\n");
	strbuf_done(&b);
	assert_int_equal(container_fs_ctx(ns, "/a/b/work/dir", 022, &fs, &err), 0);
	assert_int_equal(look(&root, "/a/b/work/dir", &mode), 0);
	fs_ctx_put(fs);
	path_put(&root);
	mnt_ns_put(ns);
	sc.mounts = &(struct sentry_mount){ .kind = SENTRY_MOUNT_GOFER, .destination = "/none" };
	sc.nr_mounts = 1;
	assert_int_not_equal(container_mounts(t->k, &sc, NULL, NULL, &ns, &err), 0);
	assert_non_null(err);
	error_free(err);
	fake_task_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(builds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
