/* SPDX-License-Identifier: Apache-2.0 */
/* IPC namespaces: System V objects and POSIX message queues. */
#ifndef SENTRY_IPC_IPC_NS_H
#define SENTRY_IPC_IPC_NS_H

#include <stdbool.h>

struct ipc_ns;
struct kernel;
struct task;
struct user_ns;

struct ipc_ns *ipc_ns_new(struct kernel *k); /* or NULL */
struct ipc_ns *ipc_ns_get(struct ipc_ns *ns);
void ipc_ns_put(struct ipc_ns *ns);
/* Where it keeps the user namespace it belongs to (referenced, NULL the initial one). Fixed once others can see @ns. */
struct user_ns **ipc_ns_user_ns(struct ipc_ns *ns);
/* Rows of /proc/sys by their names there: shmmax, shmall, shmmni, msgmax, msgmnb, msgmni, sem; of fs/mqueue: msg_max, ... @n values (64-bit
 * ones may look negative). set(): -EINVAL out of range, -ERANGE as Linux for the last of sem; nothing is stored then. -ENOENT. */
int ipc_ns_sysctl_get(struct ipc_ns *ns, const char *name, int64_t *ret, int n);
int ipc_ns_sysctl_set(struct ipc_ns *ns, const char *name, const int64_t *v, int n);
/* Applies SEM_UNDO of an exiting task. */
void sysv_sem_exit(struct task *t);
/* Has the process of @t adjustments that its exit would apply? */
bool sysv_sem_has_undo(struct task *t);
/* After @t has left its memory: removed segments that nobody maps go. */
void sysv_shm_exit(struct task *t);

struct strbuf;
struct task;
/* The lines of /proc/sysvipc/{shm,sem,msg}; process ids as @viewer sees them. */
void ipc_show_shm(struct ipc_ns *ns, struct task *viewer, struct strbuf *b);
void ipc_show_sem(struct ipc_ns *ns, struct task *viewer, struct strbuf *b);
void ipc_show_msg(struct ipc_ns *ns, struct task *viewer, struct strbuf *b);

#endif
