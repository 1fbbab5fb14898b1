/*
 * The stamp writer: one record a sector, in order, past every cache. It finds the end of what is there once, at its
 * start, and never looks again: were another writer alive, both would leave their marks and a reader sees it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tinyd.h"

enum { scan_bytes = 65536, maximum_every_ms = 1000 };

static const char plain_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

static struct {
  pthread_mutex_t lock;
  pthread_t thread;
  int runs, must_end, is_full, last_errno;
  uint64_t written, position;
  struct stamp_writer writer;
} stamps = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int keep_result(uint64_t written, uint64_t position, int error) {
  pthread_mutex_lock(&stamps.lock);
  stamps.written = written;
  stamps.position = position;
  if (error != 0) stamps.last_errno = error;
  int must_end = stamps.must_end;
  pthread_mutex_unlock(&stamps.lock);
  return must_end;
}

/* The position after the last record on the device; -1 with errno when it cannot be read, or need not be any more. */
static int64_t find_end(int device, uint64_t sectors, unsigned char *buffer) {
  uint64_t end = 0;
  for (uint64_t start = 0; start < sectors; start += scan_bytes / stamp_bytes) {
    ssize_t length = pread(device, buffer, scan_bytes, start * stamp_bytes);
    if (length < 0 || keep_result(0, 0, 0)) return -1;
    for (ssize_t at = 0; at + stamp_bytes <= length; at += stamp_bytes)
      if (is_stamp(buffer + at)) end = start + at / stamp_bytes + 1;
  }
  return end;
}

static void write_stamps(int device, uint64_t sectors, uint64_t position, unsigned char *buffer) {
  struct stamp stamp = {.epoch = stamps.writer.epoch, .incarnation = stamps.writer.incarnation};
  uint64_t next = now_ms();
  memcpy(stamp.host, stamps.writer.host, sizeof stamp.host);
  while (!keep_result(stamp.counter, position, 0)) {
    if (position >= sectors) {
      pthread_mutex_lock(&stamps.lock);
      stamps.is_full = 1;
      stamps.last_errno = ENOSPC;
      pthread_mutex_unlock(&stamps.lock);
      return;
    }
    stamp.wall_ms = wall_ms();
    stamp.uptime_ms = now_ms();
    encode_stamp(&stamp, buffer);
    if (pwrite(device, buffer, stamp_bytes, position * stamp_bytes) == stamp_bytes) {
      stamp.counter++;
      position++;
    } else {
      keep_result(stamp.counter, position, errno == 0 ? EIO : errno);
    }
    next = next + stamps.writer.every_ms < now_ms() ? now_ms() : next + stamps.writer.every_ms;
    sleep_until(next);
  }
}

static void *work(void *unused) {
  void *buffer = NULL;
  int device = open(stamps.writer.device, O_RDWR | O_DIRECT | O_SYNC | O_CLOEXEC);
  int64_t end = -1, bytes = device < 0 ? -1 : lseek(device, 0, SEEK_END);
  if (bytes >= 0 && posix_memalign(&buffer, 4096, scan_bytes) == 0)
    end = find_end(device, bytes / stamp_bytes, buffer);
  if (end < 0) keep_result(0, 0, errno);
  else write_stamps(device, bytes / stamp_bytes, end, buffer);
  free(buffer);
  if (device >= 0) close(device);
  return unused;
}

/* The disk that /data lies on, or in a machine without one, none. */
static int is_root_disk(const char *device) {
  struct stat data, node;
  return stat("/data", &data) == 0 && stat(device, &node) == 0 && data.st_dev == node.st_rdev;
}

const char *stamps_start(const struct stamp_writer *writer) {
  struct stat node;
  if (strncmp(writer->device, "/dev/", 5) != 0 || stat(writer->device, &node) != 0 || !S_ISBLK(node.st_mode))
    return "there is no such block device";
  if (writer->every_ms > maximum_every_ms) return "everyMs is at most 1000";
  if (writer->host[strspn(writer->host, plain_letters)] != 0) return "the host has letters that no name has";
  if (is_root_disk(writer->device) && !writer->allow_root_disk)
    return "this is the machine's own disk: say allowRootDisk=1 to destroy it";
  stamps_stop();
  stamps.writer = *writer;
  stamps.must_end = stamps.is_full = stamps.last_errno = 0;
  stamps.written = stamps.position = 0;
  stamps.runs = pthread_create(&stamps.thread, NULL, work, NULL) == 0;
  return stamps.runs ? NULL : "no thread can be started";
}

void stamps_stop(void) {
  if (!stamps.runs) return;
  pthread_mutex_lock(&stamps.lock);
  stamps.must_end = 1;
  pthread_mutex_unlock(&stamps.lock);
  pthread_join(stamps.thread, NULL);
  stamps.runs = 0;
}

static int kernel_argument(const char *line, const char *key, char *value, size_t size) {
  const char *at = strstr(line, key);
  if (at == NULL) return 0;
  at += strlen(key);
  snprintf(value, size, "%.*s", (int)strcspn(at, " \n"), at);
  return 1;
}

void stamps_start_from_kernel(void) {
  struct stamp_writer writer = {.host = "unnamed", .every_ms = 20};
  char line[4096] = "", number[32];
  int file = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  ssize_t length = read(file, line, sizeof line - 1);
  close(file);
  if (length <= 0 || !kernel_argument(line, "dialtone.stamp=", writer.device, sizeof writer.device)) return;
  kernel_argument(line, "dialtone.host=", writer.host, sizeof writer.host);
  if (kernel_argument(line, "dialtone.epoch=", number, sizeof number)) writer.epoch = strtoull(number, NULL, 10);
  if (kernel_argument(line, "dialtone.incarnation=", number, sizeof number))
    writer.incarnation = strtoull(number, NULL, 10);
  if (kernel_argument(line, "dialtone.stampEveryMs=", number, sizeof number))
    writer.every_ms = strtoull(number, NULL, 10);
  const char *error = stamps_start(&writer);
  if (error != NULL) dprintf(2, "tinyd: no stamps on %s: %s\n", writer.device, error);
}

void stamps_describe(char *text, size_t size) {
  pthread_mutex_lock(&stamps.lock);
  snprintf(text, size,
           "{\"running\":%s,\"device\":\"%s\",\"host\":\"%s\",\"epoch\":%llu,\"incarnation\":%llu,\"written\":%llu,"
           "\"position\":%llu,\"isFull\":%s,\"lastErrno\":%d}\n",
           stamps.runs ? "true" : "false", stamps.writer.device, stamps.writer.host,
           (unsigned long long)stamps.writer.epoch, (unsigned long long)stamps.writer.incarnation,
           (unsigned long long)stamps.written, (unsigned long long)stamps.position,
           stamps.is_full ? "true" : "false", stamps.last_errno);
  pthread_mutex_unlock(&stamps.lock);
}
