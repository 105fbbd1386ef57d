/* SPDX-License-Identifier: Apache-2.0 */
/* Opening images, and getting at objects by id. */
#include <string.h>

#include "runsc/image/image.h"

int image_check_parts(const struct image *im, struct error **err)
{
	const int *fds = im->dir.fds;
	int r = manifest_check_parts(&im->m, fds[IMAGE_KERNEL], fds[IMAGE_INDEX], fds[IMAGE_PAGES], err);

	if (r >= 0 && im->dir.nr_layers != im->m.nr_layers)
		r = error_msg(err, -EINVAL, "it is a change of %zu other images, of which %zu were found", im->m.nr_layers,
			      im->dir.nr_layers);
	for (size_t i = 0; r >= 0 && i < im->m.nr_layers; i++)
		r = manifest_check_layer(&im->m, i, im->dir.layers[i].index, im->dir.layers[i].pages, err);
	return r;
}

int image_open_pages(struct image *im, struct error **err)
{
	struct pages_reader *up = NULL;

	/* The farthest ancestor first; each reader owns the one before it. */
	for (size_t i = im->dir.nr_layers + 1; i-- > 0;) {
		int index = i ? im->dir.layers[i - 1].index : im->dir.fds[IMAGE_INDEX];
		int pages = i ? im->dir.layers[i - 1].pages : im->dir.fds[IMAGE_PAGES];
		int r = pages_reader_open_layer(index, pages, up, &im->pages, err);

		if (r < 0) {
			im->pages = NULL;
			pages_reader_free(up);
			return i ? error_prefix(err, "parent image %zu", i) : r;
		}
		up = im->pages;
	}
	return 0;
}

int image_load(struct image *im, unsigned int what, struct error **err)
{
	int r = manifest_read(im->dir.fds[IMAGE_MANIFEST], &im->m, err);

	if (r >= 0)
		r = image_check_parts(im, err);
	if (r >= 0 && what & WITH_RECORDS)
		r = catalog_read(im->dir.fds[IMAGE_KERNEL], NULL, 0, NULL, NULL, NULL, &im->cat, err);
	if (r >= 0 && what & WITH_PAGES)
		r = image_open_pages(im, err);
	return r < 0 ? error_prefix(err, "image %s", im->path) : 0;
}

int image_open_at(const char *path, const char *parent, unsigned int what, struct image *im, struct error **err)
{
	int r;

	*im = (struct image){.path = path, .dir = IMAGE_DIR_INIT};
	r = image_dir_open(&im->dir, path, parent, err);
	return r < 0 ? r : image_load(im, what, err);
}

int image_open(const char *path, unsigned int what, struct image *im, struct error **err)
{
	return image_open_at(path, NULL, what, im, err);
}

void image_done(struct image *im)
{
	im->cat = catalog_free(im->cat);
	im->pages = pages_reader_free(im->pages);
	manifest_done(&im->m);
	image_dir_done(&im->dir);
}

const void *image_msg_of(struct image *im, uint64_t id, uint32_t type_id)
{
	const struct catalog_record *rec = catalog_at(im->cat, id);

	return rec && rec->type_id == type_id ? catalog_msg(im->cat, id, NULL) : NULL;
}

const void *image_part_of(struct image *im, uint64_t id, const ProtobufCMessageDescriptor *desc)
{
	const ProtobufCMessage *m = catalog_msg(im->cat, id, NULL);

	if (!m || m->descriptor == desc)
		return m;
	for (unsigned int i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];

		if (f->type == PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_REPEATED && f->descriptor == desc)
			return *(const ProtobufCMessage *const *)((const char *)m + f->offset);
	}
	return NULL;
}

const char *image_type_name(const struct image *im, uint64_t id)
{
	const struct catalog_record *rec = catalog_at(im->cat, id);

	return rec && rec->type ? rec->type->name : "?";
}

static const uint32_t type_ids[] = {
#define STATE_TYPE(id, name) (id),
#include "state/types.def"
#undef STATE_TYPE
};

const struct state_type *image_type_by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(type_ids); i++) {
		const struct state_type *t = state_type_by_id(type_ids[i]);

		if (t && strlen(t->name) == len && !memcmp(t->name, name, len))
			return t;
	}
	return NULL;
}

int image_type_sums(const struct image *im, struct image_type_sum **ret, size_t *ret_n, struct error **err)
{
	_cleanup_free_ struct image_type_sum *v = calloc(ARRAY_SIZE(type_ids) + 1, sizeof(*v));
	size_t n = 0;

	if (!v)
		return error_set(err, -ENOMEM, "cannot count objects");
	for (uint64_t id = 1; id <= catalog_count(im->cat); id++) {
		const struct catalog_record *rec = catalog_at(im->cat, id);
		size_t i = 0;

		while (i < n && v[i].type != rec->type)
			i++;
		if (i == n)
			v[n++] = (struct image_type_sum){.type = rec->type, .first = id};
		v[i].objects++;
		v[i].bytes += rec->len;
	}
	*ret = TAKE_PTR(v);
	*ret_n = n;
	return 0;
}

int image_print_json(const json_t *o, struct error **err)
{
	if (!o || json_dumpf(o, stdout, JSON_INDENT(2)) < 0)
		return error_set(err, ferror(stdout) ? -EIO : -ENOMEM, "cannot print");
	printf("\n");
	return image_flush(err);
}

int image_flush(struct error **err)
{
	return fflush(stdout) || ferror(stdout) ? error_set(err, -errno, "cannot write") : 0;
}
