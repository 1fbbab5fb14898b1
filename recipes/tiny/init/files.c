/* Reading and writing the small files of /proc, /sys and /data. */
#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "init.h"

int read_text(const char *path, char *text, size_t size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  int length = read(file, text, size - 1);
  close(file);
  if (length < 0) return -1;
  while (length > 0 && isspace((unsigned char)text[length - 1])) length--;
  text[length] = 0;
  return length;
}

int write_text(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return -1;
  size_t length = strlen(text);
  int whole = write(file, text, length) == (ssize_t)length;
  return close(file) == 0 && whole ? 0 : -1;
}

int kernel_argument(const char *key, char *value, size_t size) {
  char line[4096];
  if (read_text("/proc/cmdline", line, sizeof line) < 0) return 0;
  char *rest = line, *word;
  size_t length = strlen(key);
  while ((word = strsep(&rest, " \n")) != NULL) {
    if (strncmp(word, key, length) != 0) continue;
    snprintf(value, size, "%s", word + length);
    return 1;
  }
  return 0;
}

void say(const char *format, ...) {
  char text[400], uptime[64] = "?";
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (read_text("/proc/uptime", uptime, sizeof uptime) > 0) *strchrnul(uptime, ' ') = 0;
  int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (console < 0) return;
  dprintf(console, "tiny %ss: %s\r\n", uptime, text);
  close(console);
}
