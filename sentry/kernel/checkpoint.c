/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading the whole kernel; saving is checkpoint_save.c.
 *
 * Load:  manifest and its requirements, parts, objects as far as the image alone fills them, indexes of pages: a template stops here and
 *        is forked. Then, with descriptors, gofer and time of the new container, the rest of the phases of state.h, pages attached
 *        lazily, files re-attached, threads made. Timers were armed by their owners while the timer thread is frozen. The caller thaws.
 */
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/checkpoint.h"

#include <stdio.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "gofer/client/p9_client.h"
#include "sentry/arch/cpu_features.h"
#include "sentry/fs/file_check.h"
#include "sentry/fs/host/hostfile.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/fs/uring/uring.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/generation.h"
#include "sentry/kernel/image_base.h"
#include "sentry/kernel/kthread.h"
#include "sentry/kernel/run.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/loader/loader.h"
#include "sentry/sentry.h"
#include "state/image.h"
#include "state/manifest.h"
#include "state/pages.h"

static int check_needs(int fd, const struct manifest_auth *auth, struct manifest *m, struct error **err)
{
	struct manifest have = { 0 };
	int r = manifest_read_signed(fd, auth, m, err);

	if (r < 0)
		return r;
	r = cpu_manifest_offers(&have);
	if (r < 0)
		return error_set(err, r, "cannot describe this machine");
	r = manifest_check_features(m, &have, err);
	cpu_manifest_done(&have);
	return r;
}

int sentry_check_needs(int fd_manifest, struct error **err)
{
	_cleanup_manifest_ struct manifest m = { 0 };

	return check_needs(fd_manifest, NULL, &m, err);
}

static int check_manifest(const struct sentry_image_fds *fds, const struct sentry_restore_opts *ro, struct manifest *m, struct error **err)
{
	const struct manifest_auth auth = { ro->verify_key, ro->signature, ro->signature_len };
	int r = check_needs(fds->manifest, ro->verify == SENTRY_VERIFY_SIGNATURE ? &auth : NULL, m, err);

	if (r == 0 && ro->verify == SENTRY_VERIFY_SIGNATURE)
		r = manifest_require_digests(m, err);
	m->trusted = ro->verify == SENTRY_VERIFY_OFF;
	if (r == 0)
		r = manifest_check_parts(m, fds->kernel, fds->index, fds->pages, err);
	if (r == 0 && fds->nr_layers != m->nr_layers)
		r = error_msg(err, -EINVAL, "the image is a change of %zu others, of which %zu were found", m->nr_layers, fds->nr_layers);
	for (size_t i = 0; r == 0 && i < m->nr_layers; i++)
		r = manifest_check_layer(m, i, fds->layers[i].index, fds->layers[i].pages, err);
	return r;
}

/* Readers of all layers, the farthest ancestor first. Their page files stay open with the memory file, for content is read from them when
 * it is first used; @fds keeps its own descriptors. */
static int open_pages(const struct sentry_image_fds *fds, struct pages_reader **ret, struct error **err)
{
	struct pages_reader *pr = NULL, *up = NULL;

	for (size_t i = fds->nr_layers + 1; i-- > 0;) {
		int index = i ? fds->layers[i - 1].index : fds->index, pages = i ? fds->layers[i - 1].pages : fds->pages, r;
		int fd = fcntl(pages, F_DUPFD_CLOEXEC, 3);

		if (fd < 0)
			return error_set(err, -errno, "pages.img");
		r = pages_reader_open_layer(index, fd, up, &pr, err);
		if (r < 0)
			return i ? error_prefix(err, "parent image %zu", i) : r;
		up = pr;
	}
	*ret = pr;
	return 0;
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

#define SMALL_BYTES (16 << 20) /* about 2 ms of checksums */

/* Pages are checked when they are first used, since looking at all would take time. Where it takes none, damage is better known before
 * anything runs. */
static int check_pages(struct pages_reader *pr, enum sentry_verify verify, struct error **err)
{
	struct pages_stats st;
	struct pages_run run;
	struct pages_view v;

	if (verify == SENTRY_VERIFY_OFF) {
		pages_reader_trust(pr);
		return 0;
	}
	if (verify == SENTRY_VERIFY_SIGNATURE) {
		int r = pages_reader_require_digests(pr, err);

		if (r < 0)
			return r;
	}
	pages_reader_stats(pr, &st);
	if (st.chain_bytes > SMALL_BYTES)
		return 0;
	/* What is mapped is checked where it is, and then never again. */
	for (uint64_t at = 0; pages_reader_run_at(pr, at, &run); at = run.file_page + v.npages)
		if (pages_view(pr, run.file_page, run.npages, &v) < 0)
			return pages_reader_verify(pr, err);
	/* Of parents also what is not wanted any more: whoever damaged that may have damaged more. */
	return st.pages_inherited ? pages_reader_verify(pr, err) : 0;
}

struct loading {
	struct state_reader *rd;
	struct pages_reader *pr;
	int64_t created_ns; /* of the image */
};

int checkpoint_begin_load(struct kernel *k, const struct sentry_image_fds *fds, const struct sentry_restore_opts *ro, struct loading **ret,
			  struct error **err)
{
	struct restore_ctx nobody = { .k = k };
	_cleanup_manifest_ struct manifest m = { 0 };
	struct state_opts o = { .ctx = k };
	struct loading *l;
	int r = check_manifest(fds, ro, &m, err);

	if (r < 0)
		return r;
	k->base = image_base_new(&m, fds->manifest);
	l = calloc(1, sizeof(*l));
	if (!l)
		return error_set(err, -ENOMEM, "restore");
	l->created_ns = m.created_ns;
	k->restore = &nobody;
	r = state_reader_new(fds->kernel, NULL, 0, &o, &l->rd, err);
	if (r == 0)
		r = state_reader_begin(l->rd, err);
	k->restore = NULL;
	if (r == 0)
		r = open_pages(fds, &l->pr, err);
	if (r == 0)
		r = check_pages(l->pr, ro->verify, err);
	if (r == 0 && k->base)
		k->base->digests = pages_reader_has_digests(l->pr);
	if (r == 0)
		*ret = l;
	return r;
}

static int load_objects(struct kernel *k, struct loading *l, struct sentry_ckpt_stats *st, struct error **err)
{
	struct state_stats stats;
	struct kernel *root;
	int r = state_reader_load(l->rd, err);

	if (r < 0 && k->restore->why) {
		if (err)
			error_freep(err);
		return error_msg(err, r, "%s", k->restore->why);
	}
	if (r == 0)
		r = state_reader_root(l->rd, 0, &kernel_state_type, (void **)&root, err);
	if (r < 0)
		return r;
	state_reader_stats(l->rd, &stats);
	st->objects = stats.objects;
	r = memfile_attach_pages(k->mf, l->pr, -1); /* its descriptors are the process's, to its end */
	if (r < 0)
		return error_set(err, r, "pages.img does not fit the objects of kernel.img");
	(void)state_reader_free(l->rd);
	free(l);
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

int checkpoint_load(struct kernel *k, struct loading *l, const struct sentry_container *sc, const struct sentry_restore_opts *o,
		    struct sentry_ckpt_stats *st, struct error **err)
{
	struct restore_ctx ctx = { .k = k, .sc = sc, .opts = o };
	int r;

	ctx.created = l->created_ns;
	if (sc->gofer_fd >= 0) {
		r = p9_client_new(sc->gofer_fd, &ctx.gofer);
		if (r < 0)
			return error_set(err, r, "gofer of container %s", sc->id);
	}
	give_host_fds(sc);
	ctx.file_checks = file_checks_new();
	if (!ctx.file_checks)
		return error_set(err, -ENOMEM, "restore");
	k->restore = &ctx;
	r = load_objects(k, l, st, err);
	if (r == 0)
		r = file_checks_run(ctx.file_checks, o, err);
	file_checks_free(TAKE_PTR(ctx.file_checks));
	if (r == 0)
		r = adopt_container(k, &ctx, err);
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
	if (r == 0) {
		r = generation_restored(k);
		if (r < 0)
			r = error_set(err, r, "cannot tell programs of the restore");
	}
	if (r == 0)
		r = start_threads(k, err);
	k->restore = NULL;
	return r;
}
