/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `runsc image diff`: which object of one image is which of the other, and how two of them differ. */
#ifndef RUNSC_IMAGE_DIFF_H
#define RUNSC_IMAGE_DIFF_H

#include "runsc/image/image.h"

/* --- diff_pair.c --- */

struct pairing {
	struct image *a, *b;
	uint64_t *to_b, *to_a; /* by id; 0: the other image has none */
};
_must_check_ int pair_objects(struct image *a, struct image *b, struct pairing *ret, struct error **err);
void pairing_done(struct pairing *p);
#define _cleanup_pairing_ _cleanup_(pairing_done)

/* --- diff_fields.c --- */

/* Values are JSON text; NULL: not there. */
typedef void (*field_diff_fn)(void *arg, const char *field, const char *a, const char *b);
/* Calls @fn for each field that differs. References are the same when they are to objects that are paired. */
_must_check_ int diff_fields(const struct pairing *p, uint64_t id_a, uint64_t id_b, field_diff_fn fn, void *arg);
/* The key that tells elements of a repeated message apart whatever their order: fd, start, id; false: there is none. */
bool element_key(const ProtobufCMessage *m, int64_t *ret);

/* --- diff_pages.c --- */

struct pages_diff {
	struct page_set changed; /* stored in both with other content, or in one of them only */
	uint64_t same, differ, only_a, only_b;
};
_must_check_ int diff_pages(struct image *a, struct image *b, struct pages_diff *ret, struct error **err);
void pages_diff_done(struct pages_diff *d);
#define _cleanup_pages_diff_ _cleanup_(pages_diff_done)
/* Who uses the changed pages, as image @im has it: by process and mapping, then other objects. A list of objects with
 * "what", "pages" and, of processes, "pid", "comm" and "mappings". NULL: out of memory. */
json_t *changed_memory(struct image *im, const struct page_set *changed);

#endif
