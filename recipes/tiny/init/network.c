/* Host name, loopback and a DHCP client for each card. What the DHCP server answers is applied by dhcp-event. */
#define _GNU_SOURCE
#include <dirent.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "init.h"

static void bring_up(const char *card) {
  struct ifreq request = {0};
  int handle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", card);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(handle, SIOCSIFFLAGS, &request) != 0) say("the network card %s cannot be brought up", card);
  close(handle);
}

static void start_dhcp(const char *card) {
  bring_up(card);
  if (fork() != 0) return;
  /* In the foreground and without end: it keeps the lease, and asks again every 2 seconds until it has one. */
  execl("/bin/busybox", "udhcpc", "-f", "-i", card, "-s", "/sbin/dhcp-event", "-t", "3", "-T", "1", "-A", "2", "-S",
        (char *)NULL);
  _exit(1);
}

void start_network(void) {
  bring_up("lo");
  DIR *cards = opendir("/sys/class/net");
  if (cards == NULL) return;
  struct dirent *entry;
  while ((entry = readdir(cards)) != NULL)
    if (entry->d_name[0] == 'e') start_dhcp(entry->d_name);
  closedir(cards);
}

void set_host_name(void) {
  char name[65];
  if (!kernel_argument("dialtone.name=", name, sizeof name)) snprintf(name, sizeof name, "tiny");
  sethostname(name, strlen(name));
}
