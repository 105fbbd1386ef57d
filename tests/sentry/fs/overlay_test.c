/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay over a tmpfs as lower layer: cases of its own, random operations compared with a plain tmpfs, and a trip through an image.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/mm/mappable.h"
#include "state/image.h"
#include "tests/fakes/fake_fs.h"

#define CWD LINUX_AT_FDCWD

static struct task *kernel_task(void)
{
	struct task *t = fake_task_new();

	cred_put(t->cred);
	t->cred = NULL;
	return t;
}

/* --- operations by path --- */

static int op_mkdir(struct task *t, const char *name)
{
	struct parent_path p;
	int err = namei_parent(t, CWD, name, 0, &p);

	if (!err) {
		err = p.type == LAST_NORM ? vfs_mkdir(t, &p.dir, p.name, 0755, NULL) : -EEXIST;
		parent_path_done(&p);
	}
	return err;
}

static int op_symlink(struct task *t, const char *name, const char *target)
{
	struct parent_path p;
	int err = namei_parent(t, CWD, name, 0, &p);

	if (!err) {
		err = p.type == LAST_NORM ? vfs_symlink(t, &p.dir, p.name, target) : -EEXIST;
		parent_path_done(&p);
	}
	return err;
}

static int op_rm(struct task *t, const char *name, bool dir)
{
	struct parent_path p;
	int err = namei_parent(t, CWD, name, 0, &p);

	if (!err) {
		err = dir ? vfs_rmdir(t, &p.dir, p.name) : vfs_unlink(t, &p.dir, p.name, false);
		parent_path_done(&p);
	}
	return err;
}

static int op_mv(struct task *t, const char *a, const char *b, uint32_t flags)
{
	struct parent_path o, n;
	int err = namei_parent(t, CWD, a, 0, &o);

	if (err)
		return err;
	err = namei_parent(t, CWD, b, 0, &n);
	if (!err) {
		err = vfs_rename(t, &o.dir, o.name, &n.dir, n.name, flags);
		parent_path_done(&n);
	}
	parent_path_done(&o);
	return err;
}

static int op_ln(struct task *t, const char *a, const char *b)
{
	struct path old = { 0 };
	struct parent_path n;
	int err = namei(t, CWD, a, 0, &old);

	if (err)
		return err;
	err = namei_parent(t, CWD, b, 0, &n);
	if (!err) {
		err = vfs_link(t, &old, &n.dir, n.name);
		parent_path_done(&n);
	}
	path_put(&old);
	return err;
}

static int64_t op_write(struct task *t, const char *name, uint32_t flags, int64_t off, const char *text)
{
	struct file *f = NULL;
	struct uio u;
	int64_t r = vfs_openat(t, CWD, name, LINUX_O_WRONLY | flags, 0644, 0, &f);

	if (r < 0)
		return r;
	uio_kernel(&u, (void *)(uintptr_t)text, strlen(text));
	r = file_write(f, t, &u, off, 0);
	uio_done(&u);
	file_put(f);
	return r;
}

static int op_truncate(struct task *t, const char *name, uint64_t size)
{
	struct path p = { 0 };
	int err = namei(t, CWD, name, LOOKUP_FOLLOW, &p);

	if (!err)
		err = vfs_truncate(t, &p, size, NULL);
	path_put(&p);
	return err;
}

static int op_chmod(struct task *t, const char *name, uint32_t mode)
{
	struct iattr a = { .valid = ATTR_MODE, .mode = mode };
	struct path p = { 0 };
	int err = namei(t, CWD, name, LOOKUP_FOLLOW, &p);

	if (!err)
		err = vfs_setattr(t, &p, &a);
	path_put(&p);
	return err;
}

static int op_stat(struct task *t, const char *name, struct kstat *st)
{
	struct path p = { 0 };
	int err = namei(t, CWD, name, 0, &p);

	if (!err)
		err = inode_getattr(p.dentry->inode, t, st);
	path_put(&p);
	return err;
}

static char *op_read(struct task *t, const char *name)
{
	static char buf[70000];
	struct file *f = NULL;
	int64_t n = vfs_openat(t, CWD, name, LINUX_O_RDONLY, 0, 0, &f);

	if (n == 0)
		n = file_pread_kernel(f, t, buf, sizeof(buf) - 1, 0);
	file_put(f);
	buf[n < 0 ? 0 : n] = '\0';
	return buf;
}

static char *file_text(struct task *t, struct file *f)
{
	static char buf[1000];
	int64_t n = file_pread_kernel(f, t, buf, sizeof(buf) - 1, 0);

	buf[n < 0 ? 0 : n] = '\0';
	return buf;
}

/* --- a listing of a whole tree, sorted, as text --- */

struct names {
	struct dir_sink s;
	struct {
		char name[64];
		uint64_t ino;
		uint8_t type;
	} e[200];
	size_t n;
};

static bool take(struct dir_sink *s, const char *name, size_t len, int64_t next_pos, uint64_t ino, uint8_t type)
{
	struct names *l = container_of(s, struct names, s);

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return true;
	assert_true(l->n < 200 && len < 64);
	(void)snprintf(l->e[l->n].name, 64, "%s", name);
	l->e[l->n].ino = ino;
	l->e[l->n++].type = type;
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void list(struct task *t, const char *dir, struct names *l)
{
	struct file *f = NULL;

	*l = (struct names){ .s.emit = take };
	assert_int_equal(vfs_openat(t, CWD, dir, LINUX_O_RDONLY | LINUX_O_DIRECTORY, 0, 0, &f), 0);
	mutex_lock(&f->pos_mu);
	assert_int_equal(f->ops->readdir(f, t, &l->s), 0);
	mutex_unlock(&f->pos_mu);
	file_put(f);
	qsort(l->e, l->n, sizeof(l->e[0]), by_name);
}

static void dump(struct task *t, const char *dir, size_t skip, struct strbuf *b)
{
	struct names *l = calloc(1, sizeof(*l));

	list(t, dir, l);
	for (size_t k = 0; k < l->n; k++) {
		char name[300];
		struct kstat st;

		(void)snprintf(name, sizeof(name), "%s/%s", dir, l->e[k].name);
		assert_int_equal(op_stat(t, name, &st), 0);
		assert_int_equal(st.ino, l->e[k].ino);
		assert_int_equal(st.mode >> 12, l->e[k].type);
		strbuf_addf(b, "%s %o links %llu", name + skip, st.mode, (unsigned long long)st.nlink);
		if (LINUX_S_ISREG(st.mode))
			strbuf_addf(b, " size %llu \"%s\"", (unsigned long long)st.size, op_read(t, name));
		strbuf_addc(b, '\n');
		if (LINUX_S_ISDIR(st.mode))
			dump(t, name, skip, b);
	}
	free(l);
}

/* --- set-up --- */

static void populate(struct task *t, const char *root)
{
	static const char *const dirs[] = { "a", "b", "a/c", "a/c/d", "b/e" };
	char name[100], other[100];

	for (size_t k = 0; k < ARRAY_SIZE(dirs); k++) {
		(void)snprintf(name, sizeof(name), "%s/%s", root, dirs[k]);
		assert_int_equal(op_mkdir(t, name), 0);
		for (int n = 0; n < 3; n++) {
			(void)snprintf(name, sizeof(name), "%s/%s/f%d", root, dirs[k], n);
			assert_true(op_write(t, name, LINUX_O_CREAT, -1, name + strlen(root)) > 0);
		}
	}
	(void)snprintf(name, sizeof(name), "%s/a/f0", root);
	(void)snprintf(other, sizeof(other), "%s/b/link", root);
	assert_int_equal(op_ln(t, name, other), 0);
	(void)snprintf(name, sizeof(name), "%s/b/sym", root);
	assert_int_equal(op_symlink(t, name, "../a/f1"), 0);
}

/* /l: the lower layer, /o: the overlay, /r: a tmpfs with the same content. */
static struct task *setup(void)
{
	struct task *t = kernel_task();
	static const char *const names[] = { "/l", "/r", "/o" };
	struct super_block *lower = NULL;

	for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
		struct super_block *sb = NULL;
		struct path at = { 0 };

		assert_int_equal(op_mkdir(t, names[k]), 0);
		assert_int_equal(namei(t, CWD, names[k], 0, &at), 0);
		if (k < 2)
			assert_int_equal(tmpfs_new(t->k, 0755, 0, 0, &sb), 0);
		else
			assert_int_equal(overlay_new(t->k, lower, &sb), 0);
		if (k == 0)
			lower = sb;
		assert_int_equal(mount_attach(t->ns->mnt, &at, sb, NULL, LINUX_MS_RELATIME, "none", NULL), 0);
		sb_put(sb);
		path_put(&at);
		if (k < 2)
			populate(t, names[k]);
	}
	return t;
}

static struct task *reload(struct task *t)
{
	struct state_root roots[] = {
		{ &mnt_ns_state_type, t->ns->mnt },
		{ &fs_ctx_state_type, t->fs },
		{ &fd_table_state_type, t->files },
	};
	struct state_opts opts = { .ctx = t->k };
	struct state_writer *w = NULL;
	struct state_reader *r = NULL;
	struct state_stats st;
	struct error *err = NULL;
	struct task *u;
	const void *mem;
	size_t len;
	void *p;

	assert_int_equal(state_writer_new(-1, &opts, &w, &err), 0);
	if (state_writer_save_roots(w, roots, 3, &err) < 0 || state_writer_finish(w, &st, &err) < 0)
		fail_msg("%s", error_text(err));
	mem = state_writer_memory(w, &len);
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
	state_writer_free(w);
	return u;
}

static void assert_same(struct task *t, const char *what)
{
	struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;

	dump(t, "/o", 2, &a);
	dump(t, "/r", 2, &b);
	if (strcmp(a.data, b.data)) {
		(void)fprintf(stderr, "--- overlay\n%s--- plain\n%s", a.data, b.data);
		fail_msg("%s", what);
	}
	strbuf_done(&a);
	strbuf_done(&b);
}

/* --- cases --- */

static void reads_lower(void **state)
{
	struct task *t = setup();

	assert_same(t, "untouched");
	assert_string_equal(op_read(t, "/o/a/f1"), "/a/f1");
	assert_string_equal(op_read(t, "/o/b/sym"), "/a/f1");
	fake_task_free(t);
}

static void copy_up(void **state)
{
	struct task *t = setup();
	struct kstat before, after, link;
	struct file *old = NULL;
	struct strbuf b = STRBUF_INIT;
	struct backing k1, k2;
	struct mappable *m;

	dump(t, "/l", 2, &b);
	assert_int_equal(op_stat(t, "/o/a/f0", &before), 0);
	assert_int_equal(vfs_openat(t, CWD, "/o/a/f0", LINUX_O_RDONLY, 0, 0, &old), 0);
	m = old->inode->mapping;
	assert_non_null(m);
	assert_int_equal(m->ops->translate(m, 0, PAGE_SIZE, false, &k1), 0);
	assert_int_equal(m->ops->translate(m, 0, PAGE_SIZE, true, &k2), -EFAULT);
	assert_int_equal(op_write(t, "/o/a/f0", 0, 1, "XY"), 2);
	/* The old descriptor, the mapping and the other name see it. */
	assert_string_equal(file_text(t, old), "/XYf0");
	assert_string_equal(op_read(t, "/o/b/link"), "/XYf0");
	assert_int_equal(m->ops->translate(m, 0, PAGE_SIZE, true, &k2), 0);
	assert_int_not_equal(k1.off, k2.off);
	memfile_unref(t->k->mf, k1.off, PAGE_SIZE);
	memfile_unref(t->k->mf, k2.off, PAGE_SIZE);
	assert_int_equal(op_stat(t, "/o/a/f0", &after), 0);
	assert_int_equal(op_stat(t, "/o/b/link", &link), 0);
	assert_int_equal(before.ino, after.ino);
	assert_int_equal(before.ino, link.ino);
	assert_int_equal(before.dev, after.dev);
	assert_int_equal(after.nlink, 2);
	assert_int_equal(op_rm(t, "/o/a/f0", false), 0);
	assert_string_equal(file_text(t, old), "/XYf0");
	assert_int_equal(op_stat(t, "/o/b/link", &link), 0);
	assert_int_equal(link.nlink, 1);
	dcache_shrink(old->inode->sb, 0);
	assert_int_equal(op_stat(t, "/o/b/link", &link), 0);
	assert_int_equal(link.nlink, 1);
	assert_string_equal(op_read(t, "/o/b/link"), "/XYf0");
	file_put(old);
	{
		struct strbuf c = STRBUF_INIT;

		dump(t, "/l", 2, &c); /* nobody touched the lower layer */
		assert_string_equal(b.data, c.data);
		strbuf_done(&c);
	}
	strbuf_done(&b);
	fake_task_free(t);
}

static void attributes(void **state)
{
	struct task *t = setup();
	struct path p = { 0 };
	struct kstat st, low;
	struct inode *i;
	char buf[100];

	assert_int_equal(namei(t, CWD, "/l/a/f2", 0, &p), 0);
	i = p.dentry->inode;
	assert_int_equal(i->ops->setxattr(i, t, "user.low", "1", 1, 0), 0);
	path_put(&p);
	assert_int_equal(op_stat(t, "/l/a/f2", &low), 0);
	assert_int_equal(namei(t, CWD, "/o/a/f2", 0, &p), 0);
	i = p.dentry->inode;
	assert_int_equal(i->ops->getxattr(i, t, "user.low", buf, 1), 1);
	mutex_lock(&i->mu);
	assert_int_equal(i->ops->setxattr(i, t, "user.up", "22", 2, 0), 0);
	mutex_unlock(&i->mu);
	assert_int_equal(i->ops->listxattr(i, t, buf, sizeof(buf)), 17);
	path_put(&p);
	assert_int_equal(op_chmod(t, "/o/a/f2", 0600), 0);
	assert_int_equal(op_chmod(t, "/o/a", 0711), 0);
	dcache_shrink(i->sb, 0);
	assert_int_equal(op_stat(t, "/o/a/f2", &st), 0);
	assert_int_equal(st.mode & 07777, 0600);
	assert_int_equal(st.mtime.tv_nsec, low.mtime.tv_nsec);
	assert_int_equal(op_stat(t, "/o/a", &st), 0);
	assert_int_equal(st.mode & 07777, 0711);
	assert_string_equal(op_read(t, "/o/a/f2"), "/a/f2");
	assert_int_equal(op_stat(t, "/l/a/f2", &st), 0);
	assert_int_equal(st.mode & 07777, 0644);
	fake_task_free(t);
}

static void directories(void **state)
{
	struct task *t = setup();
	struct names *l = calloc(1, sizeof(*l));

	/* Moved without copying, with everything below. */
	assert_int_equal(op_mv(t, "/o/a/c", "/o/b/moved", 0), 0);
	assert_string_equal(op_read(t, "/o/b/moved/d/f1"), "/a/c/d/f1");
	assert_int_equal(op_mkdir(t, "/o/a/c"), 0); /* opaque */
	list(t, "/o/a/c", l);
	assert_int_equal(l->n, 0);
	assert_int_equal(op_rm(t, "/o/b/moved", true), -ENOTEMPTY);
	for (int n = 0; n < 3; n++) {
		char name[40];

		(void)snprintf(name, sizeof(name), "/o/b/moved/d/f%d", n);
		assert_int_equal(op_rm(t, name, false), 0);
	}
	assert_int_equal(op_rm(t, "/o/b/moved/d", true), 0);
	assert_int_equal(op_mkdir(t, "/o/b/moved/d"), 0);
	list(t, "/o/b/moved/d", l);
	assert_int_equal(l->n, 0);
	assert_int_equal(op_mv(t, "/o/b/moved/d", "/o/a/c", 0), 0);
	assert_int_equal(op_mv(t, "/o/b", "/o/a/f1", LINUX_RENAME_EXCHANGE), 0);
	assert_string_equal(op_read(t, "/o/b"), "/a/f1");
	assert_string_equal(op_read(t, "/o/a/f1/e/f2"), "/b/e/f2");
	assert_int_equal(op_mv(t, "/o/b", "/o/a", LINUX_RENAME_NOREPLACE), -EEXIST);
	free(l);
	fake_task_free(t);
}

static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static void random_name(char *buf, const char *root)
{
	static const char *const parts[] = { "a", "b", "c", "d", "e", "f0", "f1", "f2", "link", "sym", "new" };
	int depth = 1 + (int)rnd(3);
	size_t at = (size_t)sprintf(buf, "%s", root);

	while (depth--)
		at += (size_t)sprintf(buf + at, "/%s", parts[rnd(ARRAY_SIZE(parts))]);
}

static int64_t random_op(struct task *t, const char *root, uint64_t s)
{
	static const uint32_t rename_flags[] = { 0, 0, LINUX_RENAME_NOREPLACE, LINUX_RENAME_EXCHANGE };
	char a[100], b[100], text[20];

	seed = s;
	random_name(a, root);
	random_name(b, root);
	(void)snprintf(text, sizeof(text), "<%u>", rnd(1000));
	switch (rnd(12)) {
	case 0:
		return op_mkdir(t, a);
	case 1:
		return op_rm(t, a, true);
	case 2:
		return op_rm(t, a, false);
	case 3:
	case 4:
	case 5:
		return op_mv(t, a, b, rename_flags[rnd(4)]);
	case 6:
		return op_ln(t, a, b);
	case 7:
		return op_write(t, a, LINUX_O_CREAT, -1, text);
	case 8:
		return op_write(t, a, LINUX_O_APPEND, -1, text);
	case 9:
		return op_write(t, a, LINUX_O_TRUNC, rnd(9), text);
	case 10:
		return op_truncate(t, a, rnd(20));
	default:
		return op_chmod(t, a, 0600 | rnd(0200));
	}
}

static void model(void **state)
{
	for (uint64_t round = 0; round < 20; round++) {
		struct task *t = setup();

		for (uint64_t n = 0; n < 400; n++) {
			uint64_t s = hash_u64(round * 100000 + n + 1);
			int64_t a = random_op(t, "/o", s), b = random_op(t, "/r", s);

			if (a != b)
				fail_msg("round %d op %d: overlay %d, plain %d", (int)round, (int)n, (int)a, (int)b);
			if (n % 16 == 0)
				assert_same(t, "model");
			if (n % 150 == 149) {
				struct path p = { 0 };

				assert_int_equal(namei(t, CWD, "/o", 0, &p), 0);
				dcache_shrink(p.dentry->sb, 0);
				path_put(&p);
			}
			if (n == 200 && round % 4 == 0) {
				struct task *u = reload(t);

				assert_same(u, "after load");
				/* The one goes on in the other's memory; what it frees is its own. */
				fake_task_free(t);
				t = u;
			}
		}
		assert_same(t, "model, at the end");
		fake_task_free(t);
	}
}

static void image(void **state)
{
	struct task *t = setup(), *u;
	struct file *f = NULL, *d = NULL;
	struct kstat st;

	assert_int_equal(op_write(t, "/o/a/f1", 0, 0, "CHANGED"), 7);
	assert_int_equal(op_mv(t, "/o/a/c", "/o/moved", 0), 0);
	assert_int_equal(op_chmod(t, "/o/b/f2", 0700), 0);
	assert_int_equal(op_rm(t, "/o/b/f0", false), 0);
	assert_int_equal(vfs_openat(t, CWD, "/o/b/f1", LINUX_O_RDWR, 0, 0, &f), 0);
	assert_int_equal(op_rm(t, "/o/b/f1", false), 0);
	assert_int_equal(fd_install(t, f, 0, false), 0);
	assert_int_equal(vfs_openat(t, CWD, "/o/a/f2", LINUX_O_RDONLY, 0, 0, &f), 0);
	assert_int_equal(fd_install(t, f, 0, false), 1);
	assert_int_equal(vfs_openat(t, CWD, "/o/b", LINUX_O_RDONLY, 0, 0, &d), 0);
	assert_int_equal(fd_install(t, d, 0, false), 2);
	{
		struct names *l = calloc(1, sizeof(*l));

		l->s.emit = take;
		mutex_lock(&d->pos_mu);
		assert_int_equal(d->ops->readdir(d, t, &l->s), 0);
		mutex_unlock(&d->pos_mu);
		assert_int_equal(d->pos, 2 + (int64_t)l->n);
		free(l);
	}
	u = reload(t);
	assert_string_equal(op_read(u, "/o/a/f1"), "CHANGED");
	assert_string_equal(op_read(u, "/o/moved/d/f1"), "/a/c/d/f1");
	assert_int_equal(op_stat(u, "/o/b/f0", &st), -ENOENT);
	assert_int_equal(op_stat(u, "/o/b/f2", &st), 0);
	assert_int_equal(st.mode & 07777, 0700);
	f = fd_get(u, 0);
	assert_string_equal(file_text(u, f), "/b/f1");
	assert_int_equal(f->inode->nlink, 0);
	file_put(f);
	f = fd_get(u, 1);
	assert_int_equal(op_write(u, "/o/a/f2", 0, 0, "new"), 3);
	assert_string_equal(file_text(u, f), "newf2");
	file_put(f);
	d = fd_get(u, 2);
	assert_true(d->pos > 2);
	file_put(d);
	assert_string_equal(op_read(t, "/o/a/f2"), "/a/f2"); /* the two do not meet */
	fake_task_free(u);
	fake_task_free(t);
}

/* A deep tree is freed without recursing. */
static void deep(void **state)
{
	struct task *t = setup();
	struct path p = { 0 };

	assert_int_equal(namei(t, CWD, "/o", 0, &p), 0);
	for (int n = 0; n < 5000; n++) {
		struct path sub = { 0 };

		assert_int_equal(vfs_mkdir(t, &p, "x", 0755, &sub), 0);
		path_put(&p);
		p = sub;
	}
	path_put(&p);
	fake_task_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_lower), cmocka_unit_test(copy_up), cmocka_unit_test(attributes), cmocka_unit_test(directories),
		cmocka_unit_test(model),       cmocka_unit_test(image),	  cmocka_unit_test(deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
