/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of /proc that list what a kernel has, most of which this one has not: interrupts, modules, symbols, ports, pressure. Checkpoint: stateless. */
#include "sentry/fs/proc/machine.h"
#include "sentry/fs/proc/proc_internal.h"

int proc_show_softirqs(struct pctx *c, struct strbuf *b)
{
	static const char *const names[] = { "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU" };

	strbuf_adds(b, "                    ");
	for (size_t n = 0; n < the_kernel->cfg.nr_cpus; n++)
		strbuf_addf(b, "CPU%-8zu", n);
	strbuf_adds(b, "\n");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		strbuf_addf(b, "%12s:", names[i]);
		for (size_t n = 0; n < the_kernel->cfg.nr_cpus; n++)
			strbuf_addf(b, " %10u", 0);
		strbuf_adds(b, "\n");
	}
	return 0;
}

int proc_show_interrupts(struct pctx *c, struct strbuf *b)
{
	static const struct {
		const char *name, *text;
	} rows[] = {
		{ "NMI", "Non-maskable interrupts" }, { "LOC", "Local timer interrupts" }, { "RES", "Rescheduling interrupts" },
		{ "CAL", "Function call interrupts" }, { "TLB", "TLB shootdowns" },
	};

	strbuf_adds(b, "           ");
	for (size_t n = 0; n < the_kernel->cfg.nr_cpus; n++)
		strbuf_addf(b, "CPU%-8zu", n);
	strbuf_adds(b, "\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		strbuf_addf(b, "%4s:", rows[i].name);
		for (size_t n = 0; n < the_kernel->cfg.nr_cpus; n++)
			strbuf_addf(b, " %10u", 0);
		strbuf_addf(b, "   %s\n", rows[i].text);
	}
	strbuf_addf(b, "%4s: %10u\n%4s: %10u\n", "ERR", 0, "MIS", 0);
	return 0;
}

int proc_show_execdomains(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "0-0\tLinux           \t[kernel]\n");
	return 0;
}

/* Addresses are shown to nobody. */
int proc_show_iomem(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "00000000-00000000 : System RAM\n");
	return 0;
}

int proc_show_pressure(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
	return 0;
}

int proc_show_dma(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, " 4: cascade\n");
	return 0;
}

int proc_show_arch_status(struct pctx *c, struct strbuf *b)
{
	return 0; /* AVX512_elapsed_ms is for CPUs that slow down */
}

int proc_show_autogroup(struct pctx *c, struct strbuf *b)
{
	const struct session *s;
	int32_t sid, nice;

	mutex_lock(&the_kernel->tasks_mu);
	s = c->target->tg->session;
	sid = s ? proc_nr(c, s->id) : 0;
	nice = s ? s->autogroup_nice : 0;
	mutex_unlock(&the_kernel->tasks_mu);
	strbuf_addf(b, "/autogroup-%d nice %d\n", sid, nice);
	return 0;
}

/* The weight of a session's tasks together; remembered. */
int64_t proc_store_autogroup(struct pctx *c, char *s, size_t n)
{
	int64_t v;

	if (pseudo_parse_i64(s, &v) < 0 || v < -20 || v > 19)
		return -EINVAL;
	if (v < 0 && c->t && !task_capable(c->t, LINUX_CAP_SYS_NICE))
		return -EPERM;
	mutex_lock(&the_kernel->tasks_mu);
	if (c->target->tg->session)
		c->target->tg->session->autogroup_nice = (int32_t)v;
	mutex_unlock(&the_kernel->tasks_mu);
	return (int64_t)n;
}
