/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile images made from the schemas: messages of any type with random and extreme values, real images with a few fields changed,
 * always with right checksums, so that load() and after_load() meet what the record layer lets through.
 *
 * Choices come from bytes (a fuzzer's input) while there are any, then from a seed; without a seed all later choices are 0. The same
 * source makes the same image.
 */
#ifndef TESTS_FAKES_HOSTILE_H
#define TESTS_FAKES_HOSTILE_H

#include <protobuf-c/protobuf-c.h>

#include "base/strbuf.h"
#include "state/image.h"

struct hostile {
	const uint8_t *p; /* bytes to choose from */
	size_t n;
	uint64_t seed; /* 0: none */
	uint64_t nr_ids; /* objects in the image: references are often right */
};

/* 0 .. @n - 1. */
uint64_t hostile_below(struct hostile *h, uint64_t n);

/* Appends the bytes of a message of type @d: each field is set now and then. */
void hostile_message(struct hostile *h, const ProtobufCMessageDescriptor *d, struct strbuf *out);
/* Appends the message @p:@len with one field changed, added, doubled or removed, at any depth. */
void hostile_mutate(struct hostile *h, const ProtobufCMessageDescriptor *d, const void *p, size_t len, struct strbuf *out);

/* An image whose object 1 is of type @t with a random message, followed by one object of every type. */
void hostile_image_of(struct hostile *h, const struct state_type *t, struct strbuf *out);
/* The image @p:@len with @nr mutations. False: @p:@len is no image. */
bool hostile_image_from(struct hostile *h, const void *p, size_t len, unsigned nr, struct strbuf *out);

/* All types of this build in the order of types.def; NULL after the last. */
const struct state_type *hostile_type(size_t i);

/* A kernel that exists, is frozen, and has a fake platform, an empty memory file and no gofer: the_kernel. One per process. */
struct kernel *hostile_kernel(void);
/* Loads the image as a restore would. 0, or the error of the reader. What was loaded is abandoned. */
int hostile_load(const void *p, size_t len, struct error **err);

#endif
