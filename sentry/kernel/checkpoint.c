/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and loading the whole kernel.
 *
 * Save:  the page store is filled by its own threads while this one walks the objects; the manifest comes last. Nothing is changed.
 * Load:  manifest and its requirements, parts, objects (all phases of state.h), pages attached lazily, then files re-attached, threads
 *        made. Timers were armed by their owners while the timer thread is frozen. The caller thaws.
 */
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/checkpoint.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "gofer/client/p9_client.h"
#include "sentry/arch/cpu_features.h"
#include "sentry/fs/host/hostfile.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/fs/uring/uring.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kthread.h"
#include "sentry/kernel/run.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/loader/loader.h"
#include "state/image.h"
#include "state/manifest.h"
#include "state/pages.h"

#define PRODUCT_VERSION "0.1.0"

struct saver {
	struct state_writer *w;
	struct pages_writer *pw;
	struct state_stats objects;
	struct pages_stats pages;
};

static int64_t host_mono(void)
{
	return ktime_mono() - ktime_offset();
}

static int write_parts(struct kernel *k, struct saver *s, const struct sentry_image_fds *fds, const struct sentry_ckpt_opts *o,
		       struct error **err)
{
	struct state_root root = { &kernel_state_type, k };
	int r = pages_writer_new(fds->index, fds->pages, o->compression_level, 1, &s->pw, err);

	if (r < 0)
		return r;
	r = memfile_save_pages(k->mf, s->pw, false);
	if (r < 0)
		return error_set(err, r, "cannot save memory pages");
	r = state_writer_new(fds->kernel, NULL, &s->w, err);
	if (r == 0)
		r = state_writer_save_roots(s->w, &root, 1, err);
	if (r == 0)
		r = state_writer_finish(s->w, &s->objects, err);
	if (r == 0)
		r = pages_writer_finish(s->pw, &s->pages, err);
	return r;
}

static int write_manifest(struct kernel *k, const struct saver *s, int fd, struct error **err)
{
	_cleanup_free_ char **ids = NULL, **types = NULL;
	struct manifest m = { .product = (char *)(uintptr_t)PRODUCT_VERSION, .platform = (char *)(uintptr_t)k->pops->name };
	struct container *c;
	size_t n = 0;
	int r;

	list_for_each(c, &k->containers, node)
		n++;
	ids = calloc(n + 1, sizeof(*ids));
	if (!ids)
		return error_set(err, -ENOMEM, "manifest");
	n = 0;
	list_for_each(c, &k->containers, node)
		ids[n++] = c->id;
	m.containers = ids;
	types = state_writer_types(s->w);
	if (!types)
		return error_set(err, -ENOMEM, "manifest");
	m.types = types;
	m.created_ns = ktime_real();
	r = cpu_manifest_needs(&m);
	if (r < 0)
		return error_set(err, r, "manifest");
	manifest_set_parts(&m, &s->objects, &s->pages);
	r = manifest_write(fd, &m, err);
	cpu_manifest_done(&m);
	return r;
}

int checkpoint_save(struct kernel *k, const struct sentry_image_fds *fds, const struct sentry_ckpt_opts *o, struct sentry_ckpt_stats *st,
		    struct error **err)
{
	struct saver s = { 0 };
	int64_t t0 = host_mono();
	int r;

	k->saved_mono = ktime_mono();
	r = write_parts(k, &s, fds, o, err);
	if (r == 0)
		r = write_manifest(k, &s, fds->manifest, err);
	s.w = state_writer_free(s.w);
	s.pw = pages_writer_free(s.pw);
	if (r < 0)
		return r;
	st->save_us = (uint64_t)(host_mono() - t0) / 1000;
	st->objects = s.objects.objects;
	st->pages_total = s.pages.pages_seen;
	st->pages_written = s.pages.pages_stored;
	st->bytes = s.objects.file_bytes + s.pages.pages_bytes + s.pages.index_bytes;
	return 0;
}

/* --- load --- */

static int check_manifest(const struct sentry_image_fds *fds, struct error **err)
{
	_cleanup_manifest_ struct manifest m = { 0 };
	struct manifest have = { 0 };
	int r = manifest_read(fds->manifest, &m, err);

	if (r < 0)
		return r;
	r = cpu_manifest_offers(&have);
	if (r < 0)
		return error_set(err, r, "cannot describe this machine");
	r = manifest_check_features(&m, &have, err);
	cpu_manifest_done(&have);
	if (r == 0)
		r = manifest_check_parts(&m, fds->kernel, fds->index, fds->pages, err);
	return r;
}

static void give_host_fds(const struct sentry_container *sc)
{
	const struct sentry_process *p = &sc->process;

	if (p->terminal) {
		console_set_restore_fd(p->stdio[0]);
		return;
	}
	for (int i = 0; i < 3; i++)
		if (p->stdio[i] >= 0)
			hostfile_set_restore_fd(i, p->stdio[i]);
	for (size_t i = 0; i < p->nr_extra_fds; i++)
		hostfile_set_restore_fd(3 + (int)i, p->extra_fds[i]);
}

static int load_objects(struct kernel *k, const struct sentry_image_fds *fds, struct restore_ctx *ctx, struct sentry_ckpt_stats *st,
			struct error **err)
{
	struct state_opts o = { .ctx = k };
	struct pages_reader *pr = NULL;
	struct state_reader *rd = NULL;
	struct state_stats stats;
	struct kernel *root;
	int r, fd;

	r = state_reader_new(fds->kernel, NULL, 0, &o, &rd, err);
	if (r == 0)
		r = state_reader_load(rd, err);
	if (r == 0)
		r = state_reader_root(rd, 0, &kernel_state_type, (void **)&root, err);
	if (r < 0)
		return r;
	state_reader_stats(rd, &stats);
	st->objects = stats.objects;
	fd = dup(fds->pages); /* stays with the memory file as long as content is missing */
	if (fd < 0)
		return error_set(err, -errno, "pages.img");
	r = pages_reader_open(fds->index, fd, &pr, err);
	if (r < 0)
		return r;
	r = memfile_attach_pages(k->mf, pr, fd);
	if (r < 0)
		return error_set(err, r, "pages.img does not fit the objects of kernel.img");
	(void)state_reader_free(rd);
	return 0;
}

/* A call that is dispatched again must not see an interruption that is none: only what is really pending counts. */
static void restore_work(struct task *t)
{
	struct sighand *s;

	if (t->is_zombie || !t->sysctx.redo || t->tg->cont_notify)
		return;
	s = sighand_lock(t);
	/* Done before the call: standing still in a frozen group; the context learns of steps and debug registers. */
	atomic_fetch_and(&t->work, WORK_CGROUP | WORK_TRACE);
	signal_recalc_locked(t);
	mutex_unlock(&s->mu);
}

static int start_threads(struct kernel *k, struct error **err)
{
	struct thread_group *tg;
	struct task *t;
	int r = 0;

	/* Nothing runs yet, so the lists need no lock; every wait is queued before anybody can wake it. */
	list_for_each(tg, &k->groups, all_node)
		list_for_each(t, &tg->tasks, tg_node) {
			restore_work(t);
			futex_restore(t);
		}
	mutex_lock(&k->tasks_mu);
	list_for_each(tg, &k->groups, all_node)
		list_for_each(t, &tg->tasks, tg_node)
			if (!t->is_zombie && r == 0)
				r = task_start(t);
	mutex_unlock(&k->tasks_mu);
	return r < 0 ? error_set(err, r, "cannot start a thread for a restored task") : 0;
}

/* A name that the application has set itself is its own business unless the caller insists. */
static int adopt_hostname(struct container *c, const struct sentry_container *sc)
{
	struct uts_ns *u = c->ns->uts;
	bool unchanged = c->hostname[0] && !strncmp(u->nodename, c->hostname, UTS_LEN);

	if (sc->hostname_how == SENTRY_HOSTNAME_KEEP || !sc->hostname || !sc->hostname[0] ||
	    (sc->hostname_how == SENTRY_HOSTNAME_IF_UNCHANGED && !unchanged))
		return 0;
	(void)snprintf(u->nodename, sizeof(u->nodename), "%s", sc->hostname); /* nothing runs yet */
	free(c->hostname);
	c->hostname = strdup(u->nodename);
	return c->hostname ? 0 : -ENOMEM;
}

static int adopt_container(struct kernel *k, const struct restore_ctx *ctx, struct error **err)
{
	struct container *c = list_first(&k->containers, struct container, node);
	char *id = strdup(ctx->sc->id);

	if (!id || adopt_hostname(c, ctx->sc) < 0) {
		free(id);
		return error_set(err, -ENOMEM, "restore");
	}
	free(c->id);
	c->id = id;
	c->gofer = ctx->gofer;
	c->started = true;
	return 0;
}

int checkpoint_load(struct kernel *k, const struct sentry_image_fds *fds, const struct sentry_container *sc,
		    const struct sentry_restore_opts *o, struct sentry_ckpt_stats *st, struct error **err)
{
	struct restore_ctx ctx = { .k = k, .sc = sc, .opts = o };
	int r = check_manifest(fds, err);

	if (r < 0)
		return r;
	if (sc->gofer_fd >= 0) {
		r = p9_client_new(sc->gofer_fd, &ctx.gofer);
		if (r < 0)
			return error_set(err, r, "gofer of container %s", sc->id);
	}
	give_host_fds(sc);
	k->restore = &ctx;
	r = load_objects(k, fds, &ctx, st, err);
	if (r == 0)
		r = adopt_container(k, &ctx, err);
	if (r == 0)
		r = vdso_init(k);
	if (r == 0) {
		r = seccomp_restore(k);
		if (r < 0)
			(void)error_set(err, r, "a task's seccomp filters are no chain");
		else if ((r = keys_restore()) < 0)
			(void)error_set(err, r, "keyrings nested too deeply");
	}
	if (r == 0) {
		r = cgroup_after_restore(k);
		if (r < 0)
			(void)error_set(err, r, "control groups");
	}
	if (r == 0) {
		r = uring_restore();
		if (r < 0)
			r = error_set(err, r, "cannot start helpers for io_uring");
	}
	if (r == 0) {
		r = kwork_restore(k);
		if (r < 0)
			r = error_set(err, r, "cannot start a helper thread");
	}
	if (r == 0)
		r = start_threads(k, err);
	k->restore = NULL;
	return r;
}
