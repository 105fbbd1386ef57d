/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest of scripts/bench image. usage: memory MIB [MIB-PER-SECOND]
 *
 * Fills so much memory, half of it with what does not compress, and says "ready". Without a rate it waits for a gap in the host's clock,
 * which is its own checkpoint and restore, says when it woke, and how long it takes to read a word of every page and to write one. With a
 * rate it writes to so many pages a second, all over the place, until it is killed, and says the longest time it stood still.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void write_on(volatile char *p, size_t n, size_t rate)
{
	uint64_t x = 88172645463325252ull;
	double start = now(), last = start, worst = 0, said = start;

	for (size_t done = 0;; done++) {
		double t = now();

		worst = t - last > worst ? t - last : worst;
		last = t;
		if (t - said > 0.2) {
			printf("stood still %.3f ms, wrote %.1f MiB/s\n", worst * 1e3, (double)done * 64 * 4096 / (t - start) / (1 << 20));
			fflush(stdout);
			said = t;
		}
		for (int i = 0; i < 64; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			p[x % (n / 4096) * 4096]++;
		}
		while ((double)done * 64 * 4096 / (now() - start) > (double)rate * (1 << 20))
			usleep(500);
	}
}

int main(int argc, char **argv)
{
	size_t n = strtoul(argv[1], NULL, 10) << 20;
	volatile char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t x = 88172645463325252ull;
	double last, t;

	for (size_t i = 0; i < n; i += 8) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		*(volatile uint64_t *)(p + i) = (i & 4095) < 2048 ? x : i;
	}
	printf("ready\n");
	fflush(stdout);
	if (argc > 2)
		write_on(p, n, strtoul(argv[2], NULL, 10));
	for (last = now();; last = t) {
		usleep(1000);
		t = now();
		if (t - last > 0.15)
			break;
	}
	printf("woke %.6f\n", t);
	for (int write = 0; write < 2; write++) {
		double a = now();

		for (size_t i = 0; i < n; i += 4096) {
			if (write)
				p[i]++;
			else
				(void)p[i];
		}
		printf("%s %.6f\n", write ? "wrote" : "read", now() - a);
	}
	fflush(stdout);
	return 0;
}
