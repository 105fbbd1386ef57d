/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiving side of streams. Parts go into files without a name: memory files, which the sandbox maps as it would
 * map files of a directory, or unlinked files below --image-work-path when memory is dear. Nothing is left behind
 * whatever happens.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "base/fd_util.h"
#include "runsc/stream.h"
#include "state/stream.h"

struct receiver {
	struct image_dir *d;
	const char *work_path;
	struct stream_progress progress;
	uint64_t bytes;
	int needs; /* what the image will need, if the sender says so early */
	bool restoring, ack;
};

static const char *const names[STREAM_PARTS] = {"", "inventory", "kernel", "index", "pages", "needs"};
static const int part_of[STREAM_PARTS] = {-1, IMAGE_MANIFEST, IMAGE_KERNEL, IMAGE_INDEX, IMAGE_PAGES, -1};

/* A file that has no name, for reading and writing. */
static int open_nameless(const char *dir, const char *name, struct error **err)
{
	int fd;

	if (!dir || !dir[0]) {
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
		return fd < 0 ? error_set(err, -errno, "memory for the image") : fd;
	}
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? error_set(err, -errno, "temporary file in %s", dir) : fd;
}

/* To the sender, when it waits for stream_send_ack(); close-on-exec. */
static int ack_fd = -EBADF;

static ssize_t read_input(void *ctx, void *buf, size_t n, struct error **err)
{
	struct receiver *rc = ctx;

	for (;;) {
		struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
		ssize_t got = stream_check_signal(err);

		if (got < 0)
			return got;
		got = read(STDIN_FILENO, buf, n);
		if (got >= 0) {
			rc->bytes += (uint64_t)got;
			stream_progress_step(&rc->progress, rc->bytes, "received");
			return got;
		}
		if (errno == EAGAIN)
			(void)poll(&p, 1, -1);
		else if (errno != EINTR)
			return error_set(err, -errno, "standard input");
	}
}

static int begin(void *ctx, uint32_t flags, struct error **err)
{
	struct receiver *rc = ctx;
	struct stat in, out;

	rc->ack = flags & STREAM_FLAG_ACK;
	if (!rc->ack || !rc->restoring)
		return 0;
	if (fstat(STDIN_FILENO, &in) < 0 || fstat(STDOUT_FILENO, &out) < 0 ||
	    (!S_ISSOCK(in.st_mode) && !S_ISSOCK(out.st_mode) && !S_ISFIFO(out.st_mode)))
		return error_msg(err, -EINVAL, "the sender waits for an acknowledgement (checkpoint --ack), but neither standard input "
					       "is a socket nor standard output a pipe");
	return 0;
}

/* The next round has begun: what there is belongs to an ancestor of the image. */
static int keep_round(struct receiver *rc, struct error **err)
{
	struct image_dir *d = rc->d;

	if (d->nr_layers == ARRAY_SIZE(d->layers))
		return error_msg(err, -EFBIG, "the stream has more than %zu rounds", ARRAY_SIZE(d->layers));
	if (rc->restoring && rc->needs >= 0) {
		int r = lseek(rc->needs, 0, SEEK_SET) < 0 ? error_set(err, -errno, "needs") : sentry_check_needs(rc->needs, err);

		cleanup_closep(&rc->needs);
		rc->needs = -EBADF;
		if (r < 0)
			return r;
	}
	d->layers[d->nr_layers++] = (struct sentry_layer_fds){TAKE_FD(d->fds[IMAGE_INDEX]), TAKE_FD(d->fds[IMAGE_PAGES])};
	return 0;
}

static int store(void *ctx, const struct stream_chunk *c, const void *data, struct error **err)
{
	struct receiver *rc = ctx;
	int *fd = c->part == STREAM_NEEDS ? &rc->needs : &rc->d->fds[part_of[c->part]], r;

	r = c->round > rc->d->nr_layers ? keep_round(rc, err) : 0;
	if (r < 0)
		return r;
	if (*fd < 0)
		*fd = open_nameless(rc->work_path, names[c->part], err);
	if (*fd < 0)
		return *fd;
	r = pwrite_full(*fd, data, c->len, c->offset);
	return r < 0 ? error_set(err, r, "%s", rc->work_path && rc->work_path[0] ? rc->work_path : "memory for the image") : 0;
}

static void drop_layer(struct sentry_layer_fds *l)
{
	cleanup_closep(&l->index);
	cleanup_closep(&l->pages);
	l->index = l->pages = -EBADF;
}

/*
 * Rounds came in the order of time; of an image's ancestors the nearest is first, and it has only those that it needs: a round that left
 * nothing to the one before it is complete in itself. Whether they are what the manifest says is found out where it is for directories.
 */
static int order_layers(struct image_dir *d, struct error **err)
{
	_cleanup_manifest_ struct manifest m = {0};
	int fd = d->fds[IMAGE_MANIFEST], r = manifest_read(fd, &m, err);

	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = error_set(err, -errno, "manifest");
	if (r == 0 && (r = manifest_hash(fd, d->hash)) < 0)
		r = error_set(err, r, "manifest");
	if (r == 0 && m.nr_layers > d->nr_layers)
		r = error_msg(err, -EINVAL, "the stream has %zu rounds, its image needs %zu", d->nr_layers + 1, m.nr_layers + 1);
	if (r < 0)
		return r;
	for (size_t i = 0, j = d->nr_layers; i + 1 < j; i++) {
		struct sentry_layer_fds l = d->layers[--j];

		d->layers[j] = d->layers[i];
		d->layers[i] = l;
	}
	while (d->nr_layers > m.nr_layers)
		drop_layer(&d->layers[--d->nr_layers]);
	return 0;
}

/* What may be kept in memory: a sender must not be able to make this machine swap itself to death. */
static uint64_t memory_limit(const char *work_path)
{
	struct sysinfo si;

	if ((work_path && work_path[0]) || sysinfo(&si) < 0)
		return 0;
	return (uint64_t)si.totalram * si.mem_unit / 10 * 9;
}

/* An image must not change while containers restored from it run. */
static void seal(const struct image_dir *d)
{
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

	for (int i = 0; i < IMAGE_PARTS; i++)
		(void)fcntl(d->fds[i], F_ADD_SEALS, seals);
	for (size_t i = 0; i < d->nr_layers; i++) {
		(void)fcntl(d->layers[i].index, F_ADD_SEALS, seals);
		(void)fcntl(d->layers[i].pages, F_ADD_SEALS, seals);
	}
}

/*
 * What carried the image is nobody's standard input: neither what follows in it nor its end must reach the container, and the sender must
 * not find its line open. The way back, if there is one, is kept.
 */
static int give_up_input(const struct receiver *rc, struct error **err)
{
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (rc->ack) {
		bool both_ways = fstat(STDIN_FILENO, &st) == 0 && S_ISSOCK(st.st_mode);

		ack_fd = fcntl(both_ways ? STDIN_FILENO : STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		if (ack_fd < 0)
			return error_set(err, -errno, "standard output");
	}
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return error_set(err, -errno, "/dev/null");
	return 0;
}

int stream_receive_image(struct image_dir *d, const char *work_path, const char *verb, bool *ret_ack, struct error **err)
{
	struct receiver rc = {.d = d, .work_path = work_path, .needs = -EBADF, .restoring = ret_ack, .progress = {.verb = verb}};
	struct stream_reader rd = {
		.read = read_input, .store = store, .begin = begin, .ctx = &rc, .max_total = memory_limit(work_path)};
	_cleanup_guard_ struct stream_guard guard = {0};
	struct stream_pos pos;
	int r;

	if (isatty(STDIN_FILENO))
		return error_msg(err, -EINVAL, "standard input is a terminal, not an image stream");
	stream_guard_begin(&guard);
	d->path = "standard input";
	r = stream_receive(&rd, &pos, err);
	stream_progress_end(&rc.progress);
	cleanup_closep(&rc.needs);
	if (r == 0)
		r = order_layers(d, err);
	if (r < 0)
		return error_prefix(err, "standard input");
	seal(d);
	if (!ret_ack)
		return 0;
	*ret_ack = rc.ack;
	return give_up_input(&rc, err);
}

int stream_send_ack(struct error **err)
{
	struct sigaction ign = {.sa_handler = SIG_IGN}, old;
	int r;

	(void)sigaction(SIGPIPE, &ign, &old);
	r = write_all(ack_fd, stream_ack, sizeof(stream_ack));
	(void)sigaction(SIGPIPE, &old, NULL);
	cleanup_closep(&ack_fd);
	ack_fd = -EBADF;
	return r < 0 ? error_set(err, r, "acknowledgement to the sender") : 0;
}
