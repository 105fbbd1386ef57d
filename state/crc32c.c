/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C.
 *
 * The crc32 instruction takes three cycles but can start one per cycle, so long buffers are cut in three lanes that run side by
 * side; lane results are joined by a linear operator ("append LANE zero bytes") kept as four 256-entry tables. A page is
 * 3 * 1360 + 16 bytes, so whole pages go through the fast loop. Tables are built once, at first use.
 */
#include "state/crc32c.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>
#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#define POLY 0x82f63b78u /* reflected */
#define LANE 1360 /* multiple of 8 */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint32_t bytewise[8][256];
static uint32_t append_lane[4][256];
static int have_sse42;

static void build(void)
{
	uint32_t basis[32];

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ POLY : c >> 1;
		bytewise[0][i] = c;
	}
	for (int k = 1; k < 8; k++) {
		for (int i = 0; i < 256; i++)
			bytewise[k][i] = bytewise[k - 1][i] >> 8 ^ bytewise[0][bytewise[k - 1][i] & 0xff];
	}
	for (int bit = 0; bit < 32; bit++) {
		uint32_t c = 1u << bit;

		for (int i = 0; i < LANE; i++)
			c = c >> 8 ^ bytewise[0][c & 0xff];
		basis[bit] = c;
	}
	for (int k = 0; k < 4; k++) {
		for (int i = 0; i < 256; i++) {
			uint32_t c = 0;

			for (int bit = 0; bit < 8; bit++)
				c ^= i >> bit & 1 ? basis[k * 8 + bit] : 0;
			append_lane[k][i] = c;
		}
	}
#ifdef __x86_64__
	have_sse42 = __builtin_cpu_supports("sse4.2");
#endif
}

static uint32_t table_raw(uint32_t c, const unsigned char *p, size_t n)
{
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t v;

		memcpy(&v, p, 8);
		v = le64toh(v) ^ c;
		c = bytewise[7][v & 0xff] ^ bytewise[6][v >> 8 & 0xff] ^ bytewise[5][v >> 16 & 0xff] ^
		    bytewise[4][v >> 24 & 0xff] ^ bytewise[3][v >> 32 & 0xff] ^ bytewise[2][v >> 40 & 0xff] ^
		    bytewise[1][v >> 48 & 0xff] ^ bytewise[0][v >> 56];
	}
	for (; n; n--, p++)
		c = c >> 8 ^ bytewise[0][(c ^ *p) & 0xff];
	return c;
}

#ifdef __x86_64__
static uint32_t append(uint32_t c)
{
	return append_lane[0][c & 0xff] ^ append_lane[1][c >> 8 & 0xff] ^ append_lane[2][c >> 16 & 0xff] ^ append_lane[3][c >> 24];
}

static inline uint64_t load64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

__attribute__((target("sse4.2"))) static uint32_t sse42_raw(uint32_t crc, const unsigned char *p, size_t n)
{
	uint64_t a = crc;

	for (; n >= 3 * LANE; n -= 3 * LANE, p += 3 * LANE) {
		uint64_t b = 0, c = 0;

		for (size_t i = 0; i < LANE; i += 8) {
			a = _mm_crc32_u64(a, load64(p + i));
			b = _mm_crc32_u64(b, load64(p + LANE + i));
			c = _mm_crc32_u64(c, load64(p + 2 * LANE + i));
		}
		a = append(append((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
	}
	for (; n >= 8; n -= 8, p += 8)
		a = _mm_crc32_u64(a, load64(p));
	for (; n; n--, p++)
		a = _mm_crc32_u8((uint32_t)a, *p);
	return (uint32_t)a;
}
#endif

uint32_t crc32c_table(uint32_t crc, const void *data, size_t len)
{
	pthread_once(&once, build);
	return ~table_raw(~crc, data, len);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	pthread_once(&once, build);
#ifdef __x86_64__
	if (have_sse42)
		return ~sse42_raw(~crc, data, len);
#endif
	return ~table_raw(~crc, data, len);
}
