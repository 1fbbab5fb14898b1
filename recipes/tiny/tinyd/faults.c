/* Failures on purpose, for drills: of the service, of the kernel, of the whole machine. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "tinyd.h"

enum fault fault;

static const char *const names[] = {"none", "wrong", "slow", "hang"};

int faults_set(const char *name) {
  for (int at = 0; at < 4; at++) {
    if (strcmp(names[at], name) != 0) continue;
    fault = at;
    return 1;
  }
  return 0;
}

const char *faults_name(void) { return names[fault]; }

static void write_file(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  if (write(file, text, strlen(text)) < 0) dprintf(2, "tinyd: %s cannot be written\n", path);
  close(file);
}

void faults_panic(void) { write_file("/proc/sysrq-trigger", "c"); }

static void *spin(void *unused) {
  for (;;) continue;
  return unused;
}

/* No process runs any more, at any priority: neither who feeds the watchdog nor who answers the host. */
void faults_hang(void) {
  struct sched_param above_all = {.sched_priority = sched_get_priority_max(SCHED_FIFO)};
  write_file("/proc/sys/kernel/sched_rt_runtime_us", "-1");
  /* With two cores, the thread that starts the others must not be kept from it by the first of them. */
  /* By the system call: the C library's function of this name does nothing. */
  if (syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &above_all) != 0) return;
  for (long left = sysconf(_SC_NPROCESSORS_ONLN); left > 1; left--) {
    pthread_t thread;
    pthread_create(&thread, NULL, spin, NULL);
  }
  spin(NULL);
}
