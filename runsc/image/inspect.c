/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runsc image inspect: everything that is worth knowing, as one JSON object (docs/checkpoint.md names its members); the text
 * form is made from the same object, so neither can know more than the other.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runsc/image/image.h"
#include "runsc/image/inspect.h"
#include "state/working_set.h"

static json_t *strings(char **v)
{
	json_t *list = json_array();

	for (; v && *v; v++)
		(void)json_array_append_new(list, text_json(*v, strlen(*v)));
	return list;
}

static void set_string(json_t *o, const char *key, const char *s)
{
	(void)json_object_set_new(o, key, text_json(s ? s : "", s ? strlen(s) : 0));
}

/* Whether there is a signature; whose, and whether it is right, is for those who have the key. */
static bool is_signed(const struct image *im)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "signature-%s.img", im->dir.hash);
	return faccessat(im->dir.dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void add_manifest(json_t *o, const struct image *im)
{
	const struct manifest *m = &im->m;
	time_t sec = (time_t)(m->created_ns / 1000000000);
	struct tm tm = {0};
	char when[40] = "";

	if (gmtime_r(&sec, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	set_string(o, "image", im->path);
	(void)json_object_set_new(o, "format", json_integer(m->format));
	set_string(o, "product", m->product);
	(void)json_object_set_new(o, "created_ns", json_integer(m->created_ns));
	set_string(o, "created", when);
	set_string(o, "platform", m->platform);
	set_string(o, "arch", m->arch);
	(void)json_object_set_new(o, "containers", strings(m->containers));
	(void)json_object_set_new(o, "features", strings(m->features));
	(void)json_object_set_new(o, "cpu_features", strings(m->cpu_features));
	(void)json_object_set_new(o, "signed", json_boolean(is_signed(im)));
	(void)json_object_set_new(o, "xsave_size", json_integer(m->xsave_size));
}

static json_t *part(const char *name, const struct manifest_part *p, int fd)
{
	struct stat st = {0};

	(void)fstat(fd, &st);
	return json_pack("{s:s, s:i, s:I, s:I}", "name", name, "version", (int)p->version, "size", (json_int_t)p->size,
			 "disk", (json_int_t)st.st_blocks * 512);
}

static json_t *parts(const struct image *im)
{
	const int *fds = im->dir.fds;
	image_part_names names;
	struct stat st = {0};
	struct manifest_part self = {.version = im->m.format};

	if (image_dir_names(fds[IMAGE_MANIFEST], names) < 0)
		return NULL;
	(void)fstat(fds[IMAGE_MANIFEST], &st);
	self.size = (uint64_t)st.st_size;
	return json_pack("[o, o, o, o]", part(names[IMAGE_MANIFEST], &self, fds[IMAGE_MANIFEST]),
			 part(names[IMAGE_KERNEL], &im->m.kernel, fds[IMAGE_KERNEL]),
			 part(names[IMAGE_INDEX], &im->m.index, fds[IMAGE_INDEX]),
			 part(names[IMAGE_PAGES], &im->m.pages, fds[IMAGE_PAGES]));
}

/* The images it is a change of, the nearest first. */
static json_t *layers(const struct image *im)
{
	json_t *list = json_array();

	for (size_t i = 0; i < im->m.nr_layers; i++)
		(void)json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "hash", im->m.layers[i].hash, "index",
							    (json_int_t)im->m.layers[i].index.size, "pages",
							    (json_int_t)im->m.layers[i].pages.size));
	return list;
}

static json_t *objects(const struct image *im, struct error **err)
{
	_cleanup_free_ struct image_type_sum *sums = NULL;
	json_t *types;
	json_int_t bytes = 0;
	size_t n;

	if (image_type_sums(im, &sums, &n, err) < 0)
		return NULL;
	types = json_array();
	for (size_t i = 0; i < n; i++) {
		bytes += (json_int_t)sums[i].bytes;
		(void)json_array_append_new(types, json_pack("{s:s, s:I, s:I}", "type",
							     sums[i].type ? sums[i].type->name : "(unknown)", "objects",
							     (json_int_t)sums[i].objects, "bytes",
							     (json_int_t)sums[i].bytes));
	}
	return json_pack("{s:I, s:I, s:I, s:o}", "count", (json_int_t)catalog_count(im->cat), "bytes", bytes, "stored",
			 (json_int_t)im->m.kernel.size, "types", types);
}

static int by_page(const void *a, const void *b)
{
	const struct mem_use *x = a, *y = b;

	return x->page < y->page ? -1 : x->page > y->page;
}

/* Stored pages by what uses them. A page that several objects of one kind share counts once there. */
static json_t *memory(struct image *im, const struct page_set *stored, struct error **err)
{
	_cleanup_mem_uses_ struct mem_uses uses = {0};
	uint64_t used[MEM_KINDS] = {0}, end[MEM_KINDS] = {0}, any = 0, any_end = 0;
	struct pages_stats st;
	json_t *o;

	if (mem_uses_load(im, &uses, err) < 0)
		return NULL;
	if (uses.nr)
		qsort(uses.v, uses.nr, sizeof(*uses.v), by_page);
	for (size_t i = 0; i < uses.nr; i++) {
		const struct mem_use *u = &uses.v[i];
		uint64_t last = u->page + u->npages, from = MAX(u->page, end[u->kind]), from_any = MAX(u->page, any_end);

		used[u->kind] += last > from ? page_set_count(stored, from, last - from) : 0;
		any += last > from_any ? page_set_count(stored, from_any, last - from_any) : 0;
		end[u->kind] = MAX(end[u->kind], last);
		any_end = MAX(any_end, last);
	}
	pages_reader_stats(im->pages, &st);
	o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "form", pages_reader_is_raw(im->pages) ? "raw" : "zstd", "pages",
		      (json_int_t)page_set_total(stored), "bytes", (json_int_t)(page_set_total(stored) * PAGE_SIZE),
		      "own_pages", (json_int_t)st.pages_stored, "inherited_pages",
		      (json_int_t)(page_set_total(stored) - MIN(page_set_total(stored), st.pages_stored)), "stored",
		      (json_int_t)st.pages_bytes, "frames", (json_int_t)st.frames);
	for (int i = 0; i < MEM_KINDS && o; i++)
		(void)json_object_set_new(o, mem_kind_names[i], json_integer((json_int_t)(used[i] * PAGE_SIZE)));
	if (o)
		(void)json_object_set_new(o, "unused", json_integer((json_int_t)((page_set_total(stored) - any) * PAGE_SIZE)));
	return o;
}

static json_t *stored_files(struct image *im, struct error **err)
{
	_cleanup_files_ struct stored_files files = {0};

	return files_load(im, &files, err) < 0 ? NULL : files_json(&files);
}

/* Pages that a restore recorded; null: there is no working set, or none that can be used. */
static json_t *working_set(const struct image *im)
{
	struct working_set ws;
	json_int_t pages = 0;

	if (im->dir.working_set < 0 || working_set_read(im->dir.working_set, &ws) < 0)
		return json_null();
	for (uint32_t i = 0; i < ws.nr; i++)
		pages += ws.runs[i].npages;
	working_set_done(&ws);
	return json_pack("{s:I}", "pages", pages);
}

static int inspect(struct image *im, json_t *o, struct error **err)
{
	_cleanup_page_set_ struct page_set stored = {0};
	int r = page_set_stored(&stored, im->pages);

	if (r < 0)
		return error_set(err, r, "cannot list pages");
	add_manifest(o, im);
	if (json_object_set_new(o, "parts", parts(im)) < 0 || json_object_set_new(o, "layers", layers(im)) < 0 ||
	    json_object_set_new(o, "workingSet", working_set(im)) < 0 || json_object_set_new(o, "objects", objects(im, err)) < 0 ||
	    json_object_set_new(o, "memory", memory(im, &stored, err)) < 0 ||
	    json_object_set_new(o, "processes", process_list(im, &stored)) < 0 ||
	    json_object_set_new(o, "mounts", mount_list(im)) < 0 ||
	    json_object_set_new(o, "files", stored_files(im, err)) < 0 ||
	    json_object_set_new(o, "outside", outside_list(im)) < 0 ||
	    json_object_set_new(o, "sockets", socket_list(im)) < 0 || json_object_set_new(o, "pipes", pipe_list(im)) < 0 ||
	    json_object_set_new(o, "timers", timer_list(im)) < 0)
		return *err ? (*err)->code : error_set(err, -ENOMEM, "cannot describe the image");
	return 0;
}

int image_inspect(struct globals *g, int argc, char **argv, struct error **err)
{
	_cleanup_opened_image_ struct image im = {.dir = IMAGE_DIR_INIT};
	_cleanup_(json_decrefp) json_t *o = json_object();
	const char *format = "text";
	bool json = false, maps = false;
	const struct flag flags[] = {
		{"format", 0, FLAG_STR, &format, "FORMAT", "text or json"},
		{"json", 0, FLAG_BOOL, &json, NULL, "the same as --format json"},
		{"maps", 0, FLAG_BOOL, &maps, NULL, "in text: every mapping of every process, too"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	int r = image_parse("inspect", flags, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0)
		return error_msg(err, -EINVAL, "--format: \"%s\" is neither text nor json", format);
	r = image_open(rest.args[0], WITH_RECORDS | WITH_PAGES, &im, err);
	if (r >= 0)
		r = inspect(&im, o, err);
	if (r < 0)
		return r;
	if (json || !strcmp(format, "json"))
		return image_print_json(o, err);
	inspect_print(o, maps);
	return image_flush(err);
}

int image_tree(struct globals *g, int argc, char **argv, struct error **err)
{
	_cleanup_opened_image_ struct image im = {.dir = IMAGE_DIR_INIT};
	_cleanup_page_set_ struct page_set stored = {0};
	_cleanup_(json_decrefp) json_t *list = NULL;
	bool json = false;
	const struct flag flags[] = {
		{"json", 0, FLAG_BOOL, &json, NULL, "the \"processes\" of inspect"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	int r = image_parse("tree", flags, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	r = image_open(rest.args[0], WITH_RECORDS | WITH_PAGES, &im, err);
	if (r < 0)
		return r;
	r = page_set_stored(&stored, im.pages);
	list = r < 0 ? NULL : process_list(&im, &stored);
	if (!list)
		return error_set(err, -ENOMEM, "cannot list processes");
	if (json)
		return image_print_json(list, err);
	inspect_print_tree(list);
	return image_flush(err);
}
