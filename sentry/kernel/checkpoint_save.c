/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving the whole kernel.
 *
 * Frozen:       the page store is filled by its own threads while this one walks the objects; the manifest comes last. Nothing is
 *               changed, so a failure leaves no trace.
 * Running on:   while frozen, objects are written to memory and pages are guarded; then the kernel goes on, and this thread writes
 *               what was captured (sentry/mm/memfile_save.c). What follows the freeze takes no time that depends on the disk.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd_util.h"
#include "sentry/arch/cpu_features.h"
#include "sentry/kernel/checkpoint.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/image_base.h"
#include "sentry/loader/loader.h"
#include "state/image.h"
#include "state/manifest.h"
#include "state/pages.h"

#define PRODUCT_VERSION "0.1.0"

struct saver {
	struct kernel *k;
	bool incremental, digests;
	int level;
	struct state_writer *w; /* to memory when the kernel runs on */
	struct pages_writer *pw;
	struct memfile_snapshot *snap;
	struct state_stats objects;
	struct pages_stats pages;
	int64_t created_ns;
	char **ids; /* of containers, and the strings, NULL-terminated */
	char **types; /* of objects; the strings are the build's */
};

static int64_t host_mono(void)
{
	return ktime_mono() - ktime_offset();
}

/* The caller works, too. */
static unsigned int helpers(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) < 0 ? 2 : CPU_COUNT(&set);

	return (unsigned int)MAX(1, n - 1);
}

static bool may_change(const struct kernel *k, const struct sentry_ckpt_opts *o)
{
	return o->parent && k->base && !strcmp(o->parent, k->base->self.hash) && image_base_may_grow(k->base) && (!o->digests || k->base->digests);
}

static int copy_ids(struct kernel *k, char ***ret)
{
	struct container *c;
	size_t n = 0;
	char **v;

	list_for_each(c, &k->containers, node)
		n++;
	*ret = v = calloc(n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	n = 0;
	list_for_each(c, &k->containers, node)
		if (!(v[n++] = strdup(c->id)))
			return -ENOMEM;
	return 0;
}

void checkpoint_expect(struct kernel *k, const struct sentry_ckpt_opts *o)
{
	bool complete = !may_change(k, o);
	struct thread_group *tg;
	struct mm **mms;
	size_t n = 0, cap = 0;
	struct task *t;

	mutex_lock(&k->tasks_mu);
	list_for_each(tg, &k->groups, all_node)
		cap++;
	mms = calloc(cap + 1, sizeof(struct mm *));
	list_for_each(tg, &k->groups, all_node) {
		/* The first thread may have exited before the others. */
		list_for_each(t, &tg->tasks, tg_node)
			if (mms && !mms[n])
				mms[n] = task_mm_get(t);
		n += mms && mms[n];
	}
	mutex_unlock(&k->tasks_mu);
	while (n > 0) {
		mm_expect_snapshot(mms[--n], complete);
		mm_put(mms[n]);
	}
	free(mms);
}

/* While frozen: all that later is another. */
static int begin(struct saver *s, struct kernel *k, const struct sentry_ckpt_opts *o, struct error **err)
{
	int r;

	s->k = k;
	s->level = o->compression_level;
	s->digests = o->digests;
	s->incremental = may_change(k, o);
	s->created_ns = ktime_real();
	/* Or a page that nobody has would be stored. */
	vdso_forget(k);
	k->saved_mono = ktime_mono();
	k->saved_real = ktime_real();
	k->file_digest = o->file_digest;
	r = copy_ids(k, &s->ids);
	return r < 0 ? error_set(err, r, "manifest") : 0;
}

static int save_objects(struct saver *s, int fd, struct error **err)
{
	struct state_root root = { &kernel_state_type, s->k };
	int r = state_writer_new(fd, NULL, &s->w, err);

	if (r == 0)
		r = state_writer_save_roots(s->w, &root, 1, err);
	if (r == 0)
		r = state_writer_finish(s->w, &s->objects, err);
	if (r < 0)
		return r;
	s->types = state_writer_types(s->w);
	return s->types ? 0 : error_set(err, -ENOMEM, "manifest");
}

static int write_manifest(struct saver *s, int fd, struct image_base **ret, struct error **err)
{
	static char *const needs[] = { (char *)(uintptr_t)"kernel-1", NULL };
	static char *const needs_layers[] = { (char *)(uintptr_t)"kernel-1", (char *)(uintptr_t)MANIFEST_FEATURE_LAYERS, NULL };
	struct manifest_layer layers[MANIFEST_LAYERS_MAX];
	const struct image_base *b = s->k->base;
	struct manifest m = {
		.product = (char *)(uintptr_t)PRODUCT_VERSION,
		.platform = (char *)(uintptr_t)s->k->pops->name,
		.containers = s->ids,
		.types = s->types,
		.created_ns = s->created_ns,
	};
	int r = cpu_manifest_needs(&m);

	if (r < 0)
		return error_set(err, r, "manifest");
	m.features = (char **)(uintptr_t)needs;
	manifest_set_parts(&m, &s->objects, &s->pages);
	/* Nothing was left to the parent: then there is none. */
	if (s->pages.pages_inherited) {
		m.features = (char **)(uintptr_t)needs_layers;
		layers[0] = b->self;
		memcpy(layers + 1, b->layers, b->nr_layers * sizeof(*layers));
		m.layers = layers;
		m.nr_layers = b->nr_layers + 1;
	}
	r = manifest_write(fd, &m, err);
	if (r == 0 && ret)
		*ret = image_base_new(&m, fd);
	cpu_manifest_done(&m);
	return r;
}

static void fill_stats(const struct saver *s, struct sentry_ckpt_stats *st)
{
	st->objects = s->objects.objects;
	st->pages_total = s->pages.pages_seen;
	st->pages_written = s->pages.pages_stored;
	st->pages_inherited = s->pages.pages_inherited;
	st->bytes = s->objects.file_bytes + s->pages.pages_bytes + s->pages.index_bytes;
}

static void saver_done(struct saver *s)
{
	s->w = state_writer_free(s->w);
	s->pw = pages_writer_free(s->pw);
	/* The page writer may have been reading what it was given. */
	if (s->snap)
		s->snap = memfile_snapshot_end(s->snap);
	for (size_t i = 0; s->ids && s->ids[i]; i++)
		free(s->ids[i]);
	free(s->ids);
	free(s->types);
	s->ids = s->types = NULL;
}

/* --- frozen --- */

static int new_pages_writer(struct saver *s, const struct sentry_image_fds *fds, struct error **err)
{
	int r = pages_writer_new(fds->index, fds->pages, s->level, helpers(), &s->pw, err);

	if (r == 0 && s->digests && pages_writer_want_digests(s->pw) < 0)
		r = error_set(err, -ENOMEM, "cannot save pages");
	return r;
}

static int save_frozen(struct saver *s, const struct sentry_image_fds *fds, struct error **err)
{
	int r = new_pages_writer(s, fds, err);

	if (r < 0)
		return r;
	r = memfile_save_pages(s->k->mf, s->pw, s->incremental);
	if (r < 0)
		return error_set(err, r, "cannot save memory pages");
	r = save_objects(s, fds->kernel, err);
	if (r == 0)
		r = pages_writer_finish(s->pw, &s->pages, err);
	if (r == 0)
		r = write_manifest(s, fds->manifest, NULL, err);
	return r;
}

int checkpoint_save(struct kernel *k, const struct sentry_image_fds *fds, const struct sentry_ckpt_opts *o, struct sentry_ckpt_stats *st,
		    struct error **err)
{
	struct saver s = { 0 };
	int64_t t0 = host_mono();
	int r = begin(&s, k, o, err);

	if (r == 0)
		r = save_frozen(&s, fds, err);
	if (r == 0)
		fill_stats(&s, st);
	saver_done(&s);
	st->save_us = (uint64_t)(host_mono() - t0) / 1000;
	return r;
}

/* --- running on --- */

int checkpoint_begin(struct kernel *k, const struct sentry_ckpt_opts *o, struct saver **ret, struct error **err)
{
	struct saver *s = calloc(1, sizeof(*s));
	int r = s ? begin(s, k, o, err) : error_set(err, -ENOMEM, "checkpoint");

	if (r == 0)
		r = save_objects(s, -1, err);
	if (r == 0) {
		r = memfile_snapshot_begin(k->mf, s->incremental, &s->snap);
		if (r < 0)
			r = error_set(err, r, "cannot save memory pages");
	}
	if (r < 0) {
		if (s)
			saver_done(s);
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

static int write_captured(struct saver *s, const struct sentry_image_fds *fds, struct image_base **base, struct error **err)
{
	size_t len;
	const void *objects = state_writer_memory(s->w, &len);
	int r = write_all(fds->kernel, objects, len);

	if (r < 0)
		return error_set(err, r, "cannot write kernel.img");
	s->w = state_writer_free(s->w);
	r = new_pages_writer(s, fds, err);
	if (r < 0)
		return r;
	r = memfile_snapshot_write(s->snap, s->pw);
	if (r < 0)
		return error_set(err, r, "cannot save memory pages");
	r = pages_writer_finish(s->pw, &s->pages, err);
	return r < 0 ? r : write_manifest(s, fds->manifest, base, err);
}

struct finishing {
	struct saver *s;
	const struct sentry_image_fds *fds;
	struct image_base **base;
	struct error **err;
	int r;
};

#define BEHIND_NICE 10

static void *write_behind(void *arg)
{
	struct finishing *f = arg;

	/* Or the application, which is in no hurry to be saved, waits for a processor at each of its faults. Our helpers inherit it. */
	(void)setpriority(PRIO_PROCESS, 0, BEHIND_NICE);
	f->r = write_captured(f->s, f->fds, f->base, f->err);
	return NULL;
}

/* A thread of its own does it, for nobody without privileges gets a priority back. */
static int write_in_background(struct finishing *f)
{
	sigset_t all, old;
	pthread_t th;
	int e;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	e = pthread_create(&th, NULL, write_behind, f);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (e)
		return write_captured(f->s, f->fds, f->base, f->err);
	(void)pthread_join(th, NULL);
	return f->r;
}

int checkpoint_finish(struct saver *s, const struct sentry_image_fds *fds, struct sentry_ckpt_stats *st, struct error **err)
{
	struct kernel *k = s->k;
	struct image_base *base = NULL;
	int64_t t0 = host_mono();
	struct finishing f = { s, fds, &base, err, 0 };
	int r = write_in_background(&f);

	if (r == 0)
		fill_stats(s, st);
	if (base)
		base->digests = s->digests && (!s->pages.pages_inherited || k->base->digests);
	/* After a failure nobody knows what is clean. */
	free(k->base);
	k->base = base;
	saver_done(s);
	free(s);
	st->save_us = (uint64_t)(host_mono() - t0) / 1000;
	return r;
}
