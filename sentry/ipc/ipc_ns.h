/* SPDX-License-Identifier: Apache-2.0 */
/* IPC namespaces: System V objects and POSIX message queues. */
#ifndef SENTRY_IPC_IPC_NS_H
#define SENTRY_IPC_IPC_NS_H

struct ipc_ns;
struct kernel;
struct task;

struct ipc_ns *ipc_ns_new(struct kernel *k); /* or NULL */
struct ipc_ns *ipc_ns_get(struct ipc_ns *ns);
void ipc_ns_put(struct ipc_ns *ns);
/* Applies SEM_UNDO of an exiting task. */
void sysv_sem_exit(struct task *t);
/* After @t has left its memory: removed segments that nobody maps go. */
void sysv_shm_exit(struct task *t);

#endif
