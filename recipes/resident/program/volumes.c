/* Data volumes at /volumes/INDEX. All may be asked twice. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "resident.h"

enum { longest_serial = 36, maximum_index = 63, disk_patience_ms = 5000, start_patience_ms = 30000 };

static const char volumes_folder[] = "/volumes";

static const char *read_serial(const struct message *message, struct answer *answer) {
  const char *serial = message_value(message, "serial");
  if (serial != NULL && *serial && strlen(serial) <= longest_serial && strpbrk(serial, "/ \"") == NULL) return serial;
  refuse(answer, "serial is no serial number of a disk");
  return NULL;
}

static int read_index(const struct message *message, struct answer *answer) {
  const char *text = message_value(message, "index");
  size_t digits = text == NULL ? 0 : strspn(text, "0123456789");
  if (digits > 0 && digits < 3 && text[digits] == 0 && atoi(text) <= maximum_index) return atoi(text);
  refuse(answer, "index is no number from 0 to %d", maximum_index);
  return -1;
}

/* Returns 1 when the disk is mounted there, 0 when nothing is, -1 when something else is. */
static int look_at_place(const char *device, const char *place) {
  struct stat disk, here, above;
  if (stat(device, &disk) != 0 || stat(place, &here) != 0 || stat(volumes_folder, &above) != 0) return -1;
  if (here.st_dev == disk.st_rdev) return 1;
  return here.st_dev == above.st_dev ? 0 : -1;
}

/* Returns 1 when the disk is mounted at the place. */
static int mount_there(const char *device, const char *serial, const char *place, struct answer *answer) {
  mkdir(volumes_folder, 0755);
  mkdir(place, 0755);
  int found = look_at_place(device, place);
  if (found < 0) refuse(answer, "something else is mounted at %s", place);
  if (found != 0) return found > 0;
  int made = make_file_system_if_blank(device, serial, answer);
  if (made < 0) return 0;
  tell(answer, "made", made ? "1" : "0");
  if (mount(device, place, "ext4", MS_NOATIME, "errors=remount-ro") == 0) return 1;
  refuse(answer, "the disk %s is not blank and holds no file system that can be mounted: %s", serial, strerror(errno));
  return 0;
}

void mount_volume(const struct message *message, struct answer *answer) {
  char device[300], place[32];
  const char *serial = read_serial(message, answer);
  int index = serial == NULL ? -1 : read_index(message, answer);
  if (index < 0) return;
  if (!find_disk(serial, disk_patience_ms, device, sizeof device))
    return refuse(answer, "no disk with the serial number %s came within %d s", serial, disk_patience_ms / 1000);
  snprintf(place, sizeof place, "%s/%d", volumes_folder, index);
  if (!mount_there(device, serial, place, answer)) return;
  tell(answer, "device", device);
  tell(answer, "at", place);
  enum ending ending = run_hook("start", place, NULL, start_patience_ms);
  if (ending != ended_well && ending != was_absent)
    refuse(answer, "the disk is mounted, but the guest's hook /etc/dialtone/start %s", ending_words(ending));
}

void unmount_volume(const struct message *message, struct answer *answer) {
  char device[300], place[32];
  const char *serial = read_serial(message, answer);
  if (serial == NULL || !find_disk(serial, 0, device, sizeof device)) return;
  for (int index = 0; index <= maximum_index; index++) {
    snprintf(place, sizeof place, "%s/%d", volumes_folder, index);
    if (look_at_place(device, place) != 1) continue;
    int folder = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int synced = folder >= 0 && syncfs(folder) == 0;
    if (folder >= 0) close(folder);
    if (!synced || umount2(place, 0) != 0) return refuse(answer, "%s cannot be unmounted: %s", place, strerror(errno));
  }
}
