/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNSC_DEFAULT_SPEC_H
#define RUNSC_DEFAULT_SPEC_H

#include "runsc/cli.h"
#include "runsc/oci.h"

/* What `runsc spec` writes; NULL when out of memory. */
json_t *default_spec(void);

#endif
