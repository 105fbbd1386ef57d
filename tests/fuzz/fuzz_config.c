/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer on the config.json parser: no input may crash it, and every refusal carries a message. */
#include <stdlib.h>

#include "runsc/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_oci_spec_ struct oci_spec *s = NULL;
	_cleanup_error_ struct error *err = NULL;

	if (oci_spec_parse((const char *)data, size, "config.json", &s, &err) < 0 && !err)
		abort();
	return 0;
}
