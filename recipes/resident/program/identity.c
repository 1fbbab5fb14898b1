/* Host name, machine id and SSH host keys. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "resident.h"

enum { longest_name = 63, machine_id_digits = 32, keys_patience_ms = 30000 };

int is_host_name(const char *text) {
  size_t length = strlen(text);
  if (length == 0 || length > longest_name || text[0] == '-' || text[length - 1] == '-') return 0;
  for (; *text; text++)
    if (!isalnum((unsigned char)*text) && *text != '-' && *text != '.') return 0;
  return 1;
}

int is_machine_id(const char *text) {
  return strlen(text) == machine_id_digits && strspn(text, "0123456789abcdef") == machine_id_digits;
}

/* Returns how many there were. */
static int remove_host_keys(void) {
  glob_t keys;
  int count = 0;
  memset(&keys, 0, sizeof keys);
  if (glob("/etc/ssh/ssh_host_*_key*", 0, NULL, &keys) == 0 || keys.gl_pathc == 0)
    glob("/etc/dropbear/dropbear_*_host_key", GLOB_APPEND, NULL, &keys);
  for (size_t at = 0; at < keys.gl_pathc; at++)
    if (unlink(keys.gl_pathv[at]) == 0) count++;
  globfree(&keys);
  return count;
}

int become_named(const char *name, const char *machine_id, struct answer *answer) {
  char line[80];
  snprintf(line, sizeof line, "%s\n", name);
  /* Where no file holds the name, it comes from elsewhere at every start, and a file would only contradict it. */
  if (sethostname(name, strlen(name)) != 0 || (access("/etc/hostname", F_OK) == 0 && replace_file("/etc/hostname", line) != 0)) {
    refuse(answer, "the host name cannot be set: %s", strerror(errno));
    return 0;
  }
  snprintf(line, sizeof line, "%s\n", machine_id);
  if (replace_file("/etc/machine-id", line) != 0) {
    refuse(answer, "the machine id cannot be written: %s", strerror(errno));
    return 0;
  }
  if (remove_host_keys() == 0) return 1;
  enum ending ending = run_hook("host-keys", NULL, NULL, keys_patience_ms);
  if (ending == ended_well || ending == was_absent) return 1;
  refuse(answer, "the guest's hook /etc/dialtone/host-keys %s", ending_words(ending));
  return 0;
}
