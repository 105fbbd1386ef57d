// SPDX-License-Identifier: Apache-2.0
/* /proc/self/maps, smaps fields and statm describe what was mapped, before and after a checkpoint. */
#include "guest.h"

static char *find(const char *maps, void *addr, char *line, size_t n)
{
	char want[32];
	const char *s, *e;

	snprintf(want, sizeof(want), "%lx-", (unsigned long)addr);
	for (s = maps; s && *s; s = e ? e + 1 : NULL) {
		e = strchr(s, '\n');
		if (strncmp(s, want, strlen(want)) == 0) {
			snprintf(line, n, "%.*s", (int)(e - s), s);
			return line;
		}
	}
	return NULL;
}

static void check(char *a, char *b, char *c, char *s)
{
	static char maps[65536];
	char line[512], perm[8], path[256] = "";
	unsigned long lo, hi, off, ino;
	unsigned maj, min;

	CHECK(guest_read_file("/proc/self/maps", maps, sizeof(maps)) > 0);
	CHECK(find(maps, a, line, sizeof(line)));
	CHECK_EQ(sscanf(line, "%lx-%lx %7s %lx %x:%x %lu %255s", &lo, &hi, perm, &off, &maj, &min, &ino, path), 7);
	CHECK_EQ(hi - lo, 4 * PAGE);
	CHECK_STR(perm, "rw-p");
	CHECK_EQ(off | ino | maj | min, 0);
	CHECK(find(maps, b, line, sizeof(line)));
	CHECK_EQ(sscanf(line, "%lx-%lx %7s %lx %x:%x %lu %255s", &lo, &hi, perm, &off, &maj, &min, &ino, path), 8);
	CHECK_STR(perm, "r--s");
	CHECK_EQ(off, PAGE);
	CHECK_EQ(hi - lo, 2 * PAGE);
	struct stat st;
	CHECK_EQ(stat("mapped file", &st), 0);
	CHECK_EQ(ino, st.st_ino);
	CHECK(strstr(line, "/mapped file"));
	CHECK(find(maps, c, line, sizeof(line)));
	CHECK(strstr(line, "---p"));
	CHECK(find(maps, s, line, sizeof(line)));
	CHECK(strstr(line, "rw-s"));
	CHECK(strstr(line, "/dev/zero (deleted)"));
	CHECK(strstr(maps, "[heap]"));
	CHECK(strstr(maps, "[stack]"));
	CHECK(strstr(maps, guest_self));
}

void guest_test(void)
{
	int fd = guest_make_file("mapped file", 3 * PAGE, 1);
	char *area = OK(mmap(NULL, 64 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), buf[256];
	char *a = area + 2 * PAGE, *b = area + 10 * PAGE, *c = area + 20 * PAGE, *s = area + 30 * PAGE;
	int an = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	unsigned long size, res;

	CHECK(mmap(a, 4 * PAGE, PROT_READ | PROT_WRITE, an, -1, 0) == a);
	CHECK(mmap(b, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, PAGE) == b);
	CHECK(mmap(c, PAGE, PROT_NONE, an, -1, 0) == c);
	CHECK(mmap(s, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == s);
	free(malloc(100000));
	check(a, b, c, s);
	guest_checkpoint();
	check(a, b, c, s);
	SUBTEST("statm");
	CHECK(guest_read_file("/proc/self/statm", buf, sizeof(buf)) > 0);
	CHECK_EQ(sscanf(buf, "%lu %lu", &size, &res), 2);
	CHECK(size >= 64 && res > 0 && res <= size);
}
