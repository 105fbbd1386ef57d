// SPDX-License-Identifier: Apache-2.0
/* Prints outcomes of System V IPC calls in corner cases; the runner compares them with the host. */
#include "guest.h"

#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define V(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s = %lld%s%s\n", __LINE__, #x, v_, v_ == -1 ? " " : "", v_ == -1 ? strerrorname_np(errno) : ""); CHECK(true); v_; })
#define E(x) ({ errno = 0; long long v_ = (long long)(x); dprintf(1, "call %d %s: %s\n", __LINE__, #x, v_ == -1 ? strerrorname_np(errno) : "ok"); CHECK(true); v_; })

union semun_ {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

/* A /proc/sysvipc file without the columns that differ from run to run. */
static void show(const char *name, int id)
{
	char path[64], line[512], want[32];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sysvipc/%s", name);
	f = fopen(path, "r");
	snprintf(want, sizeof(want), "%10d  ", id); /* the id column */
	for (int n = 0; f && fgets(line, sizeof(line), f); n++) {
		if (n == 0)
			dprintf(1, "call %s", line);
		else if (strstr(line, want))
			/* Key, id, permissions; the rest is times and process ids. */
			dprintf(1, "call %s len %zu: %.28s\n", name, strlen(line), line);
	}
	if (f)
		fclose(f);
}

static void as_nobody(void (*fn)(int), int id)
{
	pid_t c;

	CHILD (c) {
		OK(setresgid(1000, 1000, 1000));
		OK(setresuid(1000, 1000, 1000));
		fn(id);
		_exit(0);
	}
	guest_reap(c);
}

static void shm_stranger(int id)
{
	struct shmid_ds ds;

	E(shmat(id, NULL, 0));
	E(shmat(id, NULL, SHM_RDONLY));
	E(shmctl(id, IPC_STAT, &ds));
	E(shmctl(id, IPC_RMID, NULL));
	E(shmctl(id, IPC_SET, &ds));
	E(shmctl(id, SHM_LOCK, NULL));
	E(shmget(0x7a7a, 100, 0600));
	E(shmget(0x7a7a, 100, 0));
	E(shmctl(0, SHM_STAT_ANY, &ds));
}

static void shm(void)
{
	struct shmid_ds ds;
	struct shminfo info;
	struct shm_info used;
	char *p, *q;
	int id, id2;

	E(shmget(0x7a7a, 0, IPC_CREAT | 0600));
	E(shmget(0x7a7a, -1UL, IPC_CREAT | 0600));
	E(shmget(0x7a7a, 100, 0600));
	id = OK(shmget(0x7a7a, 5000, IPC_CREAT | 0640));
	E(shmget(0x7a7a, 5000, IPC_CREAT | IPC_EXCL | 0600));
	E(shmget(0x7a7a, 6000, 0));
	E(shmget(0x7a7a, 10000, 0));
	V(shmget(0x7a7a, 10, 0) == id);
	V(shmget(0x7a7a, 0, 0) == id);
	E(shmget(IPC_PRIVATE, PAGE, SHM_HUGETLB | 0600));
	E(shmget(IPC_PRIVATE, PAGE, SHM_HUGETLB | (29 << 26) | 0600));
	id2 = OK(shmget(IPC_PRIVATE, PAGE, SHM_NORESERVE | 0600));
	V(shmctl(id, IPC_STAT, &ds));
	V(ds.shm_segsz);
	V(ds.shm_nattch);
	V(ds.shm_perm.mode);
	V(ds.shm_lpid);
	V(ds.shm_cpid == getpid());
	V(ds.shm_atime);
	V(ds.shm_ctime != 0);
	V(ds.shm_perm.__key);
	E(shmctl(id, IPC_STAT, (void *)8));
	E(shmctl(id, 77, &ds));
	E(shmctl(-1, IPC_STAT, &ds));
	E(shmctl(id + 1000000, IPC_STAT, &ds));
	V(shmctl(0, IPC_INFO, (void *)&info) >= 0);
	V(info.shmmni);
	V(info.shmmin);
	V(shmctl(0, SHM_INFO, (void *)&used) >= 0);
	V(used.used_ids >= 2);
	E(shmat(id + 1000000, NULL, 0));
	E(shmat(-1, NULL, 0));
	p = (char *)E(shmat(id, NULL, 0));
	V(shmctl(id, IPC_STAT, &ds));
	V(ds.shm_nattch);
	V(ds.shm_lpid == getpid());
	V(ds.shm_atime != 0);
	E(shmat(id, p + 1, 0));
	E(shmat(id, p, 0));
	E(shmat(id, p + 1, SHM_REMAP));
	E(shmat(id, NULL, SHM_REMAP));
	q = (char *)0x1000000000;
	V((char *)shmat(id, q + 100, SHM_RND) - q);
	E(shmat(id, q, 0));
	V((char *)shmat(id2, q, SHM_REMAP) - q);
	V(shmctl(id, IPC_STAT, &ds));
	V(ds.shm_nattch); /* half of it is still there */
	V(shmdt(q));
	V(shmdt(q));
	V(shmdt(q + PAGE));
	V(shmctl(id, IPC_STAT, &ds));
	V(ds.shm_nattch);
	E(munmap(q, 4 * PAGE));
	V(shmctl(id, IPC_STAT, &ds));
	V(ds.shm_nattch);
	q = (char *)E(shmat(id, NULL, SHM_RDONLY));
	p[0] = 9;
	V(q[0]);
	V(mprotect(q, PAGE, PROT_READ | PROT_WRITE));
	V(shmdt(q));
	q = (char *)E(shmat(id, NULL, SHM_EXEC));
	V(shmdt(q));
	V(shmdt(q + 1));
	V(shmdt((void *)8));
	V(shmctl(id, SHM_LOCK, NULL));
	V(shmctl(id, IPC_STAT, &ds));
	V(ds.shm_perm.mode);
	V(shmctl(id, SHM_UNLOCK, NULL));
	V(shmctl(id, IPC_STAT, &ds));
	V(ds.shm_perm.mode);
	ds.shm_perm.mode = 0666;
	ds.shm_perm.uid = 77;
	V(shmctl(id, IPC_SET, &ds));
	V(shmctl(id, IPC_STAT, &ds));
	V(ds.shm_perm.mode);
	V(ds.shm_perm.uid);
	V(ds.shm_perm.cuid);
	E(shmctl(id, IPC_SET, (void *)8));
	ds.shm_perm.uid = -1;
	E(shmctl(id, IPC_SET, &ds));
	show("shm", id);
	as_nobody(shm_stranger, id);
	as_nobody(shm_stranger, id2);
	guest_checkpoint();
	pid_t c;
	CHILD (c) {
		V(p[0]);
		V(shmctl(id, IPC_STAT, &ds));
		V(ds.shm_nattch);
		_exit(0);
	}
	guest_reap(c);
	V(shmctl(id, IPC_STAT, &ds));
	V(ds.shm_nattch);
	/* Removed while attached: stays, without its key. */
	V(shmctl(id, IPC_RMID, NULL));
	V(shmctl(id, IPC_STAT, &ds));
	V(ds.shm_perm.mode);
	V(ds.shm_perm.__key);
	E(shmget(0x7a7a, 100, 0));
	q = (char *)E(shmat(id, NULL, 0));
	V(q[0]);
	V(shmctl(id, IPC_RMID, NULL));
	V(shmdt(q));
	V(p[0]);
	V(shmdt(p));
	E(shmctl(id, IPC_STAT, &ds));
	E(shmat(id, NULL, 0));
	V(shmctl(id2, IPC_RMID, NULL));
	E(shmctl(id2, IPC_RMID, NULL));
}

static long op(int id, int num, int val, int flg)
{
	struct sembuf b = { num, val, flg };

	return semop(id, &b, 1);
}

static void sem_stranger(int id)
{
	struct semid_ds ds;

	E(op(id, 0, 1, 0));
	E(op(id, 0, 0, IPC_NOWAIT));
	E(semctl(id, 0, GETVAL));
	E(semctl(id, 0, SETVAL, (union semun_){ .val = 1 }));
	E(semctl(id, 0, IPC_STAT, (union semun_){ .buf = &ds }));
	E(semctl(id, 0, IPC_RMID));
	E(semget(0x7b7b, 1, 0));
	E(semget(0x7b7b, 1, 0600));
}

static void sem(void)
{
	unsigned short vals[8];
	struct semid_ds ds;
	struct seminfo info;
	struct sembuf b[3];
	struct timespec ts = { 0, 1000 }, bad = { 0, -1 };
	int id;
	pid_t c;

	E(semget(0x7b7b, 0, IPC_CREAT | 0600));
	E(semget(0x7b7b, -1, IPC_CREAT | 0600));
	E(semget(0x7b7b, 32001, IPC_CREAT | 0600));
	E(semget(0x7b7b, 1, 0600));
	id = OK(semget(0x7b7b, 3, IPC_CREAT | 0640));
	E(semget(0x7b7b, 3, IPC_CREAT | IPC_EXCL | 0600));
	E(semget(0x7b7b, 4, 0));
	V(semget(0x7b7b, 0, 0) == id);
	V(semctl(id, 0, GETVAL));
	V(semctl(id, 3, GETVAL));
	V(semctl(id, -1, GETVAL));
	V(semctl(id, 0, SETVAL, (union semun_){ .val = 32768 }));
	V(semctl(id, 0, SETVAL, (union semun_){ .val = -1 }));
	V(semctl(id, 0, SETVAL, (union semun_){ .val = 5 }));
	V(semctl(id, 0, GETPID) == getpid());
	V(semctl(id, 0, GETNCNT));
	V(semctl(id, 0, GETZCNT));
	V(semctl(id, 1, GETPID));
	V(semctl(id, 0, 77));
	V(semctl(id + 1000000, 0, GETVAL));
	V(semctl(-1, 0, GETVAL));
	V(semctl(id, 0, GETALL, (union semun_){ .array = vals }));
	V(vals[0] + vals[1] * 10 + vals[2] * 100);
	V(semctl(id, 0, GETALL, (union semun_){ .array = (void *)8 }));
	vals[1] = 40000;
	V(semctl(id, 0, SETALL, (union semun_){ .array = vals }));
	V(semctl(id, 0, GETVAL));
	vals[1] = 7;
	V(semctl(id, 0, SETALL, (union semun_){ .array = vals }));
	V(semctl(id, 0, IPC_STAT, (union semun_){ .buf = &ds }));
	V(ds.sem_nsems);
	V(ds.sem_otime);
	V(ds.sem_perm.mode);
	V(semctl(id, 0, IPC_INFO, (union semun_){ .info = &info }) >= 0);
	V(info.semmsl);
	V(info.semmni);
	V(info.semopm);
	V(info.semvmx);
	V(info.semaem);
	V(info.semmns);
	V(semctl(id, 0, SEM_INFO, (union semun_){ .info = &info }) >= 0);
	V(info.semaem >= 3);
	V(semop(id, NULL, 0));
	V(semop(id, (void *)8, 1));
	V(semop(id, b, 501));
	V(semop(id, b, -1UL));
	V(op(id, 3, 1, 0));
	V(op(id, 65535, 1, 0));
	V(op(id, 0, 32767, 0));
	V(op(id, 0, -6, IPC_NOWAIT));
	V(op(id, 0, 0, IPC_NOWAIT));
	V(op(id, 2, 0, 0));
	V(op(id, 0, -2, 0));
	V(semctl(id, 0, GETVAL));
	V((semctl(id, 0, IPC_STAT, (union semun_){ .buf = &ds }), ds.sem_otime != 0));
	/* All or nothing. */
	b[0] = (struct sembuf){ 0, -1, 0 };
	b[1] = (struct sembuf){ 1, -100, IPC_NOWAIT };
	V(semop(id, b, 2));
	V(semctl(id, 0, GETVAL));
	b[1] = (struct sembuf){ 0, -1, 0 };
	b[2] = (struct sembuf){ 0, 2, 0 };
	V(semop(id, b, 3));
	V(semctl(id, 0, GETVAL));
	V(semtimedop(id, &(struct sembuf){ 0, -100, 0 }, 1, &ts));
	V(semtimedop(id, &(struct sembuf){ 0, -100, 0 }, 1, &bad));
	V(semtimedop(id, &(struct sembuf){ 0, -100, 0 }, 1, (void *)8));
	/* SEM_UNDO. */
	V(op(id, 0, 1, SEM_UNDO));
	CHILD (c) {
		V(op(id, 0, -2, SEM_UNDO)); /* the parent's undo is not inherited */
		V(op(id, 1, 3, SEM_UNDO));
		V(semctl(id, 0, GETVAL));
		guest_checkpoint();
		_exit(0);
	}
	guest_reap(c);
	V(semctl(id, 0, GETVAL));
	V(semctl(id, 1, GETVAL));
	V(op(id, 0, -1, SEM_UNDO));
	CHILD (c) {
		/* SETVAL clears undo values; an undo never goes below zero. */
		V(op(id, 1, 3, SEM_UNDO));
		V(semctl(id, 1, SETVAL, (union semun_){ .val = 1 }));
		V(op(id, 2, 5, SEM_UNDO));
		V(op(id, 2, -4, 0));
		_exit(0);
	}
	guest_reap(c);
	V(semctl(id, 1, GETVAL));
	V(semctl(id, 2, GETVAL));
	V(op(id, 0, -32768 + 1, SEM_UNDO | IPC_NOWAIT));
	CHILD (c) {
		V(semctl(id, 2, SETVAL, (union semun_){ .val = 0 }));
		V(op(id, 2, 32767, SEM_UNDO));
		V(op(id, 2, -32767, 0));
		V(op(id, 2, 32767, SEM_UNDO)); /* the adjustment would overflow */
		V(semctl(id, 2, GETVAL));
		_exit(0);
	}
	guest_reap(c);
	V(semctl(id, 2, GETVAL));
	/* Threads share undo values; CLONE_SYSVSEM only. */
	V(unshare(CLONE_SYSVSEM));
	show("sem", id);
	as_nobody(sem_stranger, id);
	ds.sem_perm.mode = 0444;
	V(semctl(id, 0, IPC_SET, (union semun_){ .buf = &ds }));
	as_nobody(sem_stranger, id);
	CHILD (c) {
		/* Removed below it. Silent: two writers would mix their lines. */
		_exit(op(id, 0, -1000, 0) == -1 && errno == EIDRM ? 0 : 1);
	}
	guest_blocked(c);
	V(semctl(id, 0, GETNCNT));
	guest_checkpoint();
	V(semctl(id, 0, IPC_RMID));
	guest_reap(c);
	E(semctl(id, 0, IPC_RMID));
	E(op(id, 0, 1, 0));
}

struct msg {
	long type;
	char text[64];
};

static long snd(int id, long type, size_t n, int flags)
{
	struct msg m = { type, "abcdefghijklmnopqrstuvwxyz" };

	return msgsnd(id, &m, n, flags);
}

static long rcv(int id, size_t n, long type, int flags)
{
	struct msg m = { -9, "" };
	long r = msgrcv(id, &m, n, type, flags);
	int e = errno;

	dprintf(1, "call got type %ld %.*s\n", m.type, r > 0 ? (int)r : 0, m.text);
	errno = e;
	return r;
}

static void msg_stranger(int id)
{
	struct msqid_ds ds;

	E(snd(id, 1, 1, IPC_NOWAIT));
	E(rcv(id, 1, 0, IPC_NOWAIT));
	E(msgctl(id, IPC_STAT, &ds));
	E(msgctl(id, IPC_RMID, NULL));
	E(msgget(0x7c7c, 0));
	E(msgget(0x7c7c, 0600));
}

static void msg(void)
{
	struct msqid_ds ds;
	struct msginfo info;
	int id;
	pid_t c;

	E(msgget(0x7c7c, 0600));
	id = OK(msgget(0x7c7c, IPC_CREAT | 0640));
	E(msgget(0x7c7c, IPC_CREAT | IPC_EXCL | 0600));
	V(msgget(0x7c7c, 0) == id);
	V(snd(id, 0, 1, 0));
	V(snd(id, -1, 1, 0));
	V(snd(id, 1, -1UL, 0));
	V(snd(id, 1, 8193, 0));
	V(msgsnd(id, (void *)8, 1, 0));
	V(msgsnd(-1, (void *)8, 1, 0));
	V(snd(id + 1000000, 1, 1, 0));
	V(rcv(id, 10, 0, IPC_NOWAIT));
	V(rcv(id, -1UL, 0, IPC_NOWAIT));
	V(rcv(id + 1000000, 10, 0, IPC_NOWAIT));
	V(snd(id, 3, 3, 0));
	V(snd(id, 1, 1, 0));
	V(snd(id, 2, 2, 0));
	V(snd(id, 2, 20, 0));
	V(snd(id, 5, 0, 0));
	V(msgctl(id, IPC_STAT, &ds));
	V(ds.msg_qnum);
	V(ds.__msg_cbytes);
	V(ds.msg_qbytes);
	V(ds.msg_lspid == getpid());
	V(ds.msg_lrpid);
	V(ds.msg_rtime);
	V(rcv(id, 10, 0, MSG_COPY | IPC_NOWAIT));
	V(rcv(id, 10, 2, MSG_COPY | IPC_NOWAIT));
	V(rcv(id, 10, 9, MSG_COPY | IPC_NOWAIT));
	V(rcv(id, 10, 0, MSG_COPY));
	V(rcv(id, 10, 0, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT));
	V(rcv(id, 2, 3, 0));
	V(rcv(id, 2, 3, MSG_NOERROR));
	V(rcv(id, 10, 1, MSG_EXCEPT));
	V(rcv(id, 64, -2, 0));
	V(rcv(id, 64, -2, 0));
	V(rcv(id, 64, -4, IPC_NOWAIT));
	V(rcv(id, 64, 7, IPC_NOWAIT));
	V(rcv(id, 64, LONG_MIN, IPC_NOWAIT));
	V(rcv(id, 64, 0, IPC_NOWAIT));
	V(msgctl(id, IPC_INFO, (void *)&info) >= 0);
	V(info.msgmax);
	V(info.msgmnb);
	V(info.msgmni);
	V(msgctl(id, MSG_INFO, (void *)&info) >= 0);
	V(info.msgpool >= 1);
	E(msgctl(id, 77, &ds));
	E(msgctl(id, IPC_STAT, (void *)8));
	E(msgctl(-1, IPC_STAT, &ds));
	ds.msg_qbytes = 30;
	V(msgctl(id, IPC_SET, &ds));
	V(snd(id, 1, 20, IPC_NOWAIT));
	V(snd(id, 1, 20, IPC_NOWAIT));
	V(snd(id, 1, 10, IPC_NOWAIT));
	V(snd(id, 1, 0, IPC_NOWAIT));
	V(snd(id, 1, 31, IPC_NOWAIT));
	show("msg", id);
	CHILD (c) {
		_exit(snd(id, 4, 5, 0) == 0 ? 0 : 1); /* waits for room */
	}
	guest_blocked(c);
	guest_checkpoint();
	V(rcv(id, 64, 0, 0));
	guest_reap(c);
	V(rcv(id, 64, 4, 0));
	ds.msg_qbytes = 1 << 20;
	ds.msg_perm.mode = 0444;
	V(msgctl(id, IPC_SET, &ds));
	as_nobody(msg_stranger, id);
	CHILD (c) {
		struct msg m;

		_exit(msgrcv(id, &m, 64, 99, 0) == -1 && errno == EIDRM ? 0 : 1);
	}
	guest_blocked(c);
	V(msgctl(id, IPC_RMID, NULL));
	guest_reap(c);
	E(msgctl(id, IPC_RMID, NULL));
}

void guest_test(void)
{
	shm();
	sem();
	msg();
}
