/* SPDX-License-Identifier: Apache-2.0 */
typedef int gofer_server_placeholder;
