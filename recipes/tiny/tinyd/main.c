/*
 * Starts what the kernel's command line asks for, then serves. A process that only waits starts the service anew as soon as it
 * ends: busybox init, which looks after this one, takes a second for it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tinyd.h"

enum { shortest_life_ms = 1000 };

static int serve_as_child(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  stamps_start_from_kernel();
  return serve(80, 7);
}

/* For who restarts the service. */
static void note_service(pid_t service) {
  int file = open("/run/tinyd.pid", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return;
  dprintf(file, "%d\n", service);
  close(file);
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  /* Complaints belong on the console, wherever init sent the standard streams. */
  int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (console >= 0) dup2(console, 2);
  for (;;) {
    uint64_t started_ms = now_ms();
    pid_t service = fork();
    if (service == 0) return serve_as_child();
    if (service < 0) return 1;
    note_service(service);
    waitpid(service, NULL, 0);
    if (now_ms() < started_ms + shortest_life_ms) sleep_until(now_ms() + shortest_life_ms);
  }
}
