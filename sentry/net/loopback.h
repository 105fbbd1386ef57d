/* SPDX-License-Identifier: Apache-2.0 */
/* The loopback interface: it is in every network namespace, with the same number. Its state is in netdev/. */
#ifndef SENTRY_NET_LOOPBACK_H
#define SENTRY_NET_LOOPBACK_H

#define LO_IFINDEX 1
#define LO_MTU     65536

#endif
