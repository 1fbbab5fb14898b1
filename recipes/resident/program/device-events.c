/* What the kernel says about devices that come and go, as udev hears it. */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "resident.h"

/* Of linux/netlink.h, which is no part of the C library's own headers. */
struct netlink_address {
  unsigned short family, padding;
  unsigned port, groups;
};
enum { netlink_kobject_uevent = 15, kernel_group = 1 };

int open_device_events(void) {
  struct netlink_address address = {AF_NETLINK, 0, 0, kernel_group};
  int events = socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, netlink_kobject_uevent);
  if (events >= 0 && bind(events, (struct sockaddr *)&address, sizeof address) == 0) return events;
  if (events >= 0) close(events);
  return -1;
}

void wait_for_device_event(int events, int milliseconds) {
  char text[4096];
  struct pollfd wanted = {events, POLLIN, 0};
  poll(&wanted, 1, milliseconds);
  while (events >= 0 && recv(events, text, sizeof text, 0) > 0) continue;
}
