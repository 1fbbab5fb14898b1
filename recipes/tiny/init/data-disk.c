/*
 * The machine's own disk: one ext4 file system labelled TINYDATA, on /data. It holds the machine id and the count of
 * boots.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "init.h"

static const char label[16] = "TINYDATA";

static int has_label(const char *device) {
  unsigned char block[1024];
  int file = open(device, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  int length = pread(file, block, sizeof block, 1024);
  close(file);
  return length == sizeof block && block[56] == 0x53 && block[57] == 0xef && memcmp(block + 120, label, 16) == 0;
}

static int find_data_disk(char *device, size_t size) {
  static const char *const kinds[] = {"vd", "sd"};
  for (size_t kind = 0; kind < 2; kind++)
    for (char letter = 'a'; letter <= 'z'; letter++) {
      snprintf(device, size, "/dev/%s%c", kinds[kind], letter);
      if (has_label(device)) return 1;
    }
  return 0;
}

static void count_boot(void) {
  char text[32] = "0";
  read_text("/data/boots", text, sizeof text);
  snprintf(text, sizeof text, "%llu\n", strtoull(text, NULL, 10) + 1);
  /* A rename, so that a machine that dies in the middle keeps the old count instead of an empty file. */
  if (write_text("/data/boots.new", text) != 0 || rename("/data/boots.new", "/data/boots") != 0)
    say("this boot cannot be counted");
}

void mount_data_disk(void) {
  char device[32];
  if (!find_data_disk(device, sizeof device)) {
    say("no disk labelled TINYDATA: /data lives in memory");
    return;
  }
  if (mount(device, "/data", "ext4", MS_NOATIME, "errors=remount-ro") != 0) {
    say("%s cannot be mounted: /data lives in memory", device);
    return;
  }
  count_boot();
}

void set_machine_id(void) {
  char id[40];
  if (read_text("/data/machine-id", id, sizeof id) != 32) {
    uint64_t words[2];
    if (getrandom(words, sizeof words, 0) != sizeof words) return;
    snprintf(id, sizeof id, "%016llx%016llx", (unsigned long long)words[0], (unsigned long long)words[1]);
    write_text("/data/machine-id", id);
  }
  symlink("/data/machine-id", "/etc/machine-id");
}
