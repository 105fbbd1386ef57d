/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only code of ours in an application's address space: one page, position-independent, no data, no stack. It is copied
 * to PTRACE_STUB_ADDR of the template and inherited by every stub. The application can read it and jump into it; all it finds
 * there is `syscall` instructions, which trap as its own would, and int3.
 *
 * Entry points are reached by PTRACE_SETREGS (or by the template's one jump); results are read with PTRACE_GETREGS at the
 * following int3, so nothing here is believed because of something in memory.
 */
	.section .rodata.ptrace_stub, "a", @progbits
	.balign 64
	.globl ptrace_stub_begin, ptrace_stub_end, ptrace_stub_call, ptrace_stub_call_trap
	.globl ptrace_stub_clone, ptrace_stub_clone_trap, ptrace_stub_child, ptrace_stub_park, ptrace_stub_wipe, ptrace_stub_wipe_trap
	.hidden ptrace_stub_begin, ptrace_stub_end, ptrace_stub_call, ptrace_stub_call_trap
	.hidden ptrace_stub_clone, ptrace_stub_clone_trap, ptrace_stub_child, ptrace_stub_park, ptrace_stub_wipe, ptrace_stub_wipe_trap
ptrace_stub_begin:

/* One system call, registers set by the tracer; rax is the result at the trap. */
ptrace_stub_call:
	syscall
	int3
ptrace_stub_call_trap:
	hlt

/* clone(2): the parent traps like a call; the child arranges to die with the Sentry (its pid in r12) and parks. */
ptrace_stub_clone:
	syscall
	test	%rax, %rax
	jz	ptrace_stub_child
	int3
ptrace_stub_clone_trap:
	hlt
ptrace_stub_child:
	mov	$157, %eax		/* prctl(PR_SET_PDEATHSIG, SIGKILL) */
	mov	$1, %edi
	mov	$9, %esi
	xor	%edx, %edx
	xor	%r10d, %r10d
	xor	%r8d, %r8d
	syscall
	mov	$110, %eax		/* getppid: the Sentry died before the prctl? */
	syscall
	cmp	%r12d, %eax
	jne	ptrace_stub_exit
ptrace_stub_park:
	mov	$34, %eax		/* pause, until somebody traces us */
	syscall
	jmp	ptrace_stub_park

/* The template's end of life as a copy of the Sentry: munmap(0, r12), munmap(r13, r14) when r14, then report. */
ptrace_stub_wipe:
	mov	$11, %eax
	xor	%edi, %edi
	mov	%r12, %rsi
	syscall
	test	%rax, %rax
	jnz	2f
	test	%r14, %r14
	jz	2f
	mov	$11, %eax
	mov	%r13, %rdi
	mov	%r14, %rsi
	syscall
2:	int3
ptrace_stub_wipe_trap:
	hlt

ptrace_stub_exit:
	mov	$231, %eax
	mov	$1, %edi
	syscall
	hlt
ptrace_stub_end:
	.section .note.GNU-stack, "", @progbits
