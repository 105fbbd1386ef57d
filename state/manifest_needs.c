/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image needs of the build and of the machine, checked before anything but the manifest is looked at. The message names
 * everything that is missing, in the words an operator knows: it is what they look for another host by.
 */
#include <errno.h>
#include <string.h>

#include "base/strbuf.h"
#include "state/manifest.h"

/* Image features. One is added when an image uses something that older builds would misread, not merely refuse. */
static const char *const build_features[] = { "kernel-1", MANIFEST_FEATURE_LAYERS, NULL };

static const char *const build_types[] = {
#define STATE_TYPE(num, name) #name,
#include "state/types.def"
#undef STATE_TYPE
	NULL,
};

/* State components of XCR0, as Intel and AMD call them. */
static const char *const xsave_names[] = {
	"x87", "SSE", "AVX", "MPX bounds registers", "MPX bounds configuration", "AVX-512 opmask", "AVX-512 ZMM0-15 upper halves",
	"AVX-512 ZMM16-31", "processor trace", "protection keys (PKRU)", "PASID", "CET user", "CET supervisor", "HDC",
	"user interrupts", "LBR", "HWP", "AMX tile configuration", "AMX tile data", "APX registers",
};

char **manifest_build_features(void)
{
	return (char **)(uintptr_t)build_features;
}

char **manifest_build_types(void)
{
	return (char **)(uintptr_t)build_types;
}

static bool list_has(char **v, const char *s)
{
	for (size_t i = 0; v && v[i]; i++)
		if (!strcmp(v[i], s))
			return true;
	return false;
}

/* Strings of an image are shown only if they are plain words. */
static const char *shown(const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	return *s && strspn(s, plain) == strlen(s) && strlen(s) <= 64 ? s : "(unprintable)";
}

/* Begins the next part of the message. */
static void part(struct strbuf *b)
{
	strbuf_adds(b, b->len ? "; " : "");
}

/* Appends to @b the strings of @need that are not in @have. */
static void list_missing(struct strbuf *b, const char *what, char **need, char **have)
{
	const char *sep = "";
	size_t missing = 0;

	for (size_t i = 0; need && need[i]; i++) {
		if (list_has(have, need[i]) || ++missing > 20)
			continue;
		if (!*sep) {
			part(b);
			strbuf_addf(b, "%s ", what);
		}
		strbuf_addf(b, "%s%s", sep, shown(need[i]));
		sep = ", ";
	}
	if (missing > 20)
		strbuf_addf(b, " and %zu more", missing - 20);
}

static void xsave_name(struct strbuf *b, uint32_t bit)
{
	if (bit < ARRAY_SIZE(xsave_names))
		strbuf_adds(b, xsave_names[bit]);
	else
		strbuf_addf(b, "component %u", bit);
}

static const struct manifest_xsave *xsave_find(const struct manifest *m, uint32_t bit)
{
	for (size_t i = 0; i < m->nr_xsave; i++)
		if (m->xsave[i].bit == bit)
			return &m->xsave[i];
	return NULL;
}

static void xsave_missing(struct strbuf *b, const struct manifest *image, const struct manifest *have)
{
	uint64_t lacking = image->xcr0 & ~have->xcr0;
	const char *sep = "this CPU lacks XSAVE state: ";

	if (lacking)
		part(b);
	for (uint32_t bit = 0; bit < 64; bit++) {
		if (!(lacking >> bit & 1))
			continue;
		strbuf_adds(b, sep);
		xsave_name(b, bit);
		sep = ", ";
	}
	for (size_t i = 0; i < image->nr_xsave; i++) {
		const struct manifest_xsave *x = &image->xsave[i], *y = xsave_find(have, x->bit);

		if (x->bit < 64 && lacking >> x->bit & 1)
			continue;
		if (y && (!y->size || (y->offset == x->offset && y->size == x->size)))
			continue;
		part(b);
		strbuf_adds(b, "this CPU lays XSAVE state out differently: ");
		xsave_name(b, x->bit);
		break;
	}
}

static void build_missing(struct strbuf *b, const struct manifest *image, char **features)
{
	list_missing(b, "this build lacks image features:", image->features, features);
	list_missing(b, "this build lacks object types:", image->types, manifest_build_types());
}

static int report(const struct strbuf *b, struct error **err)
{
	if (strbuf_error(b) < 0)
		return error_set(err, -ENOMEM, "cannot check the image");
	return b->len ? error_msg(err, -ENOTSUP, "the image cannot be restored here: %s", b->data) : 0;
}

int manifest_check_build(const struct manifest *image, struct error **err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	build_missing(&b, image, manifest_build_features());
	return report(&b, err);
}

int manifest_check_features(const struct manifest *image, const struct manifest *have, struct error **err)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	uint32_t page = image->page_size ? image->page_size : 4096;

	if (image->arch && have->arch && strcmp(image->arch, have->arch))
		return error_msg(err, -ENOTSUP, "the image cannot be restored here: it is for %s, this machine is %s", shown(image->arch),
				 have->arch);
	build_missing(&b, image, have->features);
	if (have->page_size && page != have->page_size) {
		part(&b);
		strbuf_addf(&b, "the image has pages of %u bytes, this machine of %u", page, have->page_size);
	}
	list_missing(&b, "this CPU lacks:", image->cpu_features, have->cpu_features);
	xsave_missing(&b, image, have);
	return report(&b, err);
}
