/*
 * A file system for a disk that has never been used, and for no other. A machine that dies while it is made leaves a mark in the
 * disk's last sector, by which the next attempt knows that what is there is a half one of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "resident.h"

enum { blank_bytes = 65536, smallest_bytes = 1 << 20, mark_bytes = 512, make_patience_ms = 60000 };

static int is_blank(int disk) {
  static unsigned char bytes[blank_bytes];
  if (pread(disk, bytes, sizeof bytes, 0) != sizeof bytes) return 0;
  return bytes[0] == 0 && memcmp(bytes, bytes + 1, sizeof bytes - 1) == 0;
}

static void compose_mark(char *mark, const char *serial) {
  memset(mark, 0, mark_bytes);
  snprintf(mark, mark_bytes, "dialtone: a file system is being made on %s", serial);
}

static int has_mark(int disk, off_t at, const char *serial) {
  char wanted[mark_bytes], found[mark_bytes];
  compose_mark(wanted, serial);
  return pread(disk, found, mark_bytes, at) == mark_bytes && memcmp(wanted, found, mark_bytes) == 0;
}

static int write_sector(int disk, off_t at, const char *bytes) {
  return pwrite(disk, bytes, mark_bytes, at) == mark_bytes && fsync(disk) == 0;
}

static int make_with_mark(int disk, off_t mark_at, const char *device, const char *serial, struct answer *answer) {
  static const char nothing[mark_bytes];
  char mark[mark_bytes];
  const char *const arguments[] = {
    "/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-E", "nodiscard,lazy_itable_init=1", device, NULL};
  compose_mark(mark, serial);
  if (!write_sector(disk, mark_at, mark)) {
    refuse(answer, "the disk %s cannot be written: %s", serial, strerror(errno));
    return -1;
  }
  enum ending ending = run_program(arguments, make_patience_ms);
  if (ending != ended_well) {
    refuse(answer, "no file system can be made on the disk %s: mke2fs %s", serial, ending_words(ending));
    return -1;
  }
  if (fsync(disk) == 0 && write_sector(disk, mark_at, nothing)) return 1;
  refuse(answer, "the disk %s cannot be written: %s", serial, strerror(errno));
  return -1;
}

int make_file_system_if_blank(const char *device, const char *serial, struct answer *answer) {
  int disk = open(device, O_RDWR | O_CLOEXEC), result = -1;
  off_t size = disk < 0 ? -1 : lseek(disk, 0, SEEK_END);
  if (size < 0) refuse(answer, "the disk %s cannot be opened: %s", serial, strerror(errno));
  else if (size < smallest_bytes) refuse(answer, "the disk %s is smaller than 1 MiB", serial);
  else if (!is_blank(disk) && !has_mark(disk, size - mark_bytes, serial)) result = 0;
  else result = make_with_mark(disk, size - mark_bytes, device, serial, answer);
  if (disk >= 0) close(disk);
  return result;
}
