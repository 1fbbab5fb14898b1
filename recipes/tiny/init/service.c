/* The hooks of the resident agent: programs, since a shell takes an emulated processor a tenth of a second. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "init.h"

enum { patience_ms = 5000, step_ms = 5 };

static pid_t service(void) {
  char text[16];
  return read_text("/run/tinyd.pid", text, sizeof text) > 0 ? atoi(text) : 0;
}

/* Returns a connection to the service, or -1. */
static int connect_to_service(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(handle, (struct sockaddr *)&address, sizeof address) == 0) return handle;
  close(handle);
  return -1;
}

static int is_served(void) {
  int handle = connect_to_service();
  if (handle >= 0) close(handle);
  return handle >= 0;
}

int restart_service(void) {
  pid_t before = service();
  if (before <= 0 || (kill(before, SIGKILL) != 0 && errno != ESRCH)) return 1;
  for (int waited = 0; waited < patience_ms; waited += step_ms) {
    pid_t now = service();
    if (now > 0 && now != before && is_served()) return 0;
    usleep(step_ms * 1000);
  }
  return 1;
}

int drill(const char *failure) {
  static const char request[] = "POST /fail?kind=wrong HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  char answer[256];
  if (strcmp(failure, "wrong-answers") != 0) return 1;
  int handle = connect_to_service();
  if (handle < 0) return 1;
  int is_done = write(handle, request, sizeof request - 1) == sizeof request - 1 && read(handle, answer, sizeof answer) > 0;
  close(handle);
  return is_done ? 0 : 1;
}

int start_on_volume(const char *place) {
  char path[300];
  snprintf(path, sizeof path, "%s/count", place);
  int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return 1;
  int result = fsync(file);
  close(file);
  return result == 0 ? 0 : 1;
}
