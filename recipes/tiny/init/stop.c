/* The clean end of the machine. Quicker than busybox init's own, which always sleeps. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>
#include "init.h"

enum { patience_ms = 400, step_ms = 20, volume_count = 64 };

/* Data volumes, and the machine's own disk. Returns 1 when none is mounted any more. */
static int unmount_all(void) {
  int all = 1;
  for (int index = -1; index < volume_count; index++) {
    char place[32] = "/data";
    if (index >= 0) snprintf(place, sizeof place, "/volumes/%d", index);
    if (umount2(place, 0) != 0 && errno == EBUSY) all = 0;
  }
  return all;
}

static int unmount_within(int milliseconds) {
  for (int waited = 0;; waited += step_ms) {
    if (unmount_all()) return 1;
    if (waited >= milliseconds) return 0;
    usleep(step_ms * 1000);
  }
}

void stop_machine(int restart) {
  /* Without this, init would start again whatever ends here. */
  kill(1, SIGTSTP);
  kill(-1, SIGTERM);
  if (!unmount_within(patience_ms)) {
    kill(-1, SIGKILL);
    if (!unmount_within(patience_ms)) mount("", "/data", "", MS_REMOUNT | MS_RDONLY, NULL);
  }
  sync();
  reboot(restart ? RB_AUTOBOOT : RB_POWER_OFF);
}
