/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files and directories of pseudo file systems. See pseudo.h. Linux: fs/seq_file.c.
 *
 * Positions in directories: 0 ".", 1 "..", 2 + n the nth table entry, DYN_BASE + id a dynamic one.
 * Checkpoint: position and inode; text is made anew by the next read.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/file.pb-c.h"
#include "schemas/pseudo.pb-c.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/pseudo/pseudo_internal.h"
#include "sentry/kernel/nsproxy.h"
#include "state/state.h"

#define DYN_BASE  4096
#define MAX_STORE 65536

static struct pseudo_file *pseudo_f(struct file *f)
{
	return container_of(f, struct pseudo_file, file);
}

/* --- text --- */

static int make_text(struct pseudo_file *pf, struct task *t)
{
	struct pseudo_inode *pi = pseudo_i(pf->file.inode);
	struct pctx c;
	int err = pctx_get(&pi->i, t, &c);

	if (pi->watch)
		pf->event = atomic_load(&pi->watch->seq);
	strbuf_done(&pf->text);
	pf->text = (struct strbuf)STRBUF_INIT;
	if (!err)
		err = pi->node->show ? pi->node->show(&c, &pf->text) : -EINVAL;
	pctx_done(&c);
	if (!err)
		err = strbuf_error(&pf->text);
	pf->have = !err;
	return err;
}

static int64_t pseudo_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct pseudo_file *pf = pseudo_f(f);
	int64_t r = 0;

	mutex_guard(&pf->mu);
	if (*pos == 0 || !pf->have) {
		int err = make_text(pf, t);

		if (err)
			return err;
	}
	if ((uint64_t)*pos >= pf->text.len)
		return 0;
	r = uio_put(u, pf->text.data + *pos, MIN(u->left, pf->text.len - (size_t)*pos));
	if (r > 0)
		*pos += r;
	return r;
}

static int64_t pseudo_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct pseudo_file *pf = pseudo_f(f);
	struct pseudo_inode *pi = pseudo_i(f->inode);
	size_t n = MIN(u->left, (size_t)MAX_STORE);
	_cleanup_free_ char *text = NULL;
	struct pctx c;
	int64_t r;

	if (!pi->node->store)
		return -EINVAL;
	text = malloc(n + 1);
	if (!text)
		return -ENOMEM;
	r = uio_get(u, text, n);
	if (r < 0)
		return r;
	n = (size_t)r;
	text[n] = '\0';
	r = pctx_get(f->inode, t, &c);
	c.cred = f->cred;
	if (!r)
		r = pi->node->store(&c, text, n);
	pctx_done(&c);
	if (r > 0)
		*pos += r;
	mutex_lock(&pf->mu);
	pf->have = false;
	mutex_unlock(&pf->mu);
	return r;
}

static int64_t pseudo_llseek(struct file *f, struct task *t, int64_t off, int whence)
{
	if (whence != LINUX_SEEK_SET && whence != LINUX_SEEK_CUR)
		return -EINVAL;
	return file_llseek_size(f, off, whence, 0, INT64_MAX);
}

static uint32_t pseudo_poll(struct file *f)
{
	struct pseudo_file *pf = pseudo_f(f);
	uint32_t r = POLL_READ | (f->writable ? POLL_WRITE : 0);
	uint64_t now;

	if (pseudo_i(f->inode)->watch) { /* until it is read again, as kernfs */
		now = atomic_load(&pseudo_i(f->inode)->watch->seq);
		mutex_guard(&pf->mu);
		return now != pf->event ? r | LINUX_POLLERR | LINUX_POLLPRI : r;
	}
	if (!pf->ns)
		return r;
	now = *(volatile uint64_t *)&pf->ns->event;
	mutex_guard(&pf->mu);
	if (now != pf->event) {
		pf->event = now;
		r |= LINUX_POLLERR | LINUX_POLLPRI;
	}
	return r;
}

static struct waitq *pseudo_pollq(struct file *f)
{
	struct pseudo_file *pf = pseudo_f(f);

	if (pseudo_i(f->inode)->watch)
		return &pseudo_i(f->inode)->watch->wq;
	return pf->ns ? &pf->ns->wq : NULL;
}

static void pseudo_release(struct file *f)
{
	struct pseudo_file *pf = pseudo_f(f);

	strbuf_done(&pf->text);
	mutex_destroy(&pf->mu);
	if (pf->ns)
		mnt_ns_put(pf->ns);
	file_done(f);
	free(pf);
}

static const struct file_ops pseudo_text_ops = {
	.name = "pseudo",
	.state = &pseudo_file_state_type,
	.release = pseudo_release,
	.read = pseudo_read,
	.write = pseudo_write,
	.llseek = pseudo_llseek,
	.poll = pseudo_poll,
	.pollq = pseudo_pollq,
};

/* Whose mounts the file shows. */
static void watch_mounts(struct pseudo_file *pf, struct task *t)
{
	struct pseudo_inode *pi = pseudo_i(pf->file.inode);
	struct nsproxy *n;
	struct pctx c;

	if (!(pi->node->flags & PN_MOUNTS))
		return;
	if (pctx_get(&pi->i, t, &c) == 0 && (c.target || t)) {
		n = task_ns_get(c.target ? c.target : t);
		if (n && n->mnt) {
			pf->ns = mnt_ns_get(n->mnt);
			pf->event = pf->ns->event;
		}
		if (n)
			nsproxy_put(n);
	}
	pctx_done(&c);
}

static int open_file(struct inode *i, struct task *t, const struct path *p, uint32_t flags, const struct file_ops *ops, struct file **ret)
{
	struct pseudo_file *pf = calloc(1, sizeof(*pf));

	if (!pf)
		return -ENOMEM;
	mutex_init(&pf->mu, "pseudo_file.mu");
	file_init(&pf->file, ops, flags, t, p, i);
	pf->file.seekable = true;
	*ret = &pf->file;
	return 0;
}

int pseudo_file_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	int err = open_file(i, t, p, flags, &pseudo_text_ops, ret);

	if (!err && pseudo_i(i)->watch)
		pseudo_f(*ret)->event = atomic_load(&pseudo_i(i)->watch->seq);
	if (!err)
		watch_mounts(pseudo_f(*ret), t);
	return err;
}

/* --- directories --- */

static bool visible(const struct pctx *dir, const struct pnode *n)
{
	struct pctx c = *dir;

	c.node = n;
	return !n->visible || n->visible(&c);
}

static int emit_static(struct file *f, struct pctx *c, struct dir_sink *s, bool *full)
{
	int64_t at = 2;

	for (const struct pnode *n = c->node->children; n && n->name; n++, at++) {
		if (at < f->pos || !visible(c, n))
			continue;
		if (!s->emit(s, n->name, strlen(n->name), at + 1, pseudo_child_ino(f->inode->ino, n->name), (uint8_t)(n->mode >> 12 & 15))) {
			*full = true;
			return 0;
		}
		f->pos = at + 1;
	}
	return 0;
}

static void emit_dynamic(struct file *f, struct pctx *c, struct dir_sink *s)
{
	const struct pdyn *dyn = c->node->dyn;
	uint64_t id;
	char name[256];

	if (f->pos < DYN_BASE)
		f->pos = DYN_BASE;
	id = (uint64_t)(f->pos - DYN_BASE);
	while (dyn->next_name ? dyn->next_name(c, &id, name, sizeof(name)) : dyn->next(c, &id, name)) {
		if (!s->emit(s, name, strlen(name), DYN_BASE + (int64_t)id + 1, pseudo_child_ino(f->inode->ino, name),
			     (uint8_t)(dyn->node->mode >> 12 & 15)))
			return;
		f->pos = DYN_BASE + (int64_t)++id;
	}
}

static int pseudo_readdir(struct file *f, struct task *t, struct dir_sink *s)
{
	struct dentry *parent;
	bool full = false;
	uint64_t up;
	struct pctx c;
	int err;

	if (f->pos == 0) {
		if (!s->emit(s, ".", 1, 1, f->inode->ino, LINUX_DT_DIR))
			return 0;
		f->pos = 1;
	}
	if (f->pos == 1) {
		parent = dentry_parent_get(f->path.dentry);
		up = parent->inode ? ((struct inode *)parent->inode)->ino : f->inode->ino;
		dentry_put(parent);
		if (!s->emit(s, "..", 2, 2, up, LINUX_DT_DIR))
			return 0;
		f->pos = 2;
	}
	err = pctx_get(f->inode, t, &c);
	if (err) {
		pctx_done(&c);
		return err == -ESRCH ? -ENOENT : err;
	}
	err = emit_static(f, &c, s, &full);
	if (!err && !full && c.node->dyn)
		emit_dynamic(f, &c, s);
	pctx_done(&c);
	return err;
}

static int pseudo_fsync(struct file *f, struct task *t, bool datasync)
{
	return 0;
}

static const struct file_ops pseudo_dir_ops = {
	.name = "pseudo_dir",
	.state = &pseudo_file_state_type,
	.release = pseudo_release,
	.llseek = pseudo_llseek,
	.readdir = pseudo_readdir,
	.fsync = pseudo_fsync,
};

int pseudo_dir_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	return open_file(i, t, p, flags, &pseudo_dir_ops, ret);
}

/* --- state --- */

static uint64_t latest_event(const struct pseudo_file *pf)
{
	if (pseudo_i(pf->file.inode)->watch)
		return atomic_load(&pseudo_i(pf->file.inode)->watch->seq);
	return pf->ns ? pf->ns->event : pf->event;
}

static void *pseudo_file_alloc(void)
{
	struct pseudo_file *pf = calloc(1, sizeof(*pf));

	if (pf) {
		ref_init(&pf->file.ref);
		mutex_init(&pf->mu, "pseudo_file.mu");
	}
	return pf;
}

static int pseudo_file_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct pseudo_file *pf = obj;
	Sentry__PseudoFile *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->dir = pf->file.ops == &pseudo_dir_ops;
	m->ns = state_ref(w, &mnt_ns_state_type, pf->ns);
	m->changed = pf->event != latest_event(pf);
	return file_save_base(w, &pf->file, m->file_base);
}

static int pseudo_file_load(struct state_reader *r, void *obj, const void *msg)
{
	struct pseudo_file *pf = obj;
	const Sentry__PseudoFile *m = msg;
	void *ns = NULL;
	int err = file_load_base(r, &pf->file, m->dir ? &pseudo_dir_ops : &pseudo_text_ops, m->file_base);

	if (!err)
		err = state_deref(r, m->ns, &mnt_ns_state_type, &ns);
	pf->ns = ns;
	pf->event = m->changed;
	if (!err)
		err = state_check(r, pf->file.inode && pf->file.path.dentry, "open entry without inode");
	return err;
}

static int pseudo_file_after_load(struct state_reader *r, void *obj)
{
	struct pseudo_file *pf = obj;
	int err = state_check(r, pseudo_of(pf->file.inode->sb) && inode_is_dir(pf->file.inode) == (pf->file.ops == &pseudo_dir_ops),
			      "open entry of a wrong file system");

	if (err)
		return err;
	file_after_load_base(&pf->file);
	/* Counting begins anew: one behind, if there is something to tell. */
	pf->event = latest_event(pf) - pf->event;
	return 0;
}

const struct state_type pseudo_file_state_type = {
	.id = STATE_ID_pseudo_file,
	.name = "pseudo_file",
	.desc = &sentry__pseudo_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = pseudo_file_alloc,
	.save = pseudo_file_save,
	.load = pseudo_file_load,
	.after_load = pseudo_file_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
