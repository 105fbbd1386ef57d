/* SPDX-License-Identifier: Apache-2.0 */
/* The loopback interface, the only one of a network namespace so far, as interface ioctls and rtnetlink show it. */
#ifndef SENTRY_NET_LOOPBACK_H
#define SENTRY_NET_LOOPBACK_H

#define LO_IFINDEX 1
#define LO_MTU     65536
#define LO_ARPHRD  772
#define LO_FLAGS   0x10049u /* UP LOOPBACK RUNNING LOWER_UP */

#endif
