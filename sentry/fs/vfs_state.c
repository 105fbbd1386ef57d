/* SPDX-License-Identifier: Apache-2.0 */
/* State helpers shared by the objects of this directory. Checkpoint: no state of its own. */
#include "sentry/fs/vfs_state.h"

#include "schemas/vfs.pb-c.h"
#include "sentry/fs/mount.h"

int vfs_state_deref(struct state_reader *r, uint64_t id, void (*get)(void *), const char *what, void **ret)
{
	const struct state_type *type = NULL;
	void *p = NULL;
	int err;

	*ret = NULL;
	if (!id)
		return 0;
	err = state_deref_any(r, id, &type, &p);
	if (err)
		return err;
	err = state_check(r, type->get == get, what);
	if (err) {
		if (type->put)
			type->put(p);
		return err;
	}
	*ret = p;
	return 0;
}

struct Sentry__Path *path_save(struct state_writer *w, const struct path *p)
{
	Sentry__Path *m = state_new_msg(w, &sentry__path__descriptor);

	m->mount = state_ref(w, &mount_state_type, p->mnt);
	m->dentry = state_ref(w, &dentry_state_type, p->dentry);
	return m;
}

int path_load(struct state_reader *r, const struct Sentry__Path *m, struct path *ret)
{
	void *mnt = NULL, *dentry = NULL;
	int err;

	*ret = (struct path){ 0 };
	if (!m)
		return 0;
	err = state_check(r, !m->mount == !m->dentry, "half a path");
	if (!err)
		err = state_deref(r, m->mount, &mount_state_type, &mnt);
	if (!err)
		err = state_deref(r, m->dentry, &dentry_state_type, &dentry);
	*ret = (struct path){ .mnt = mnt, .dentry = dentry };
	return err;
}
