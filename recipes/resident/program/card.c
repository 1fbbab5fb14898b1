/* The first Ethernet card: MAC, address, default route. By system calls, since starting `ip` five times costs a tenth of a second. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "resident.h"

static int read_mac(const char *text, unsigned char *mac) {
  if (text == NULL || strlen(text) != 17) return 0;
  for (int at = 0; at < 6; at++) {
    char *end, expected = at < 5 ? ':' : 0;
    if (strspn(text + 3 * at, "0123456789abcdef") != 2) return 0;
    mac[at] = strtoul(text + 3 * at, &end, 16);
    if (*end != expected) return 0;
  }
  /* Not that of a group, and not none. */
  return (mac[0] & 1) == 0 && memcmp(mac, "\0\0\0\0\0", 6) != 0;
}

static int read_address(const char *text, unsigned *address) {
  return text != NULL && inet_pton(AF_INET, text, address) == 1;
}

int read_card_settings(const struct message *message, struct card_settings *settings, struct answer *answer) {
  const char *prefix = message_value(message, "prefixLength"), *gateway = message_value(message, "gateway");
  char *end = "x";
  unsigned long bits = prefix == NULL || strspn(prefix, "0123456789") == 0 ? 0 : strtoul(prefix, &end, 10);
  settings->gateway = 0;
  if (!read_mac(message_value(message, "macAddress"), settings->mac))
    refuse(answer, "macAddress is no address of one card, like 52:54:00:12:34:56");
  else if (!read_address(message_value(message, "address"), &settings->address))
    refuse(answer, "address is no IPv4 address");
  else if (*end != 0 || bits < 1 || bits > 32)
    refuse(answer, "prefixLength is no number from 1 to 32");
  else if (gateway == NULL || (*gateway != 0 && !read_address(gateway, &settings->gateway)))
    refuse(answer, "gateway is neither empty nor an IPv4 address");
  else
    settings->netmask = htonl(~0u << (32 - bits));
  return answer->sentence[0] == 0;
}

/* A card of the machine, not a bridge or a tunnel in it; of several, the one that was there first. */
static int find_card(char *card, size_t size) {
  DIR *cards = opendir("/sys/class/net");
  if (cards == NULL) return 0;
  struct dirent *entry;
  unsigned first = 0;
  while ((entry = readdir(cards)) != NULL) {
    char path[400], type[16];
    snprintf(path, sizeof path, "/sys/class/net/%s/device", entry->d_name);
    if (entry->d_name[0] == '.' || access(path, F_OK) != 0) continue;
    snprintf(path, sizeof path, "/sys/class/net/%s/type", entry->d_name);
    if (read_text(path, type, sizeof type) <= 0 || atoi(type) != ARPHRD_ETHER) continue;
    unsigned index = if_nametoindex(entry->d_name);
    if (index == 0 || (first != 0 && index > first)) continue;
    first = index;
    snprintf(card, size, "%s", entry->d_name);
  }
  closedir(cards);
  return first != 0;
}

static int set_flags(int handle, const char *card, int set, int clear) {
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", card);
  if (ioctl(handle, SIOCGIFFLAGS, &request) != 0) return 0;
  request.ifr_flags = (request.ifr_flags | set) & ~clear;
  return ioctl(handle, SIOCSIFFLAGS, &request) == 0;
}

static int set_mac(int handle, const char *card, const unsigned char *mac) {
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", card);
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  memcpy(request.ifr_hwaddr.sa_data, mac, 6);
  return ioctl(handle, SIOCSIFHWADDR, &request) == 0;
}

static struct sockaddr as_socket_address(unsigned address) {
  struct sockaddr_in plain = {.sin_family = AF_INET, .sin_addr.s_addr = address};
  struct sockaddr result;
  memcpy(&result, &plain, sizeof result);
  return result;
}

static int set_address(int handle, const char *card, unsigned long what, unsigned address) {
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", card);
  request.ifr_addr = as_socket_address(address);
  return ioctl(handle, what, &request) == 0;
}

static int add_default_route(int handle, unsigned gateway) {
  struct rtentry route = {0};
  route.rt_dst = route.rt_genmask = as_socket_address(0);
  route.rt_gateway = as_socket_address(gateway);
  route.rt_flags = RTF_UP | RTF_GATEWAY;
  return ioctl(handle, SIOCADDRT, &route) == 0 || errno == EEXIST;
}

int set_card(const struct card_settings *settings, char *card, size_t size, struct answer *answer) {
  if (!find_card(card, size)) {
    refuse(answer, "there is no network card");
    return 0;
  }
  int handle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  /* Down, it loses its routes, and some drivers take a new MAC only then. */
  int done = set_flags(handle, card, 0, IFF_UP) && set_mac(handle, card, settings->mac) &&
             set_address(handle, card, SIOCSIFADDR, settings->address) &&
             set_address(handle, card, SIOCSIFNETMASK, settings->netmask) && set_flags(handle, card, IFF_UP, 0) &&
             (settings->gateway == 0 || add_default_route(handle, settings->gateway));
  if (!done) refuse(answer, "the card %s cannot be set: %s", card, strerror(errno));
  close(handle);
  return done;
}
