/*
 * Applies what a DHCP server told udhcpc: address, default route, host name, name servers. udhcpc runs it with the
 * event as its argument and the values in the environment; a shell script for it costs ten forks per lease.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int set_address(int handle, const char *card, unsigned long what, const char *address) {
  struct ifreq request = {0};
  struct sockaddr_in *target = (struct sockaddr_in *)&request.ifr_addr;
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", card);
  target->sin_family = AF_INET;
  if (inet_pton(AF_INET, address, &target->sin_addr) != 1) return -1;
  return ioctl(handle, what, &request);
}

static struct sockaddr plain(const char *address) {
  struct sockaddr_in target = {.sin_family = AF_INET};
  inet_pton(AF_INET, address, &target.sin_addr);
  struct sockaddr result;
  memcpy(&result, &target, sizeof result);
  return result;
}

static void add_default_route(int handle, const char *routers) {
  char first[64];
  snprintf(first, sizeof first, "%s", routers);
  *strchrnul(first, ' ') = 0;
  struct rtentry route = {0};
  route.rt_dst = plain("0.0.0.0");
  route.rt_genmask = plain("0.0.0.0");
  route.rt_gateway = plain(first);
  route.rt_flags = RTF_UP | RTF_GATEWAY;
  ioctl(handle, SIOCADDRT, &route);
}

static void write_name_servers(const char *servers) {
  char list[256], *rest = list, *server;
  snprintf(list, sizeof list, "%s", servers);
  FILE *file = fopen("/etc/resolv.conf", "w");
  if (file == NULL) return;
  while ((server = strsep(&rest, " ")) != NULL) fprintf(file, "nameserver %s\n", server);
  fclose(file);
}

static const char *value(const char *name) {
  const char *text = getenv(name);
  return text == NULL ? "" : text;
}

/* What the host has given itself counts, and the machine answers under it already. Returns 1 when there is such an address. */
static int read_given_address(char *address, size_t size) {
  int file = open("/run/given-address", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t length = read(file, address, size - 1);
  close(file);
  address[length > 0 ? length : 0] = 0;
  return length > 0;
}

int main(int count, char **arguments) {
  const char *event = count > 1 ? arguments[1] : "", *card = value("interface");
  char given[64];
  int is_given = read_given_address(given, sizeof given), handle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (strcmp(event, "deconfig") == 0) {
    if (!is_given) set_address(handle, card, SIOCSIFADDR, "0.0.0.0");
    return 0;
  }
  if (strcmp(event, "bound") != 0 && strcmp(event, "renew") != 0) return 0;
  if (is_given && strcmp(given, value("ip")) != 0) return 0;
  if (set_address(handle, card, SIOCSIFADDR, value("ip")) != 0) return 1;
  set_address(handle, card, SIOCSIFNETMASK, *value("subnet") ? value("subnet") : "255.255.255.0");
  if (*value("router")) add_default_route(handle, value("router"));
  if (*value("hostname")) sethostname(value("hostname"), strlen(value("hostname")));
  if (*value("dns")) write_name_servers(value("dns"));
  /* late waits for it. */
  close(open("/run/online", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  return 0;
}
