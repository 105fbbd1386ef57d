/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json linux.seccomp as a program for the Sentry's seccomp. The meaning is runc's: libseccomp compiles it, unknown call names are
 * skipped, calls newer than every one the profile names fail with ENOSYS instead of the profile's default error.
 */
#ifndef RUNSC_OCI_SECCOMP_H
#define RUNSC_OCI_SECCOMP_H

#include <jansson.h>
#include <stdint.h>

#include "base/error.h"

struct oci_seccomp {
	void *prog; /* struct sock_filter, malloc'd; NULL: no profile */
	size_t len; /* instructions */
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
};

/* @json: the member, or NULL when absent. Needs memfd_create: to be called before the sandbox's own filter is there. */
_must_check_ int oci_seccomp_compile(json_t *json, struct oci_seccomp *ret, struct error **err);

#endif
