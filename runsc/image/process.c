/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of an image as JSON objects; the text forms are made from these. Pids are those of the outermost namespace. */
#include <seccomp.h>
#include <string.h>

#include "runsc/image/image.h"
#include "schemas/cred.pb-c.h"
#include "schemas/epoll.pb-c.h"
#include "schemas/eventfd.pb-c.h"
#include "schemas/file.pb-c.h"
#include "schemas/hostfile.pb-c.h"
#include "schemas/inotify.pb-c.h"
#include "schemas/io_uring.pb-c.h"
#include "schemas/job.pb-c.h"
#include "schemas/mm.pb-c.h"
#include "schemas/pidfd.pb-c.h"
#include "schemas/pipe.pb-c.h"
#include "schemas/signalfd.pb-c.h"
#include "schemas/socket.pb-c.h"
#include "schemas/task.pb-c.h"
#include "schemas/timerfd.pb-c.h"
#include "schemas/vfs.pb-c.h"

#define ARGS_MAX 4096

static const char *task_state(const Sentry__Task *t)
{
	if (t->is_zombie)
		return "Z";
	if (t->ptrace && t->ptrace->stopped)
		return "t";
	if (t->stopped)
		return "T";
	return t->sysctx && t->sysctx->redo ? "S" : "R";
}

static json_t *thread(struct image *im, uint64_t id)
{
	const Sentry__Task *t = IMAGE_GET(im, id, task, Task);
	json_t *o;

	if (!t)
		return NULL;
	o = json_pack("{s:i, s:o, s:s, s:I}", "tid", name_pid(im, t->pid), "comm", text_json(t->comm.data, t->comm.len),
		      "state", task_state(t), "task", (json_int_t)id);
	if (t->sysctx && t->sysctx->redo) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, (int)t->sysctx->nr);

		(void)json_object_set_new(o, "syscall",
					  name ? json_string(name) : json_integer((json_int_t)t->sysctx->nr));
		free(name);
	}
	return o;
}

static json_t *arguments(struct image *im, uint64_t mm)
{
	const Sentry__Mm *m = IMAGE_GET(im, mm, mm, Mm);
	json_t *list = json_array();
	char buf[ARGS_MAX];
	size_t n;

	if (!m || !m->layout || !im->pages || m->layout->arg_end <= m->layout->arg_start)
		return list;
	n = mem_read(im, mm, m->layout->arg_start, buf,
		     MIN((uint64_t)sizeof(buf), m->layout->arg_end - m->layout->arg_start));
	for (size_t at = 0; at < n;) {
		size_t len = strnlen(buf + at, n - at);

		(void)json_array_append_new(list, text_json(buf + at, len));
		at += len + 1;
	}
	return list;
}

static json_t *maps(struct image *im, const Sentry__Mm *m, const struct page_set *stored)
{
	_cleanup_free_ struct vma_pages *pages = vma_pages(m, stored);
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	json_t *list = json_array();

	for (size_t i = 0; pages && i < m->n_vmas; i++) {
		const Sentry__Vma *v = m->vmas[i];
		const char perms[] = {v->prot & 1 ? 'r' : '-', v->prot & 2 ? 'w' : '-', v->prot & 4 ? 'x' : '-',
				      v->flags & 1 ? 's' : 'p', '\0'};

		(void)vma_name(im, m, v, &b);
		(void)json_array_append_new(list, json_pack("{s:I, s:I, s:s, s:I, s:o, s:I, s:I}", "start",
							    (json_int_t)v->start, "end", (json_int_t)v->end, "perms", perms,
							    "offset", (json_int_t)v->off, "what", text_json_buf(&b), "private",
							    (json_int_t)(pages[i].private * PAGE_SIZE), "stored",
							    (json_int_t)(pages[i].in_set * PAGE_SIZE)));
	}
	return list;
}

static json_t *memory(struct image *im, uint64_t mm, const struct page_set *stored)
{
	const Sentry__Mm *m = IMAGE_GET(im, mm, mm, Mm);
	uint64_t size = 0, shared = 0, file = 0, resident = 0, kept = 0;

	if (!m)
		return NULL;
	for (size_t i = 0; i < m->n_vmas; i++) {
		uint64_t len = m->vmas[i]->end > m->vmas[i]->start ? m->vmas[i]->end - m->vmas[i]->start : 0;

		size += len;
		if (m->vmas[i]->flags & 1)
			shared += len;
		else if (m->vmas[i]->file)
			file += len;
	}
	for (size_t i = 0; i < m->n_pmas; i++) {
		uint64_t n = m->pmas[i]->end > m->pmas[i]->start ? (m->pmas[i]->end - m->pmas[i]->start) / PAGE_SIZE : 0;

		resident += n;
		kept += page_set_count(stored, m->pmas[i]->off / PAGE_SIZE, n);
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "mm", (json_int_t)mm, "mappings",
			 (json_int_t)m->n_vmas, "size", (json_int_t)size, "private", (json_int_t)(resident * PAGE_SIZE),
			 "stored", (json_int_t)(kept * PAGE_SIZE), "zero", (json_int_t)((resident - kept) * PAGE_SIZE),
			 "shared_mappings", (json_int_t)shared, "file_mappings", (json_int_t)file, "peak",
			 (json_int_t)m->hiwater_rss, "maps", maps(im, m, stored));
}

/* What a descriptor without content has instead. */
static void describe_counts(struct image *im, uint64_t id, struct strbuf *b)
{
	const Sentry__EventFd *ev = IMAGE_GET(im, id, eventfd, EventFd);
	const Sentry__Epoll *ep = IMAGE_GET(im, id, epoll, Epoll);
	const Sentry__Inotify *in = IMAGE_GET(im, id, inotify, Inotify);
	const Sentry__TimerFd *t = IMAGE_GET(im, id, timerfd, TimerFd);
	const Sentry__PidFd *p = IMAGE_GET(im, id, pidfd, PidFd);
	const Sentry__SignalFd *s = IMAGE_GET(im, id, signalfd, SignalFd);
	const Sentry__Uring *u = IMAGE_GET(im, id, uring, Uring);

	if (ev)
		strbuf_addf(b, " count %llu", (unsigned long long)ev->count);
	if (ep)
		strbuf_addf(b, " watching %zu, ready %zu", ep->n_items, ep->n_ready);
	if (in)
		strbuf_addf(b, " watches %zu, events %zu", in->n_watches, in->n_queue);
	if (t)
		strbuf_addf(b, " %s, ticks %llu", t->armed ? "armed" : "disarmed", (unsigned long long)t->ticks);
	if (p)
		strbuf_addf(b, " of %d", name_pid(im, p->pid));
	if (s)
		strbuf_addf(b, " mask 0x%llx", (unsigned long long)s->mask);
	if (u)
		strbuf_addf(b, " entries %u, in flight %zu", u->sq_entries, u->n_reqs);
}

/* What is behind a nameless file. */
static void describe(struct image *im, uint64_t id, struct strbuf *b)
{
	const Sentry__Socket *s = IMAGE_GET(im, id, socket, Socket);
	const Sentry__PipeEnd *p = IMAGE_GET(im, id, pipe_end, PipeEnd);
	const Sentry__FileBase *f = IMAGE_PART(im, id, file_base, FileBase);
	_cleanup_strbuf_ struct strbuf path = STRBUF_INIT;

	const Sentry__HostFile *h = IMAGE_GET(im, id, hostfile, HostFile);

	if (s) {
		socket_describe(im, s->sock, b);
		return;
	}
	if (h) {
		strbuf_addf(b, "host descriptor %d (%s)", h->index, image_mode_name(h->mode));
		return;
	}
	name_file(im, id, &path);
	describe_counts(im, id, &path);
	if (p && f && !(f->path && f->path->dentry))
		strbuf_addf(&path, ":[%llu]", (unsigned long long)p->pipe);
	strbuf_add(b, path.data ? path.data : "", path.len);
}

json_t *process_file(struct image *im, uint64_t id)
{
	static const char *const access[] = {"r", "w", "rw", "none"};
	const Sentry__FileBase *f = IMAGE_PART(im, id, file_base, FileBase);
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	json_t *o;

	describe(im, id, &b);
	o = json_pack("{s:I, s:s, s:o}", "file", (json_int_t)id, "type", image_type_name(im, id), "what", text_json_buf(&b));
	if (f && o) {
		(void)json_object_set_new(o, "access", json_string(access[f->flags & 3]));
		(void)json_object_set_new(o, "flags", json_integer(f->flags));
		if (f->seekable)
			(void)json_object_set_new(o, "pos", json_integer(f->pos));
	}
	return o;
}

static json_t *files(struct image *im, uint64_t table)
{
	const Sentry__FdTable *t = IMAGE_GET(im, table, fd_table, FdTable);
	json_t *list = json_array();

	for (size_t i = 0; t && i < t->n_slots; i++) {
		json_t *o = process_file(im, t->slots[i]->file);

		if (!o)
			continue;
		(void)json_object_set_new(o, "fd", json_integer(t->slots[i]->fd));
		if (t->slots[i]->cloexec)
			(void)json_object_set_new(o, "cloexec", json_true());
		(void)json_array_append_new(list, o);
	}
	return list;
}

static void set_path(struct image *im, json_t *o, const char *key, const Sentry__Path *p)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	if (!p || !p->dentry)
		return;
	name_path(im, p->mount, p->dentry, &b);
	(void)json_object_set_new(o, key, text_json_buf(&b));
}

/* What the leader has: names, credentials, memory, files. */
static void add_leader(struct image *im, json_t *o, const Sentry__Task *t, const struct page_set *stored)
{
	const Sentry__Cred *c = IMAGE_GET(im, t->cred, cred, Cred);
	const Sentry__FsCtx *fs = IMAGE_GET(im, t->fs, fs_ctx, FsCtx);
	const Sentry__Mm *m = IMAGE_GET(im, t->mm, mm, Mm);
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	json_t *mem;

	(void)json_object_set_new(o, "comm", text_json(t->comm.data, t->comm.len));
	(void)json_object_set_new(o, "user_ns", json_integer(t->utime));
	(void)json_object_set_new(o, "system_ns", json_integer(t->stime));
	(void)json_object_set_new(o, "start_ns", json_integer(t->start_time));
	if (c && c->n_ids >= 6) {
		(void)json_object_set_new(o, "uid", json_integer(c->ids[1]));
		(void)json_object_set_new(o, "gid", json_integer(c->ids[5]));
	}
	if (m && m->exe_file) {
		name_file(im, m->exe_file, &b);
		(void)json_object_set_new(o, "exe", text_json_buf(&b));
	}
	(void)json_object_set_new(o, "argv", arguments(im, t->mm));
	if (fs) {
		set_path(im, o, "cwd", fs->cwd);
		set_path(im, o, "root", fs->root);
	}
	mem = stored ? memory(im, t->mm, stored) : NULL;
	if (mem)
		(void)json_object_set_new(o, "memory", mem);
	if (stored)
		(void)json_object_set_new(o, "files", files(im, t->files));
}

static json_t *process(struct image *im, uint64_t id, const struct page_set *stored)
{
	const Sentry__ThreadGroup *tg = IMAGE_GET(im, id, thread_group, ThreadGroup);
	const Sentry__Task *leader = tg ? IMAGE_GET(im, tg->leader, task, Task) : NULL;
	const Sentry__Pgrp *pg = tg ? IMAGE_GET(im, tg->pgrp, pgrp, Pgrp) : NULL;
	const Sentry__Session *s = tg ? IMAGE_GET(im, tg->session, session, Session) : NULL;
	const Sentry__Container *c = tg ? IMAGE_GET(im, tg->container, container, Container) : NULL;
	json_t *threads = json_array(), *o;

	if (!tg) {
		json_decref(threads);
		return NULL;
	}
	for (size_t i = 0; i < tg->n_tasks; i++)
		(void)json_array_append_new(threads, thread(im, tg->tasks[i]));
	o = json_pack("{s:i, s:i, s:i, s:i, s:s, s:I, s:o}", "pid", name_pid(im, tg->pid), "ppid",
		      name_group_pid(im, tg->parent), "pgid", pg ? name_pid(im, pg->id) : 0, "sid",
		      s ? name_pid(im, s->id) : 0, "state",
		      tg->state == 2 ? "Z" : tg->state == 1 ? "T" : leader ? task_state(leader) : "?", "group",
		      (json_int_t)id, "threads", threads);
	if (c)
		(void)json_object_set_new(o, "container", text_json(c->id, strlen(c->id)));
	if (leader)
		add_leader(im, o, leader, stored);
	return o;
}

json_t *process_list(struct image *im, const struct page_set *stored)
{
	json_t *list = json_array();

	image_each(im, id, thread_group) {
		json_t *o = process(im, id, stored);

		if (o && json_array_append_new(list, o) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}
