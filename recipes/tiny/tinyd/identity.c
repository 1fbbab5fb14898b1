/* Who this machine is, read anew for every answer: a resumed clone changes under a running service. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tinyd.h"

static void read_line(const char *path, char *text, size_t size) {
  text[0] = 0;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  ssize_t length = read(file, text, size - 1);
  close(file);
  text[length > 0 ? length : 0] = 0;
  text[strcspn(text, "\n")] = 0;
}

/* What comes from outside goes into JSON only as these characters. */
static void keep_plain(char *text) {
  for (; *text; text++)
    if (!isalnum((unsigned char)*text) && strchr(".-_:", *text) == NULL) *text = '?';
}

static void first_card(char *name, size_t size) {
  name[0] = 0;
  DIR *cards = opendir("/sys/class/net");
  if (cards == NULL) return;
  struct dirent *entry;
  while ((entry = readdir(cards)) != NULL)
    if (entry->d_name[0] == 'e' && (name[0] == 0 || strcmp(entry->d_name, name) < 0))
      snprintf(name, size, "%s", entry->d_name);
  closedir(cards);
}

static void card_address(const char *card, char *address, size_t size) {
  struct ifreq request = {0};
  int handle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", card);
  address[0] = 0;
  if (ioctl(handle, SIOCGIFADDR, &request) == 0)
    inet_ntop(AF_INET, &((struct sockaddr_in *)&request.ifr_addr)->sin_addr, address, size);
  close(handle);
}

static unsigned long memory_mib(void) {
  char text[256];
  read_line("/proc/meminfo", text, sizeof text);
  const char *digits = strpbrk(text, "0123456789");
  return digits == NULL ? 0 : (strtoul(digits, NULL, 10) + 512) / 1024;
}

int describe_machine(char *text, size_t size, uint64_t requests) {
  char host[65] = "", id[40], card[32], mac[24], address[INET_ADDRSTRLEN], boot[40], boots[24], path[80];
  unsigned char random[8] = {0};
  gethostname(host, sizeof host - 1);
  first_card(card, sizeof card);
  snprintf(path, sizeof path, "/sys/class/net/%s/address", card);
  read_line(path, mac, sizeof mac);
  card_address(card, address, sizeof address);
  read_line("/etc/machine-id", id, sizeof id);
  read_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
  read_line("/data/boots", boots, sizeof boots);
  getrandom(random, sizeof random, 0);
  keep_plain(host);
  keep_plain(id);
  return snprintf(text, size,
      "{\"service\":\"tiny\",\"name\":\"%s\",\"machineId\":\"%s\",\"mac\":\"%s\",\"address\":\"%s\",\"bootId\":\"%s\","
      "\"boots\":%llu,\"uptimeMs\":%llu,\"cpus\":%ld,\"memoryMiB\":%lu,\"pid\":%d,\"requests\":%llu,\"timeMs\":%llu,"
      "\"random\":\"%02x%02x%02x%02x%02x%02x%02x%02x\"}\n",
      host, id, mac, address, boot, strtoull(boots, NULL, 10), (unsigned long long)now_ms(),
      sysconf(_SC_NPROCESSORS_ONLN), memory_mib(), getpid(), (unsigned long long)requests,
      (unsigned long long)wall_ms(), random[0], random[1], random[2], random[3], random[4], random[5], random[6],
      random[7]);
}
