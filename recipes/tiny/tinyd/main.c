/* Starts what the kernel's command line asks for, then serves. */
#include <signal.h>
#include "tinyd.h"

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  stamps_start_from_kernel();
  return serve(80, 7);
}
