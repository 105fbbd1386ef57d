/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runsc image verify: everything that can be known to be wrong without making an object. One line per damage, and as many
 * damages as can be told apart: a part that cannot be read does not hide what is wrong with the others.
 *
 *	files     every part is there, with the size the manifest says; nothing else is
 *	signature and that it stands for everything, if a key is given
 *	sums      of every part, block and frame
 *	records   known types and fields, dense ids
 *	references exist, are of the right type, and lead to every object: what nothing refers to was not written by a checkpoint
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/fd_util.h"
#include "runsc/image/image.h"
#include "runsc/image_sign.h"
#include "state/digest.h"
#include "state/pages_format.h"
#include "state/refs.h"

#define DAMAGE_MAX  1000
#define CHUNK_PAGES 1024

struct verify {
	struct image im; /* the one that is looked at: the image, then its ancestors */
	const char *path; /* the image */
	char *parent; /* the path of the ancestor that is looked at; NULL: it is the image itself */
	struct image_summary {
		uint64_t objects, pages;
	} sum; /* of the image */
	const struct sign_key *key; /* who must have signed the image; NULL: nobody */
	size_t damages;
	bool json, allow_other;
	json_t *list;
	struct progress progress;
};

static void _printf_(2, 3) damage(struct verify *v, const char *fmt, ...)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	_cleanup_free_ char *text = NULL;
	va_list ap;

	if (++v->damages > DAMAGE_MAX)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text)
		return;
	if (v->json) {
		_cleanup_strbuf_ struct strbuf line = STRBUF_INIT;

		if (v->parent)
			strbuf_addf(&line, "%s: ", v->parent);
		strbuf_adds(&line, text);
		json_array_append_new(v->list, text_json_buf(&line));
		return;
	}
	text_quote(&b, text, strlen(text));
	progress_end(&v->progress);
	printf("%s: %s\n", v->im.path, b.data ? b.data : "");
}

/* Reports @e as a damage and frees it. */
static void damage_error(struct verify *v, struct error *e)
{
	damage(v, "%s", error_text(e));
	error_free(e);
}

/* --- files --- */

/* What engines and `runsc` itself put beside an image; containerd's CRI unpacks its checkpoints flat. */
static bool file_is_known(const char *name)
{
	static const char *const known[] = {
		"descriptors.json", "dump.log",	   "restore.log",   "stats-dump",      "stats-restore",
		"config.dump",	    "spec.dump",   "network.status", "rootfs-diff.tar", "deleted.files",
		"status.dump",	    "status",	   "container.log", "artifacts",       "parent",
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(name, known[i]))
			return true;
	return false;
}

static void check_files(struct verify *v)
{
	int fd = fcntl(v->im.dir.dirfd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		damage(v, "the directory cannot be read: %s", strerror(errno));
	} else {
		rewinddir(dir);
		while ((e = readdir(dir))) {
			enum image_file kind = image_file_kind(e->d_name);
			bool own = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || file_is_known(e->d_name) || kind == IMAGE_FILE_MANIFEST;

			/* Parts, the link to the parent, a signature, a working set: by the image's hash in their names. */
			if (kind == IMAGE_FILE_PART || kind == IMAGE_FILE_LINK)
				own = !strncmp(strchr(e->d_name, '-') + 1, v->im.dir.hash, MANIFEST_HASH);
			if (!own && kind != IMAGE_FILE_OTHER)
				damage(v, "%s is left over: the manifest does not name it (`runsc image prune` removes it)",
				       e->d_name);
			else if (!own && !v->allow_other)
				damage(v, "%s does not belong to the image", e->d_name);
		}
	}
	if (dir)
		(void)closedir(dir);
	else if (fd >= 0)
		(void)close(fd);
}

static void check_sums(struct verify *v)
{
	const int *fds = v->im.dir.fds;
	struct error *err;

	for (int i = IMAGE_KERNEL; i < IMAGE_PARTS; i++) {
		err = NULL;
		if (manifest_check_parts(&v->im.m, i == IMAGE_KERNEL ? fds[i] : -1, i == IMAGE_INDEX ? fds[i] : -1,
					 i == IMAGE_PAGES ? fds[i] : -1, &err) < 0)
			damage_error(v, err);
	}
	if (v->im.dir.nr_layers != v->im.m.nr_layers)
		damage(v, "it is a change of %zu other images, of which %zu were found", v->im.m.nr_layers, v->im.dir.nr_layers);
	for (size_t i = 0; i < MIN(v->im.dir.nr_layers, v->im.m.nr_layers); i++) {
		err = NULL;
		if (manifest_check_layer(&v->im.m, i, v->im.dir.layers[i].index, v->im.dir.layers[i].pages, &err) < 0)
			damage_error(v, err);
	}
}

/* --- records --- */

static void bad_record(void *arg, uint64_t id, const char *what)
{
	struct verify *v = arg;

	damage(v, "kernel.img: object %llu: %s", (unsigned long long)id, what);
}

struct reach {
	struct verify *v;
	uint64_t id; /* whose references are looked at */
	unsigned char *seen;
	uint64_t *queue;
	size_t head, tail;
};

static void reach_add(struct reach *r, uint64_t id)
{
	if (r->seen[id])
		return;
	r->seen[id] = 1;
	r->queue[r->tail++] = id;
}

static int check_ref(void *arg, const struct ref_use *u)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	struct reach *r = arg;
	struct image *im = &r->v->im;
	const struct catalog_record *to = catalog_at(im->cat, u->id);

	if (to)
		reach_add(r, u->id);
	if (to && (!to->type || refs_allows(u->target, to->type)))
		return 0;
	refs_path_print(&b, u->path);
	if (!to)
		damage(r->v, "kernel.img: %s %llu: %s refers to object %llu, which does not exist",
		       image_type_name(im, r->id), (unsigned long long)r->id, b.data ? b.data : "",
		       (unsigned long long)u->id);
	else
		damage(r->v, "kernel.img: %s %llu: %s refers to object %llu as a %s, but it is a %s",
		       image_type_name(im, r->id), (unsigned long long)r->id, b.data ? b.data : "",
		       (unsigned long long)u->id, u->target, to->type->name);
	return 0;
}

static void follow(struct reach *r)
{
	while (r->head < r->tail) {
		const ProtobufCMessage *m;

		r->id = r->queue[r->head++];
		m = catalog_msg(r->v->im.cat, r->id, NULL);
		if (m)
			(void)refs_walk(m, check_ref, r);
		catalog_drop(r->v->im.cat, r->id);
	}
}

static int check_refs(struct verify *v, struct error **err)
{
	uint64_t n = catalog_count(v->im.cat);
	_cleanup_free_ unsigned char *seen = calloc(n + 1, 1);
	_cleanup_free_ uint64_t *queue = calloc(n + 1, sizeof(*queue));
	struct reach r = {.v = v, .seen = seen, .queue = queue};
	size_t nr_roots;
	const uint64_t *roots = catalog_roots(v->im.cat, &nr_roots);

	if (!seen || !queue)
		return error_set(err, -ENOMEM, "cannot check references");
	if (!nr_roots)
		damage(v, "kernel.img: the list of roots is empty");
	for (size_t i = 0; i < nr_roots; i++)
		if (roots[i] > n)
			damage(v, "kernel.img: root %zu is object %llu, which does not exist", i,
			       (unsigned long long)roots[i]);
		else if (roots[i])
			reach_add(&r, roots[i]);
	follow(&r);
	for (uint64_t id = 1; id <= n; id++) {
		if (seen[id])
			continue;
		damage(v, "kernel.img: %s %llu: nothing refers to it", image_type_name(&v->im, id),
		       (unsigned long long)id);
		reach_add(&r, id);
		follow(&r);
	}
	return 0;
}

static int check_records(struct verify *v, struct error **err)
{
	struct error *e = NULL;
	int r = catalog_read(v->im.dir.fds[IMAGE_KERNEL], NULL, 0, NULL, bad_record, v, &v->im.cat, &e);

	if (r == -ENOMEM) {
		error_free(e);
		return error_set(err, r, "cannot check kernel.img");
	}
	if (r < 0) {
		damage_error(v, e);
		return 0;
	}
	if (catalog_count(v->im.cat) != v->im.m.objects)
		damage(v, "kernel.img has %llu objects, the manifest says %llu",
		       (unsigned long long)catalog_count(v->im.cat), (unsigned long long)v->im.m.objects);
	return check_refs(v, err);
}

/* --- pages --- */

/* Pages of the range that cannot be read, in as few lines as they have runs. */
static void find_bad_pages(struct verify *v, uint64_t page, uint64_t n, unsigned char *buf)
{
	uint64_t bad = 0;

	for (uint64_t i = 0; i <= n; i++) {
		if (i < n && pages_read(v->im.pages, page + i, 1, buf) < 0) {
			bad++;
			continue;
		}
		if (bad)
			damage(v, "pages.img: pages %llu to %llu are damaged: checksum does not match",
			       (unsigned long long)(page + i - bad), (unsigned long long)(page + i - 1));
		bad = 0;
	}
}

/* The rest of the header page is not under its checksum. */
static void check_header_page(struct verify *v)
{
	unsigned char hdr[PAGES_DATA_HEADER];

	if (pread(v->im.dir.fds[IMAGE_PAGES], hdr, sizeof(hdr), 0) != (ssize_t)sizeof(hdr))
		return; /* said already */
	for (size_t i = 20; i < sizeof(hdr); i++)
		if (hdr[i]) {
			damage(v, "pages.img: byte %zu of the header is not zero", i);
			return;
		}
}

static int check_pages(struct verify *v, struct error **err)
{
	_cleanup_free_ unsigned char *buf = aligned_alloc(PAGE_SIZE, CHUNK_PAGES * PAGE_SIZE);
	_cleanup_page_set_ struct page_set all = {0};
	struct pages_stats st;
	struct error *e = NULL;
	struct pages_run run;

	if (!buf)
		return error_set(err, -ENOMEM, "cannot check pages.img");
	check_header_page(v);
	if (image_open_pages(&v->im, &e) < 0) {
		damage_error(v, e);
		return 0;
	}
	if (v->key && !v->parent && pages_reader_require_digests(v->im.pages, &e) < 0) {
		damage_error(v, e);
		return 0;
	}
	pages_reader_stats(v->im.pages, &st);
	if (st.pages_stored != v->im.m.pages_stored)
		damage(v, "pages.img has %llu pages, the manifest says %llu", (unsigned long long)st.pages_stored,
		       (unsigned long long)v->im.m.pages_stored);
	if (page_set_stored(&all, v->im.pages) < 0)
		return error_set(err, -ENOMEM, "cannot check pages.img");
	v->sum.pages = v->parent ? v->sum.pages : page_set_total(&all);
	progress_begin(&v->progress, "checking pages", page_set_total(&all));
	for (uint64_t at = 0; pages_reader_run_at(v->im.pages, at, &run); at = run.file_page + run.npages) {
		run.npages = MIN(run.npages, (uint64_t)CHUNK_PAGES);
		if (pages_read(v->im.pages, run.file_page, run.npages, buf) < 0)
			find_bad_pages(v, run.file_page, run.npages, buf);
		progress_add(&v->progress, run.npages);
	}
	progress_end(&v->progress);
	return 0;
}

/* --- signature --- */

/* The signature of the manifest, and that the manifest stands for every byte of the parts. Ancestors are covered by the image's own: it knows
 * the digests of their indexes. */
static void check_signature(struct verify *v)
{
	_cleanup_free_ char *bytes = NULL;
	struct error *e = NULL;
	size_t len;
	int r = lseek(v->im.dir.fds[IMAGE_MANIFEST], 0, SEEK_SET) < 0 ? -errno : 0;

	if (!v->key || v->parent)
		return;
	if (r == 0)
		r = read_fd_all(v->im.dir.fds[IMAGE_MANIFEST], 1U << 20, &bytes, &len);
	if (r < 0) {
		damage(v, "inventory.img: %s", strerror(-r));
		return;
	}
	if (!v->im.dir.signature_len)
		damage(v, "the image is not signed");
	else if (signature_check(v->key->public, bytes, len, v->im.dir.signature, v->im.dir.signature_len, &e) < 0)
		damage_error(v, e);
	e = NULL;
	if (manifest_require_digests(&v->im.m, &e) < 0)
		damage_error(v, e);
}

/* --- the whole --- */

/* *@ret_more: the image could be opened, and so its parent is worth a look. */
static int verify_one(struct verify *v, bool *ret_more, struct error **err)
{
	struct error *e = NULL;
	int r = image_dir_open(&v->im.dir, v->im.path, NULL, &e);

	*ret_more = r >= 0;
	if (r < 0 && v->im.dir.fds[IMAGE_MANIFEST] < 0 && !v->parent) {
		*err = e;
		return e->code;
	}
	if (r < 0)
		damage_error(v, e);
	e = NULL;
	if (v->im.dir.fds[IMAGE_PAGES] < 0)
		return 0;
	if (manifest_read(v->im.dir.fds[IMAGE_MANIFEST], &v->im.m, &e) < 0) {
		damage_error(v, e);
		return 0;
	}
	check_files(v);
	check_signature(v);
	check_sums(v);
	r = check_records(v, err);
	if (r >= 0)
		r = check_pages(v, err);
	return r;
}

/* Where the image's parent is, malloc'd; NULL: it has none. */
static char *parent_of(const struct verify *v)
{
	char to[4096], *path = NULL;
	ssize_t n = image_dir_parent(&v->im.dir, to, sizeof(to));

	if (n <= 0 || (to[0] != '/' && asprintf(&path, "%s/%s", v->im.path, to) < 0))
		return NULL;
	return path ? path : strdup(to);
}

static int verify_image(struct verify *v, struct error **err)
{
	bool more = true;
	int r = 0;

	v->im.path = v->path;
	for (int i = 0; i <= MANIFEST_LAYERS_MAX; i++) {
		char *next;

		r = verify_one(v, &more, err);
		if (!i)
			v->sum.objects = v->im.m.objects;
		next = r >= 0 && more ? parent_of(v) : NULL;
		image_done(&v->im);
		free(v->parent);
		v->parent = next;
		if (!next)
			break;
		v->im = (struct image){.path = next, .dir = IMAGE_DIR_INIT};
	}
	return r;
}

static int report(struct verify *v, struct error **err)
{
	_cleanup_(json_decrefp) json_t *o = NULL;
	int r;

	if (v->json) {
		o = json_pack("{s:o, s:b, s:I, s:O}", "image", text_json(v->path, strlen(v->path)), "ok",
			      v->damages == 0, "damages", (json_int_t)v->damages, "damage", v->list);
		r = image_print_json(o, err);
		return r < 0 ? r : v->damages != 0;
	}
	if (!v->damages)
		printf("%s: complete and undamaged: %llu objects, %llu pages\n", v->path,
		       (unsigned long long)v->sum.objects, (unsigned long long)v->sum.pages);
	else if (v->damages > DAMAGE_MAX)
		printf("%s: and %zu more\n", v->path, v->damages - DAMAGE_MAX);
	r = image_flush(err);
	return r < 0 ? r : v->damages != 0;
}

static void verify_done(struct verify *v)
{
	image_done(&v->im);
	free(v->parent);
	json_decref(v->list);
}

int image_verify(struct globals *g, int argc, char **argv, struct error **err)
{
	_cleanup_(verify_done) struct verify v = {.im.dir = IMAGE_DIR_INIT};
	_cleanup_sign_key_ struct sign_key key = {0};
	const char *key_file = NULL;
	const struct flag flags[] = {
		{"key", 'k', FLAG_STR, &key_file, "FILE", "the public key of who must have signed it"},
		{"json", 0, FLAG_BOOL, &v.json, NULL, "{\"image\", \"ok\", \"damages\", \"damage\": [...]}"},
		{"allow-other-files", 0, FLAG_BOOL, &v.allow_other, NULL,
		 "files of others in the directory are no damage; left-over parts are"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	int r = image_parse("verify", flags, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	v.path = rest.args[0];
	if (key_file) {
		r = sign_key_load(key_file, false, &key, err);
		if (r < 0)
			return r;
		digest_setup();
		v.key = &key;
	}
	v.list = json_array();
	if (!v.list)
		return error_set(err, -ENOMEM, "cannot verify");
	r = verify_image(&v, err);
	return r < 0 ? r : report(&v, err);
}
