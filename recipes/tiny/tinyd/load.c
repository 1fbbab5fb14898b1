/*
 * Dirties memory at a set rate, by a pattern that can be computed again: word w of page p in round r is
 * mix(p, r) + w * odd. So a page that a migration lost, tore or brought in an older state is found by reading alone.
 * Rounds go through the pages in order; the worker stops between two pages for a check, when pages before its place
 * hold this round and the others the one before.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include "tinyd.h"

enum { page_bytes = 4096, page_words = page_bytes / 8, slice_ms = 10, maximum_mib = 65536, spare_mib = 4 };

struct check {
  uint64_t pages, bad;
};

static struct {
  pthread_mutex_t lock;
  pthread_t worker;
  int runs, must_end, check_wanted, done;
  uint64_t mib, rate_mib, dirtied_pages, rounds, checks;
  struct check last_check;
} load = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t mix(uint64_t page, uint64_t round) {
  uint64_t value = page * 0x9e3779b97f4a7c15ULL + round * 0xbf58476d1ce4e5b9ULL + 1;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  return value ^ (value >> 31);
}

static void write_page(uint64_t *words, uint64_t page, uint64_t round) {
  uint64_t value = mix(page, round);
  uint64_t *end = words + page_words;
  while (words < end) {
    *words++ = value;
    value += 0x9e3779b97f4a7c15ULL;
  }
}

static int page_is_right(const uint64_t *words, uint64_t page, uint64_t round) {
  uint64_t value = mix(page, round);
  const uint64_t *end = words + page_words;
  while (words < end) {
    if (*words++ != value) return 0;
    value += 0x9e3779b97f4a7c15ULL;
  }
  return 1;
}

static void check_pages(const uint64_t *memory, uint64_t pages, uint64_t place, uint64_t round) {
  struct check check = {pages, 0};
  for (uint64_t page = 0; page < pages; page++)
    if (!page_is_right(memory + page * page_words, page, page < place ? round : round - 1)) check.bad++;
  pthread_mutex_lock(&load.lock);
  load.last_check = check;
  load.checks++;
  load.check_wanted = 0;
  pthread_mutex_unlock(&load.lock);
  write(load.done, "c", 1);
}

/* Counts a page that was written; returns 1 when the worker must end, 2 when a check is wanted. */
static int after_page(uint64_t dirtied, uint64_t round) {
  pthread_mutex_lock(&load.lock);
  load.dirtied_pages = dirtied;
  load.rounds = round - 1;
  int wish = load.must_end ? 1 : load.check_wanted ? 2 : 0;
  pthread_mutex_unlock(&load.lock);
  return wish;
}

static void *work(void *memory_start) {
  uint64_t *memory = memory_start, pages = load.mib * 256, dirtied = 0;
  uint64_t slice_pages = load.rate_mib * 256 * slice_ms / 1000, slice_end = now_ms();
  if (load.rate_mib > 0 && slice_pages == 0) slice_pages = 1;
  uint64_t slice_length = slice_pages == 0 ? 0 : slice_pages * 1000 / (load.rate_mib * 256);
  int wish = 0;
  for (uint64_t page = 0; page < pages && wish != 1; page++) {
    write_page(memory + page * page_words, page, 0);
    wish = after_page(0, 1);
  }
  for (uint64_t round = 1; wish != 1; round++)
    for (uint64_t page = 0; page < pages && wish != 1; page++) {
      write_page(memory + page * page_words, page, round);
      wish = after_page(++dirtied, page + 1 == pages ? round + 1 : round);
      if (wish == 2) check_pages(memory, pages, page + 1, round);
      if (slice_pages == 0 || dirtied % slice_pages != 0) continue;
      uint64_t now = now_ms();
      /* After a pause of the whole machine it goes on at its rate: it does not catch up. */
      slice_end = slice_end + slice_length + 1000 < now ? now : slice_end + slice_length;
      sleep_until(slice_end);
    }
  munmap(memory, load.mib << 20);
  return NULL;
}

/* More than is free would end this very process. */
static int is_free(uint64_t mib) {
  struct sysinfo memory;
  return sysinfo(&memory) == 0 && mib + spare_mib <= ((uint64_t)memory.freeram * memory.mem_unit >> 20);
}

const char *load_start(uint64_t mib, uint64_t rate_mib, int done) {
  if (mib == 0 || mib > maximum_mib || rate_mib > 1000000) return "mib is 1 to 65536, rate up to 1000000";
  load_stop();
  if (!is_free(mib)) return "there is not so much free memory";
  void *memory = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return "there is not so much memory";
  load.mib = mib;
  load.rate_mib = rate_mib;
  load.done = done;
  load.must_end = load.check_wanted = 0;
  load.dirtied_pages = load.rounds = load.checks = 0;
  load.runs = pthread_create(&load.worker, NULL, work, memory) == 0;
  if (load.runs) return NULL;
  munmap(memory, mib << 20);
  return "no thread can be started";
}

void load_stop(void) {
  if (!load.runs) return;
  pthread_mutex_lock(&load.lock);
  load.must_end = 1;
  pthread_mutex_unlock(&load.lock);
  pthread_join(load.worker, NULL);
  load.runs = 0;
  /* Whoever waits for a check learns that there is none. */
  if (load.check_wanted) write(load.done, "c", 1);
}

int load_request_check(void) {
  if (!load.runs) return 0;
  pthread_mutex_lock(&load.lock);
  load.check_wanted = 1;
  pthread_mutex_unlock(&load.lock);
  return 1;
}

void load_describe_check(char *text, size_t size) {
  pthread_mutex_lock(&load.lock);
  if (load.check_wanted || load.checks == 0)
    snprintf(text, size, "{\"ok\":false,\"error\":\"the load was stopped before it was checked\"}\n");
  else
    snprintf(text, size, "{\"ok\":%s,\"pages\":%llu,\"bad\":%llu}\n", load.last_check.bad == 0 ? "true" : "false",
             (unsigned long long)load.last_check.pages, (unsigned long long)load.last_check.bad);
  pthread_mutex_unlock(&load.lock);
}

void load_describe(char *text, size_t size) {
  pthread_mutex_lock(&load.lock);
  const char *verdict = load.checks == 0 ? "null" : load.last_check.bad == 0 ? "true" : "false";
  snprintf(text, size,
           "{\"running\":%s,\"mib\":%llu,\"rate\":%llu,\"rounds\":%llu,\"dirtiedPages\":%llu,\"checks\":%llu,"
           "\"checksumOk\":%s}\n",
           load.runs ? "true" : "false", (unsigned long long)load.mib, (unsigned long long)load.rate_mib,
           (unsigned long long)load.rounds, (unsigned long long)load.dirtied_pages, (unsigned long long)load.checks,
           verdict);
  pthread_mutex_unlock(&load.lock);
}
