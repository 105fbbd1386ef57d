/* SPDX-License-Identifier: Apache-2.0 */
/* Socket filters: what the check refuses, and what programs return. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/filter.h>

#include "base/util.h"
#include "sentry/net/sock_filter.h"

#define S(c, k)		 { (c), 0, 0, (k) }
#define J(c, k, jt, jf)	 { (c), (jt), (jf), (k) }
#define LOAD(...)	 load((struct sock_filter_insn[]){ __VA_ARGS__ }, ARRAY_SIZE(((struct sock_filter_insn[]){ __VA_ARGS__ })))

static const uint8_t data[] = { 0x45, 1, 2, 3, 4, 5, 6, 7 };

/* The program's result over data, or the error of the check. */
static int64_t load(const struct sock_filter_insn *v, size_t n)
{
	struct sock_filter_prog *p;
	int64_t r = sock_filter_new(v, (uint32_t)n, &p);

	if (r)
		return r;
	r = sock_filter_run(p, data, sizeof(data), &(struct sock_filter_ctx){ .protocol = 0x0800, .ifindex = 1 });
	sock_filter_put(p);
	return r;
}

static void refused(void **state)
{
	assert_int_equal(load(NULL, 0), -EINVAL);
	assert_int_equal(LOAD(S(BPF_LD | BPF_IMM, 1)), -EINVAL); /* no return */
	assert_int_equal(LOAD(S(0xffff, 0), S(BPF_RET | BPF_K, 0)), -EINVAL);
	assert_int_equal(LOAD(S(BPF_ALU | BPF_DIV | BPF_K, 0), S(BPF_RET | BPF_K, 0)), -EINVAL);
	assert_int_equal(LOAD(S(BPF_ALU | BPF_LSH | BPF_K, 32), S(BPF_RET | BPF_K, 0)), -EINVAL);
	assert_int_equal(LOAD(S(BPF_ST, 16), S(BPF_RET | BPF_K, 0)), -EINVAL);
	assert_int_equal(LOAD(S(BPF_LD | BPF_MEM, 3), S(BPF_RET | BPF_K, 0)), -EINVAL); /* never written */
	assert_int_equal(LOAD(S(BPF_JMP | BPF_JA, 1), S(BPF_RET | BPF_K, 0)), -EINVAL);
	assert_int_equal(LOAD(S(BPF_JMP | BPF_JA, UINT32_MAX), S(BPF_RET | BPF_K, 0)), -EINVAL);
	assert_int_equal(LOAD(J(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), S(BPF_RET | BPF_K, 0)), -EINVAL);
	/* Written on one way only. */
	assert_int_equal(LOAD(J(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), S(BPF_ST, 0), S(BPF_LD | BPF_MEM, 0), S(BPF_RET | BPF_A, 0)), -EINVAL);
}

static void results(void **state)
{
	assert_int_equal(LOAD(S(BPF_RET | BPF_K, 77)), 77);
	assert_int_equal(LOAD(S(BPF_LD | BPF_W | BPF_ABS, 4), S(BPF_RET | BPF_A, 0)), 0x04050607);
	assert_int_equal(LOAD(S(BPF_LD | BPF_H | BPF_ABS, 6), S(BPF_RET | BPF_A, 0)), 0x0607);
	assert_int_equal(LOAD(S(BPF_LD | BPF_B | BPF_ABS, 8), S(BPF_RET | BPF_K, 9)), 0); /* outside */
	assert_int_equal(LOAD(S(BPF_LD | BPF_W | BPF_ABS, 5), S(BPF_RET | BPF_K, 9)), 0);
	assert_int_equal(LOAD(S(BPF_LDX | BPF_B | BPF_MSH, 0), S(BPF_MISC | BPF_TXA, 0), S(BPF_RET | BPF_A, 0)), 20);
	assert_int_equal(LOAD(S(BPF_LDX | BPF_IMM, 3), S(BPF_LD | BPF_B | BPF_IND, 2), S(BPF_RET | BPF_A, 0)), 5);
	assert_int_equal(LOAD(S(BPF_LDX | BPF_IMM, UINT32_MAX), S(BPF_LD | BPF_B | BPF_IND, 2), S(BPF_RET | BPF_A, 0)), 1);
	assert_int_equal(LOAD(S(BPF_LD | BPF_LEN, 0), S(BPF_RET | BPF_A, 0)), 8);
	assert_int_equal(LOAD(S(BPF_LD | BPF_IMM, 40), S(BPF_ST, 2), S(BPF_LDX | BPF_MEM, 2), S(BPF_ALU | BPF_ADD | BPF_X, 0), S(BPF_RET | BPF_A, 0)), 80);
	assert_int_equal(LOAD(S(BPF_LD | BPF_IMM, 7), S(BPF_ALU | BPF_DIV | BPF_X, 0), S(BPF_RET | BPF_K, 1)), 0); /* X is 0 */
	assert_int_equal(LOAD(S(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)), S(BPF_RET | BPF_A, 0)), 0x0800);
	assert_int_equal(LOAD(S(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_NET_OFF), S(BPF_RET | BPF_K, 9)), 0);
	assert_int_equal(LOAD(S(BPF_LD | BPF_B | BPF_ABS, 1), J(BPF_JMP | BPF_JGT | BPF_K, 0, 1, 0), S(BPF_RET | BPF_K, 1), S(BPF_RET | BPF_K, 2)), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(refused), cmocka_unit_test(results) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
