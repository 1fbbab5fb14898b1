/* Asks the guest's own service a few times over the loopback, so that a machine that will wait for its turn has its way to answer at hand. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "resident.h"

enum { most_times = 100, patience_ms = 200 };

/* One HTTP exchange on a new connection, as a client from outside makes it. Returns 1 when an answer came. */
static int ask_once(int port, const char *path) {
  struct sockaddr_in service = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct timeval patience = {.tv_usec = patience_ms * 1000};
  char text[512];
  int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(handle, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(handle, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  int length = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
  int is_answered = length < (int)sizeof text && connect(handle, (struct sockaddr *)&service, sizeof service) == 0 &&
                    write(handle, text, length) == length && read(handle, text, sizeof text) > 0;
  close(handle);
  return is_answered;
}

void ask_service(const struct message *message, struct answer *answer) {
  const char *port = message_value(message, "port"), *path = message_value(message, "path");
  const char *times = message_value(message, "times");
  int wanted = times == NULL ? 1 : atoi(times), answered = 0;
  char text[16];
  if (port == NULL || atoi(port) < 1 || atoi(port) > 65535) return refuse(answer, "port is not one");
  if (path == NULL || path[0] != '/') return refuse(answer, "path does not begin with a slash");
  for (int at = 0; at < wanted && at < most_times; at++) answered += ask_once(atoi(port), path);
  snprintf(text, sizeof text, "%d", answered);
  tell(answer, "answered", text);
}
