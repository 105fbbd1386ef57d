/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detached mount trees. Contract in tree_file.h. Linux: FMODE_NEED_UNMOUNT of fs/namespace.c.
 *
 * Locks: none; the fields never change. Checkpoint: the namespace with all mounts in it, by reference.
 */
#include "sentry/fs/tree_file.h"

#include <stdlib.h>

#include "schemas/mount.pb-c.h"
#include "sentry/fs/vfs_state.h"

struct tree_file {
	struct file file; /* saved: 1 file_base */
	struct mnt_ns *ns; /* saved: 2, referenced */
};

static const struct file_ops tree_file_ops;

static void tree_file_release(struct file *f)
{
	struct tree_file *tf = container_of(f, struct tree_file, file);

	file_done(f);
	mnt_ns_put(tf->ns);
	free(tf);
}

static const struct file_ops tree_file_ops = {
	.name = "path",
	.state = &tree_file_state_type,
	.release = tree_file_release,
};

int tree_file_new(struct task *t, struct mnt_ns *ns, struct file **ret)
{
	struct tree_file *tf = calloc(1, sizeof(*tf));
	struct path at = { .mnt = ns->root, .dentry = ns->root->root };

	if (!tf) {
		mnt_ns_put(ns);
		return -ENOMEM;
	}
	tf->ns = ns;
	file_init(&tf->file, &tree_file_ops, LINUX_O_PATH, t, &at, at.dentry->inode);
	*ret = &tf->file;
	return 0;
}

/* --- state --- */

static void *tree_file_alloc(void)
{
	struct tree_file *tf = calloc(1, sizeof(*tf));

	if (tf)
		ref_init(&tf->file.ref);
	return tf;
}

static int tree_file_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct tree_file *tf = obj;
	Sentry__TreeFile *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->ns = state_ref(w, &mnt_ns_state_type, tf->ns);
	return file_save_base(w, &tf->file, m->file_base);
}

static int tree_file_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__TreeFile *m = msg;
	struct tree_file *tf = obj;
	void *ns = NULL;
	int err = file_load_base(r, &tf->file, &tree_file_ops, m->file_base);

	if (!err)
		err = state_deref(r, m->ns, &mnt_ns_state_type, &ns);
	tf->ns = ns;
	if (!err)
		err = state_check(r, ns && tf->file.flags & LINUX_O_PATH && tf->file.path.dentry, "not a descriptor of a mount tree");
	return err;
}

static int tree_file_after_load(struct state_reader *r, void *obj)
{
	struct tree_file *tf = obj;
	int err = state_check(r, tf->ns->anon, "its namespace is somebody's");

	return err ? err : file_check_path(r, &tf->file);
}

const struct state_type tree_file_state_type = {
	.id = STATE_ID_tree_file,
	.name = "tree_file",
	.desc = &sentry__tree_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = tree_file_alloc,
	.save = tree_file_save,
	.load = tree_file_load,
	.after_load = tree_file_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
