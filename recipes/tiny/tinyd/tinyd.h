/*
 * tinyd: the service of the tiny machine. One process answers HTTP (port 80) and echoes (port 7) in one loop without
 * a fork; two threads exist only while they are asked for: one dirties memory, one writes stamps. Another process
 * starts it anew when it ends.
 */
#ifndef TINYD_H
#define TINYD_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* clock.c */
uint64_t now_ms(void);      /* since boot; does not jump */
uint64_t wall_ms(void);     /* since 1970 */
void sleep_until(uint64_t ms); /* of now_ms */

/* identity.c */
/* Writes the JSON object of GET / into `text`; returns its length. */
int describe_machine(char *text, size_t size, uint64_t requests);

/* request.c */
struct request {
  char method[8], path[64], query[512];
  int keep_alive;
  size_t body_bytes;
};
enum parse { parse_incomplete, parse_ok, parse_malformed, parse_too_large };
/* Parses the head of a request; on parse_ok `*used` is the head's length. */
enum parse parse_request(const char *text, size_t length, struct request *request, size_t *used);
/* Copies a value of the query; returns 1 if it is there and fits. Values are plain: nothing is decoded but %2F. */
int query_text(const struct request *request, const char *key, char *value, size_t size);
/* Reads a whole number of the query; returns 0 if it is there and wrong, `missing` counts where it is absent. */
int query_number(const struct request *request, const char *key, uint64_t missing, uint64_t *value);

/* routes.c */
enum { maximum_random_bytes = 4096, body_bytes = 2 * maximum_random_bytes + 64 };
struct answer {
  int status;
  int later; /* the answer comes when the check of the load is done */
  int is_json;
  uint64_t delay_ms;  /* it is held back for so long */
  void (*then)(void); /* what is done when it is sent */
  char body[body_bytes];
};
void answer_request(const struct request *request, struct answer *answer);
extern uint64_t requests_served;

/* volumes.c: the data volumes that the host gave this machine */
void volumes_describe(char *text, size_t size);
/* Adds one to the counter on a volume, on the disk before it returns. Returns an error sentence, or NULL. */
const char *volumes_count(int index, uint64_t *count);

/* faults.c: failures on purpose */
enum fault { fault_none, fault_wrong, fault_slow, fault_hang };
extern enum fault fault;
/* Returns 0 if there is no such fault. */
int faults_set(const char *name);
const char *faults_name(void);
void faults_panic(void);
void faults_hang(void);

/* load.c: memory that is written without end, by a pattern that can be checked */
/* Returns an error sentence, or NULL. Replaces a load that runs. `done` becomes readable when a check is done. */
const char *load_start(uint64_t mib, uint64_t rate_mib, int done);
void load_stop(void);
void load_describe(char *text, size_t size);
/* Asks for a check; returns 0 if no load runs. */
int load_request_check(void);
void load_describe_check(char *text, size_t size);

/* stamps.c: records on a raw block device that show later who wrote when */
struct stamp_writer {
  char device[64], host[33];
  uint64_t epoch, incarnation, every_ms;
  int allow_root_disk;
};
/* Returns an error sentence, or NULL. Replaces a writer that runs. */
const char *stamps_start(const struct stamp_writer *writer);
/* Starts the writer that the kernel's command line asks for, if it does. */
void stamps_start_from_kernel(void);
void stamps_stop(void);
void stamps_describe(char *text, size_t size);

/* stamp-record.c */
enum { stamp_bytes = 512 };
struct stamp {
  char host[33];
  uint64_t epoch, incarnation, counter, wall_ms, uptime_ms;
};
void encode_stamp(const struct stamp *stamp, unsigned char *sector);
/* True when the sector begins like a record, whatever its checksum says: no such sector is ever written twice. */
int is_stamp(const unsigned char *sector);

/* connections.c */
/* Where the load's worker tells the loop that a check is done. */
extern int load_check_done;
/* Serves until a signal ends it; returns only if a port cannot be opened. */
int serve(int http_port, int echo_port);

#endif
