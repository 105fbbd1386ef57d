/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that engines written for CRIU look for beside an image: dump.log and restore.log (text), stats-dump and
 * stats-restore (CRIU's format: two magics, a length, one protobuf message, encoded here by hand since it is seven
 * numbers), descriptors.json (what 0, 1 and 2 were). None of them is read by us, and failing to write one fails
 * nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd_util.h"
#include "runsc/image_dir.h"

#define SERVICE_MAGIC 0x55105940U
#define STATS_MAGIC   0x57093306U

static size_t put_varint(unsigned char *p, uint64_t v)
{
	size_t n = 0;

	do
		p[n++] = (unsigned char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
	while (v >>= 7);
	return n;
}

static size_t put_field(unsigned char *p, unsigned int field, uint64_t v)
{
	size_t n = put_varint(p, field << 3);

	return n + put_varint(p + n, v);
}

/* stats_entry { 1: dump, 2: restore }, whose fields are numbered by position in @v. */
static void write_stats(int dirfd, const char *name, unsigned int which, const uint64_t *v, size_t n)
{
	unsigned char inner[128], out[160];
	size_t len = 0, at = 12;
	uint32_t head[3] = {SERVICE_MAGIC, STATS_MAGIC, 0};

	for (size_t i = 0; i < n; i++)
		len += put_field(inner + len, (unsigned int)i + 1, v[i]);
	at += put_varint(out + at, which << 3 | 2);
	at += put_varint(out + at, len);
	memcpy(out + at, inner, len);
	at += len;
	head[2] = (uint32_t)(at - 12);
	memcpy(out, head, 12);
	(void)!write_file_atomic_at(dirfd, name, 0600, out, at);
}

static uint64_t num(json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v < 0 ? 0 : (uint64_t)v;
}

static int open_dir(const char *path)
{
	if (!path || mkdir_parents(path, 0700) < 0)
		return -EBADF;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void write_descriptors(int dirfd)
{
	_cleanup_(json_decrefp) json_t *a = json_array();
	_cleanup_free_ char *text = NULL;

	for (int i = 0; i < 3; i++) {
		char link[32], to[4096];
		ssize_t n;

		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", i);
		n = readlink(link, to, sizeof(to));
		(void)json_array_append_new(a, n < 0 ? json_string("/dev/null") : json_stringn(to, (size_t)n));
	}
	text = json_dumps(a, JSON_COMPACT);
	if (text)
		(void)!write_file_atomic_at(dirfd, "descriptors.json", 0600, text, strlen(text));
}

void image_write_dump_logs(const char *work_path, const char *image_path, json_t *st)
{
	_cleanup_close_ int work = open_dir(work_path);
	_cleanup_close_ int image = image_path ? open(image_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -EBADF;
	uint64_t paused = num(st, "pausedUs");
	/* freezing, frozen, memdump and memwrite times; pages scanned, left to the parent, written */
	const uint64_t v[] = {num(st, "freezeUs"),	 paused ? paused : num(st, "totalUs"), num(st, "saveUs"), num(st, "writeUs"),
			      num(st, "pagesTotal"), num(st, "pagesInherited"),	      num(st, "pagesWritten")};
	char text[400];

	(void)snprintf(text, sizeof(text),
		       "runsc: frozen after %llu us, saved in %llu us, %llu us in all, of which the container stood still %llu us\n"
		       "runsc: %llu objects, %llu of %llu pages, %llu bytes\nDumping finished successfully\n",
		       (unsigned long long)v[0], (unsigned long long)v[2], (unsigned long long)num(st, "totalUs"),
		       (unsigned long long)v[1], (unsigned long long)num(st, "objects"), (unsigned long long)v[6],
		       (unsigned long long)v[4], (unsigned long long)num(st, "bytes"));
	if (work >= 0) {
		(void)!write_file_atomic_at(work, "dump.log", 0600, text, strlen(text));
		write_stats(work, "stats-dump", 1, v, ARRAY_SIZE(v));
	}
	if (image >= 0)
		write_descriptors(image);
}

void image_write_restore_logs(const char *work_path, json_t *st)
{
	_cleanup_close_ int work = open_dir(work_path);
	/* pages_compared, pages_skipped_cow, forking_time, restore_time, pages_restored */
	const uint64_t v[] = {0, 0, 0, num(st, "totalUs"), num(st, "pagesTotal")};
	char text[200];

	if (work < 0)
		return;
	(void)snprintf(text, sizeof(text), "runsc: restored %llu objects in %llu us\nRestore finished successfully.\n",
		       (unsigned long long)num(st, "objects"), (unsigned long long)v[3]);
	(void)!write_file_atomic_at(work, "restore.log", 0600, text, strlen(text));
	write_stats(work, "stats-restore", 2, v, ARRAY_SIZE(v));
}
