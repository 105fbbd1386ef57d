/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runsc image diff: what a container did between two checkpoints. Everything is gathered as one JSON object; text is printed
 * from it.
 */
#include <string.h>

#include "runsc/image/diff.h"
#include <sys/stat.h>

#define TEXT_FIELDS 12 /* of an object, in text */
#define TEXT_LIST   200
#define TEXT_VALUE  60
#define TEXT_RANGES 20

struct fields {
	json_t *list;
	bool failed;
};

/* @text is JSON, but integers may be too large for the library and are then given as text. */
static json_t *value(const char *text)
{
	json_t *v = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

	return v ? v : text ? text_json(text, strlen(text)) : json_null();
}

static void add_field(void *arg, const char *field, const char *a, const char *b)
{
	struct fields *f = arg;
	json_t *o = json_pack("{s:s, s:o, s:o}", "field", field, "a", value(a), "b", value(b));

	if (!o || json_array_append_new(f->list, o) < 0)
		f->failed = true;
}

static json_t *object(struct image *im, uint64_t id, const char *key)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	name_object(im, id, &b);
	return json_pack("{s:s, s:I, s:o}", "type", image_type_name(im, id), key, (json_int_t)id, "name", text_json_buf(&b));
}

static int changed(const struct pairing *p, uint64_t a, json_t *list, json_int_t *same)
{
	struct fields f = {.list = json_array()};
	uint64_t b = p->to_b[a];
	json_t *o;

	if (!f.list || diff_fields(p, a, b, add_field, &f) < 0 || f.failed) {
		json_decref(f.list);
		return -ENOMEM;
	}
	if (!json_array_size(f.list)) {
		json_decref(f.list);
		++*same;
		return 0;
	}
	o = object(p->a, a, "a");
	if (!o) {
		json_decref(f.list);
		return -ENOMEM;
	}
	(void)json_object_set_new(o, "b", json_integer((json_int_t)b));
	(void)json_object_set_new(o, "fields", f.list);
	return json_array_append_new(list, o) < 0 ? -ENOMEM : 0;
}

static json_t *objects(const struct pairing *p)
{
	json_t *removed = json_array(), *added = json_array(), *list = json_array();
	json_int_t same = 0;
	int r = 0;

	for (uint64_t id = 1; id <= catalog_count(p->a->cat) && r == 0; id++) {
		if (p->to_b[id])
			r = changed(p, id, list, &same);
		else
			r = json_array_append_new(removed, object(p->a, id, "a"));
	}
	for (uint64_t id = 1; id <= catalog_count(p->b->cat) && r == 0; id++)
		if (!p->to_a[id])
			r = json_array_append_new(added, object(p->b, id, "b"));
	if (r < 0) {
		json_decref(removed);
		json_decref(added);
		json_decref(list);
		return NULL;
	}
	return json_pack("{s:I, s:o, s:o, s:o}", "same", same, "removed", removed, "added", added, "changed", list);
}

/* Names the files among the users of changed pages. */
static int name_files(struct image *b, json_t *memory, struct error **err)
{
	_cleanup_files_ struct stored_files files = {0};
	_cleanup_free_ const struct stored_file **by_data = calloc(catalog_count(b->cat) + 1, sizeof(*by_data));
	json_t *o;
	size_t i;

	if (!by_data)
		return error_set(err, -ENOMEM, "cannot list files");
	if (files_load(b, &files, err) < 0)
		return -ENOMEM;
	for (i = 0; i < files.nr; i++)
		by_data[files.v[i].data] = &files.v[i];
	json_array_foreach(memory, i, o)
	{
		uint64_t id = (uint64_t)json_integer_value(json_object_get(o, "object"));
		const struct stored_file *f = id ? by_data[id] : NULL;

		if (f && f->path)
			(void)json_object_set_new(o, "path", text_json(f->path, strlen(f->path)));
	}
	return 0;
}

static json_t *pages(struct image *b, const struct pages_diff *d, struct error **err)
{
	json_t *ranges = json_array(), *memory = changed_memory(b, &d->changed);

	for (size_t i = 0; i < d->changed.nr; i++)
		(void)json_array_append_new(ranges, json_pack("{s:I, s:I}", "page", (json_int_t)d->changed.runs[i].file_page,
							      "pages", (json_int_t)d->changed.runs[i].npages));
	if (!memory || !ranges || name_files(b, memory, err) < 0) {
		json_decref(memory);
		json_decref(ranges);
		return NULL;
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o}", "same", (json_int_t)d->same, "changed", (json_int_t)d->differ,
			 "only_a", (json_int_t)d->only_a, "only_b", (json_int_t)d->only_b, "ranges", ranges, "memory", memory);
}

/* --- files --- */

/* The first use of object @id; uses are in the order of objects. */
static size_t first_use(const struct mem_uses *u, uint64_t id)
{
	size_t lo = 0, hi = u->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (u->v[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Whether the content may differ: other size, other places in the memory file, or other bytes there. */
static bool content_differs(const struct stored_file *x, const struct stored_file *y, const struct mem_uses *ua,
			    const struct mem_uses *ub, const struct page_set *changed)
{
	size_t i = first_use(ua, x->data), k = first_use(ub, y->data);

	if (x->size != y->size || !x->data != !y->data)
		return true;
	for (; i < ua->nr && ua->v[i].id == x->data; i++, k++)
		if (k >= ub->nr || ub->v[k].id != y->data || ua->v[i].start != ub->v[k].start ||
		    ua->v[i].page != ub->v[k].page || ua->v[i].npages != ub->v[k].npages ||
		    page_set_count(changed, ua->v[i].page, ua->v[i].npages))
			return true;
	return k < ub->nr && ub->v[k].id == y->data && y->data;
}

static const char *compare_files(const struct stored_file *x, const struct stored_file *y, const struct mem_uses *ua, const struct mem_uses *ub, const struct page_set *changed)
{
	if ((x->mode & S_IFMT) != (y->mode & S_IFMT) || strcmp(x->target ? x->target : "", y->target ? y->target : "") != 0)
		return "replaced";
	if (S_ISREG(x->mode) && content_differs(x, y, ua, ub, changed))
		return "content";
	if (x->mode != y->mode || x->uid != y->uid || x->gid != y->gid || x->mtime != y->mtime || x->size != y->size)
		return "attributes";
	return NULL;
}

static void add_file(json_t *list, const struct stored_file *f, const char *what)
{
	const char *path = f->path ? f->path : "";
	json_t *o = json_pack("{s:o, s:s, s:s, s:I}", "path", text_json(path, strlen(path)), "layer", f->layer, "kind",
			      image_mode_name(f->mode), "size", (json_int_t)f->size);

	if (what && o)
		(void)json_object_set_new(o, "what", json_string(what));
	(void)json_array_append_new(list, o);
}

static json_t *files(struct image *a, struct image *b, const struct page_set *differing, struct error **err)
{
	_cleanup_files_ struct stored_files fa = {0}, fb = {0};
	_cleanup_mem_uses_ struct mem_uses ua = {0}, ub = {0};
	json_t *removed, *added, *list;
	size_t i = 0, k = 0;

	if (files_load(a, &fa, err) < 0 || files_load(b, &fb, err) < 0 || mem_uses_load(a, &ua, err) < 0 ||
	    mem_uses_load(b, &ub, err) < 0)
		return NULL;
	removed = json_array();
	added = json_array();
	list = json_array();
	while (i < fa.nr || k < fb.nr) {
		const struct stored_file *x = i < fa.nr ? &fa.v[i] : NULL, *y = k < fb.nr ? &fb.v[k] : NULL;
		int r = !x ? 1 : !y ? -1 : x->deleted - y->deleted;
		const char *what;

		if (x && y && !r)
			r = strcmp(x->path ? x->path : "", y->path ? y->path : "");
		i += r <= 0;
		k += r >= 0;
		if (r < 0)
			add_file(removed, x, NULL);
		else if (r > 0)
			add_file(added, y, NULL);
		else if ((what = compare_files(x, y, &ua, &ub, differing)))
			add_file(list, y, what);
	}
	return json_pack("{s:o, s:o, s:o}", "removed", removed, "added", added, "changed", list);
}

/* --- text --- */

static void quoted(const json_t *s)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	text_quote(&b, json_string_value(s), json_string_length(s));
	(void)fputs(b.data ? b.data : "", stdout);
}

static void print_value(const json_t *v)
{
	_cleanup_free_ char *s = json_dumps(v, JSON_ENCODE_ANY | JSON_SORT_KEYS);
	size_t n = s ? strlen(s) : 0;

	printf("%.*s%s", (int)MIN(n, (size_t)TEXT_VALUE), s ? s : "?", n > TEXT_VALUE ? "..." : "");
}

static void print_list(const json_t *list, const char *mark, const char *key, const char *id)
{
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
	{
		if (i == TEXT_LIST) {
			printf("%s ... and %zu more (--json)\n", mark, json_array_size(list) - i);
			return;
		}
		printf("%s ", mark);
		quoted(json_object_get(o, key));
		if (id)
			printf(" (%lld)", (long long)json_integer_value(json_object_get(o, id)));
		if (json_object_get(o, "what")) {
			printf(": ");
			quoted(json_object_get(o, "what"));
		}
		printf("\n");
	}
}

static void print_changed(const json_t *list)
{
	const json_t *o, *f;
	size_t i, k;

	json_array_foreach(list, i, o)
	{
		const json_t *fields = json_object_get(o, "fields");

		if (i == TEXT_LIST) {
			printf("~ ... and %zu more (--json)\n", json_array_size(list) - i);
			return;
		}
		printf("~ ");
		quoted(json_object_get(o, "name"));
		printf(" (%lld, %lld)\n", (long long)json_integer_value(json_object_get(o, "a")),
		       (long long)json_integer_value(json_object_get(o, "b")));
		json_array_foreach(fields, k, f)
		{
			if (k == TEXT_FIELDS) {
				printf("    ... and %zu more fields\n", json_array_size(fields) - k);
				break;
			}
			printf("    %s: ", json_string_value(json_object_get(f, "field")));
			print_value(json_object_get(f, "a"));
			printf(" -> ");
			print_value(json_object_get(f, "b"));
			printf("\n");
		}
	}
}

static void print_pages(const json_t *p)
{
	const json_t *o, *m;
	size_t i, k;

	printf("pages: %lld changed, %lld only in the first, %lld only in the second, %lld the same\n",
	       (long long)json_integer_value(json_object_get(p, "changed")),
	       (long long)json_integer_value(json_object_get(p, "only_a")),
	       (long long)json_integer_value(json_object_get(p, "only_b")),
	       (long long)json_integer_value(json_object_get(p, "same")));
	json_array_foreach(json_object_get(p, "ranges"), i, o)
	{
		long long page = json_integer_value(json_object_get(o, "page"));

		if (i == TEXT_RANGES) {
			printf("  ... and %zu more ranges (--json)\n", json_array_size(json_object_get(p, "ranges")) - i);
			break;
		}
		printf("  %lld-%lld\n", page, page + json_integer_value(json_object_get(o, "pages")) - 1);
	}
	json_array_foreach(json_object_get(p, "memory"), i, o)
	{
		printf("  %lld pages of ", (long long)json_integer_value(json_object_get(o, "pages")));
		if (json_object_get(o, "pid")) {
			printf("process %lld ", (long long)json_integer_value(json_object_get(o, "pid")));
			quoted(json_object_get(o, "comm"));
			printf("\n");
		} else {
			quoted(json_object_get(o, "what"));
			printf(" object %lld ", (long long)json_integer_value(json_object_get(o, "object")));
			quoted(json_object_get(o, "path"));
			printf("\n");
		}
		json_array_foreach(json_object_get(o, "mappings"), k, m)
		{
			printf("    %llx-%llx %lld ", (unsigned long long)json_integer_value(json_object_get(m, "start")),
			       (unsigned long long)json_integer_value(json_object_get(m, "end")),
			       (long long)json_integer_value(json_object_get(m, "pages")));
			quoted(json_object_get(m, "what"));
			printf("\n");
		}
	}
}

static void print_text(const json_t *o)
{
	const json_t *obj = json_object_get(o, "objects"), *f = json_object_get(o, "files");

	printf("objects: %zu removed, %zu added, %zu changed, %lld the same\n",
	       json_array_size(json_object_get(obj, "removed")), json_array_size(json_object_get(obj, "added")),
	       json_array_size(json_object_get(obj, "changed")),
	       (long long)json_integer_value(json_object_get(obj, "same")));
	print_list(json_object_get(obj, "removed"), "-", "name", "a");
	print_list(json_object_get(obj, "added"), "+", "name", "b");
	print_changed(json_object_get(obj, "changed"));
	print_pages(json_object_get(o, "pages"));
	printf("files: %zu removed, %zu added, %zu changed\n", json_array_size(json_object_get(f, "removed")),
	       json_array_size(json_object_get(f, "added")), json_array_size(json_object_get(f, "changed")));
	print_list(json_object_get(f, "removed"), "-", "path", NULL);
	print_list(json_object_get(f, "added"), "+", "path", NULL);
	print_list(json_object_get(f, "changed"), "~", "path", NULL);
}

static bool is_empty(const json_t *o)
{
	const json_t *obj = json_object_get(o, "objects"), *p = json_object_get(o, "pages");

	return !json_array_size(json_object_get(obj, "removed")) && !json_array_size(json_object_get(obj, "added")) &&
	       !json_array_size(json_object_get(obj, "changed")) && !json_array_size(json_object_get(p, "ranges"));
}

static int diff(struct image *a, struct image *b, json_t *o, struct error **err)
{
	_cleanup_pairing_ struct pairing p = {0};
	_cleanup_pages_diff_ struct pages_diff d = {0};
	int r = pair_objects(a, b, &p, err);

	if (r >= 0)
		r = diff_pages(a, b, &d, err);
	if (r < 0)
		return r;
	if (json_object_set_new(o, "a", text_json(a->path, strlen(a->path))) < 0 ||
	    json_object_set_new(o, "b", text_json(b->path, strlen(b->path))) < 0 ||
	    json_object_set_new(o, "objects", objects(&p)) < 0 || json_object_set_new(o, "pages", pages(b, &d, err)) < 0 ||
	    json_object_set_new(o, "files", files(a, b, &d.changed, err)) < 0)
		return *err ? (*err)->code : error_set(err, -ENOMEM, "cannot compare");
	return 0;
}

int image_diff(struct globals *g, int argc, char **argv, struct error **err)
{
	_cleanup_opened_image_ struct image a = {.dir = IMAGE_DIR_INIT}, b = {.dir = IMAGE_DIR_INIT};
	_cleanup_(json_decrefp) json_t *o = json_object();
	bool json = false, status = false;
	const struct flag flags[] = {
		{"json", 0, FLAG_BOOL, &json, NULL, "all of it, as one JSON object"},
		{"exit-code", 0, FLAG_BOOL, &status, NULL, "end with status 1 when anything differs"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	int r = image_parse("diff", flags, 2, 2, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	r = image_open(rest.args[0], WITH_RECORDS | WITH_PAGES, &a, err);
	if (r >= 0)
		r = image_open(rest.args[1], WITH_RECORDS | WITH_PAGES, &b, err);
	if (r >= 0)
		r = diff(&a, &b, o, err);
	if (r < 0)
		return r;
	if (!json)
		print_text(o);
	r = json ? image_print_json(o, err) : image_flush(err);
	return r < 0 ? r : status && !is_empty(o);
}
