/* SPDX-License-Identifier: Apache-2.0 */
/* poll(2) and epoll(7) constants and layouts. The low event bits are the masks of wait queues. */
#ifndef SENTRY_ABI_POLL_H
#define SENTRY_ABI_POLL_H

#include <stdint.h>

#define LINUX_POLLIN     0x0001u
#define LINUX_POLLPRI    0x0002u
#define LINUX_POLLOUT    0x0004u
#define LINUX_POLLERR    0x0008u
#define LINUX_POLLHUP    0x0010u
#define LINUX_POLLNVAL   0x0020u
#define LINUX_POLLRDNORM 0x0040u
#define LINUX_POLLRDBAND 0x0080u
#define LINUX_POLLWRNORM 0x0100u
#define LINUX_POLLWRBAND 0x0200u
#define LINUX_POLLMSG    0x0400u
#define LINUX_POLLRDHUP  0x2000u

/* What objects report together. */
#define POLL_READ  (LINUX_POLLIN | LINUX_POLLRDNORM)
#define POLL_WRITE (LINUX_POLLOUT | LINUX_POLLWRNORM)
/* Every event an application can ask for; other bits of a wait mask are internal to an object. */
#define POLL_EVENTS                                                                                                    \
	(LINUX_POLLIN | LINUX_POLLPRI | LINUX_POLLOUT | LINUX_POLLERR | LINUX_POLLHUP | LINUX_POLLRDNORM |            \
	 LINUX_POLLRDBAND | LINUX_POLLWRNORM | LINUX_POLLWRBAND | LINUX_POLLMSG | LINUX_POLLRDHUP)

struct linux_pollfd {
	int32_t fd;
	int16_t events, revents;
};

#define LINUX_EPOLL_CLOEXEC   02000000u
#define LINUX_EPOLL_CTL_ADD   1
#define LINUX_EPOLL_CTL_DEL   2
#define LINUX_EPOLL_CTL_MOD   3
#define LINUX_EPOLLEXCLUSIVE  (1u << 28)
#define LINUX_EPOLLWAKEUP     (1u << 29)
#define LINUX_EPOLLONESHOT    (1u << 30)
#define LINUX_EPOLLET         (1u << 31)

struct linux_epoll_event {
	uint32_t events;
	uint64_t data;
} __attribute__((packed));

#endif
