/* SPDX-License-Identifier: Apache-2.0 */
/* "KILL", "SIGKILL", "9", "RTMIN+3" -> Linux signal number. */
#ifndef RUNSC_SIGNAL_NAMES_H
#define RUNSC_SIGNAL_NAMES_H

/* -EINVAL when it is none of them. */
int signal_number(const char *name);

#endif
