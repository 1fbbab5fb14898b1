/* The data volumes at /volumes/N, each with a counter: what was counted and answered is on the disk, whatever happens next. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tinyd.h"

enum { volume_count = 64 };

static int is_mounted(int index) {
  char path[32];
  struct stat here, above;
  snprintf(path, sizeof path, "/volumes/%d", index);
  return stat("/volumes", &above) == 0 && stat(path, &here) == 0 && here.st_dev != above.st_dev;
}

static int open_counter(int index, int flags) {
  char path[40];
  snprintf(path, sizeof path, "/volumes/%d/count", index);
  return open(path, flags | O_CLOEXEC, 0644);
}

static int read_counter(int file, uint64_t *count) {
  char text[32] = "";
  if (pread(file, text, sizeof text - 1, 0) < 0) return 0;
  *count = strtoull(text, NULL, 10);
  return 1;
}

void volumes_describe(char *text, size_t size) {
  size_t used = snprintf(text, size, "[");
  for (int index = 0; index < volume_count && used + 80 < size; index++) {
    uint64_t count;
    if (!is_mounted(index)) continue;
    int file = open_counter(index, O_RDONLY);
    used += snprintf(text + used, size - used, "%s{\"index\":%d,\"count\":", used > 1 ? "," : "", index);
    if (file >= 0 && read_counter(file, &count))
      used += snprintf(text + used, size - used, "%llu}", (unsigned long long)count);
    else
      used += snprintf(text + used, size - used, "null}");
    if (file >= 0) close(file);
  }
  snprintf(text + used, size - used, "]\n");
}

const char *volumes_count(int index, uint64_t *count) {
  char text[32];
  if (!is_mounted(index)) return "no such volume is mounted";
  int file = open_counter(index, O_RDWR | O_CREAT);
  if (file < 0) return strerror(errno);
  /* Always as long, and within one sector: an old number or a new one, never half of each. */
  int done = read_counter(file, count) && snprintf(text, sizeof text, "%020llu\n", (unsigned long long)++*count) == 21 &&
             pwrite(file, text, 21, 0) == 21 && fsync(file) == 0;
  const char *error = done ? NULL : strerror(errno);
  close(file);
  return error;
}
