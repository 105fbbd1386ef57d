// SPDX-License-Identifier: Apache-2.0
/*
 * Options of Internet sockets, one line per case: what a fresh socket shows, what a set of some value says and then shows, and the lengths. The runner
 * compares with the host. Options whose default is a matter of the machine's sysctls, or which came after Linux 6.1, are left out.
 */
#include "guest.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

static const struct kind {
	const char *name;
	int family, type, proto;
} kinds[] = {
	{"tcp4", AF_INET, SOCK_STREAM, 0}, {"tcp6", AF_INET6, SOCK_STREAM, 0}, {"udp4", AF_INET, SOCK_DGRAM, 0},
	{"udp6", AF_INET6, SOCK_DGRAM, 0}, {"raw4", AF_INET, SOCK_RAW, 99},    {"raw6", AF_INET6, SOCK_RAW, 99},
};

/* Level and option; those that need more than an int to be set are only read. */
static const struct {
	int level, first, last;
} ranges[] = {
	{IPPROTO_IP, 1, 3},    {IPPROTO_IP, 6, 8},	{IPPROTO_IP, 10, 15},  {IPPROTO_IP, 18, 26},  {IPPROTO_IP, 33, 34},  {IPPROTO_IP, 49, 49},
	{IPPROTO_IPV6, 2, 5},  {IPPROTO_IPV6, 8, 8},	{IPPROTO_IPV6, 11, 11}, {IPPROTO_IPV6, 16, 19}, {IPPROTO_IPV6, 23, 26}, {IPPROTO_IPV6, 29, 29},
	{IPPROTO_IPV6, 33, 33}, {IPPROTO_IPV6, 49, 49}, {IPPROTO_IPV6, 51, 51}, {IPPROTO_IPV6, 53, 53}, {IPPROTO_IPV6, 56, 56},
	{IPPROTO_IPV6, 58, 58}, {IPPROTO_IPV6, 60, 60}, {IPPROTO_IPV6, 62, 62}, {IPPROTO_IPV6, 66, 67}, {IPPROTO_IPV6, 73, 75}, {IPPROTO_IPV6, 77, 78},
	{IPPROTO_TCP, 1, 9},   {IPPROTO_TCP, 12, 12},	{IPPROTO_TCP, 16, 18}, {IPPROTO_TCP, 23, 23}, {IPPROTO_TCP, 25, 25}, {IPPROTO_TCP, 27, 27},
	{IPPROTO_TCP, 30, 30}, {IPPROTO_TCP, 36, 37},	{IPPROTO_UDP, 101, 104}, {IPPROTO_TCP, 200, 200}, {99, 1, 1},
	{SOL_SOCKET, 1, 6},    {SOL_SOCKET, 9, 12},	{SOL_SOCKET, 14, 15},  {SOL_SOCKET, 19, 19},  {SOL_SOCKET, 29, 30},  {SOL_SOCKET, 35, 36},
	{SOL_SOCKET, 38, 41},  {SOL_SOCKET, 43, 49},	{SOL_SOCKET, 52, 53},  {SOL_SOCKET, 56, 56},  {SOL_SOCKET, 60, 60},  {SOL_SOCKET, 62, 64},
	{SOL_SOCKET, 68, 70},  {SOL_SOCKET, 72, 72},	{SOL_SOCKET, 75, 75},
};

static const char *result(long r, int e)
{
	static char b[2][24];
	static int n;

	n ^= 1;
	if (r < 0)
		snprintf(b[n], sizeof(b[n]), "E%d", e);
	else
		snprintf(b[n], sizeof(b[n]), "%ld", r);
	return b[n];
}

static const char *show(int s, int level, int opt, socklen_t want)
{
	int v[4] = {0};
	socklen_t l = want;
	static char b[2][48];
	static int n;
	long r = getsockopt(s, level, opt, v, &l);

	n ^= 1;
	if (r < 0)
		snprintf(b[n], sizeof(b[n]), "E%d", errno);
	else
		snprintf(b[n], sizeof(b[n]), "%d/%u", v[0], (unsigned)l);
	return b[n];
}

static void one(const struct kind *k, int level, int opt)
{
	static const int values[] = {0, 1, 2, 64, 200, 256, 40000, -1, -2};
	int s = OK(socket(k->family, k->type, k->proto));

	printf("%s %d.%d: fresh %s", k->name, level, opt, show(s, level, opt, 4));
	printf(" short %s", show(s, level, opt, 1));
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		long r = setsockopt(s, level, opt, &values[i], sizeof(int));
		int e = errno;

		printf(" %d:%s,%s", values[i], result(r, e), show(s, level, opt, 4));
	}
	long r = setsockopt(s, level, opt, &values[1], 1);
	printf(" one:%s", result(r, errno));
	r = setsockopt(s, level, opt, &values[1], 0);
	printf(" none:%s\n", result(r, errno));
	close(s);
}

void guest_test(void)
{
	guest_lo_up();
	AT();
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
			for (int o = ranges[i].first; o <= ranges[i].last; o++)
				one(&kinds[k], ranges[i].level, o);
	fflush(stdout);
}
