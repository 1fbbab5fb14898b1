/* The loop: one message after the other, however the bytes come. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "resident.h"

static struct inbox inbox;
/* Where answers go: the port itself, but for a stream that is read from standard input. */
static int output;

static void send_answer(const struct message *message, const struct answer *answer) {
  char text[message_bytes + 1024];
  const char *id = message_value(message, "id");
  int length = 0;
  if (id != NULL) length = snprintf(text, sizeof text, "id=%s\n", id);
  if (answer->sentence[0]) length += snprintf(text + length, sizeof text - length, "error=%s\n\n", answer->sentence);
  else length += snprintf(text + length, sizeof text - length, "ok=1\n%s\n", answer->lines);
  write_port(output, text, length);
}

static void answer_inbox(void) {
  struct message message;
  struct answer answer = {0};
  const char *error = parse_message(inbox.text, &message);
  if (inbox.state == inbox_overflowed) refuse(&answer, "the message is longer than %d bytes", message_bytes);
  else if (error != NULL) refuse(&answer, "%s", error);
  else carry_out(&message, &answer);
  send_answer(&message, &answer);
  if (answer.then != NULL) answer.then(&message);
}

static void take_bytes(const char *bytes, size_t length) {
  while (length > 0) {
    size_t taken = inbox_take(&inbox, bytes, length);
    bytes += taken;
    length -= taken;
    if (inbox.state == inbox_has_message || inbox.state == inbox_overflowed) answer_inbox();
  }
}

/* Serves until the port is gone; a plain stream is gone when it ends. */
static void serve(int port, int is_stream) {
  char bytes[message_bytes];
  memset(&inbox, 0, sizeof inbox);
  output = is_stream ? 1 : port;
  watch_port(port);
  for (;;) {
    ssize_t length = read(port, bytes, sizeof bytes);
    if (length > 0) {
      take_bytes(bytes, length);
      continue;
    }
    /* Nobody is connected: what came of a message will never be continued. */
    if (length == 0) memset(&inbox, 0, sizeof inbox);
    if (length == 0 && is_stream) return;
    if (length < 0 && errno != EAGAIN && errno != EINTR) return;
    wait_for_port();
  }
}

int main(int count, char **arguments) {
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGIO);
  sigaddset(&awaited, SIGCHLD);
  sigprocmask(SIG_BLOCK, &awaited, NULL);
  signal(SIGPIPE, SIG_IGN);
  /* Its pages must be there when the machine is short of memory. Where this is forbidden, it runs without. */
  mlockall(MCL_CURRENT | MCL_FUTURE);
  if (count == 2 && strcmp(arguments[1], "-") == 0) {
    serve(0, 1);
    return 0;
  }
  for (;;) {
    int port = open_port();
    serve(port, 0);
    close(port);
  }
}
