/* SPDX-License-Identifier: Apache-2.0 */
/* runsc image show: records as they are, by the schema. */
#include <string.h>

#include "runsc/image/image.h"
#include "state/json.h"
#include "state/refs.h"

enum form { FORM_PRETTY, FORM_LINES, FORM_TEXT };

struct show {
	struct image im;
	enum form form;
	struct strbuf b; /* of one record */
};

static int out(struct show *s, struct error **err)
{
	if (strbuf_error(&s->b) < 0)
		return error_set(err, -ENOMEM, "cannot print a record");
	(void)fwrite(s->b.data ? s->b.data : "", 1, s->b.len, stdout);
	(void)putchar('\n');
	strbuf_reset(&s->b);
	return ferror(stdout) ? error_set(err, -EIO, "cannot write") : 0;
}

/* --- text: fields that are not at their default, references in words --- */

static bool is_default(const ProtobufCFieldDescriptor *f, const char *base)
{
	const char *v = base + f->offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return !*(const size_t *)(base + f->quantifier_offset);
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		return !**(char *const *)v;
	case PROTOBUF_C_TYPE_BYTES:
		return !((const ProtobufCBinaryData *)v)->len;
	case PROTOBUF_C_TYPE_MESSAGE:
		return !*(void *const *)v;
	default: {
		static const char zero[8];

		return !memcmp(v, zero, state_value_size(f));
	}
	}
}

static void text_message(struct show *s, const ProtobufCMessage *m, unsigned int depth);

static void text_value(struct show *s, const ProtobufCMessageDescriptor *desc, const ProtobufCFieldDescriptor *f,
		       const char *v, unsigned int depth)
{
	const char *str;

	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		text_message(s, *(ProtobufCMessage *const *)v, depth + 1);
		return;
	}
	if (f->type == PROTOBUF_C_TYPE_STRING) {
		str = *(char *const *)v;
		strbuf_addc(&s->b, '"');
		text_quote(&s->b, str, strlen(str));
		strbuf_addc(&s->b, '"');
		return;
	}
	if (f->type == PROTOBUF_C_TYPE_BYTES) {
		const ProtobufCBinaryData *d = (const void *)v;
		size_t n = MIN(d->len, (size_t)64);

		strbuf_addc(&s->b, '"');
		text_quote(&s->b, d->data, n);
		strbuf_adds(&s->b, "\"");
		if (n < d->len)
			strbuf_addf(&s->b, "... (%zu bytes)", d->len);
		return;
	}
	state_value_json(&s->b, f, v);
	if (refs_target(desc, f) && *(const uint64_t *)v) {
		strbuf_adds(&s->b, " (");
		name_object(&s->im, *(const uint64_t *)v, &s->b);
		strbuf_addc(&s->b, ')');
	}
}

static void text_message(struct show *s, const ProtobufCMessage *m, unsigned int depth)
{
	const char *base = (const char *)m;

	for (unsigned int i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		bool many = f->label == PROTOBUF_C_LABEL_REPEATED;
		size_t n = many ? *(const size_t *)(base + f->quantifier_offset) : 1;
		const char *v = many ? *(char *const *)(base + f->offset) : base + f->offset;

		if (is_default(f, base))
			continue;
		if (many && f->type != PROTOBUF_C_TYPE_MESSAGE && f->type != PROTOBUF_C_TYPE_BYTES && !refs_target(m->descriptor, f)) {
			strbuf_addf(&s->b, "\n%*s%s:", (int)(depth * 2), "", f->name);
			for (size_t k = 0; k < n; k++) {
				strbuf_addc(&s->b, ' ');
				text_value(s, m->descriptor, f, v + k * state_value_size(f), depth);
			}
			continue;
		}
		for (size_t k = 0; k < n; k++) {
			strbuf_addf(&s->b, "\n%*s%s", (int)(depth * 2), "", f->name);
			if (many)
				strbuf_addf(&s->b, "[%zu]", k);
			strbuf_adds(&s->b, f->type == PROTOBUF_C_TYPE_MESSAGE ? "" : ": ");
			text_value(s, m->descriptor, f, v + k * state_value_size(f), depth);
		}
	}
}

static int show_object(struct show *s, uint64_t id, struct error **err)
{
	const char *why = NULL;
	const ProtobufCMessage *m;

	if (s->form != FORM_TEXT) {
		catalog_json(s->im.cat, id, &s->b, s->form == FORM_LINES ? 0 : 2);
		catalog_drop(s->im.cat, id);
		return out(s, err);
	}
	m = catalog_msg(s->im.cat, id, &why);
	strbuf_addf(&s->b, "%llu ", (unsigned long long)id);
	name_object(&s->im, id, &s->b);
	if (m)
		text_message(s, m, 1);
	else
		strbuf_addf(&s->b, ": %s", why);
	return out(s, err);
}

static int show_manifest(struct show *s, struct error **err)
{
	bool lines = s->form == FORM_LINES;
	int r;

	if (lines)
		strbuf_adds(&s->b, "{\"manifest\": ");
	r = manifest_json(s->im.dir.fds[IMAGE_MANIFEST], &s->b, lines ? 0 : 2, err);
	if (r < 0)
		return r;
	if (lines)
		strbuf_addc(&s->b, '}');
	return out(s, err);
}

static int show_roots(struct show *s, struct error **err)
{
	struct state_dump_record rec = {0};

	rec.roots = catalog_roots(s->im.cat, &rec.nr_roots);
	if (s->form != FORM_TEXT) {
		state_record_json(&s->b, &rec, 0);
		return out(s, err);
	}
	strbuf_adds(&s->b, "roots");
	for (size_t i = 0; i < rec.nr_roots; i++) {
		strbuf_addf(&s->b, "\n  %llu ", (unsigned long long)rec.roots[i]);
		name_object(&s->im, rec.roots[i], &s->b);
	}
	return out(s, err);
}

/* Which layer has the file: 0 the image itself, 1 its parent. */
static size_t layer_of(const struct show *s, int fd)
{
	for (size_t i = 0; i < s->im.dir.nr_layers; i++)
		if (s->im.dir.layers[i].pages == fd)
			return i + 1;
	return 0;
}

static int show_pages(struct show *s, struct error **err)
{
	_cleanup_table_ struct table *t =
		s->form == FORM_TEXT ? table_new(4, ">page", ">pages", ">offset in pages", ">layer") : NULL;
	struct pages_run run;

	for (uint64_t at = 0; pages_reader_run_at(s->im.pages, at, &run); at = run.file_page + run.npages) {
		uint64_t off = 0;
		int fd, r = pages_raw_map_info(s->im.pages, &run, &fd, &off);

		if (s->form == FORM_TEXT) {
			table_addf(t, "%llu", (unsigned long long)run.file_page);
			table_addf(t, "%llu", (unsigned long long)run.npages);
			if (r == 0)
				table_addf(t, "%llu", (unsigned long long)off);
			else
				table_addf(t, "compressed");
			if (r == 0 && s->im.dir.nr_layers)
				table_addf(t, "%zu", layer_of(s, fd));
			else
				table_addf(t, "%s", "");
			continue;
		}
		strbuf_addf(&s->b, "{\"page\": %llu, \"pages\": %llu", (unsigned long long)run.file_page,
			    (unsigned long long)run.npages);
		if (r == 0)
			strbuf_addf(&s->b, ", \"offset\": %llu, \"layer\": %zu", (unsigned long long)off, layer_of(s, fd));
		strbuf_addc(&s->b, '}');
		r = out(s, err);
		if (r < 0)
			return r;
	}
	table_print(t, "");
	return 0;
}

static int show_types(struct show *s, struct error **err)
{
	_cleanup_table_ struct table *t = table_new(4, "type", ">objects", ">bytes", ">first id");
	_cleanup_free_ struct image_type_sum *sums = NULL;
	size_t n;
	int r = image_type_sums(&s->im, &sums, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (sums[i].type)
			table_addf(t, "%s", sums[i].type->name);
		else
			table_addf(t, "(unknown)");
		table_addf(t, "%llu", (unsigned long long)sums[i].objects);
		table_addf(t, "%llu", (unsigned long long)sums[i].bytes);
		table_addf(t, "%llu", (unsigned long long)sums[i].first);
	}
	table_print(t, "");
	return show_roots(s, err);
}

static int show_all(struct show *s, struct error **err)
{
	int r = show_manifest(s, err);

	for (uint64_t id = 1; id <= catalog_count(s->im.cat) && r >= 0; id++)
		r = show_object(s, id, err);
	return r < 0 ? r : show_roots(s, err);
}

static int show_type(struct show *s, const char *name, size_t len, struct error **err)
{
	const struct state_type *t = image_type_by_name(name, len);
	int r = 0;

	if (!t)
		return error_msg(err, -EINVAL, "there is no type \"%.*s\" (`runsc image show %s` lists those of this image)",
				 (int)len, name, s->im.path);
	for (uint64_t id = catalog_next(s->im.cat, t->id, 0); id && r >= 0; id = catalog_next(s->im.cat, 0, id))
		r = show_object(s, id, err);
	return r;
}

/* "task", "task:12", "12", "manifest", "roots" */
static int show_what(struct show *s, const char *what, struct error **err)
{
	const char *colon = strchr(what, ':'), *nr = colon ? colon + 1 : what;
	const struct catalog_record *rec;
	char *end;
	uint64_t id;

	if (!strcmp(what, "manifest"))
		return show_manifest(s, err);
	if (!strcmp(what, "roots"))
		return show_roots(s, err);
	if (!colon && (*what < '0' || *what > '9'))
		return show_type(s, what, strlen(what), err);
	errno = 0;
	id = strtoull(nr, &end, 10);
	if (errno || *nr < '0' || *nr > '9' || *end)
		return error_msg(err, -EINVAL, "\"%s\" is not an object id", nr);
	rec = catalog_at(s->im.cat, id);
	if (!rec)
		return error_msg(err, -ENOENT, "image %s has no object %s", s->im.path, nr);
	if (colon && (!rec->type || strlen(rec->type->name) != (size_t)(colon - what) ||
		      strncmp(rec->type->name, what, (size_t)(colon - what)) != 0))
		return error_msg(err, -ENOENT, "object %s of image %s is a %s, not a %.*s", nr, s->im.path,
				 image_type_name(&s->im, id), (int)(colon - what), what);
	return show_object(s, id, err);
}

static void show_done(struct show *s)
{
	strbuf_done(&s->b);
	image_done(&s->im);
}

int image_show(struct globals *g, int argc, char **argv, struct error **err)
{
	_cleanup_(show_done) struct show s = {.im.dir = IMAGE_DIR_INIT};
	bool json = false, text = false, pages = false;
	const struct flag flags[] = {
		{"json", 0, FLAG_BOOL, &json, NULL, "one JSON object per line; without TYPE or ID: the whole image"},
		{"text", 0, FLAG_BOOL, &text, NULL, "fields that are set, references in words"},
		{"pages", 0, FLAG_BOOL, &pages, NULL, "the runs of pages that are stored"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	int r = image_parse("show", flags, 1, 2, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	if (json && text)
		return error_msg(err, -EINVAL, "--json and --text exclude each other");
	if (pages && rest.n > 1)
		return error_msg(err, -EINVAL, "--pages is about no single object");
	s.form = json ? FORM_LINES : text || pages || rest.n == 1 ? FORM_TEXT : FORM_PRETTY;
	r = image_open(rest.args[0], pages ? WITH_PAGES : WITH_RECORDS, &s.im, err);
	if (r < 0)
		return r;
	if (pages)
		r = show_pages(&s, err);
	else if (rest.n == 1)
		r = json ? show_all(&s, err) : show_types(&s, err);
	else
		r = show_what(&s, rest.args[1], err);
	return r < 0 ? r : image_flush(err);
}
