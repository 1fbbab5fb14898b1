/* What can wait until the service is up. Runs beside it, as a child of busybox init. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "init.h"

enum { patience_ms = 1000, step_ms = 20 };

static const char loaded_mark[] = "/run/late-modules";

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

static void keep_what_devices_ask_for(void) {
  static const char agent_port[] = "org.qemu.guest_agent.0";
  char device[300];
  /* Every second, for 6 seconds of this machine's own time: while it stands still, the device's clock does as well. */
  if (access("/dev/watchdog", F_OK) == 0)
    keep((const char *const[maximum_arguments]){"/bin/busybox", "watchdog", "-F", "-t", "1", "-T", "6", "/dev/watchdog"});
  if (!find_port(agent_port, device, sizeof device)) return;
  mkdir("/dev/virtio-ports", 0755);
  symlink(device, "/dev/virtio-ports/org.qemu.guest_agent.0");
  keep((const char *const[maximum_arguments]){"/usr/sbin/qemu-ga", "qemu-ga", "-m", "virtio-serial", "-p", device, "-t", "/run",
                                              "-l", "/dev/null"});
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
  /* First, so that the host finds it soon; it waits for its port by itself. */
  keep((const char *const[maximum_arguments]){"/sbin/dialtone-resident", "dialtone-resident"});
  /* They are gone once they are loaded: after a death of this process there is nothing to do here. */
  if (access(loaded_mark, F_OK) != 0) load_modules("/lib/modules/late");
  close(open(loaded_mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  keep_what_devices_ask_for();
  take_name_from_firmware();
  mkdir("/dev/pts", 0755);
  mount("devpts", "/dev/pts", "devpts", 0, "gid=5,mode=620");
  run("/bin/busybox", "busybox", "--install", "-s");
  sync();
  keep_running();
}
