/* SPDX-License-Identifier: Apache-2.0 */
/* References to open files of any kind in saved messages. A type is a file's iff its get is file_state_get. */
#include "sentry/fs/file.h"
#include "state/state.h"

void file_state_get(void *file)
{
	(void)file_get(file);
}

void file_state_put(void *file)
{
	file_put(file);
}

uint64_t file_state_ref(struct state_writer *w, const struct file *f)
{
	return f ? state_ref(w, f->ops->state, f) : 0;
}

int file_state_deref(struct state_reader *r, uint64_t id, struct file **ret)
{
	const struct state_type *type = NULL;
	void *obj = NULL;
	int err = state_deref_any(r, id, &type, &obj);

	*ret = NULL;
	if (err || !obj)
		return err;
	err = state_check(r, type->get == file_state_get, "reference to something that is no file");
	if (!err)
		*ret = obj; /* struct file is the first member of every kind */
	return err;
}

int file_state_after_load(struct state_reader *r, void *file)
{
	file_after_load_base(file);
	return 0;
}
