/* A message: lines key=value up to an empty line. What comes in is not trusted to be one. */
#define _GNU_SOURCE
#include <string.h>
#include "resident.h"

static void begin_next(struct inbox *inbox) {
  if (inbox->state == inbox_overflowed) {
    /* The last byte stays: with it, the empty line that ends what is passed over is known. */
    inbox->text[0] = inbox->text[inbox->length - 1];
    inbox->length = 1;
    inbox->state = inbox_skips;
  } else if (inbox->state == inbox_has_message) {
    inbox->length = 0;
    inbox->state = inbox_collects;
  }
}

size_t inbox_take(struct inbox *inbox, const char *bytes, size_t length) {
  begin_next(inbox);
  for (size_t at = 0; at < length; at++) {
    int begins_line = inbox->length == 0 || inbox->text[inbox->length - 1] == '\n';
    if (bytes[at] == '\n' && begins_line) {
      if (inbox->state == inbox_collects && inbox->length > 0) {
        inbox->text[inbox->length] = 0;
        /* A zero among the bytes would hide what follows it. */
        for (size_t i = 0; i < inbox->length; i++)
          if (inbox->text[i] == 0) inbox->text[i] = 1;
        inbox->state = inbox_has_message;
        return at + 1;
      }
      inbox->length = 0;
      inbox->state = inbox_collects;
    } else if (inbox->state == inbox_skips) {
      inbox->text[0] = bytes[at];
    } else {
      inbox->text[inbox->length++] = bytes[at];
      if (inbox->length < message_bytes) continue;
      inbox->text[inbox->length] = 0;
      inbox->state = inbox_overflowed;
      return at + 1;
    }
  }
  return length;
}

static int is_plain(const char *text) {
  for (; *text; text++)
    if ((unsigned char)*text < ' ' || *text == 127) return 0;
  return 1;
}

const char *parse_message(char *text, struct message *message) {
  const char *error = NULL;
  char *rest = text, *line;
  message->count = 0;
  while ((line = strsep(&rest, "\n")) != NULL) {
    if (*line == 0) continue;
    char *value = strchr(line, '=');
    if (value != NULL) *value++ = 0;
    if (value == NULL || !is_plain(line) || !is_plain(value)) {
      error = "a line is not key=value in plain characters";
      continue;
    }
    if (strcmp(line, "id") == 0) {
      /* An id begins a message: what stands before it was left by a connection that ended in the middle of a line. */
      message->count = 0;
      error = NULL;
    }
    if (message_value(message, line) != NULL) error = "a key comes twice";
    else if (message->count == maximum_fields) error = "there are too many lines";
    else {
      message->fields[message->count].key = line;
      message->fields[message->count++].value = value;
    }
  }
  return error;
}

const char *message_value(const struct message *message, const char *key) {
  for (int at = 0; at < message->count; at++)
    if (strcmp(message->fields[at].key, key) == 0) return message->fields[at].value;
  return NULL;
}
