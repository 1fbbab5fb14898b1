/*
 * Programs that are started again whenever they end. busybox init could do it, but it looks at its table, and starts what has
 * ended, only once a second: too late for who must answer as soon as the machine serves.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "init.h"

enum { maximum_kept = 4, pause_s = 1 };

static struct {
  const char *arguments[maximum_arguments];
  char texts[maximum_arguments][300];
  pid_t process;
} kept[maximum_kept];
static int kept_count;

static void start(int at) {
  kept[at].process = fork();
  if (kept[at].process != 0) return;
  /* This process is of low priority, and what it leaves behind would be started a second time by its successor. */
  setpriority(PRIO_PROCESS, 0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  execv(kept[at].arguments[0], (char *const *)kept[at].arguments + 1);
  _exit(1);
}

void keep(const char *const arguments[maximum_arguments]) {
  if (kept_count == maximum_kept) return say("%s cannot be kept running", arguments[0]);
  for (int i = 0; i < maximum_arguments - 1 && arguments[i] != NULL; i++) {
    strncpy(kept[kept_count].texts[i], arguments[i], sizeof kept[0].texts[0] - 1);
    kept[kept_count].arguments[i] = kept[kept_count].texts[i];
  }
  start(kept_count++);
}

static void start_again(pid_t ended) {
  for (int at = 0; at < kept_count; at++)
    if (kept[at].process == ended) start(at);
}

void keep_running(void) {
  for (;;) {
    pid_t ended = waitpid(-1, NULL, 0);
    /* One that fails at once must not take the processor for itself. */
    sleep(pause_s);
    if (ended > 0) start_again(ended);
  }
}
