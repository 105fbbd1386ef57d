/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copy routines that may fault. Between safecopy_text_start and safecopy_text_end the fault handler sets rip to
 * safecopy_fixup; there rcx is the count of bytes left (string instructions keep it exact) and is the result. The word
 * accesses keep a nonzero rcx while they can fault.
 */
	.text
	.globl safecopy_text_start, safecopy_text_end, safecopy_fixup
	.globl safecopy_asm, safezero_asm, safe_load_asm, safe_cmpxchg_asm

	.p2align 4
safecopy_text_start:

/* size_t safecopy_asm(void *dst, const void *src, size_t n) */
	.type safecopy_asm, @function
safecopy_asm:
	mov	%rdx, %rcx
	rep movsb
	xor	%eax, %eax
	ret
	.size safecopy_asm, . - safecopy_asm

/* size_t safezero_asm(void *dst, size_t n) */
	.type safezero_asm, @function
safezero_asm:
	mov	%rsi, %rcx
	xor	%eax, %eax
	rep stosb
	ret
	.size safezero_asm, . - safezero_asm

/* size_t safe_load_asm(const uint32_t *p, uint32_t *ret): @ret is Sentry memory */
	.type safe_load_asm, @function
safe_load_asm:
	mov	$1, %ecx
	mov	(%rdi), %eax
	mov	%eax, (%rsi)
	xor	%eax, %eax
	ret
	.size safe_load_asm, . - safe_load_asm

/* size_t safe_cmpxchg_asm(uint32_t *p, uint32_t old, uint32_t new, uint32_t *ret_old) */
	.type safe_cmpxchg_asm, @function
safe_cmpxchg_asm:
	mov	%rcx, %r8
	mov	$1, %ecx
	mov	%esi, %eax
	lock cmpxchg %edx, (%rdi)
	mov	%eax, (%r8)
	xor	%eax, %eax
	ret
	.size safe_cmpxchg_asm, . - safe_cmpxchg_asm

safecopy_text_end:

	.type safecopy_fixup, @function
safecopy_fixup:
	mov	%rcx, %rax
	ret
	.size safecopy_fixup, . - safecopy_fixup

	.section .note.GNU-stack,"",@progbits
