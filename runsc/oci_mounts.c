/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json `mounts`: options are split into the mount flags Linux knows and the file system's own data. Propagation
 * options are accepted and mean nothing: a sandbox shares no mount with the host.
 */
#include <string.h>
#include <sys/mount.h>

#include "runsc/oci_internal.h"

enum opt_kind { OPT_SET, OPT_CLEAR, OPT_BIND, OPT_RBIND, OPT_IGNORE };

static const struct {
	const char *name;
	enum opt_kind kind;
	uint64_t flag;
} options[] = {
	/* clang-format off */
	{ "async",         OPT_CLEAR,  MS_SYNCHRONOUS },
	{ "atime",         OPT_CLEAR,  MS_NOATIME },
	{ "bind",          OPT_BIND,   0 },
	{ "defaults",      OPT_IGNORE, 0 },
	{ "dev",           OPT_CLEAR,  MS_NODEV },
	{ "diratime",      OPT_CLEAR,  MS_NODIRATIME },
	{ "dirsync",       OPT_SET,    MS_DIRSYNC },
	{ "exec",          OPT_CLEAR,  MS_NOEXEC },
	{ "iversion",      OPT_IGNORE, 0 },
	{ "lazytime",      OPT_SET,    MS_LAZYTIME },
	{ "loud",          OPT_CLEAR,  MS_SILENT },
	{ "mand",          OPT_IGNORE, 0 },
	{ "noatime",       OPT_SET,    MS_NOATIME },
	{ "nodev",         OPT_SET,    MS_NODEV },
	{ "nodiratime",    OPT_SET,    MS_NODIRATIME },
	{ "noexec",        OPT_SET,    MS_NOEXEC },
	{ "noiversion",    OPT_IGNORE, 0 },
	{ "nolazytime",    OPT_CLEAR,  MS_LAZYTIME },
	{ "nomand",        OPT_IGNORE, 0 },
	{ "norelatime",    OPT_CLEAR,  MS_RELATIME },
	{ "nostrictatime", OPT_CLEAR,  MS_STRICTATIME },
	{ "nosuid",        OPT_SET,    MS_NOSUID },
	{ "private",       OPT_IGNORE, 0 },
	{ "rbind",         OPT_RBIND,  0 },
	{ "relatime",      OPT_SET,    MS_RELATIME },
	{ "remount",       OPT_IGNORE, 0 },
	{ "ro",            OPT_SET,    MS_RDONLY },
	{ "rprivate",      OPT_IGNORE, 0 },
	{ "rro",           OPT_SET,    MS_RDONLY },
	{ "rshared",       OPT_IGNORE, 0 },
	{ "rslave",        OPT_IGNORE, 0 },
	{ "runbindable",   OPT_IGNORE, 0 },
	{ "rw",            OPT_CLEAR,  MS_RDONLY },
	{ "shared",        OPT_IGNORE, 0 },
	{ "silent",        OPT_SET,    MS_SILENT },
	{ "slave",         OPT_IGNORE, 0 },
	{ "strictatime",   OPT_SET,    MS_STRICTATIME },
	{ "suid",          OPT_CLEAR,  MS_NOSUID },
	{ "sync",          OPT_SET,    MS_SYNCHRONOUS },
	{ "unbindable",    OPT_IGNORE, 0 },
	/* clang-format on */
};

const char *const *oci_mount_option_names(void)
{
	static const char *names[ARRAY_SIZE(options) + 1];

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		names[i] = options[i].name;
	return names;
}

static bool apply_option(const char *name, struct oci_mount *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (strcmp(options[i].name, name) != 0)
			continue;
		switch (options[i].kind) {
		case OPT_SET:
			m->flags |= options[i].flag;
			break;
		case OPT_CLEAR:
			m->flags &= ~options[i].flag;
			break;
		case OPT_RBIND:
			m->recursive = true;
			m->bind = true;
			break;
		case OPT_BIND:
			m->bind = true;
			break;
		case OPT_IGNORE:
			break;
		}
		return true;
	}
	return false;
}

int oci_mount_options(struct arena *a, char **opts, struct oci_mount *m)
{
	size_t len = 1, at = 0;

	for (size_t i = 0; opts && opts[i]; i++)
		len += strlen(opts[i]) + 1;
	m->data = arena_zalloc(a, len, 1);
	if (!m->data)
		return -ENOMEM;
	for (size_t i = 0; opts && opts[i]; i++) {
		if (!opts[i][0] || apply_option(opts[i], m))
			continue;
		if (at)
			m->data[at++] = ',';
		memcpy(m->data + at, opts[i], strlen(opts[i]));
		at += strlen(opts[i]);
	}
	return 0;
}

static int parse_mount(const struct jv *e, struct oci_mount *m)
{
	char **opts = NULL;
	int r = jv_is_obj(e);

	m->destination = m->type = m->source = (char *)(uintptr_t) "";
	if (r >= 0)
		r = jv_str(e, "destination", &m->destination);
	if (r >= 0)
		r = jv_str(e, "type", &m->type);
	if (r >= 0)
		r = jv_str(e, "source", &m->source);
	if (r >= 0)
		r = jv_strv(e, "options", &opts, NULL);
	if (r < 0)
		return r;
	if (!m->destination[0])
		return jv_error(e, -EINVAL, "destination is missing");
	if (m->destination[0] != '/') {
		/* runc takes relative destinations as relative to the root, so do we. */
		m->destination = arena_printf(e->ctx->arena, "/%s", m->destination);
		if (!m->destination)
			return jv_oom(e);
	}
	if (oci_mount_options(e->ctx->arena, opts, m) < 0)
		return jv_oom(e);
	if (!strcmp(m->type, "bind") || !strcmp(m->type, "rbind")) {
		m->bind = true;
		if (m->type[0] == 'r')
			m->recursive = true;
	}
	if (m->bind && !m->source[0])
		return jv_error(e, -EINVAL, "a bind mount needs a source");
	return 0;
}

int oci_parse_mounts(const struct jv *doc, struct oci_spec *s)
{
	struct jv arr;
	int r = jv_arr(doc, "mounts", &arr);

	if (r <= 0)
		return r;
	s->nr_mounts = jv_len(&arr);
	s->mounts = arena_zalloc(&s->arena, s->nr_mounts, sizeof(*s->mounts));
	if (!s->mounts)
		return jv_oom(&arr);
	for (size_t i = 0; i < s->nr_mounts; i++) {
		struct jv e = jv_at(&arr, i);

		r = parse_mount(&e, &s->mounts[i]);
		if (r < 0)
			return r;
	}
	return 0;
}
