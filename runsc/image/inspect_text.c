/* SPDX-License-Identifier: Apache-2.0 */
/* Inspect for people: the same object, aligned, with units. Long lists are cut; --format json has all of them. */
#include <string.h>

#include "runsc/image/image.h"
#include "runsc/image/inspect.h"

#define LIST_MAX 40
#define DEPTH_MAX 64

/* A member as safe text in a buffer of the caller's statement. */
static const char *text_to(struct strbuf *b, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	strbuf_reset(b);
	if (json_is_string(v))
		text_quote(b, json_string_value(v), json_string_length(v));
	return b->data ? b->data : "";
}

static long long num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *size_to(struct strbuf *b, long long n)
{
	strbuf_reset(b);
	text_size(b, n > 0 ? (uint64_t)n : 0);
	return b->data ? b->data : "?";
}

/* Words of a list with a blank between them. */
static const char *join(struct strbuf *b, const json_t *list)
{
	const json_t *v;
	size_t i;

	strbuf_reset(b);
	json_array_foreach(list, i, v)
	{
		strbuf_adds(b, i ? " " : "");
		text_quote(b, json_string_value(v), json_string_length(v));
	}
	return b->data ? b->data : "";
}

/* "title (n)" and whether there is anything to list. */
static size_t section(const json_t *o, const char *key, const char *title)
{
	size_t n = json_array_size(json_object_get(o, key));

	if (n)
		printf("\n%s (%zu)\n", title, n);
	return MIN(n, (size_t)LIST_MAX);
}

static void section_end(const json_t *o, const char *key)
{
	size_t n = json_array_size(json_object_get(o, key));

	if (n > LIST_MAX)
		printf("  ... and %zu more (--format json)\n", n - LIST_MAX);
}

static void print_head(const json_t *o, struct strbuf *b)
{
	const json_t *mem = json_object_get(o, "memory"), *obj = json_object_get(o, "objects");
	_cleanup_strbuf_ struct strbuf c = STRBUF_INIT;
	double ratio = num(mem, "stored") > 4096 ? (double)num(mem, "own_pages") * 4096 / (double)(num(mem, "stored") - 4096) : 1;

	printf("%-12s %s\n", "image", text_to(b, o, "image"));
	printf("%-12s %s (format %lld)\n", "product", text_to(b, o, "product"), num(o, "format"));
	printf("%-12s %s\n", "created", text_to(b, o, "created"));
	printf("%-12s %s", "platform", text_to(b, o, "platform"));
	printf(", %s\n", text_to(b, o, "arch"));
	printf("%-12s %s\n", "containers", join(b, json_object_get(o, "containers")));
	if (json_array_size(json_object_get(o, "features")))
		printf("%-12s %s\n", "features", join(b, json_object_get(o, "features")));
	printf("%-12s %s\n", "CPU needs", join(b, json_object_get(o, "cpu_features")));
	printf("%-12s %lld, %s", "objects", num(obj, "count"), size_to(b, num(obj, "bytes")));
	printf(" (stored: %s)\n", size_to(b, num(obj, "stored")));
	printf("%-12s %lld, %s", "pages", num(mem, "pages"), size_to(b, num(mem, "bytes")));
	printf(" (stored: %s, %s", size_to(b, num(mem, "stored")), text_to(&c, mem, "form"));
	if (!strcmp(c.data ? c.data : "", "zstd"))
		printf(", ratio %.2f", ratio);
	printf(")\n");
	if (json_array_size(json_object_get(o, "layers")))
		printf("%-12s %zu parents, %lld pages inherited\n", "incremental", json_array_size(json_object_get(o, "layers")),
		       num(mem, "inherited_pages"));
	printf("%-12s private %s", "of them", size_to(b, num(mem, "private")));
	printf(", shared %s", size_to(b, num(mem, "shared")));
	printf(", tmpfs and overlay %s", size_to(b, num(mem, "tmpfs")));
	printf(", rings %s", size_to(b, num(mem, "ring")));
	if (num(mem, "unused"))
		printf(", unused %s", size_to(b, num(mem, "unused")));
	printf("\n");
}

static void print_parts(const json_t *o, struct strbuf *b)
{
	_cleanup_table_ struct table *t = table_new(3, "part", ">size", ">on disk");
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(o, "parts"), i, v)
	{
		table_addf(t, "%s", text_to(b, v, "name"));
		table_addf(t, "%s", size_to(b, num(v, "size")));
		table_addf(t, "%s", size_to(b, num(v, "disk")));
	}
	printf("\n");
	table_print(t, "");
}

static const char *command(struct strbuf *b, const json_t *p)
{
	const json_t *argv = json_object_get(p, "argv");

	if (json_array_size(argv))
		return join(b, argv);
	text_to(b, p, "comm");
	strbuf_addc(b, ']');
	return b->data;
}

static void print_process(const json_t *p, struct table *t, int depth)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	size_t threads = json_array_size(json_object_get(p, "threads"));
	bool named = json_array_size(json_object_get(p, "argv"));

	table_addf(t, "%lld", num(p, "pid"));
	table_addf(t, "%lld", num(p, "ppid"));
	table_addf(t, "%lld", num(p, "sid"));
	table_addf(t, "%lld", num(p, "uid"));
	table_addf(t, "%s", text_to(&b, p, "state"));
	table_addf(t, "%zu", threads);
	if (json_object_get(p, "memory"))
		table_addf(t, "%s", size_to(&b, num(json_object_get(p, "memory"), "private")));
	else
		table_addf(t, "-");
	(void)command(&b, p);
	table_addf(t, "%*s%s%s", depth * 2, "", named ? "" : "[", b.data ? b.data : "");
}

/* Processes by parent, in the order of the list below one parent. */
struct child {
	long long ppid;
	size_t index;
};

struct tree {
	const json_t *list;
	struct table *table;
	struct child *children;
	size_t nr, left;
};

static int by_parent(const void *a, const void *b)
{
	const struct child *x = a, *y = b;

	if (x->ppid != y->ppid)
		return x->ppid < y->ppid ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* Adds the children of @pid, each below its parent. Pids of a hostile image may form a cycle: depth and t->left bound the work. */
static void add_children(struct tree *t, long long pid, int depth)
{
	size_t lo = 0, hi = t->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->children[mid].ppid < pid)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < t->nr && t->children[lo].ppid == pid && t->left; lo++) {
		const json_t *p = json_array_get(t->list, t->children[lo].index);

		t->left--;
		print_process(p, t->table, depth);
		if (depth < DEPTH_MAX && num(p, "pid"))
			add_children(t, num(p, "pid"), depth + 1);
	}
}

void inspect_print_tree(const json_t *list)
{
	size_t n = json_array_size(list);
	_cleanup_table_ struct table *table =
		table_new(8, ">pid", ">ppid", ">sid", ">user", "state", ">threads", ">private", "command");
	_cleanup_free_ struct child *children = calloc(n + 1, sizeof(*children));
	struct tree t = {.list = list, .table = table, .children = children, .nr = n, .left = n};

	if (!children)
		return;
	for (size_t i = 0; i < n; i++)
		children[i] = (struct child){num(json_array_get(list, i), "ppid"), i};
	qsort(children, n, sizeof(*children), by_parent);
	add_children(&t, 0, 0);
	table_print(table, "");
}

static void print_files_of(const json_t *o, struct strbuf *b)
{
	const json_t *p, *f;
	size_t i, k;

	json_array_foreach(json_object_get(o, "processes"), i, p)
	{
		_cleanup_table_ struct table *t = table_new(5, ">fd", "mode", "type", ">pos", "what");
		const json_t *files = json_object_get(p, "files");

		if (i == LIST_MAX)
			break;
		if (!json_array_size(files))
			continue;
		printf("\nopen files of %lld %s", num(p, "pid"), text_to(b, p, "comm"));
		printf(" (exe %s, ", text_to(b, p, "exe"));
		printf("cwd %s)\n", text_to(b, p, "cwd"));
		json_array_foreach(files, k, f)
		{
			if (k == LIST_MAX)
				break;
			table_addf(t, "%lld", num(f, "fd"));
			table_addf(t, "%s", text_to(b, f, "access"));
			table_addf(t, "%s", text_to(b, f, "type"));
			if (json_object_get(f, "pos"))
				table_addf(t, "%lld", num(f, "pos"));
			else
				table_addf(t, "-");
			table_addf(t, "%s", text_to(b, f, "what"));
		}
		table_print(t, "  ");
		if (json_array_size(files) > LIST_MAX)
			printf("  ... and %zu more\n", json_array_size(files) - LIST_MAX);
	}
}

static void print_memory(const json_t *o, struct strbuf *b)
{
	_cleanup_table_ struct table *t = table_new(9, ">pid", "comm", ">mappings", ">size", ">private", ">stored", ">zero",
						    ">shared maps", ">file maps");
	const json_t *p;
	size_t i;

	printf("\nmemory\n");
	json_array_foreach(json_object_get(o, "processes"), i, p)
	{
		const json_t *m = json_object_get(p, "memory");

		if (!m || i >= LIST_MAX)
			continue;
		table_addf(t, "%lld", num(p, "pid"));
		table_addf(t, "%s", text_to(b, p, "comm"));
		table_addf(t, "%lld", num(m, "mappings"));
		table_addf(t, "%s", size_to(b, num(m, "size")));
		table_addf(t, "%s", size_to(b, num(m, "private")));
		table_addf(t, "%s", size_to(b, num(m, "stored")));
		table_addf(t, "%s", size_to(b, num(m, "zero")));
		table_addf(t, "%s", size_to(b, num(m, "shared_mappings")));
		table_addf(t, "%s", size_to(b, num(m, "file_mappings")));
	}
	table_print(t, "  ");
}

static void print_sockets(const json_t *o, struct strbuf *b)
{
	_cleanup_table_ struct table *t = table_new(7, ">sock", "family", "type", "state", ">queued", "local", "peer");
	size_t n = section(o, "sockets", "sockets");

	for (size_t i = 0; i < n; i++) {
		const json_t *s = json_array_get(json_object_get(o, "sockets"), i);

		table_addf(t, "%lld", num(s, "sock"));
		table_addf(t, "%s", text_to(b, s, "family"));
		table_addf(t, "%s", text_to(b, s, "type"));
		table_addf(t, "%s", text_to(b, s, "state"));
		table_addf(t, "%lld", num(s, "queued_bytes"));
		table_addf(t, "%s", text_to(b, s, "local"));
		table_addf(t, "%s", text_to(b, s, "peer"));
	}
	if (n)
		table_print(t, "  ");
	section_end(o, "sockets");
}

static void print_pipes(const json_t *o, struct strbuf *b)
{
	_cleanup_table_ struct table *t = table_new(6, ">pipe", "kind", ">bytes", ">capacity", ">readers", ">writers");
	size_t n = section(o, "pipes", "pipes");

	for (size_t i = 0; i < n; i++) {
		const json_t *s = json_array_get(json_object_get(o, "pipes"), i);

		table_addf(t, "%lld", num(s, "pipe"));
		table_addf(t, "%s", text_to(b, s, "kind"));
		table_addf(t, "%lld", num(s, "bytes"));
		table_addf(t, "%lld", num(s, "capacity"));
		table_addf(t, "%lld", num(s, "readers"));
		table_addf(t, "%lld", num(s, "writers"));
	}
	if (n)
		table_print(t, "  ");
	section_end(o, "pipes");
}

static void print_timers(const json_t *o, struct strbuf *b)
{
	_cleanup_table_ struct table *t = table_new(5, "timer", ">pid", "clock", ">expiry, ns", ">interval, ns");
	size_t n = section(o, "timers", "armed timers");

	for (size_t i = 0; i < n; i++) {
		const json_t *s = json_array_get(json_object_get(o, "timers"), i);

		table_addf(t, "%s", text_to(b, s, "kind"));
		table_addf(t, "%lld", num(s, "pid"));
		table_addf(t, "%s", text_to(b, s, "clock"));
		table_addf(t, "%lld", num(s, "expiry_ns"));
		table_addf(t, "%lld", num(s, "interval_ns"));
	}
	if (n)
		table_print(t, "  ");
	section_end(o, "timers");
}

static void print_mounts(const json_t *o, struct strbuf *b)
{
	_cleanup_table_ struct table *t = table_new(3, "path", "type", "source");
	size_t n = section(o, "mounts", "mounts");

	for (size_t i = 0; i < n; i++) {
		const json_t *s = json_array_get(json_object_get(o, "mounts"), i);

		table_addf(t, "%s", text_to(b, s, "path"));
		table_addf(t, "%s", text_to(b, s, "type"));
		table_addf(t, "%s", text_to(b, s, "source"));
	}
	if (n)
		table_print(t, "  ");
	section_end(o, "mounts");
}

static void print_files(const json_t *o, struct strbuf *b)
{
	_cleanup_table_ struct table *t = table_new(5, "layer", "kind", ">size", ">stored", "path");
	size_t n = section(o, "files", "files of tmpfs and the overlay's memory layer");

	for (size_t i = 0; i < n; i++) {
		const json_t *s = json_array_get(json_object_get(o, "files"), i);

		table_addf(t, "%s", text_to(b, s, "layer"));
		table_addf(t, "%s", text_to(b, s, "kind"));
		table_addf(t, "%s", size_to(b, num(s, "size")));
		table_addf(t, "%s", size_to(b, num(s, "stored")));
		table_addf(t, "%s%s", text_to(b, s, "path"),
			   json_is_true(json_object_get(s, "deleted")) ? " (deleted)" : "");
	}
	if (n)
		table_print(t, "  ");
	section_end(o, "files");
}

static void print_outside(const json_t *o, struct strbuf *b)
{
	_cleanup_table_ struct table *t = table_new(4, "kind", ">size", "mount", "path in it");
	size_t n = section(o, "outside", "files outside that must be there");

	for (size_t i = 0; i < n; i++) {
		const json_t *s = json_array_get(json_object_get(o, "outside"), i);

		table_addf(t, "%s", text_to(b, s, "kind"));
		table_addf(t, "%s", size_to(b, num(s, "size")));
		table_addf(t, "%s", text_to(b, s, "mount"));
		table_addf(t, "%s%s", text_to(b, s, "path"),
			   json_is_true(json_object_get(s, "deleted")) ? " (deleted; its content is in the image)" : "");
	}
	if (n)
		table_print(t, "  ");
	section_end(o, "outside");
}

static void print_types(const json_t *o, struct strbuf *b)
{
	_cleanup_table_ struct table *t = table_new(3, "type", ">objects", ">bytes");
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(o, "objects"), "types"), i, v)
	{
		table_addf(t, "%s", text_to(b, v, "type"));
		table_addf(t, "%lld", num(v, "objects"));
		table_addf(t, "%lld", num(v, "bytes"));
	}
	printf("\nobjects\n");
	table_print(t, "  ");
}

void inspect_print(const json_t *o)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	print_head(o, &b);
	print_parts(o, &b);
	printf("\n");
	inspect_print_tree(json_object_get(o, "processes"));
	print_memory(o, &b);
	print_files_of(o, &b);
	print_sockets(o, &b);
	print_pipes(o, &b);
	print_timers(o, &b);
	print_mounts(o, &b);
	print_files(o, &b);
	print_outside(o, &b);
	print_types(o, &b);
}
