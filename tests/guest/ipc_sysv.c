// SPDX-License-Identifier: Apache-2.0
/* System V shared memory, semaphores and message queues: attach, blocking, undo, removal; over a checkpoint. */
#include "guest.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

struct msg {
	long type;
	char text[64];
};

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

void guest_test(void)
{
	int shm = shmget(0x1234, 3 * PAGE, IPC_CREAT | IPC_EXCL | 0600), sem, q;
	struct shmid_ds ds;
	struct msqid_ds qd;
	struct msg m = {.type = 5};
	char *a, *b;
	pid_t p, w;

	if (shm < 0 && errno == ENOSYS)
		SKIP("no System V IPC");
	CHECK(shm >= 0);
	SUBTEST("shared memory");
	a = OK(shmat(shm, NULL, 0));
	b = OK(shmat(shm, NULL, SHM_RDONLY));
	strcpy(a, "shared");
	CHECK_STR(b, "shared");
	CHECK_EQ(shmctl(shm, IPC_STAT, &ds), 0);
	CHECK_EQ(ds.shm_nattch, 2);
	CHECK_EQ(ds.shm_segsz, 3 * PAGE);
	CHECK_EQ(ds.shm_cpid, getpid());
	guest_checkpoint();
	CHECK_STR(b, "shared");
	CHILD (p) {
		strcpy(a, "by child");
		CHECK_EQ(shmctl(shm, IPC_STAT, &ds), 0);
		CHECK_EQ(ds.shm_nattch, 4);
		_exit(0);
	}
	guest_reap(p);
	CHECK_STR(b, "by child");
	CHECK_ERRNO(shmget(0x1234, 3 * PAGE, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	CHECK_EQ(shmget(0x1234, 0, 0), shm);
	CHECK_ERRNO(shmget(0x1234, 9 * PAGE, 0), EINVAL);
	CHECK_EQ(shmctl(shm, IPC_RMID, NULL), 0);
	CHECK_ERRNO(shmget(0x1234, 0, 0), ENOENT);
	guest_checkpoint();
	CHECK_STR(a, "by child"); /* removed, but attached */
	CHECK_EQ(shmdt(b), 0);
	CHECK_ERRNO(shmdt(b), EINVAL);
	CHECK_EQ(shmdt(a), 0);
	CHECK_ERRNO(shmat(shm, NULL, 0), EINVAL);
	SUBTEST("semaphores");
	sem = OK(semget(IPC_PRIVATE, 2, 0600));
	CHECK_EQ(semctl(sem, 0, SETVAL, (union semun){.val = 2}), 0);
	struct sembuf down = {0, -1, SEM_UNDO}, nowait = {0, -5, IPC_NOWAIT}, zero = {1, 0, 0}, down3 = {0, -3, 0};
	CHILD (p) {
		CHECK_EQ(semop(sem, &down, 1), 0);
		CHECK_EQ(semctl(sem, 0, GETVAL), 1);
		_exit(0); /* undone */
	}
	guest_reap(p);
	CHECK_EQ(semctl(sem, 0, GETVAL), 2);
	CHECK_EQ(semctl(sem, 0, GETPID), p);
	CHECK_ERRNO(semop(sem, &nowait, 1), EAGAIN);
	CHECK_EQ(semctl(sem, 1, SETVAL, (union semun){.val = 1}), 0);
	CHILD (p) {
		CHECK_EQ(semop(sem, &down3, 1), 0);
		_exit(0);
	}
	CHILD (w) {
		CHECK_EQ(semop(sem, &zero, 1), 0);
		_exit(0);
	}
	guest_blocked(p);
	guest_blocked(w);
	guest_checkpoint();
	CHECK_EQ(semctl(sem, 0, GETNCNT), 1);
	CHECK_EQ(semctl(sem, 1, GETZCNT), 1);
	struct sembuf up[2] = {{0, 1, 0}, {1, -1, 0}};
	CHECK_EQ(semop(sem, up, 2), 0);
	guest_reap(p);
	guest_reap(w);
	CHECK_EQ(semctl(sem, 0, GETVAL), 0);
	CHILD (p) {
		CHECK_ERRNO(semop(sem, &down, 1), EIDRM);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	CHECK_EQ(semctl(sem, 0, IPC_RMID), 0);
	guest_reap(p);
	SUBTEST("messages");
	q = OK(msgget(IPC_PRIVATE, 0600));
	for (int i = 1; i <= 3; i++) {
		m.type = i;
		snprintf(m.text, sizeof(m.text), "type %d", i);
		CHECK_EQ(msgsnd(q, &m, 10, 0), 0);
	}
	CHECK_EQ(msgctl(q, IPC_STAT, &qd), 0);
	CHECK_EQ(qd.msg_qnum, 3);
	guest_checkpoint();
	CHECK_EQ(msgrcv(q, &m, 64, 2, 0), 10);
	CHECK_STR(m.text, "type 2");
	CHECK_ERRNO(msgrcv(q, &m, 64, 2, IPC_NOWAIT), ENOMSG);
	CHECK_ERRNO(msgrcv(q, &m, 5, 0, 0), E2BIG);
	CHECK_EQ(msgrcv(q, &m, 5, 0, MSG_NOERROR), 5);
	CHECK_EQ(m.type, 1);
	CHECK_EQ(msgrcv(q, &m, 64, -10, 0), 10);
	CHECK_EQ(m.type, 3);
	CHILD (p) {
		CHECK_EQ(msgrcv(q, &m, 64, 7, 0), 10);
		CHECK_ERRNO(msgrcv(q, &m, 64, 0, 0), EIDRM);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	m.type = 7;
	CHECK_EQ(msgsnd(q, &m, 10, 0), 0);
	guest_blocked(p);
	CHECK_EQ(msgctl(q, IPC_RMID, NULL), 0);
	guest_reap(p);
	/* Sleepers run their call again after a checkpoint: one at any moment may find them awake, and in another order. */
	if (getenv("GUEST_REPEAT"))
		return;
	SUBTEST("what was sent to a sleeper arrives");
	q = OK(msgget(IPC_PRIVATE, 0600));
	for (int i = 0; i < 2; i++) {
		pid_t small = 0;

		if (i == 1) {
			CHILD (small) {
				CHECK_ERRNO(msgrcv(q, &m, 4, -8, 0), E2BIG);
				_exit(0);
			}
			guest_blocked(small);
		}
		CHILD (p) {
			CHECK_EQ(msgrcv(q, &m, 64, 7, 0), 10);
			CHECK_EQ(m.type, 7);
			_exit(0);
		}
		guest_blocked(p);
		if (i == 0) {
			guest_checkpoint();
			guest_blocked(p);
		}
		CHECK_EQ(msgsnd(q, &m, 10, 0), 0);
		CHECK_EQ(msgctl(q, IPC_STAT, &qd), 0);
		CHECK_EQ(qd.msg_qnum, 0);
		CHECK_EQ(qd.msg_lrpid, p);
		if (i == 1)
			CHECK_EQ(msgctl(q, IPC_RMID, NULL), 0);
		guest_reap(p);
		if (i == 1)
			guest_reap(small);
	}
}
