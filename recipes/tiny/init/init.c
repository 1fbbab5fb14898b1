/*
 * First program of the tiny machine, and the few others that would cost a shell each.
 *
 * As /init it does what the service waits for, in one process, since every fork is slow where a processor is
 * emulated: mounts, modules in a fixed order, DHCP, data disk, identity. Then it becomes busybox init, which
 * starts tinyd and looks after it. By its other names: `late` does what can wait, `shutdown`, `poweroff` and
 * `reboot` end the machine cleanly, `became`, `restart` and `start` are the hooks of the resident agent, `drill` that of drills.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "init.h"

static void begin(void) {
  mount("proc", "/proc", "proc", 0, NULL);
  mount("sysfs", "/sys", "sysfs", 0, NULL);
  mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
  mount("run", "/run", "tmpfs", 0, "mode=755");
  /* The kernel draws it when it is first read: now, or a machine resumed from memory would seem to have booted anew. */
  char boot_id[64];
  read_text("/proc/sys/kernel/random/boot_id", boot_id, sizeof boot_id);
  load_modules("/lib/modules/early");
  set_host_name();
  start_network();
  mount_data_disk();
  set_machine_id();
  execl("/bin/busybox", "init", (char *)NULL);
  say("busybox init cannot be started");
  stop_machine(0);
}

int main(int count, char **arguments) {
  const char *slash = strrchr(arguments[0], '/');
  const char *name = slash ? slash + 1 : arguments[0];
  int restart = strcmp(name, "reboot") == 0;
  for (int i = 1; i < count; i++)
    if (strcmp(arguments[i], "-r") == 0) restart = 1;
  if (getpid() == 1) begin();
  if (strcmp(name, "late") == 0) run_late();
  if (strcmp(name, "restart") == 0) return restart_service();
  if (strcmp(name, "drill") == 0 && count > 1) return drill(arguments[1]);
  if (strcmp(name, "start") == 0 && count > 1) return start_on_volume(arguments[1]);
  if (strcmp(name, "became") == 0 && count > 2) renew_network(arguments[1], arguments[2]);
  else stop_machine(restart);
  return 0;
}
