/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/locks: the advisory locks of every file that some process of the caller's pid namespace has open. Linux: fs/locks.c.
 * Files are visited through the descriptor tables; a file open twice is shown once. Checkpoint: stateless.
 */
#include <stdlib.h>

#include "base/htab.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/locks.h"
#include "sentry/fs/proc/machine.h"
#include "sentry/fs/proc/proc_internal.h"

static void show_table(struct pctx *c, struct fd_table *ft, struct htab *seen, unsigned *nr, struct strbuf *b)
{
	for (int fd = fd_table_next(ft, 0); fd >= 0; fd = fd_table_next(ft, fd + 1)) {
		struct file *f = fd_table_lookup(ft, fd);
		struct inode *i;

		if (!f)
			continue;
		i = f->inode;
		/* The address stays taken while we hold the table's file; a reused one would only hide a line. */
		if (i->locks && !htab_get(seen, (uintptr_t)i) && htab_put(seen, (uintptr_t)i, i) == 0)
			locks_show(i, c->t, b, nr);
		file_put(f);
	}
}

int proc_show_locks(struct pctx *c, struct strbuf *b)
{
	struct fd_table **tables = NULL;
	size_t n = 0, cap = 0;
	struct htab seen = { 0 };
	struct thread_group *tg;
	struct task *t;
	unsigned nr = 1;

	mutex_lock(&the_kernel->tasks_mu);
	list_for_each(tg, &the_kernel->groups, all_node)
		cap += tg->nr_tasks;
	tables = calloc(cap + 1, sizeof(struct fd_table *));
	if (tables)
		list_for_each(tg, &the_kernel->groups, all_node)
			list_for_each(t, &tg->tasks, tg_node) {
				struct fd_table *ft = n < cap && proc_nr(c, tg->pid) ? task_files_get(t) : NULL;

				if (ft)
					tables[n++] = ft;
			}
	mutex_unlock(&the_kernel->tasks_mu);
	if (!tables)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		show_table(c, tables[i], &seen, &nr, b);
		fd_table_put(tables[i], NULL);
	}
	htab_done(&seen);
	free(tables);
	return 0;
}
