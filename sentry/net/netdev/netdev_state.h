/* SPDX-License-Identifier: Apache-2.0 */
/* For the network namespace's save and load functions only. */
#ifndef SENTRY_NET_NETDEV_STATE_H
#define SENTRY_NET_NETDEV_STATE_H

struct net_cfg;
struct state_reader;
struct state_writer;
struct Sentry__NetCfg;

struct Sentry__NetCfg *net_cfg_save(struct state_writer *w, const struct net_cfg *c);
/* Replaces what @c has. */
int net_cfg_load(struct state_reader *r, struct net_cfg *c, const struct Sentry__NetCfg *m);

#endif
