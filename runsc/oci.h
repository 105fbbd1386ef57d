/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OCI config.json after parsing. Everything hangs on the spec's arena and is freed at once; strings never are NULL
 * unless the comment says so; arrays of strings are NULL-terminated. Unknown members are ignored, as the
 * specification demands; a member of a wrong type is one error that names its JSON path.
 */
#ifndef RUNSC_OCI_H
#define RUNSC_OCI_H

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/util.h"

#define OCI_VERSION     "1.1.0"
#define OCI_VERSION_MIN "1.0.0"
#define OCI_FILE_MAX    (16U << 20) /* bytes of a config.json or process file */
#define OCI_ITEMS_MAX   16384       /* elements of any array */

struct oci_kv {
	char *key, *value;
};

struct oci_rlimit {
	int resource; /* Linux number */
	uint64_t soft, hard;
};

struct oci_process {
	char **args; /* NULL when absent */
	char **env;
	char *cwd;
	uint32_t uid, gid;
	uint32_t umask; /* 0xffffffff: not given */
	uint32_t *groups;
	size_t nr_groups;
	bool has_caps; /* `capabilities` is present */
	uint64_t cap_bounding, cap_effective, cap_inheritable, cap_permitted, cap_ambient;
	struct oci_rlimit *rlimits;
	size_t nr_rlimits;
	bool no_new_privs, terminal;
	uint32_t rows, cols;
	bool has_oom;
	int oom_score_adj;
};

struct oci_mount {
	char *destination;
	char *type;   /* "" when absent */
	char *source; /* "" when absent */
	bool bind, recursive;
	uint64_t flags; /* MS_RDONLY, MS_NOSUID, ... */
	char *data;     /* remaining options, comma-separated */
};

enum oci_hook_kind {
	OCI_HOOK_PRESTART,
	OCI_HOOK_CREATE_RUNTIME,
	OCI_HOOK_CREATE_CONTAINER,
	OCI_HOOK_START_CONTAINER,
	OCI_HOOK_POSTSTART,
	OCI_HOOK_POSTSTOP,
	OCI_HOOK_MAX,
};

struct oci_hook {
	char *path;
	char **args;      /* NULL when absent */
	char **env;       /* empty when absent */
	uint32_t timeout; /* seconds; 0: none */
};

struct oci_hooks {
	struct oci_hook *v;
	size_t n;
};

struct oci_namespace {
	char *type;
	char *path; /* "" when a new one */
};

struct oci_device {
	char *path;
	char type; /* 'c' 'b' 'p' */
	uint32_t major, minor, mode, uid, gid;
};

struct oci_idmap {
	uint32_t container, host, size;
};

struct oci_resources {
	uint64_t pids_limit, memory_limit; /* 0: none */
	uint64_t cpu_quota, cpu_period; /* us; quota 0: none; period 0: 100 ms */
	json_t *json;                      /* the whole object, borrowed from spec->json; NULL when absent */
};

struct oci_linux {
	struct oci_namespace *namespaces;
	size_t nr_namespaces;
	char **masked_paths, **readonly_paths;
	struct oci_kv *sysctls;
	size_t nr_sysctls;
	struct oci_device *devices;
	size_t nr_devices;
	struct oci_resources resources;
	char *cgroups_path; /* "" when absent */
	struct oci_idmap *uid_maps, *gid_maps;
	size_t nr_uid_maps, nr_gid_maps;
};

struct oci_spec {
	struct arena arena;
	json_t *json; /* owned */
	char *version;
	char *root_path;
	bool root_readonly;
	char *hostname, *domainname; /* NULL when absent */
	struct oci_process *process; /* NULL when absent */
	struct oci_mount *mounts;
	size_t nr_mounts;
	struct oci_hooks hooks[OCI_HOOK_MAX];
	struct oci_linux lnx;
	struct oci_kv *annotations;
	size_t nr_annotations;
};

/* Parses the text of a config.json; @label stands for the file in messages. */
_must_check_ int oci_spec_parse(const char *text, size_t len, const char *label, struct oci_spec **ret,
				struct error **err);
/* Takes over nothing: @json is referenced. */
_must_check_ int oci_spec_from_json(json_t *json, const char *label, struct oci_spec **ret, struct error **err);
struct oci_spec *oci_spec_free(struct oci_spec *s);

/* A process file of `exec --process`: memory comes from @a. */
_must_check_ int oci_process_from_json(json_t *json, const char *label, struct arena *a, struct oci_process **ret,
				       struct error **err);
/* linux.resources alone (update --resources). */
_must_check_ int oci_resources_from_json(json_t *json, const char *label, struct oci_resources *ret,
					 struct error **err);

const char *oci_hook_name(enum oci_hook_kind k);
/* NULL when there is none. */
const char *oci_annotation(const struct oci_spec *s, const char *key);

/* "CAP_CHOWN" (or "chown") -> bit number, or -EINVAL. */
int oci_cap_number(const char *name);
/* NULL beyond the last. */
const char *oci_cap_name(unsigned int n);
/* "RLIMIT_NOFILE" -> Linux number, or -EINVAL. */
int oci_rlimit_number(const char *name);
/* Splits options into flags and data as mount(8) would; used by the mounts section and its test. */
_must_check_ int oci_mount_options(struct arena *a, char **options, struct oci_mount *m);
/* The names oci_mount_options() knows, NULL-terminated, for `features`. */
const char *const *oci_mount_option_names(void);

static inline void oci_spec_freep(struct oci_spec **s)
{
	*s = oci_spec_free(*s);
}
#define _cleanup_oci_spec_ _cleanup_(oci_spec_freep)

#define _cleanup_json_ _cleanup_(json_decrefp)

#endif
