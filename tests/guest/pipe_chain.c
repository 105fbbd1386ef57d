// SPDX-License-Identifier: Apache-2.0
/* A chain of ten processes passing a megabyte through pipes over checkpoints; every byte arrives once and in order. */
#include "guest.h"

#define STAGES 10
#define TOTAL  (1 << 20)

void guest_test(void)
{
	int in, p[2];
	pid_t c[STAGES + 1];
	uint8_t *b = malloc(TOTAL), x[3000];
	size_t n = 0;

	guest_fill(b, TOTAL, 1);
	OK(pipe(p));
	CHILD (c[0]) {
		close(p[0]);
		for (size_t k = 0; k < TOTAL;)
			k += (size_t)OK(write(p[1], b + k, TOTAL - k));
		_exit(0);
	}
	close(p[1]);
	in = p[0];
	for (int i = 1; i <= STAGES; i++) {
		OK(pipe(p));
		CHILD (c[i]) {
			ssize_t r;

			close(p[0]);
			while ((r = OK(read(in, x, sizeof(x)))) > 0) {
				for (ssize_t k = 0; k < r; k++)
					x[k]++;
				for (ssize_t k = 0; k < r;)
					k += OK(write(p[1], x + k, (size_t)(r - k)));
			}
			_exit(0);
		}
		close(in);
		close(p[1]);
		in = p[0];
	}
	msleep(20);
	guest_checkpoint(); /* everything is full now */
	for (;;) {
		ssize_t r = OK(read(in, x, sizeof(x)));

		if (r == 0)
			break;
		for (ssize_t k = 0; k < r; k++)
			if (x[k] != (uint8_t)(b[n + (size_t)k] + STAGES))
				CHECK_EQ(x[k], (uint8_t)(b[n + (size_t)k] + STAGES));
		if (n < TOTAL / 2 && n + (size_t)r >= TOTAL / 2)
			guest_checkpoint();
		n += (size_t)r;
	}
	CHECK_EQ(n, TOTAL);
	for (int i = 0; i <= STAGES; i++)
		guest_reap(c[i]);
}
