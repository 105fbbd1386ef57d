/* SPDX-License-Identifier: Apache-2.0 */
/* The types of this build, from state/types.def. A number used twice does not compile. */
#include "state/state.h"

const struct state_type *state_type_by_id(uint32_t id)
{
	switch (id) {
#define STATE_TYPE(num, name)                                                                                                  \
	case (num):                                                                                                            \
		return &name##_state_type;
#include "state/types.def"
#undef STATE_TYPE
	default:
		return NULL;
	}
}
