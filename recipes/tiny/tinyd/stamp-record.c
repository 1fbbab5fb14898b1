/*
 * One record, 512 bytes, little endian:
 *   0  magic "DTSTAMP1"        56 counter u64 (from 0 in each life of a writer)
 *   8  host, 32 bytes, 0-padded 64 wall clock, ms since 1970, u64
 *  40  epoch u64               72 uptime, ms since boot, u64
 *  48  incarnation u64         80 CRC-32 (as in zip) of bytes 0 to 79, u32; the rest is 0
 */
#define _GNU_SOURCE
#include <string.h>
#include "tinyd.h"

static const char magic[8] = "DTSTAMP1";

static void put(unsigned char *at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) at[i] = value >> (8 * i);
}

static uint32_t crc32(const unsigned char *bytes, size_t length) {
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < length; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0xedb88320 : crc >> 1;
  }
  return ~crc;
}

void encode_stamp(const struct stamp *stamp, unsigned char *sector) {
  memset(sector, 0, stamp_bytes);
  memcpy(sector, magic, sizeof magic);
  memcpy(sector + 8, stamp->host, strlen(stamp->host));
  put(sector + 40, stamp->epoch, 8);
  put(sector + 48, stamp->incarnation, 8);
  put(sector + 56, stamp->counter, 8);
  put(sector + 64, stamp->wall_ms, 8);
  put(sector + 72, stamp->uptime_ms, 8);
  put(sector + 80, crc32(sector, 80), 4);
}

int is_stamp(const unsigned char *sector) { return memcmp(sector, magic, sizeof magic) == 0; }
