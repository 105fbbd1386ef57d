/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts, files outside, and timers of an image. */
#include <string.h>

#include "runsc/image/image.h"
#include "schemas/file.pb-c.h"
#include "schemas/goferfs.pb-c.h"
#include "schemas/task.pb-c.h"
#include "schemas/timerfd.pb-c.h"
#include "schemas/timers.pb-c.h"
#include "schemas/vfs.pb-c.h"

json_t *mount_list(struct image *im)
{
	json_t *list = json_array();

	image_each(im, id, mount) {
		const Sentry__Mount *m = IMAGE_GET(im, id, mount, Mount);
		const Sentry__SuperBlockBase *sb = m ? IMAGE_PART(im, m->sb, super_block_base, SuperBlockBase) : NULL;
		_cleanup_strbuf_ struct strbuf path = STRBUF_INIT;

		if (!m)
			continue;
		name_path(im, id, m->root, &path);
		(void)json_array_append_new(
			list, json_pack("{s:I, s:o, s:o, s:o, s:I, s:I, s:b}", "mount", (json_int_t)id, "path",
					text_json_buf(&path), "type", text_json(sb ? sb->type : "?", sb ? strlen(sb->type) : 1),
					"source", text_json(m->source, strlen(m->source)), "ns", (json_int_t)m->ns, "flags",
					(json_int_t)m->flags, "configured", (int)m->has_dest));
	}
	return list;
}

/* What a restore looks for outside: by mount and path. */
json_t *outside_list(struct image *im)
{
	json_t *list = json_array();

	image_each(im, id, gofer_inode) {
		const Sentry__GoferInode *i = IMAGE_GET(im, id, gofer_inode, GoferInode);
		const Sentry__GoferSb *sb = i && i->inode_base ? IMAGE_GET(im, i->inode_base->sb, gofer_sb, GoferSb) : NULL;
		json_t *o;

		if (!i || !i->inode_base)
			continue;
		o = json_pack("{s:I, s:o, s:o, s:s, s:I}", "inode", (json_int_t)id, "mount",
			      text_json(sb ? sb->destination : "?", sb ? strlen(sb->destination) : 1), "path",
			      text_json(i->path, strlen(i->path)), "kind", image_mode_name(i->inode_base->mode), "size",
			      (json_int_t)i->inode_base->size);
		if (i->deleted && o)
			(void)json_object_set_new(o, "deleted", json_true());
		(void)json_array_append_new(list, o);
	}
	return list;
}

static void add_timer(json_t *list, const char *kind, uint64_t id, int32_t pid, int64_t expiry, int64_t interval,
		      const char *clock)
{
	json_t *o = json_pack("{s:s, s:I, s:s, s:I, s:I}", "kind", kind, "object", (json_int_t)id, "clock", clock, "expiry_ns",
			      (json_int_t)expiry, "interval_ns", (json_int_t)interval);

	if (pid && o)
		(void)json_object_set_new(o, "pid", json_integer(pid));
	(void)json_array_append_new(list, o);
}

/* Timers that are armed. */
json_t *timer_list(struct image *im)
{
	json_t *list = json_array();

	image_each(im, id, itimers) {
		const Sentry__Itimers *t = IMAGE_GET(im, id, itimers, Itimers);
		int32_t pid = t ? name_group_pid(im, t->tg) : 0;

		if (t && t->real_expiry)
			add_timer(list, "ITIMER_REAL", id, pid, t->real_expiry, t->real_interval, "monotonic");
		if (t && t->virt_expiry)
			add_timer(list, "ITIMER_VIRTUAL", id, pid, t->virt_expiry, t->virt_interval, "cpu");
		if (t && t->prof_expiry)
			add_timer(list, "ITIMER_PROF", id, pid, t->prof_expiry, t->prof_interval, "cpu");
	}
	image_each(im, id, posix_timers) {
		const Sentry__PosixTimers *t = IMAGE_GET(im, id, posix_timers, PosixTimers);

		for (size_t i = 0; t && i < t->n_timers; i++)
			if (t->timers[i]->expiry)
				add_timer(list, "timer_create", id, name_group_pid(im, t->tg), t->timers[i]->expiry,
					  t->timers[i]->interval,
					  t->timers[i]->cpu_pid	   ? "cpu" :
					  t->timers[i]->realtime ? "realtime" :
								   "monotonic");
	}
	image_each(im, id, timerfd) {
		const Sentry__TimerFd *t = IMAGE_GET(im, id, timerfd, TimerFd);

		if (t && t->armed)
			add_timer(list, "timerfd", id, 0, t->expires, t->interval, t->realtime ? "realtime" : "monotonic");
	}
	return list;
}
