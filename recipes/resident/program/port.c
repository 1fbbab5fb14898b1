/*
 * The virtio serial port. poll() is of no use for waiting: while nobody is connected on the host's side it returns at once, for
 * ever. A signal comes for bytes as well as for a host that connects or goes.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "resident.h"

enum { look_again_ms = 5000, look_again_s = 10, write_patience_ms = 500, step_ms = 1 };

static const char port_name[] = "org.dialtone.resident.0";

static int try_port(void) {
  DIR *ports = opendir("/sys/class/virtio-ports");
  if (ports == NULL) return -1;
  struct dirent *entry;
  int port = -1;
  while (port < 0 && (entry = readdir(ports)) != NULL) {
    char path[400], name[128];
    snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
    if (read_text(path, name, sizeof name) <= 0 || strcmp(name, port_name) != 0) continue;
    snprintf(path, sizeof path, "/dev/%s", entry->d_name);
    port = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  }
  closedir(ports);
  return port;
}

int open_port(void) {
  int port, events = open_device_events();
  while ((port = try_port()) < 0) wait_for_device_event(events, look_again_ms);
  if (events >= 0) close(events);
  return port;
}

void watch_port(int port) {
  fcntl(port, F_SETOWN, getpid());
  fcntl(port, F_SETFL, O_ASYNC | O_NONBLOCK);
}

void wait_for_port(void) {
  sigset_t awaited;
  struct timespec patience = {look_again_s, 0};
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGIO);
  sigtimedwait(&awaited, NULL, &patience);
}

void write_port(int port, const char *text, size_t length) {
  for (int waited_ms = 0; length > 0 && waited_ms < write_patience_ms;) {
    ssize_t written = write(port, text, length);
    if (written > 0) {
      text += written;
      length -= written;
    } else if (written == 0 || (errno != EAGAIN && errno != EINTR)) {
      return;
    } else {
      /*
       * The port is full, or nobody is connected. This may also be news that is on its way: the bytes of a host that has just
       * connected overtake the word that it has. poll() would not wait for it.
       */
      usleep(step_ms * 1000);
      waited_ms += step_ms;
    }
  }
}
