/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles linux.seccomp. Contract in oci_seccomp.h. */
#include "runsc/oci_seccomp.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runsc/oci_internal.h"

#define MAX_ARGS	 6
#define MAX_COND	 32 /* of one rule */
#define PROLOGUE	 5
#define SCMP_API	 5 /* libseccomp must not ask this host: our own kernel runs the program */
#define FLAG_SPEC_ALLOW	 4u
#define MAX_ERRNO	 4095

static int parse_action(const struct jv *in, const char *key, uint32_t errno_ret, uint32_t *ret)
{
	static const struct {
		const char *name;
		uint32_t action;
	} names[] = {
		{"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD}, {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
		{"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS}, {"SCMP_ACT_TRAP", SCMP_ACT_TRAP}, {"SCMP_ACT_LOG", SCMP_ACT_LOG},
		{"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
	};
	char *s = NULL;
	int r = jv_str(in, key, &s);

	if (r < 0)
		return r;
	if (r == 0)
		return jv_error(in, -EINVAL, "%s is missing", key);
	if (!strcmp(s, "SCMP_ACT_ERRNO") || !strcmp(s, "SCMP_ACT_TRACE")) {
		*ret = !strcmp(s, "SCMP_ACT_ERRNO") ? SCMP_ACT_ERRNO(errno_ret) : SCMP_ACT_TRACE(errno_ret);
		return 0;
	}
	if (!strcmp(s, "SCMP_ACT_NOTIFY"))
		return jv_error(in, -EOPNOTSUPP, "SCMP_ACT_NOTIFY needs an agent on the host, which is not implemented");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(s, names[i].name)) {
			*ret = names[i].action;
			return 0;
		}
	return jv_error(in, -EINVAL, "\"%.40s\" is not a seccomp action", s);
}

static int errno_of(const struct jv *in, const char *key, uint32_t *ret)
{
	int64_t v = EPERM;
	int r = jv_int(in, key, 0, MAX_ERRNO, &v);

	*ret = (uint32_t)v;
	return r;
}

static int parse_cond(const struct jv *in, struct scmp_arg_cmp *ret)
{
	static const struct {
		const char *name;
		enum scmp_compare op;
	} ops[] = {
		{"SCMP_CMP_NE", SCMP_CMP_NE}, {"SCMP_CMP_LT", SCMP_CMP_LT}, {"SCMP_CMP_LE", SCMP_CMP_LE}, {"SCMP_CMP_EQ", SCMP_CMP_EQ},
		{"SCMP_CMP_GE", SCMP_CMP_GE}, {"SCMP_CMP_GT", SCMP_CMP_GT}, {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
	};
	uint64_t value = 0, two = 0;
	char *op = (char *)(uintptr_t) "";
	uint32_t index = 0;
	int r = jv_is_obj(in);

	if (r >= 0)
		r = jv_u32(in, "index", &index);
	if (r >= 0)
		r = jv_u64(in, "value", &value);
	if (r >= 0)
		r = jv_u64(in, "valueTwo", &two);
	if (r >= 0)
		r = jv_str(in, "op", &op);
	if (r < 0)
		return r;
	if (index >= MAX_ARGS)
		return jv_error(in, -EINVAL, "index must be below %d", MAX_ARGS);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (!strcmp(op, ops[i].name)) {
			*ret = (struct scmp_arg_cmp){index, ops[i].op, value, two};
			return 0;
		}
	return jv_error(in, -EINVAL, "op \"%.40s\" is not a comparison", op);
}

static int add_rule(const struct jv *in, scmp_filter_ctx ctx, const char *name, uint32_t action, struct scmp_arg_cmp *c, unsigned n)
{
	bool twice[MAX_ARGS] = {false}, repeated = false;
	int nr = seccomp_syscall_resolve_name(name), r = 0;

	if (nr == __NR_SCMP_ERROR)
		return 0; /* of another architecture, or of a newer kernel */
	for (unsigned i = 0; i < n; i++) {
		repeated |= twice[c[i].arg];
		twice[c[i].arg] = true;
	}
	/* Several conditions on one argument are alternatives, as runc has it. */
	for (unsigned i = 0; repeated && i < n && r == 0; i++)
		r = seccomp_rule_add_array(ctx, action, nr, 1, &c[i]);
	if (!repeated)
		r = seccomp_rule_add_array(ctx, action, nr, n, c);
	return r == 0 || r == -EEXIST ? 0 : jv_error(in, r, "%s: %s", name, strerror(-r));
}

static int parse_rule(const struct jv *in, scmp_filter_ctx ctx, uint32_t dflt, int *max_nr)
{
	struct scmp_arg_cmp cond[MAX_COND];
	struct jv args;
	char **names = NULL;
	uint32_t err_nr = EPERM, action;
	size_t n = 0, nr_cond = 0;
	int r = jv_is_obj(in);

	if (r >= 0)
		r = jv_strv(in, "names", &names, &n);
	if (r >= 0)
		r = errno_of(in, "errnoRet", &err_nr);
	if (r >= 0)
		r = parse_action(in, "action", err_nr, &action);
	if (r >= 0)
		r = jv_arr(in, "args", &args);
	if (r > 0) {
		nr_cond = jv_len(&args);
		if (nr_cond > MAX_COND)
			return jv_error(&args, -E2BIG, "more than %d conditions", MAX_COND);
		for (size_t i = 0; i < nr_cond && r >= 0; i++) {
			struct jv c = jv_at(&args, i);

			r = parse_cond(&c, &cond[i]);
		}
	}
	for (size_t i = 0; i < n && r >= 0; i++) {
		*max_nr = MAX(*max_nr, seccomp_syscall_resolve_name(names[i]));
		if (action != dflt) /* else it says nothing */
			r = add_rule(in, ctx, names[i], action, cond, (unsigned)nr_cond);
	}
	return r;
}

static int parse_flags(const struct jv *in, uint32_t *ret)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} flags[] = {
		/* One thread installs it, so there is nothing to synchronise. */
		{"SECCOMP_FILTER_FLAG_TSYNC", 0}, {"SECCOMP_FILTER_FLAG_LOG", 2}, {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", FLAG_SPEC_ALLOW},
		{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 0}, /* says something about listeners only */
	};
	char **v;
	size_t n;
	int r = jv_strv(in, "flags", &v, &n);

	*ret = FLAG_SPEC_ALLOW;
	if (r <= 0)
		return r;
	*ret = 0;
	for (size_t i = 0; i < n; i++) {
		bool known = false;

		for (size_t k = 0; k < ARRAY_SIZE(flags); k++)
			if (!strcmp(v[i], flags[k].name)) {
				*ret |= flags[k].flag;
				known = true;
			}
		if (!known)
			return jv_error(in, -EINVAL, "flags: \"%.60s\" is not a seccomp flag", v[i]);
	}
	return 0;
}

/* "SCMP_ARCH_X86_64" -> libseccomp's "x86_64" */
static int add_archs(const struct jv *in, scmp_filter_ctx ctx)
{
	char **v, name[32];
	size_t n;
	int r = jv_strv(in, "architectures", &v, &n);

	for (size_t i = 0; r > 0 && i < n; i++) {
		uint32_t arch = 0;
		size_t len = 0;

		if (!strncmp(v[i], "SCMP_ARCH_", 10))
			for (const char *p = v[i] + 10; *p && len < sizeof(name) - 1; p++)
				name[len++] = *p >= 'A' && *p <= 'Z' ? (char)(*p + 'a' - 'A') : *p;
		name[len] = '\0';
		if (len)
			arch = seccomp_arch_resolve_name(name);
		if (!arch)
			return jv_error(in, -EINVAL, "architectures: \"%.40s\" is not known", v[i]);
		r = seccomp_arch_add(ctx, arch);
		if (r < 0 && r != -EEXIST)
			return jv_error(in, r, "architectures: %s: %s", v[i], strerror(-r));
		r = 1;
	}
	return r;
}

/* Calls with higher numbers than the profile's author knew fail as on an older kernel, so that C libraries fall back. */
static size_t put_prologue(struct sock_filter *f, int max_nr)
{
	const struct sock_filter p[PROLOGUE] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)max_nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};

	memcpy(f, p, sizeof(p));
	return PROLOGUE;
}

static int export(const struct jv *in, scmp_filter_ctx ctx, int max_nr, struct oci_seccomp *ret)
{
	struct sock_filter *f = calloc(BPF_MAXINSNS, sizeof(*f));
	int fd = memfd_create("seccomp", MFD_CLOEXEC), r = 0;
	size_t len = 0;
	ssize_t n;

	if (!f || fd < 0)
		r = jv_error(in, f ? -errno : -ENOMEM, "no memory");
	if (r == 0 && max_nr >= 0)
		len = put_prologue(f, max_nr);
	if (r == 0)
		r = seccomp_export_bpf(ctx, fd);
	if (r == 0) {
		n = pread(fd, f + len, (BPF_MAXINSNS - len) * sizeof(*f), 0);
		if (n <= 0 || lseek(fd, 0, SEEK_END) != n)
			r = jv_error(in, -E2BIG, "compiled to more than %zu instructions", BPF_MAXINSNS - len);
		else
			len += (size_t)n / sizeof(*f);
	} else if (r != -ENOMEM) {
		(void)jv_error(in, r, "cannot be compiled: %s", strerror(-r));
	}
	if (fd >= 0)
		(void)close(fd);
	if (r < 0) {
		free(f);
		return r;
	}
	ret->prog = f;
	ret->len = len;
	return 0;
}

static int compile_here(const struct jv *in, struct oci_seccomp *ret)
{
	struct oci_seccomp s = {0};
	uint32_t dflt_errno, dflt;
	scmp_filter_ctx ctx;
	struct jv rules;
	int max_nr = -1, r = jv_is_obj(in);

	if (r >= 0)
		r = errno_of(in, "defaultErrnoRet", &dflt_errno);
	if (r >= 0)
		r = parse_action(in, "defaultAction", dflt_errno, &dflt);
	if (r >= 0)
		r = parse_flags(in, &s.flags);
	if (r < 0)
		return r;
	ctx = seccomp_init(dflt);
	if (!ctx)
		return jv_error(in, -EINVAL, "defaultAction cannot be used");
	r = add_archs(in, ctx);
	if (r >= 0)
		r = jv_arr(in, "syscalls", &rules);
	if (r > 0)
		for (size_t i = 0; i < jv_len(&rules) && r >= 0; i++) {
			struct jv e = jv_at(&rules, i);

			r = parse_rule(&e, ctx, dflt, &max_nr);
		}
	if (dflt == SCMP_ACT_ALLOW || dflt == SCMP_ACT_LOG || dflt == SCMP_ACT_ERRNO(ENOSYS))
		max_nr = -1;
	if (r >= 0)
		r = export(in, ctx, max_nr, &s);
	seccomp_release(ctx);
	if (r >= 0)
		*ret = s;
	return r;
}

static int compile(const struct jv *in, struct oci_seccomp *ret)
{
	unsigned int host = seccomp_api_get();
	int r;

	(void)seccomp_api_set(SCMP_API);
	r = compile_here(in, ret);
	(void)seccomp_api_set(host); /* the sandbox's own filter is for this host */
	return r;
}

int oci_seccomp_compile(json_t *json, struct oci_seccomp *ret, struct error **err)
{
	struct arena a = {0};
	struct oci_ctx ctx = {&a, "config.json", err};
	struct jv doc = {.ctx = &ctx, .v = json}; /* only their names are looked at */
	struct jv lnx = {.ctx = &ctx, .v = json, .up = &doc, .key = "linux"};
	struct jv in = {.ctx = &ctx, .v = json, .up = &lnx, .key = "seccomp"};
	int r;

	*ret = (struct oci_seccomp){0};
	if (!json || json_is_null(json))
		return 0;
	r = compile(&in, ret);
	arena_done(&a);
	return r < 0 ? r : 0;
}
