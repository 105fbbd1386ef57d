/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/pid/{pagemap,map_files,clear_refs,numa_maps}. Linux: fs/proc/task_mmu.c, base.c.
 * Checkpoint: an open pagemap is an open `mem` of another kind, see pid_mem.c; the rest is stateless.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/mount.h"
#include "sentry/fs/proc/pid_entries.h"
#include "sentry/fs/proc/proc_internal.h"

int proc_show_numa_maps(struct pctx *c, struct strbuf *b)
{
	struct mm *mm = task_mm_get(c->target);
	int err;

	if (!mm)
		return 0;
	err = mm_show_numa_maps(mm, &c->target->mpol, b);
	mm_put(mm);
	return err;
}

/* 1 to 3 clear the referenced bits of pages, which nothing here looks at; 4 soft-dirty bits, which no entry of pagemap shows; 5 the peak. */
int64_t proc_store_clear_refs(struct pctx *c, char *s, size_t n)
{
	struct mm *mm;
	int64_t v;

	if (pseudo_parse_i64(s, &v) < 0 || v < 1 || v > 5)
		return -EINVAL;
	mm = task_mm_get(c->target);
	if (mm && v == 5)
		mm_reset_peak(mm);
	mm_put(mm);
	return (int64_t)n;
}

/* --- map_files: one link per mapping of a file, named by its addresses --- */

/* The mapping that begins at @start; the file is referenced. */
static bool file_at(const struct pctx *c, uint64_t start, bool exact, uint64_t *ret_start, uint64_t *ret_end, struct file **ret)
{
	struct mm *mm = c->target ? task_mm_get(c->target) : NULL;
	bool ok = mm && mm_next_file(mm, start, exact, ret_start, ret_end, ret);

	mm_put(mm);
	return ok;
}

static int map_lookup(const struct pctx *dir, const char *name, uint64_t *ret_id, struct pid **ret_pid, bool *ret_thread)
{
	uint64_t start, end, vs, ve;
	char canon[40];
	struct file *f;

	if (sscanf(name, "%lx-%lx", &start, &end) != 2)
		return -ENOENT;
	(void)snprintf(canon, sizeof(canon), "%lx-%lx", start, end);
	if (strcmp(canon, name) != 0)
		return -ENOENT;
	if (pctx_look(dir))
		return -EACCES;
	if (!file_at(dir, start, true, &vs, &ve, &f))
		return -ENOENT;
	file_put(f);
	*ret_id = start;
	return ve == end ? 0 : -ENOENT;
}

static bool map_next(const struct pctx *dir, uint64_t *id, char *ret_name)
{
	uint64_t start, end;
	struct file *f;

	if (pctx_look(dir) || !file_at(dir, *id, false, &start, &end, &f))
		return false;
	file_put(f);
	*id = start;
	(void)snprintf(ret_name, 32, "%lx-%lx", start, end);
	return true;
}

static bool map_valid(const struct pctx *c)
{
	uint64_t start, end;
	struct file *f;

	if (!file_at(c, c->id, true, &start, &end, &f))
		return false;
	file_put(f);
	return true;
}

static int map_readlink(struct pctx *c, char **ret)
{
	uint64_t start, end;
	struct file *f;
	int err;

	if (!file_at(c, c->id, true, &start, &end, &f))
		return -ENOENT;
	err = proc_file_text(c, f, ret);
	file_put(f);
	return err;
}

static int map_get_link(struct pctx *c, struct path *ret)
{
	uint64_t start, end;
	struct file *f;
	int err = -ENOENT;

	/* Following one opens what the process mapped, by whatever right it had. */
	if (c->t && !task_capable(c->t, LINUX_CAP_SYS_ADMIN) && !task_capable(c->t, LINUX_CAP_CHECKPOINT_RESTORE))
		return -EPERM;
	if (!file_at(c, c->id, true, &start, &end, &f))
		return -ENOENT;
	if (f->path.dentry) {
		*ret = f->path;
		path_get(ret);
		err = 0;
	}
	file_put(f);
	return err;
}

static uint32_t map_mode(struct pctx *c)
{
	uint64_t start, end;
	struct file *f;
	uint32_t mode = 0;

	if (file_at(c, c->id, true, &start, &end, &f)) {
		mode = (f->readable ? 0400 : 0) | (f->writable ? 0200 : 0);
		file_put(f);
	}
	return mode;
}

static const struct pnode map_node = { .name = "map*", .mode = LINUX_S_IFLNK | 0777, .flags = PN_PROC | PN_PTRACE, .readlink = map_readlink,
				       .get_link = map_get_link, .get_mode = map_mode };
const struct pdyn proc_map_files_dyn = { .node = &map_node, .lookup = map_lookup, .next = map_next, .valid = map_valid };
