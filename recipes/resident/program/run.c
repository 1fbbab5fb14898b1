/* Programs that the agent starts: the guest's own hooks, and mke2fs. Each has a time in which it must end. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "resident.h"

enum { step_ms = 50 };

static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};

static int start(const char *const arguments[], pid_t *child) {
  posix_spawnattr_t attributes;
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  /* The process shares this one's memory until it runs the program: nothing is copied. */
  int error = posix_spawn(child, arguments[0], NULL, &attributes, (char *const *)arguments, environment);
  posix_spawnattr_destroy(&attributes);
  return error == 0;
}

/* Returns 1 and the status when it ended in time. */
static int await(pid_t child, int patience_ms, int *status) {
  sigset_t ended;
  struct timespec step = {0, step_ms * 1000000};
  sigemptyset(&ended);
  sigaddset(&ended, SIGCHLD);
  for (int waited = 0;;) {
    if (waitpid(child, status, WNOHANG) == child) return 1;
    if (waited >= patience_ms) return 0;
    if (sigtimedwait(&ended, NULL, &step) < 0) waited += step_ms;
  }
}

enum ending run_program(const char *const arguments[], int patience_ms) {
  pid_t child;
  int status;
  if (access(arguments[0], X_OK) != 0 || !start(arguments, &child)) return was_absent;
  if (await(child, patience_ms, &status))
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? ended_well : ended_badly;
  kill(-child, SIGKILL);
  /* One that hangs in the kernel is left behind: the host's next message must find somebody. */
  await(child, 1000, &status);
  return ended_by_deadline;
}

enum ending run_hook(const char *name, const char *first, const char *second, int patience_ms) {
  char path[64];
  const char *const arguments[] = {path, first, second, NULL};
  snprintf(path, sizeof path, "/etc/dialtone/%s", name);
  return run_program(arguments, patience_ms);
}

const char *ending_words(enum ending ending) {
  switch (ending) {
    case ended_well: return "ended well";
    case ended_badly: return "failed";
    case ended_by_deadline: return "did not end in time";
    default: return "is not there";
  }
}
