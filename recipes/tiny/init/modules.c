/*
 * Loading kernel modules from the lists that the build made: dependencies first, one system call each. A loaded
 * module's file is removed: it would take up memory for good, since the file system lies there.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "init.h"

static void load_module(const char *name) {
  char path[300];
  snprintf(path, sizeof path, "/lib/modules/%s.ko", name);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    say("module %s is missing", name);
    return;
  }
  if (syscall(SYS_finit_module, file, "", 0) != 0 && errno != EEXIST && errno != ENODEV)
    say("module %s cannot be loaded: %s", name, strerror(errno));
  close(file);
  unlink(path);
}

int has_pci_device(const char *id) {
  DIR *bus = opendir("/sys/bus/pci/devices");
  if (bus == NULL) return 0;
  struct dirent *entry;
  int found = 0;
  while (!found && (entry = readdir(bus)) != NULL) {
    char path[400], vendor[16], device[16], both[40];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/vendor", entry->d_name);
    if (read_text(path, vendor, sizeof vendor) < 3) continue;
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/device", entry->d_name);
    if (read_text(path, device, sizeof device) < 3) continue;
    snprintf(both, sizeof both, "%s:%s", vendor + 2, device + 2);
    found = strcmp(both, id) == 0;
  }
  closedir(bus);
  return found;
}

void load_modules(const char *list) {
  char text[4096];
  if (read_text(list, text, sizeof text) < 0) {
    say("the list of modules %s is missing", list);
    return;
  }
  char *rest = text, *line;
  while ((line = strsep(&rest, "\n")) != NULL) {
    char *condition = strchr(line, ' ');
    if (condition != NULL) *condition++ = 0;
    if (*line != 0 && (condition == NULL || has_pci_device(condition))) load_module(line);
  }
}
