/* Host name, loopback and a DHCP client for each card. What the DHCP server answers is applied by dhcp-event. */
#define _GNU_SOURCE
#include <dirent.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "init.h"

static const char process_file_pattern[] = "/run/udhcpc.%s.pid";

static void bring_up(const char *card) {
  struct ifreq request = {0};
  int handle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", card);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(handle, SIOCSIFFLAGS, &request) != 0) say("the network card %s cannot be brought up", card);
  close(handle);
}

/* In the foreground and without end: it keeps the lease, and asks again every 2 seconds until it has one. */
static void start_dhcp(const char *card, const char *wanted_address) {
  char process_file[64];
  snprintf(process_file, sizeof process_file, process_file_pattern, card);
  const char *arguments[] = {"udhcpc", "-f", "-S", "-i", card, "-s", "/sbin/dhcp-event", "-p", process_file,
                             "-t", "3", "-T", "1", "-A", "2", wanted_address == NULL ? NULL : "-r", wanted_address, NULL};
  if (fork() != 0) return;
  execv("/bin/busybox", (char *const *)arguments);
  _exit(1);
}

void start_network(void) {
  bring_up("lo");
  DIR *cards = opendir("/sys/class/net");
  if (cards == NULL) return;
  struct dirent *entry;
  while ((entry = readdir(cards)) != NULL)
    if (entry->d_name[0] == 'e') {
      bring_up(entry->d_name);
      start_dhcp(entry->d_name, NULL);
    }
  closedir(cards);
}

void renew_network(const char *card, const char *address) {
  char path[64], process[16];
  /* dhcp-event leaves the address alone from now on while the new client has no lease yet. */
  write_text("/run/given-address", address);
  snprintf(path, sizeof path, process_file_pattern, card);
  /* Not asked to end but ended: it would take the address away, and it knows the old MAC only. */
  if (read_text(path, process, sizeof process) > 0 && atoi(process) > 1) kill(atoi(process), SIGKILL);
  start_dhcp(card, address);
}

void set_host_name(void) {
  char name[65];
  if (!kernel_argument("dialtone.name=", name, sizeof name)) snprintf(name, sizeof name, "tiny");
  sethostname(name, strlen(name));
}
