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

enum cell { CELL_TEXT, CELL_NUMBER, CELL_SIZE, CELL_PATH /* and whether it is deleted */ };

/* A list of objects as a table: a member for each column. */
struct column {
	const char *title, *key; /* @title begins with '>': to the right */
	enum cell cell;
};
#define COLUMNS_MAX 8

static void add_cell(struct table *t, struct strbuf *b, const json_t *o, const struct column *c)
{
	switch (c->cell) {
	case CELL_TEXT:
		table_addf(t, "%s", text_to(b, o, c->key));
		break;
	case CELL_NUMBER:
		if (json_object_get(o, c->key))
			table_addf(t, "%lld", num(o, c->key));
		else
			table_addf(t, "-");
		break;
	case CELL_SIZE:
		table_addf(t, "%s", size_to(b, num(o, c->key)));
		break;
	case CELL_PATH:
		table_addf(t, "%s%s", text_to(b, o, c->key), json_is_true(json_object_get(o, "deleted")) ? " (deleted)" : "");
	}
}

/* Nothing when the list is empty. @title NULL: only the table. */
static void print_list(const json_t *list, const char *title, const struct column *columns, size_t n)
{
	_cleanup_table_ struct table *t = table_new(n, columns[0].title, n > 1 ? columns[1].title : "", n > 2 ? columns[2].title : "",
						    n > 3 ? columns[3].title : "", n > 4 ? columns[4].title : "",
						    n > 5 ? columns[5].title : "", n > 6 ? columns[6].title : "",
						    n > 7 ? columns[7].title : "");
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	size_t size = json_array_size(list);

	_Static_assert(COLUMNS_MAX == 8, "as many titles as there are above");
	if (!size)
		return;
	if (title)
		printf("\n%s (%zu)\n", title, size);
	for (size_t i = 0; i < MIN(size, (size_t)LIST_MAX); i++)
		for (size_t c = 0; c < n; c++)
			add_cell(t, &b, json_array_get(list, i), &columns[c]);
	table_print(t, "  ");
	if (size > LIST_MAX)
		printf("  ... and %zu more (--format json)\n", size - LIST_MAX);
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
	if (json_is_true(json_object_get(o, "signed")))
		printf("%-12s yes\n", "signed");
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
	if (json_is_object(json_object_get(o, "workingSet")))
		printf("%-12s %lld pages are read ahead\n", "working set", (long long)json_integer_value(json_object_get(json_object_get(o, "workingSet"), "pages")));
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

static void print_files_of(const json_t *processes, struct strbuf *b)
{
	static const struct column columns[] = {
		{">fd", "fd", CELL_NUMBER}, {"mode", "access", CELL_TEXT}, {"type", "type", CELL_TEXT},
		{">pos", "pos", CELL_NUMBER}, {"what", "what", CELL_TEXT},
	};
	const json_t *p;
	size_t i;

	json_array_foreach(processes, i, p)
	{
		if (i == LIST_MAX)
			break;
		if (!json_array_size(json_object_get(p, "files")))
			continue;
		printf("\nopen files of %lld %s", num(p, "pid"), text_to(b, p, "comm"));
		printf(" (exe %s, ", text_to(b, p, "exe"));
		printf("cwd %s)\n", text_to(b, p, "cwd"));
		print_list(json_object_get(p, "files"), NULL, columns, ARRAY_SIZE(columns));
	}
}

static void print_maps(const json_t *processes, struct strbuf *b)
{
	const json_t *p, *v;
	size_t i, k;

	json_array_foreach(processes, i, p)
	{
		_cleanup_table_ struct table *t = table_new(6, ">start", ">end", "perms", ">private", ">stored", "what");
		const json_t *list = json_object_get(json_object_get(p, "memory"), "maps");

		if (!list)
			continue;
		printf("\nmappings of %lld %s\n", num(p, "pid"), text_to(b, p, "comm"));
		json_array_foreach(list, k, v)
		{
			table_addf(t, "%llx", (unsigned long long)num(v, "start"));
			table_addf(t, "%llx", (unsigned long long)num(v, "end"));
			table_addf(t, "%s", text_to(b, v, "perms"));
			table_addf(t, "%s", size_to(b, num(v, "private")));
			table_addf(t, "%s", size_to(b, num(v, "stored")));
			table_addf(t, "%s", text_to(b, v, "what"));
		}
		table_print(t, "  ");
	}
}

static void print_memory(const json_t *processes, struct strbuf *b)
{
	static const struct column columns[] = {
		{">mappings", "mappings", CELL_NUMBER}, {">size", "size", CELL_SIZE},	{">private", "private", CELL_SIZE},
		{">stored", "stored", CELL_SIZE},	{">zero", "zero", CELL_SIZE},	{">shared maps", "shared_mappings", CELL_SIZE},
		{">file maps", "file_mappings", CELL_SIZE},
	};
	_cleanup_table_ struct table *t = table_new(9, ">pid", "comm", ">mappings", ">size", ">private", ">stored", ">zero",
						    ">shared maps", ">file maps");
	const json_t *p;
	size_t i;

	printf("\nmemory\n");
	json_array_foreach(processes, i, p)
	{
		const json_t *m = json_object_get(p, "memory");

		if (!m || i >= LIST_MAX)
			continue;
		table_addf(t, "%lld", num(p, "pid"));
		table_addf(t, "%s", text_to(b, p, "comm"));
		for (size_t c = 0; c < ARRAY_SIZE(columns); c++)
			add_cell(t, b, m, &columns[c]);
	}
	table_print(t, "  ");
}

static const struct column socket_columns[] = {
	{">sock", "sock", CELL_NUMBER},		  {"family", "family", CELL_TEXT}, {"type", "type", CELL_TEXT}, {"state", "state", CELL_TEXT},
	{">queued", "queued_bytes", CELL_NUMBER}, {"local", "local", CELL_TEXT},   {"peer", "peer", CELL_TEXT},
};
static const struct column pipe_columns[] = {
	{">pipe", "pipe", CELL_NUMBER},		{"kind", "kind", CELL_TEXT},	   {">bytes", "bytes", CELL_NUMBER},
	{">capacity", "capacity", CELL_NUMBER}, {">readers", "readers", CELL_NUMBER}, {">writers", "writers", CELL_NUMBER},
};
static const struct column timer_columns[] = {
	{"timer", "kind", CELL_TEXT},		   {">pid", "pid", CELL_NUMBER},
	{"clock", "clock", CELL_TEXT},		   {">expiry, ns", "expiry_ns", CELL_NUMBER},
	{">interval, ns", "interval_ns", CELL_NUMBER},
};
static const struct column mount_columns[] = {
	{"path", "path", CELL_TEXT},
	{"type", "type", CELL_TEXT},
	{"source", "source", CELL_TEXT},
};
static const struct column file_columns[] = {
	{"layer", "layer", CELL_TEXT},	  {"kind", "kind", CELL_TEXT}, {">size", "size", CELL_SIZE},
	{">stored", "stored", CELL_SIZE}, {"path", "path", CELL_PATH},
};
static const struct column outside_columns[] = {
	{"kind", "kind", CELL_TEXT},
	{">size", "size", CELL_SIZE},
	{"mount", "mount", CELL_TEXT},
	{"path in it", "path", CELL_PATH},
};
static const struct column type_columns[] = {
	{"type", "type", CELL_TEXT},
	{">objects", "objects", CELL_NUMBER},
	{">bytes", "bytes", CELL_NUMBER},
};
static const struct column part_columns[] = {
	{"part", "name", CELL_TEXT},
	{">size", "size", CELL_SIZE},
	{">on disk", "disk", CELL_SIZE},
};

static const struct section {
	const char *key, *title;
	const struct column *columns;
	size_t n;
} sections[] = {
	/* clang-format off */
	{ "sockets", "sockets",                                      socket_columns,  ARRAY_SIZE(socket_columns) },
	{ "pipes",   "pipes",                                        pipe_columns,    ARRAY_SIZE(pipe_columns) },
	{ "timers",  "armed timers",                                 timer_columns,   ARRAY_SIZE(timer_columns) },
	{ "mounts",  "mounts",                                       mount_columns,   ARRAY_SIZE(mount_columns) },
	{ "files",   "files of tmpfs and the overlay's memory layer", file_columns,   ARRAY_SIZE(file_columns) },
	{ "outside", "files outside that a restore looks for",       outside_columns, ARRAY_SIZE(outside_columns) },
	/* clang-format on */
};

void inspect_print(const json_t *o, bool maps)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	const json_t *processes = json_object_get(o, "processes");

	print_head(o, &b);
	print_list(json_object_get(o, "parts"), "parts", part_columns, ARRAY_SIZE(part_columns));
	printf("\nprocesses (%zu)\n", json_array_size(processes));
	inspect_print_tree(processes);
	print_memory(processes, &b);
	if (maps)
		print_maps(processes, &b);
	print_files_of(processes, &b);
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		print_list(json_object_get(o, sections[i].key), sections[i].title, sections[i].columns, sections[i].n);
	print_list(json_object_get(json_object_get(o, "objects"), "types"), "objects by type", type_columns, ARRAY_SIZE(type_columns));
}
