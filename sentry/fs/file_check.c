/* SPDX-License-Identifier: Apache-2.0 */
/* See file_check.h. Nothing here is saved; goferfs saves what is compared. */
#include "sentry/fs/file_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/htab.h"
#include "base/list.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "sentry/abi/fcntl.h"
#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/checkpoint.h"
#include "sentry/mm/mappable.h"
#include "sentry/sentry.h"

enum { USE_READ = 1, USE_WRITE = 2, USE_APPEND = 4 };
enum { DIFF_SIZE = 1, DIFF_MTIME = 2, DIFF_CONTENT = 4 };
enum verdict { FINE, WARN, REFUSE };

struct entry {
	struct list node;
	struct inode *inode;
	char *mount, *path;
	struct file_stamp then, now;
	uint8_t digest[FILE_DIGEST_SIZE];
	int (*make_digest)(struct inode *i, uint64_t n, uint8_t *ret);
	unsigned int use; /* USE_* of its open files */
	struct mappable *map; /* what their mappings map; NULL: not open */
};

struct file_checks {
	struct htab by_inode;
	struct list entries; /* in the order of the image */
};

struct file_checks *file_checks_new(void)
{
	struct file_checks *c = calloc(1, sizeof(*c));

	if (c)
		list_init(&c->entries);
	return c;
}

static void entry_free(struct entry *e)
{
	free(e->mount);
	free(e->path);
	free(e);
}

void file_checks_free(struct file_checks *c)
{
	struct entry *e;

	if (!c)
		return;
	while ((e = list_first(&c->entries, struct entry, node))) {
		list_del(&e->node);
		entry_free(e);
	}
	htab_done(&c->by_inode);
	free(c);
}

int file_check_add(struct file_checks *c, struct inode *i, const char *mount, const char *path, const struct file_stamp *then,
		   const struct file_stamp *now, int (*digest)(struct inode *i, uint64_t n, uint8_t *ret))
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->inode = i;
	e->mount = strdup(mount);
	e->path = strdup(path);
	e->then = *then;
	e->now = *now;
	e->make_digest = digest;
	if (then->digest) {
		memcpy(e->digest, then->digest, FILE_DIGEST_SIZE);
		e->then.digest = e->digest;
	}
	if (!e->mount || !e->path || htab_put(&c->by_inode, (uint64_t)(uintptr_t)i, e) < 0) {
		entry_free(e);
		return -ENOMEM;
	}
	list_add_tail(&c->entries, &e->node);
	return 0;
}

void file_check_opened(const struct kernel *k, struct inode *i, const struct file *f, struct mappable *map)
{
	struct file_checks *c = k->restore ? k->restore->file_checks : NULL;
	struct entry *e = c ? htab_get(&c->by_inode, (uint64_t)(uintptr_t)i) : NULL;

	if (!e || (f->flags & LINUX_O_PATH))
		return;
	e->map = map;
	if (f->flags & LINUX_O_APPEND && f->writable)
		e->use |= USE_APPEND; /* its position says nothing about what is there */
	else
		e->use |= (f->readable ? USE_READ : 0) | (f->writable ? USE_WRITE : 0);
}

/* --- what differs --- */

static bool is_mapped(const struct entry *e)
{
	return e->map && !list_empty(&e->map->vmas);
}

/* DIFF_* or a negative errno. @*ret_grown: what was there still is, and more. */
static int compare(const struct entry *e, bool *ret_grown)
{
	const struct file_stamp *then = &e->then, *now = &e->now;
	uint8_t digest[FILE_DIGEST_SIZE];
	int diff = 0, r;

	*ret_grown = false;
	if (now->size != then->size)
		diff |= DIFF_SIZE;
	if (now->mtime != then->mtime)
		diff |= DIFF_MTIME;
	if (then->digest && now->size >= then->size) {
		r = e->make_digest(e->inode, then->size, digest);
		if (r < 0)
			return r;
		if (memcmp(digest, then->digest, sizeof(digest)) != 0)
			return diff | DIFF_CONTENT;
		if (!(diff & DIFF_SIZE))
			return 0; /* proven: times do not matter */
		*ret_grown = true;
	} else if (now->size > then->size) {
		*ret_grown = then->btime && then->btime == now->btime;
	}
	return diff;
}

static enum verdict judge(const struct entry *e, enum sentry_file_check policy, int diff, bool grown)
{
	if (!diff || policy == SENTRY_FILE_CHECK_OFF)
		return FINE;
	if (policy == SENTRY_FILE_CHECK_STRICT)
		return REFUSE;
	if (policy == SENTRY_FILE_CHECK_WARN)
		return WARN;
	if (!(diff & (DIFF_SIZE | DIFF_CONTENT)))
		return WARN;
	if (is_mapped(e))
		return REFUSE;
	if (grown)
		return e->use == USE_APPEND ? FINE : WARN; /* what logs do */
	return e->use & USE_READ ? REFUSE : WARN;
}

/* --- what is said --- */

/* Names come from the guest: one line, and JSON takes it. */
static void add_name(struct strbuf *b, const char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~' || *s == '\\')
			strbuf_addf(b, "\\%03o", (unsigned char)*s);
		else
			strbuf_addc(b, *s);
}

static void add_time(struct strbuf *b, uint64_t ns)
{
	time_t sec = (time_t)(ns / 1000000000u);
	struct tm tm = { 0 };
	char text[40];

	(void)gmtime_r(&sec, &tm);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	strbuf_addf(b, "%s.%09uZ", text, (unsigned int)(ns % 1000000000u));
}

static const char *use_text(const struct entry *e)
{
	if (is_mapped(e))
		return "mapped";
	if (e->use & USE_READ)
		return e->use & USE_WRITE ? "open for reading and writing" : "open for reading";
	return e->use & USE_WRITE ? "open for writing" : "open for appending";
}

void file_check_name(struct strbuf *b, const char *mount, const char *path)
{
	bool root = !strcmp(mount, "/");

	strbuf_adds(b, "file ");
	if (!root)
		add_name(b, mount);
	if (root || strcmp(path, "/") != 0) /* else the mount is a file */
		add_name(b, path);
	strbuf_adds(b, root ? " of the root file system" : " of mount ");
	if (!root)
		add_name(b, mount);
}

static void describe(struct strbuf *b, const struct entry *e, int diff)
{
	file_check_name(b, e->mount, e->path);
	strbuf_addf(b, " (%s) has changed:", use_text(e));
	if (diff & DIFF_SIZE)
		strbuf_addf(b, " size %llu, was %llu at the checkpoint", (unsigned long long)e->now.size, (unsigned long long)e->then.size);
	else if (diff & DIFF_CONTENT)
		strbuf_adds(b, " other content than at the checkpoint, by its digest");
	if (diff & DIFF_MTIME) {
		strbuf_adds(b, diff & (DIFF_SIZE | DIFF_CONTENT) ? "; modified " : " modified ");
		add_time(b, e->now.mtime);
		strbuf_adds(b, diff & (DIFF_SIZE | DIFF_CONTENT) ? ", was " : ", at the checkpoint ");
		add_time(b, e->then.mtime);
	}
	if (e->then.btime && e->now.btime && e->then.btime != e->now.btime)
		strbuf_adds(b, "; it is another file of that name");
}

static int check_one(const struct entry *e, const struct sentry_restore_opts *o, struct strbuf *first, size_t *refused, struct error **err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	bool grown;
	int diff = compare(e, &grown);
	enum verdict v;

	if (diff < 0) {
		file_check_name(&b, e->mount, e->path);
		strbuf_addf(&b, " (%s) cannot be compared: %s", use_text(e), strerror(-diff));
		v = o->file_check == SENTRY_FILE_CHECK_WARN ? WARN : REFUSE;
	} else {
		v = judge(e, o->file_check, diff, grown);
		if (v == FINE)
			return 0;
		describe(&b, e, diff);
	}
	if (strbuf_error(&b) < 0)
		return error_set(err, -ENOMEM, "comparing files");
	log_warn("%s", b.data);
	if (v == REFUSE && !(*refused)++)
		strbuf_adds(first, b.data);
	else if (v == WARN && o->warn)
		o->warn(o->warn_arg, b.data);
	return 0;
}

int file_checks_run(struct file_checks *c, const struct sentry_restore_opts *o, struct error **err)
{
	_cleanup_strbuf_ struct strbuf first = STRBUF_INIT;
	const struct entry *e;
	size_t refused = 0;

	if (o->file_check == SENTRY_FILE_CHECK_OFF)
		return 0;
	list_for_each(e, &c->entries, node) {
		int r;

		if (!e->map)
			continue; /* a name in the image, no more: an open(2) later finds what is there then */
		r = check_one(e, o, &first, &refused, err);

		if (r < 0)
			return r;
	}
	if (!refused)
		return 0;
	if (refused > 1)
		strbuf_addf(&first, " (and %zu more)", refused - 1);
	if (strbuf_error(&first) < 0)
		return error_set(err, -ENOMEM, "comparing files");
	return error_msg(err, -ESTALE, "%s; put back what was there, or restore with --file-check=warn", first.data);
}
