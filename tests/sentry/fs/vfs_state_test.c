/* SPDX-License-Identifier: Apache-2.0 */
/* The VFS through an image: names, contents, mounts, positions, locks, deleted files; saving twice gives the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/locks.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "state/image.h"
#include "tests/fakes/fake_fs.h"

#define CWD LINUX_AT_FDCWD

/* Without credentials of its own (the kernel's are used), so that no task object is in the image. */
static struct task *kernel_task(void)
{
	struct task *t = fake_task_new();

	cred_put(t->cred);
	t->cred = NULL;
	return t;
}

static struct file *open_new(struct task *t, const char *name, const char *text)
{
	struct file *f = NULL;
	struct uio u;

	assert_int_equal(vfs_openat(t, CWD, name, LINUX_O_RDWR | LINUX_O_CREAT, 0644, 0, &f), 0);
	uio_kernel(&u, (void *)(uintptr_t)text, strlen(text));
	assert_int_equal(file_write(f, t, &u, -1, 0), (int64_t)strlen(text));
	return f;
}

static void dir(struct task *t, const char *name)
{
	struct parent_path p;

	assert_int_equal(namei_parent(t, CWD, name, 0, &p), 0);
	assert_int_equal(vfs_mkdir(t, &p.dir, p.name, 0755, NULL), 0);
	parent_path_done(&p);
}

static struct state_writer *save(struct task *t, size_t *len, const void **mem)
{
	struct state_root roots[] = {
		{ &mnt_ns_state_type, t->ns->mnt },
		{ &fs_ctx_state_type, t->fs },
		{ &fd_table_state_type, t->files },
	};
	struct state_opts opts = { .ctx = t->k };
	struct state_writer *w = NULL;
	struct state_stats st;
	struct error *err = NULL;

	assert_int_equal(state_writer_new(-1, &opts, &w, &err), 0);
	if (state_writer_save_roots(w, roots, 3, &err) < 0 || state_writer_finish(w, &st, &err) < 0)
		fail_msg("%s", error_text(err));
	*mem = state_writer_memory(w, len);
	return w;
}

static char *read_all(struct task *t, struct file *f)
{
	static char buf[256];
	int64_t n = file_pread_kernel(f, t, buf, sizeof(buf) - 1, 0);

	buf[n < 0 ? 0 : n] = '\0';
	return buf;
}

static void round_trip(void **state)
{
	struct task *t = kernel_task(), *u;
	struct mount_req rq = { .k = t->k, .t = t, .source = "tmpfs", .options = "size=1m" };
	struct linux_flock l = { .l_type = LINUX_F_WRLCK, .l_len = 10 };
	struct state_opts opts = { .ctx = t->k };
	struct state_writer *w, *w2;
	struct state_reader *r = NULL;
	struct error *err = NULL;
	struct file *f, *g;
	struct path at = { 0 };
	struct parent_path pp;
	struct strbuf b = STRBUF_INIT;
	const void *mem, *mem2;
	size_t len, len2;
	void *p;

	dir(t, "/a");
	dir(t, "/a/b");
	dir(t, "/mnt");
	assert_int_equal(namei(t, CWD, "/mnt", 0, &at), 0);
	assert_int_equal(mount_new(t->ns->mnt, &at, "tmpfs", &rq, LINUX_MS_RELATIME, NULL), 0);
	path_put(&at);
	f = open_new(t, "/a/b/file", "hello");
	assert_int_equal(fd_install(t, f, 0, false), 0);
	assert_int_equal(locks_fcntl_set(t, f, &l, true, false), 0);
	g = open_new(t, "/mnt/deleted", "gone but open");
	assert_int_equal(fd_install(t, g, 7, true), 7);
	assert_int_equal(namei_parent(t, CWD, "/mnt/deleted", 0, &pp), 0);
	assert_int_equal(vfs_unlink(t, &pp.dir, pp.name, false), 0);
	parent_path_done(&pp);
	assert_int_equal(memfd_new(t, "m", 0, &f), 0);
	assert_int_equal(fd_install(t, f, 0, false), 1);
	assert_int_equal(vfs_openat(t, CWD, "/a", LINUX_O_RDONLY, 0, 0, &f), 0);
	assert_int_equal(fd_install(t, f, 0, false), 2);
	assert_int_equal(namei_parent(t, CWD, "/a/link", 0, &pp), 0);
	assert_int_equal(vfs_symlink(t, &pp.dir, pp.name, "b/file"), 0);
	parent_path_done(&pp);
	assert_int_equal(namei(t, CWD, "/a/b", 0, &at), 0);
	fs_ctx_set_cwd(t->fs, &at);
	assert_int_equal(at.dentry->sb->ops->state->prio, STATE_PRIO_FS);
	assert_int_equal(((struct inode *)at.dentry->inode)->ops->setxattr(at.dentry->inode, t, "user.x", "val", 3, 0), 0);
	path_put(&at);

	w = save(t, &len, &mem);
	w2 = save(t, &len2, &mem2);
	assert_int_equal(len, len2);
	assert_memory_equal(mem, mem2, len);
	state_writer_free(w2);

	assert_int_equal(state_reader_new(-1, mem, len, &opts, &r, &err), 0);
	if (state_reader_load(r, &err) < 0)
		fail_msg("%s", error_text(err));
	u = kernel_task();
	mnt_ns_put(u->ns->mnt);
	fs_ctx_put(u->fs);
	fd_table_put(u->files, u);
	assert_int_equal(state_reader_root(r, 0, &mnt_ns_state_type, &p, NULL), 0);
	u->ns->mnt = p;
	assert_int_equal(state_reader_root(r, 1, &fs_ctx_state_type, &p, NULL), 0);
	u->fs = p;
	assert_int_equal(state_reader_root(r, 2, &fd_table_state_type, &p, NULL), 0);
	u->files = p;
	state_reader_free(r);

	f = fd_get(u, 0);
	assert_non_null(f);
	assert_int_equal(f->pos, 5);
	assert_string_equal(read_all(u, f), "hello");
	assert_int_equal(locks_fcntl_set(u, f, &l, false, false), -EAGAIN); /* the OFD lock is held */
	assert_int_equal(locks_fcntl_set(u, f, &l, true, false), 0);
	assert_int_equal(f->inode->write_count, 1);
	(void)path_text(&f->path, NULL, true, &b);
	assert_string_equal(b.data, "/a/b/file");
	strbuf_reset(&b);
	file_put(f);
	f = fd_get(u, 7);
	assert_string_equal(read_all(u, f), "gone but open");
	assert_int_equal(fd_get_cloexec(u, 7), 1);
	(void)path_text(&f->path, NULL, true, &b);
	assert_string_equal(b.data, "/mnt/deleted (deleted)");
	strbuf_done(&b);
	file_put(f);
	assert_int_equal(namei(u, CWD, "../link", LOOKUP_FOLLOW, &at), 0);
	path_put(&at);
	assert_int_equal(namei(u, CWD, "/mnt/deleted", LOOKUP_FOLLOW, &at), -ENOENT);
	dir(u, "/mnt/new");
	dir(t, "/mnt/new");
	assert_int_equal(namei(u, CWD, ".", 0, &at), 0);
	assert_int_equal(((struct inode *)at.dentry->inode)->ops->getxattr(at.dentry->inode, u, "user.x", NULL, 0), 3);
	path_put(&at);
	state_writer_free(w);
	fake_task_free(u);
	fake_task_free(t);
}

/* Every byte of the records damaged or cut: refused or loaded, never a crash. */
static void hostile(void **state)
{
	struct task *t = kernel_task();
	struct state_opts opts = { .ctx = t->k };
	struct state_writer *w;
	const void *mem;
	size_t len;

	dir(t, "/a");
	assert_int_equal(fd_install(t, open_new(t, "/a/f", "text"), 0, false), 0);
	w = save(t, &len, &mem);
	for (size_t n = 0; n < len; n += 7) {
		struct state_reader *r = NULL;

		if (state_reader_new(-1, mem, n, &opts, &r, NULL) == 0) {
			assert_true(state_reader_load(r, NULL) < 0);
			state_reader_free(r);
		}
	}
	state_writer_free(w);
	fake_task_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(round_trip), cmocka_unit_test(hostile) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
