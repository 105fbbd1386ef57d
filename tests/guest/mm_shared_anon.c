// SPDX-License-Identifier: Apache-2.0
/* MAP_SHARED|MAP_ANONYMOUS between parent, child and grandchild; still shared after a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	volatile int *s = OK(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	int *priv = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	struct gate to, from;
	pid_t p;

	gate_init(&to);
	gate_init(&from);
	priv[0] = 1;
	s[0] = 1;
	CHILD (p) {
		pid_t q;

		priv[0] = 2;
		CHILD (q) {
			gate_wait(&to);
			CHECK_EQ(s[0], 10);
			s[1000] = 11;
			s[200000] = 12;
			priv[0] = 3;
			gate_post(&from);
			gate_wait(&to);
			CHECK_EQ(s[5], 55);
			s[6] = 66;
			_exit(0);
		}
		guest_reap(q);
		CHECK_EQ(priv[0], 2);
		_exit(0);
	}
	msleep(5);
	guest_checkpoint();
	s[0] = 10;
	gate_post(&to);
	gate_wait(&from);
	CHECK_EQ(s[1000], 11);
	CHECK_EQ(s[200000], 12);
	guest_checkpoint();
	s[5] = 55;
	gate_post(&to);
	guest_reap(p);
	CHECK_EQ(s[6], 66);
	CHECK_EQ(priv[0], 1);
	SUBTEST("a second view by mremap of length 0");
	int *v2 = mremap((void *)s, 0, 1 << 20, MREMAP_MAYMOVE);
	CHECK(v2 != MAP_FAILED);
	v2[7] = 77;
	CHECK_EQ(s[7], 77);
	guest_checkpoint();
	s[8] = 88;
	CHECK_EQ(v2[8], 88);
}
