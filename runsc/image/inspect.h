/* SPDX-License-Identifier: Apache-2.0 */
/* The text form of what inspect found. */
#ifndef RUNSC_IMAGE_INSPECT_H
#define RUNSC_IMAGE_INSPECT_H

#include <jansson.h>
#include <stdbool.h>

/* @o: the object of `inspect --format json`. @maps: every mapping of every process, too. */
void inspect_print(const json_t *o, bool maps);
/* The lines of `runsc image tree`: @list is a "processes" array. */
void inspect_print_tree(const json_t *list);

#endif
