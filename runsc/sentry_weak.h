/* SPDX-License-Identifier: Apache-2.0 */
/* Until sentry/sentry.c is in the tree: lets the binary link without it. Goes when it comes. */
#ifndef RUNSC_SENTRY_WEAK_H
#define RUNSC_SENTRY_WEAK_H

#pragma weak sentry_new
#pragma weak sentry_create_container
#pragma weak sentry_start
#pragma weak sentry_exec
#pragma weak sentry_wait
#pragma weak sentry_kill
#pragma weak sentry_set_winsize
#pragma weak sentry_pause
#pragma weak sentry_resume
#pragma weak sentry_destroy_container
#pragma weak sentry_ps_json
#pragma weak sentry_stats_json
#pragma weak sentry_debug_json
#pragma weak sentry_checkpoint
#pragma weak sentry_restore

#endif
