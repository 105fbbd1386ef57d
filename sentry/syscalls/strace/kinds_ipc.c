/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of System V IPC and POSIX message queues. */
#include <mqueue.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "sentry/syscalls/strace/internal.h"

bool k_IPCKEY(struct dec *d, uint64_t v)
{
	if (v)
		strbuf_addf(&d->b, "%#x", (uint32_t)v);
	else
		strbuf_adds(&d->b, "IPC_PRIVATE");
	return true;
}

static const struct xlat x_ipc[] = { X(IPC_CREAT), X(IPC_EXCL), X(IPC_NOWAIT), XEND };

bool k_IPCFLAGS(struct dec *d, uint64_t v)
{
	if (v & ~(uint64_t)0777) {
		dec_flags(d, x_ipc, (uint32_t)v & ~0777u, NULL);
		strbuf_addc(&d->b, '|');
	}
	return k_MODE(d, v & 0777);
}

static const struct xlat x_ctl[] = { X(IPC_RMID), X(IPC_SET), X(IPC_STAT), X(IPC_INFO), XEND };
static const struct xlat x_shmctl[] = { X(SHM_LOCK), X(SHM_UNLOCK), X(SHM_STAT), X(SHM_INFO), { 15, "SHM_STAT_ANY" }, XEND };
static const struct xlat x_semctl[] = {
	X(GETPID), X(GETVAL), X(GETALL), X(GETNCNT), X(GETZCNT), X(SETVAL), X(SETALL), X(SEM_STAT), X(SEM_INFO), { 20, "SEM_STAT_ANY" }, XEND,
};
static const struct xlat x_msgctl[] = { X(MSG_STAT), X(MSG_INFO), { 13, "MSG_STAT_ANY" }, XEND };

static bool put_ctl(struct dec *d, uint64_t v, const struct xlat *own, const char *unknown)
{
	if (xlat_name(x_ctl, (uint32_t)v))
		dec_value(d, x_ctl, (uint32_t)v, NULL);
	else
		dec_value(d, own, (uint32_t)v, unknown);
	return true;
}

bool k_SHMCTL(struct dec *d, uint64_t v)
{
	return put_ctl(d, v, x_shmctl, "SHM_???");
}

bool k_SEMCTL(struct dec *d, uint64_t v)
{
	return put_ctl(d, v, x_semctl, "SEM_???");
}

bool k_MSGCTL(struct dec *d, uint64_t v)
{
	return put_ctl(d, v, x_msgctl, "MSG_???");
}

static const struct xlat x_sem[] = { X(IPC_NOWAIT), X(SEM_UNDO), XEND };

bool k_SEMBUF(struct dec *d, uint64_t v)
{
	uint64_t n = d->a[d->i + 1];

	if (!v || n > 1024) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_addc(&d->b, '[');
	for (uint64_t i = 0; i < n && i < STRACE_VEC; i++) {
		struct sembuf s;

		if (!dec_read(d, v + i * sizeof(s), &s, sizeof(s)))
			break;
		strbuf_addf(&d->b, "%s{sem_num=%u, sem_op=%d, sem_flg=", i ? ", " : "", s.sem_num, s.sem_op);
		dec_flags(d, x_sem, (uint16_t)s.sem_flg, "SEM_???");
		strbuf_addc(&d->b, '}');
	}
	strbuf_addc(&d->b, ']');
	return true;
}

static void put_msg(struct dec *d, uint64_t v, uint64_t n)
{
	int64_t type;

	if (!dec_read(d, v, &type, sizeof(type))) {
		dec_ptr(d, v);
		return;
	}
	strbuf_addf(&d->b, "{mtype=%ld, mtext=", (long)type);
	dec_str(d, v + sizeof(type), n, false);
	strbuf_addc(&d->b, '}');
}

bool k_MSGBUF(struct dec *d, uint64_t v)
{
	put_msg(d, v, d->a[d->i + 1]);
	return true;
}

bool k_OUT_MSGBUF(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		put_msg(d, v, (uint64_t)d->ret);
	return true;
}

static const struct xlat x_msgrcv[] = { X(MSG_NOERROR), X(MSG_EXCEPT), { 040000, "MSG_COPY" }, X(IPC_NOWAIT), XEND };

bool k_MSGRCVFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_msgrcv, (uint32_t)v, "MSG_???");
	return true;
}

bool k_MQATTR(struct dec *d, uint64_t v)
{
	struct mq_attr a;

	if (!dec_read(d, v, &a, sizeof(a))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_adds(&d->b, "{mq_flags=");
	dec_hex(d, (uint64_t)a.mq_flags);
	strbuf_addf(&d->b, ", mq_maxmsg=%ld, mq_msgsize=%ld, mq_curmsgs=%ld}", a.mq_maxmsg, a.mq_msgsize, a.mq_curmsgs);
	return true;
}

bool k_OUT_MQATTR(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		(void)k_MQATTR(d, v);
	return true;
}
