/* Disks are known by the serial number that the host gave them: their names depend on the order in which they came. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "resident.h"

enum { look_again_ms = 250 };

/* virtio-blk says it as a text; SCSI as a page of vital product data: four bytes, then the text. */
static int has_serial(const char *disk, const char *serial) {
  char path[400], text[256];
  snprintf(path, sizeof path, "/sys/block/%s/serial", disk);
  if (read_text(path, text, sizeof text) > 0) return strcmp(text, serial) == 0;
  snprintf(path, sizeof path, "/sys/block/%s/device/vpd_pg80", disk);
  int length = read_text(path, text, sizeof text), expected = strlen(serial);
  return length > expected && memcmp(text + length - expected, serial, expected) == 0;
}

/* The name of a disk that is still being added is there before anything answers under it. */
static int is_there(const char *device) {
  int handle = open(device, O_RDONLY | O_CLOEXEC);
  if (handle >= 0) close(handle);
  return handle >= 0 || (errno != ENOENT && errno != ENXIO);
}

static int look_for_disk(const char *serial, char *device, size_t size) {
  DIR *disks = opendir("/sys/block");
  if (disks == NULL) return 0;
  struct dirent *entry;
  int found = 0;
  while (!found && (entry = readdir(disks)) != NULL) {
    if (entry->d_name[0] == '.' || !has_serial(entry->d_name, serial)) continue;
    snprintf(device, size, "/dev/%s", entry->d_name);
    found = is_there(device);
  }
  closedir(disks);
  return found;
}

static long long now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

int find_disk(const char *serial, int patience_ms, char *device, size_t size) {
  int events = open_device_events(), found;
  long long deadline = now_ms() + patience_ms;
  while (!(found = look_for_disk(serial, device, size)) && now_ms() < deadline)
    wait_for_device_event(events, look_again_ms);
  if (events >= 0) close(events);
  return found;
}
