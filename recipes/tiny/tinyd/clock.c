/* The two clocks: one that never jumps for all waiting, the calendar's only for what is shown. */
#define _GNU_SOURCE
#include <time.h>
#include "tinyd.h"

static uint64_t read_clock(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

uint64_t now_ms(void) { return read_clock(CLOCK_BOOTTIME); }
uint64_t wall_ms(void) { return read_clock(CLOCK_REALTIME); }

void sleep_until(uint64_t ms) {
  uint64_t now = now_ms();
  if (ms <= now) return;
  struct timespec rest = {(ms - now) / 1000, (ms - now) % 1000 * 1000000};
  nanosleep(&rest, NULL);
}
