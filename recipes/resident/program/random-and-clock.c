/*
 * What a machine that comes from memory must be given before anything else: machines that come from the same memory would draw
 * the same random numbers, and their clock stands where the memory was taken.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "resident.h"

enum { entropy_bytes = 64 };
/* Of linux/random.h. Bytes that are merely written to the pool do nothing until the kernel reseeds by itself, minutes later. */
enum { add_entropy = 0x40085203, reseed_now = 0x5207 };

static int digit(char letter) {
  if (letter >= '0' && letter <= '9') return letter - '0';
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static int read_hexadecimal(const char *text, unsigned char *bytes, size_t size) {
  if (text == NULL || strlen(text) != 2 * size) return 0;
  for (size_t at = 0; at < size; at++) {
    int high = digit(text[2 * at]), low = digit(text[2 * at + 1]);
    if (high < 0 || low < 0) return 0;
    bytes[at] = high << 4 | low;
  }
  return 1;
}

static int read_time(const char *text, struct timespec *time) {
  char *end;
  if (text == NULL || !isdigit((unsigned char)*text)) return 0;
  errno = 0;
  unsigned long long ms = strtoull(text, &end, 10);
  if (errno != 0 || *end != 0 || ms > 253402300799999ULL) return 0;
  time->tv_sec = ms / 1000;
  time->tv_nsec = ms % 1000 * 1000000;
  return 1;
}

int may_go_on(const struct message *message, struct answer *answer) {
  unsigned char bytes[entropy_bytes];
  struct timespec time;
  if (!read_hexadecimal(message_value(message, "entropy"), bytes, sizeof bytes))
    refuse(answer, "entropy is not %d bytes in small hexadecimal digits", entropy_bytes);
  else if (!read_time(message_value(message, "timeMs"), &time))
    refuse(answer, "timeMs is no time in milliseconds since 1970");
  return answer->sentence[0] == 0;
}

static int renew_random_numbers(const unsigned char *bytes) {
  struct {
    int bits, size;
    unsigned char bytes[entropy_bytes];
  } pool = {entropy_bytes * 8, entropy_bytes, {0}};
  memcpy(pool.bytes, bytes, entropy_bytes);
  int source = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  if (source < 0) return 0;
  int done = ioctl(source, add_entropy, &pool) == 0 && ioctl(source, reseed_now) == 0;
  int error = errno;
  close(source);
  errno = error;
  return done;
}

int go_on(const struct message *message, struct answer *answer) {
  unsigned char bytes[entropy_bytes];
  struct timespec time;
  read_hexadecimal(message_value(message, "entropy"), bytes, sizeof bytes);
  if (!renew_random_numbers(bytes)) {
    refuse(answer, "the kernel's random numbers cannot be renewed: %s", strerror(errno));
    return 0;
  }
  read_time(message_value(message, "timeMs"), &time);
  if (clock_settime(CLOCK_REALTIME, &time) == 0) return 1;
  refuse(answer, "the clock cannot be set: %s", strerror(errno));
  return 0;
}
