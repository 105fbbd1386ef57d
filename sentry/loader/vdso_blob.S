/* SPDX-License-Identifier: Apache-2.0 */
/* The built vDSO object as bytes. */
	.section .rodata
	.balign 4096
	.globl vdso_blob
	.globl vdso_blob_end
vdso_blob:
	.incbin VDSO_PATH
	.balign 4096
vdso_blob_end:
	.section .note.GNU-stack, "", @progbits
