/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File system contexts. Contract in fs_context.h. Linux: fs/fs_context.c, fs/fsopen.c.
 *
 *   fsopen: PARAMS --create--> AWAIT_MOUNT --fsmount--> AWAIT_RECONF      fspick: RECONF --reconfigure--> AWAIT_RECONF
 *           AWAIT_RECONF --any parameter or command--> RECONF             a failed command: FAILED
 */
#include "sentry/fs/fs_context.h"

#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "schemas/mount.pb-c.h"
#include "sentry/fs/vfs_state.h"
#include "sentry/kernel/kernel.h"

#define MAX_LOG	    8u
#define MAX_OPTIONS (PAGE_SIZE - 2)

enum fs_phase { PHASE_PARAMS, PHASE_AWAIT_MOUNT, PHASE_RECONF, PHASE_AWAIT_RECONF, PHASE_FAILED };

struct fs_context {
	struct file file; /* saved: 1 file_base */
	struct mutex mu; /* nosave: free when frozen */
	const struct fs_type *type; /* saved: 2; by name */
	enum fs_phase phase; /* saved: 3; guarded by mu, as all below */
	char *source; /* saved: 4; NULL not given (has_source 5) */
	struct strbuf options; /* saved: 6 */
	uint32_t sb_flags, sb_flags_mask; /* saved: 7, 8 */
	struct super_block *sb; /* saved: 9; referenced and active */
	struct dentry *root; /* saved: 10; referenced */
	char *log[MAX_LOG]; /* saved: 11; oldest first */
	size_t nr_log; /* derived: of log */
};

static const struct file_ops fs_context_ops;

static struct fs_context *context_of(struct file *f)
{
	return container_of(f, struct fs_context, file);
}

bool file_is_fs_context(const struct file *f)
{
	return f->ops == &fs_context_ops;
}

static void drop_sb(struct fs_context *c)
{
	dentry_put(TAKE_PTR(c->root));
	if (c->sb) {
		sb_deactivate(c->sb);
		sb_put(TAKE_PTR(c->sb));
	}
}

static void set_sb(struct fs_context *c, struct super_block *sb, struct dentry *root) /* consumes the reference on @sb */
{
	sb_activate(sb);
	c->sb = sb;
	c->root = dentry_get(root);
}

static void context_release(struct file *f)
{
	struct fs_context *c = context_of(f);

	drop_sb(c);
	for (size_t n = 0; n < c->nr_log; n++)
		free(c->log[n]);
	free(c->source);
	strbuf_done(&c->options);
	mutex_destroy(&c->mu);
	file_done(f);
	free(c);
}

/* read(2): the oldest message. */
static int64_t context_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct fs_context *c = context_of(f);
	char *text _cleanup_free_ = NULL;
	size_t n;

	mutex_lock(&c->mu);
	if (!c->nr_log) {
		mutex_unlock(&c->mu);
		return -ENODATA;
	}
	text = c->log[0];
	memmove(c->log, c->log + 1, --c->nr_log * sizeof(c->log[0]));
	mutex_unlock(&c->mu);
	n = strlen(text);
	if (n > u->left)
		return -EMSGSIZE;
	return uio_put(u, text, n) == (int64_t)n ? (int64_t)n : -EFAULT;
}

static const struct file_ops fs_context_ops = {
	.name = "[fscontext]",
	.state = &fs_context_state_type,
	.release = context_release,
	.read = context_read,
	.llseek = file_noop_llseek,
};

static void *context_alloc(void)
{
	struct fs_context *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	ref_init(&c->file.ref);
	mutex_init(&c->mu, "fs_context.mu");
	c->options = (struct strbuf)STRBUF_INIT;
	return c;
}

int fs_context_new(struct task *t, const struct fs_type *ft, const struct path *picked, struct file **ret)
{
	struct fs_context *c = context_alloc();

	if (!c)
		return -ENOMEM;
	file_init(&c->file, &fs_context_ops, LINUX_O_RDWR, t, NULL, NULL);
	c->type = picked ? picked->mnt->sb->type : ft;
	if (picked) {
		c->phase = PHASE_RECONF;
		set_sb(c, sb_get(picked->mnt->sb), picked->dentry);
	}
	*ret = &c->file;
	return 0;
}

/* An error for read(2); the oldest goes when there are too many. */
static int say(struct fs_context *c, struct strbuf *b)
{
	char *text = strbuf_take(b);

	if (!text)
		return -ENOMEM;
	if (c->nr_log == MAX_LOG) {
		free(c->log[0]);
		memmove(c->log, c->log + 1, --c->nr_log * sizeof(c->log[0]));
	}
	c->log[c->nr_log++] = text;
	return -EINVAL;
}

#define SAY(c, ...)                                                                                \
	({                                                                                         \
		struct strbuf b_ _cleanup_strbuf_ = STRBUF_INIT;                                   \
		strbuf_addf(&b_, __VA_ARGS__);                                                     \
		say(c, &b_);                                                                       \
	})

/* Parameters of every file system: 1 it was one. */
static int flag_param(struct fs_context *c, const char *key)
{
	static const struct {
		const char *set, *clear;
		uint32_t flag;
	} flags[] = {
		{ "ro", "rw", LINUX_MS_RDONLY },	       { "sync", "async", LINUX_MS_SYNCHRONOUS }, { "dirsync", NULL, LINUX_MS_DIRSYNC },
		{ "lazytime", "nolazytime", LINUX_MS_LAZYTIME }, { "mand", "nomand", LINUX_MS_MANDLOCK },
	};

	for (size_t n = 0; n < ARRAY_SIZE(flags); n++) {
		bool set = !strcmp(key, flags[n].set);

		if (!set && (!flags[n].clear || strcmp(key, flags[n].clear)))
			continue;
		c->sb_flags = set ? c->sb_flags | flags[n].flag : c->sb_flags & ~flags[n].flag;
		c->sb_flags_mask |= flags[n].flag;
		return 1;
	}
	return 0;
}

static int own_param(struct fs_context *c, const char *key, const char *val)
{
	struct strbuf b _cleanup_strbuf_ = STRBUF_INIT;
	int err;

	if (strchr(key, ',') || strchr(key, '=') || (val && strchr(val, ',')))
		return SAY(c, "e %s: Option '%s' contained comma\n", c->type->name, key);
	strbuf_adds(&b, key);
	if (val)
		strbuf_addf(&b, "=%s", val);
	if (strbuf_error(&b))
		return -ENOMEM;
	if (!c->type->check || c->type->check(key) == -ENOENT)
		return SAY(c, "e %s: Unknown parameter '%s'\n", c->type->name, key);
	err = c->type->check(b.data);
	if (err)
		return SAY(c, "e %s: Bad value for '%s'\n", c->type->name, key);
	if (c->options.len + b.len + 1 > MAX_OPTIONS)
		return SAY(c, "e %s: Cumulative options too large\n", c->type->name);
	if (c->options.len)
		strbuf_addc(&c->options, ',');
	strbuf_adds(&c->options, b.data);
	return strbuf_error(&c->options);
}

/* A context that did its work may be used again to change the file system. */
static void again(struct fs_context *c)
{
	if (c->phase != PHASE_AWAIT_RECONF)
		return;
	strbuf_done(&c->options);
	c->options = (struct strbuf)STRBUF_INIT;
	free(TAKE_PTR(c->source));
	c->sb_flags = c->sb_flags_mask = 0;
	c->phase = PHASE_RECONF;
}

int fs_context_param(struct file *f, const char *key, const char *val)
{
	struct fs_context *c = context_of(f);

	mutex_guard(&c->mu);
	again(c);
	if (c->phase != PHASE_PARAMS && c->phase != PHASE_RECONF)
		return -EBUSY;
	if (flag_param(c, key))
		return 0;
	if (strcmp(key, "source") || (c->type->check && c->type->check("source") == 0))
		return own_param(c, key, val);
	if (!val)
		return SAY(c, "e Non-string source\n");
	if (c->source)
		return SAY(c, "e Multiple sources\n");
	c->source = strdup(val);
	return c->source ? 0 : -ENOMEM;
}

int fs_context_create(struct file *f, struct task *t)
{
	struct fs_context *c = context_of(f);
	struct super_block *sb = NULL;
	int err;

	mutex_guard(&c->mu);
	again(c);
	if (c->phase != PHASE_PARAMS)
		return -EBUSY;
	err = mount_make_sb(c->type->name,
			    &(struct mount_req){ .k = t->k, .t = t, .source = c->source ? c->source : "none",
						 .options = c->options.data ? c->options.data : "", .flags = c->sb_flags },
			    &sb);
	if (err) {
		c->phase = PHASE_FAILED;
		return err;
	}
	set_sb(c, sb, sb->root);
	c->phase = PHASE_AWAIT_MOUNT;
	return 0;
}

int fs_context_reconfigure(struct file *f, struct task *t)
{
	struct fs_context *c = context_of(f);
	int err;

	mutex_guard(&c->mu);
	again(c);
	if (c->phase != PHASE_RECONF)
		return -EBUSY;
	err = sb_reconfigure(c->sb, t, c->source ? c->source : "none", c->options.data ? c->options.data : "", c->sb_flags, c->sb_flags_mask);
	c->phase = err ? PHASE_FAILED : PHASE_AWAIT_RECONF;
	return err;
}

int fs_context_mount(struct file *f, uint32_t mnt_flags, struct mnt_ns **ret)
{
	struct fs_context *c = context_of(f);
	int err;

	mutex_guard(&c->mu);
	if (!c->root)
		return -EINVAL;
	if (c->phase != PHASE_AWAIT_MOUNT)
		return -EBUSY;
	err = mount_new_anon(c->sb, c->root, mnt_flags, c->source ? c->source : "none", ret);
	if (!err)
		c->phase = PHASE_AWAIT_RECONF;
	return err;
}

/* --- state --- */

static int context_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct fs_context *c = obj;
	Sentry__FsContext *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->type = state_strdup(w, c->type ? c->type->name : "");
	m->phase = c->phase;
	m->source = state_strdup(w, c->source ? c->source : "");
	m->has_source = c->source != NULL;
	m->options = state_strdup(w, c->options.data ? c->options.data : "");
	m->sb_flags = c->sb_flags;
	m->sb_flags_mask = c->sb_flags_mask;
	m->sb = sb_state_ref(w, c->sb);
	m->root = state_ref(w, &dentry_state_type, c->root);
	m->log = state_zalloc(w, c->nr_log, sizeof(*m->log));
	for (m->n_log = 0; m->n_log < c->nr_log; m->n_log++)
		m->log[m->n_log] = state_strdup(w, c->log[m->n_log]);
	return file_save_base(w, &c->file, m->file_base);
}

static int context_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__FsContext *m = msg;
	struct fs_context *c = obj;
	void *root = NULL;
	int err = file_load_base(r, &c->file, &fs_context_ops, m->file_base);

	if (!err)
		err = state_check(r, m->phase <= PHASE_FAILED && m->n_log <= MAX_LOG && strlen(m->options) <= MAX_OPTIONS, "fs context");
	if (!err)
		err = sb_state_deref(r, m->sb, &c->sb);
	if (!err)
		err = state_deref(r, m->root, &dentry_state_type, &root);
	c->root = root;
	c->type = fs_type_find(m->type);
	if (!err)
		err = state_check(r, c->type && !c->sb == !c->root, "fs context of no type, or half a file system");
	if (!err)
		err = state_check(r, c->sb || m->phase == PHASE_PARAMS || m->phase == PHASE_FAILED, "fs context without file system");
	if (err)
		return err;
	c->phase = m->phase;
	c->sb_flags = m->sb_flags;
	c->sb_flags_mask = m->sb_flags_mask;
	if (m->has_source && !(c->source = strdup(m->source)))
		return -ENOMEM;
	strbuf_adds(&c->options, m->options);
	for (size_t n = 0; n < m->n_log; n++) {
		c->log[n] = strdup(m->log[n]);
		if (!c->log[n])
			return -ENOMEM;
		c->nr_log = n + 1;
	}
	return strbuf_error(&c->options);
}

static int context_after_load(struct state_reader *r, void *obj)
{
	struct fs_context *c = obj;

	if (c->sb)
		sb_activate(c->sb);
	file_after_load_base(&c->file);
	return 0;
}

const struct state_type fs_context_state_type = {
	.id = STATE_ID_fs_context,
	.name = "fs_context",
	.desc = &sentry__fs_context__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = context_alloc,
	.save = context_save,
	.load = context_load,
	.after_load = context_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
