/* Starts what the kernel's command line asks for, then serves. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include "tinyd.h"

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  /* Complaints belong on the console, wherever init sent the standard streams. */
  int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (console >= 0) dup2(console, 2);
  stamps_start_from_kernel();
  return serve(80, 7);
}
