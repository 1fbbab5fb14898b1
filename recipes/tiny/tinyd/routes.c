/* Which request gets which answer. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "tinyd.h"

enum { slow_answer_ms = 5000 };

uint64_t requests_served;

static void refuse(struct answer *answer, int status, const char *why) {
  answer->status = status;
  snprintf(answer->body, sizeof answer->body, "{\"error\":\"%s\"}\n", why);
}

static void start_load(const struct request *request, struct answer *answer) {
  uint64_t mib, rate;
  if (!query_number(request, "mib", 64, &mib) || !query_number(request, "rate", 0, &rate))
    return refuse(answer, 400, "mib and rate are whole numbers: MiB, and MiB per second (0: full speed)");
  const char *error = load_start(mib, rate, load_check_done);
  if (error != NULL) return refuse(answer, 409, error);
  load_describe(answer->body, sizeof answer->body);
}

static void start_stamps(const struct request *request, struct answer *answer) {
  struct stamp_writer writer = {.device = "/dev/vdb", .host = "unnamed"};
  uint64_t allow;
  query_text(request, "device", writer.device, sizeof writer.device);
  query_text(request, "host", writer.host, sizeof writer.host);
  if (!query_number(request, "everyMs", 20, &writer.every_ms) || !query_number(request, "epoch", 0, &writer.epoch) ||
      !query_number(request, "incarnation", 0, &writer.incarnation) ||
      !query_number(request, "allowRootDisk", 0, &allow))
    return refuse(answer, 400, "everyMs, epoch, incarnation and allowRootDisk are whole numbers");
  writer.allow_root_disk = allow == 1;
  const char *error = stamps_start(&writer);
  if (error != NULL) return refuse(answer, 409, error);
  stamps_describe(answer->body, sizeof answer->body);
}

static void check_load(struct answer *answer) {
  answer->later = load_request_check();
  if (!answer->later) refuse(answer, 409, "no load runs");
}

static void answer_load(const struct request *request, struct answer *answer) {
  if (strcmp(request->method, "POST") == 0) return start_load(request, answer);
  if (strcmp(request->method, "DELETE") == 0) load_stop();
  else if (strcmp(request->method, "GET") != 0) return refuse(answer, 405, "GET, POST or DELETE");
  load_describe(answer->body, sizeof answer->body);
}

static void answer_stamp(const struct request *request, struct answer *answer) {
  if (strcmp(request->method, "POST") == 0) return start_stamps(request, answer);
  if (strcmp(request->method, "DELETE") == 0) stamps_stop();
  else if (strcmp(request->method, "GET") != 0) return refuse(answer, 405, "GET, POST or DELETE");
  stamps_describe(answer->body, sizeof answer->body);
}

static void answer_random(const struct request *request, struct answer *answer) {
  unsigned char random[maximum_random_bytes];
  uint64_t bytes;
  if (!query_number(request, "bytes", 32, &bytes) || bytes < 1 || bytes > maximum_random_bytes)
    return refuse(answer, 400, "bytes is a whole number from 1 to 4096");
  for (size_t had = 0; had < bytes;) {
    ssize_t more = getrandom(random + had, bytes - had, 0);
    if (more > 0) had += more;
  }
  for (size_t at = 0; at < bytes; at++) snprintf(answer->body + 2 * at, 3, "%02x", random[at]);
  strcat(answer->body, "\n");
  answer->is_json = 0;
}

/* /volumes/N/count */
static void count_on_volume(const struct request *request, struct answer *answer) {
  char *end;
  uint64_t count;
  unsigned long index = strtoul(request->path + strlen("/volumes/"), &end, 10);
  if (strcmp(end, "/count") != 0 || index > 63) return refuse(answer, 404, "there is no such path");
  const char *error = volumes_count(index, &count);
  if (error != NULL) return refuse(answer, 409, error);
  snprintf(answer->body, sizeof answer->body, "{\"index\":%lu,\"count\":%llu}\n", index, (unsigned long long)count);
}

static void set_fault(const struct request *request, struct answer *answer) {
  char kind[16];
  if (!query_text(request, "kind", kind, sizeof kind) || !faults_set(kind))
    return refuse(answer, 400, "kind is none, wrong, slow or hang");
  snprintf(answer->body, sizeof answer->body, "{\"fail\":\"%s\"}\n", faults_name());
}

/* Answers first: who asked for it knows then that it has begun. */
static void fail_for_good(struct answer *answer, const char *what, void (*then)(void)) {
  snprintf(answer->body, sizeof answer->body, "{\"fail\":\"%s\"}\n", what);
  answer->then = then;
}

static void answer_post(const struct request *request, struct answer *answer) {
  if (strcmp(request->path, "/fail") == 0) return set_fault(request, answer);
  if (strcmp(request->path, "/panic") == 0) return fail_for_good(answer, "panic", faults_panic);
  if (strcmp(request->path, "/hang") == 0) return fail_for_good(answer, "hang", faults_hang);
  if (strncmp(request->path, "/volumes/", 9) == 0) return count_on_volume(request, answer);
  refuse(answer, 404, "there is no such path to POST to");
}

static void answer_get(const struct request *request, struct answer *answer) {
  if (strcmp(request->path, "/") == 0) {
    describe_machine(answer->body, sizeof answer->body, requests_served);
  } else if (strcmp(request->path, "/health") == 0) {
    answer->is_json = 0;
    snprintf(answer->body, sizeof answer->body, "ok\n");
  } else if (strcmp(request->path, "/load/check") == 0) {
    check_load(answer);
  } else if (strcmp(request->path, "/volumes") == 0) {
    volumes_describe(answer->body, sizeof answer->body);
  } else if (strcmp(request->path, "/random") == 0) {
    answer_random(request, answer);
  } else {
    refuse(answer, 404, "there is no such path: try /, /health, /load, /load/check, /random, /stamp or /volumes");
  }
}

void answer_request(const struct request *request, struct answer *answer) {
  memset(answer, 0, offsetof(struct answer, body));
  answer->body[0] = 0;
  answer->status = 200;
  answer->is_json = 1;
  requests_served++;
  int is_post = strcmp(request->method, "POST") == 0;
  /* The way out of a fault stays open. */
  if (fault == fault_wrong && strcmp(request->path, "/fail") != 0)
    return refuse(answer, 500, "this service gives wrong answers");
  if (fault == fault_slow && strcmp(request->path, "/fail") != 0) answer->delay_ms = slow_answer_ms;
  if (strcmp(request->path, "/load") == 0) return answer_load(request, answer);
  if (strcmp(request->path, "/stamp") == 0) return answer_stamp(request, answer);
  if (is_post) return answer_post(request, answer);
  if (strcmp(request->method, "GET") == 0) return answer_get(request, answer);
  refuse(answer, 404, "there is no such path with this method");
}
