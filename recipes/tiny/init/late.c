/* What can wait until the service is up. Runs beside it, as a child of busybox init. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "init.h"

enum { patience_ms = 3000, step_ms = 20 };

/* Leaves the processor to what the service needs until it can be reached; without a DHCP server, for some time. */
static void wait_until_online(void) {
  for (int waited = 0; waited < patience_ms && access("/run/online", F_OK) != 0; waited += step_ms)
    usleep(step_ms * 1000);
  usleep(step_ms * 1000);
}

static void run(const char *program, const char *name, const char *first, const char *second) {
  pid_t child = fork();
  if (child == 0) {
    execl(program, name, first, second, (char *)NULL);
    _exit(1);
  }
  if (child > 0) waitpid(child, NULL, 0);
}

/* Finds the device of a virtio serial port by its name; returns 1 and its path. */
static int find_port(const char *wanted, char *device, size_t size) {
  DIR *ports = opendir("/sys/class/virtio-ports");
  if (ports == NULL) return 0;
  struct dirent *entry;
  int found = 0;
  while (!found && (entry = readdir(ports)) != NULL) {
    char path[400], name[128];
    snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
    if (read_text(path, name, sizeof name) <= 0 || strcmp(name, wanted) != 0) continue;
    snprintf(device, size, "/dev/%s", entry->d_name);
    found = 1;
  }
  closedir(ports);
  return found;
}

/* busybox init keeps running what the devices of this machine ask for: it reads its table again on a hang-up. */
static void keep_running_for_devices(void) {
  char device[300];
  int table = open("/etc/inittab", O_WRONLY | O_APPEND | O_CLOEXEC);
  if (table < 0) return;
  if (find_port("org.qemu.guest_agent.0", device, sizeof device)) {
    mkdir("/dev/virtio-ports", 0755);
    symlink(device, "/dev/virtio-ports/org.qemu.guest_agent.0");
    dprintf(table, "null::respawn:/usr/sbin/qemu-ga -m virtio-serial -p %s -t /run -l /dev/null\n", device);
  }
  if (access("/dev/watchdog", F_OK) == 0)
    dprintf(table, "null::respawn:/bin/busybox watchdog -F -t 5 -T 20 /dev/watchdog\n");
  close(table);
  kill(1, SIGHUP);
}

/* A name from QEMU's -fw_cfg counts where neither DHCP nor the kernel's command line gave one. */
static void take_name_from_firmware(void) {
  char name[65];
  if (gethostname(name, sizeof name) == 0 && strcmp(name, "tiny") != 0) return;
  if (read_text("/sys/firmware/qemu_fw_cfg/by_name/opt/dialtone/name/raw", name, sizeof name) > 0)
    sethostname(name, strlen(name));
}

void run_late(void) {
  nice(10);
  wait_until_online();
  sync();
  load_modules("/lib/modules/late");
  keep_running_for_devices();
  take_name_from_firmware();
  mkdir("/dev/pts", 0755);
  mount("devpts", "/dev/pts", "devpts", 0, "gid=5,mode=620");
  run("/bin/busybox", "busybox", "--install", "-s");
}
