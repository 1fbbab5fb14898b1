/* Which request gets which answer. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include "tinyd.h"

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

void answer_request(const struct request *request, struct answer *answer) {
  int is_get = strcmp(request->method, "GET") == 0;
  memset(answer, 0, sizeof *answer);
  answer->status = 200;
  answer->is_json = 1;
  requests_served++;
  if (strcmp(request->path, "/load") == 0) return answer_load(request, answer);
  if (strcmp(request->path, "/stamp") == 0) return answer_stamp(request, answer);
  if (strcmp(request->path, "/") == 0 && is_get) {
    describe_machine(answer->body, sizeof answer->body, requests_served);
  } else if (strcmp(request->path, "/health") == 0 && is_get) {
    answer->is_json = 0;
    snprintf(answer->body, sizeof answer->body, "ok\n");
  } else if (strcmp(request->path, "/load/check") == 0 && is_get) {
    check_load(answer);
  } else {
    refuse(answer, 404, "there is no such path: try /, /health, /load, /load/check or /stamp");
  }
}
