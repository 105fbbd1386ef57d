/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli), the checksum of every part of an image. Starts at 0; crc32c(crc32c(0, a), b) is the crc of ab. */
#ifndef STATE_CRC32C_H
#define STATE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The portable version, for machines without SSE4.2 and for tests. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
