/* Small files: those of /sys, and those that say who the machine is. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "resident.h"

static int is_blank(char letter) { return letter == 0 || isspace((unsigned char)letter); }

int read_text(const char *path, char *text, size_t size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  int length = read(file, text, size - 1), start = 0;
  close(file);
  if (length < 0) return -1;
  while (length > 0 && is_blank(text[length - 1])) length--;
  while (start < length && is_blank(text[start])) start++;
  memmove(text, text + start, length - start);
  text[length - start] = 0;
  return length - start;
}

int replace_file(const char *path, const char *text) {
  char target[PATH_MAX], beside[PATH_MAX + 16];
  if (realpath(path, target) == NULL) {
    if (errno != ENOENT) return -1;
    snprintf(target, sizeof target, "%s", path);
  }
  snprintf(beside, sizeof beside, "%s.dialtone", target);
  int file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return -1;
  size_t length = strlen(text);
  /* One flush after the rename, not one before and one after: it takes half as long, and ext4 writes the text first in any case. */
  int done = write(file, text, length) == (ssize_t)length && rename(beside, target) == 0 && fsync(file) == 0;
  return close(file) == 0 && done ? 0 : -1;
}
