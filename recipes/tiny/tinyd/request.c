/* The head of an HTTP/1.x request: only what this service needs, and a refusal for all else. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "tinyd.h"

enum { maximum_body_bytes = 65536 };

/* Copies what stands before `end`; returns the place after it, or NULL if it is absent, empty or too long. */
static const char *take_word(const char *from, const char *end, char *word, size_t size) {
  size_t length = end == NULL ? 0 : (size_t)(end - from);
  if (length == 0 || length >= size) return NULL;
  memcpy(word, from, length);
  word[length] = 0;
  return end + 1;
}

static int parse_number(const char *text, uint64_t *value) {
  char *end;
  if (!isdigit((unsigned char)*text)) return 0;
  errno = 0;
  *value = strtoull(text, &end, 10);
  return errno == 0 && *end == 0;
}

static enum parse parse_target(char *target, struct request *request) {
  if (target[0] != '/') return parse_malformed;
  char *query = strchr(target, '?');
  if (query != NULL) *query++ = 0;
  if (strlen(target) >= sizeof request->path) return parse_too_large;
  snprintf(request->path, sizeof request->path, "%s", target);
  snprintf(request->query, sizeof request->query, "%s", query == NULL ? "" : query);
  return parse_ok;
}

static enum parse parse_line(const char *line, struct request *request) {
  char target[sizeof request->query];
  const char *rest = take_word(line, strchr(line, ' '), request->method, sizeof request->method);
  if (rest == NULL) return parse_malformed;
  for (const char *letter = request->method; *letter; letter++)
    if (!isupper((unsigned char)*letter)) return parse_malformed;
  rest = take_word(rest, strchr(rest, ' '), target, sizeof target);
  if (rest == NULL) return parse_malformed;
  if (strcmp(rest, "HTTP/1.1") == 0) request->keep_alive = 1;
  else if (strcmp(rest, "HTTP/1.0") != 0) return parse_malformed;
  return parse_target(target, request);
}

static enum parse parse_header(char *line, struct request *request) {
  char *value = strchr(line, ':');
  if (value == NULL || value == line || isspace((unsigned char)line[0])) return parse_malformed;
  *value++ = 0;
  value += strspn(value, " \t");
  value[strcspn(value, " \t,")] = 0;
  if (strcasecmp(line, "connection") == 0) {
    if (strcasecmp(value, "close") == 0) request->keep_alive = 0;
    if (strcasecmp(value, "keep-alive") == 0) request->keep_alive = 1;
  }
  if (strcasecmp(line, "transfer-encoding") == 0) return parse_malformed;
  if (strcasecmp(line, "content-length") == 0) {
    uint64_t bytes;
    if (!parse_number(value, &bytes)) return parse_malformed;
    if (bytes > maximum_body_bytes) return parse_too_large;
    request->body_bytes = bytes;
  }
  return parse_ok;
}

enum parse parse_request(const char *text, size_t length, struct request *request, size_t *used) {
  char head[2048];
  const char *end = memmem(text, length, "\r\n\r\n", 4);
  if (end == NULL) return length >= sizeof head ? parse_too_large : parse_incomplete;
  *used = end + 4 - text;
  if (*used >= sizeof head) return parse_too_large;
  memcpy(head, text, *used - 4);
  head[*used - 4] = 0;
  memset(request, 0, sizeof *request);
  if (strlen(head) != *used - 4) return parse_malformed;
  char *rest = head;
  enum parse result = parse_ok;
  for (int number = 0; rest != NULL && result == parse_ok; number++) {
    char *line = rest;
    rest = strstr(rest, "\r\n");
    if (rest != NULL) *rest = 0, rest += 2;
    result = number == 0 ? parse_line(line, request) : parse_header(line, request);
  }
  return result;
}

int query_text(const struct request *request, const char *key, char *value, size_t size) {
  const char *at = request->query;
  size_t key_length = strlen(key);
  while (*at) {
    size_t length = strcspn(at, "&");
    if (length > key_length && at[key_length] == '=' && strncmp(at, key, key_length) == 0) {
      size_t written = 0;
      for (const char *from = at + key_length + 1; from < at + length; from++) {
        if (written + 1 >= size) return 0;
        int is_slash = strncasecmp(from, "%2F", 3) == 0;
        value[written++] = is_slash ? '/' : *from;
        if (is_slash) from += 2;
      }
      value[written] = 0;
      return 1;
    }
    at += length;
    if (*at == '&') at++;
  }
  return 0;
}

int query_number(const struct request *request, const char *key, uint64_t missing, uint64_t *value) {
  char text[32], pattern[40];
  snprintf(pattern, sizeof pattern, "%s=", key);
  *value = missing;
  if (strstr(request->query, pattern) == NULL) return 1;
  return query_text(request, key, text, sizeof text) && parse_number(text, value);
}
