/* The loop: both ports and every client, none of which can block another. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tinyd.h"

enum { maximum_clients = 256, input_bytes = 4096, output_bytes = body_bytes + 512 };
enum { http_idle_ms = 30000, echo_idle_ms = 600000, look_around_ms = 5000 };
enum kind { kind_free, kind_http, kind_echo };

struct client {
  enum kind kind;
  int waits_for_check, closes_after_output;
  uint64_t active_ms, due_ms;
  void (*then)(void);
  size_t in_bytes, out_bytes, out_sent, body_left;
  char in[input_bytes], out[output_bytes];
};

static struct client clients[maximum_clients];
static struct pollfd polls[maximum_clients + 3];
static struct request pending[maximum_clients];
int load_check_done;

static int listen_on(int port) {
  int handle = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(handle, (struct sockaddr *)&address, sizeof address) == 0 && listen(handle, 128) == 0) return handle;
  dprintf(2, "tinyd: port %d cannot be opened: %s\n", port, strerror(errno));
  return -1;
}

static void close_client(int at) {
  close(polls[at].fd);
  polls[at].fd = -1;
  clients[at].kind = kind_free;
}

static void accept_clients(int listener, enum kind kind) {
  int handle, one = 1;
  while ((handle = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    int at = 0;
    while (at < maximum_clients && clients[at].kind != kind_free) at++;
    if (at == maximum_clients) {
      close(handle);
      continue;
    }
    setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    memset(&clients[at], 0, offsetof(struct client, in));
    clients[at].kind = kind;
    clients[at].active_ms = now_ms();
    polls[at].fd = handle;
    polls[at].revents = 0;
  }
}

static const char *reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 500: return "Internal Server Error";
    default: return "Content Too Large";
  }
}

static void put_answer(struct client *client, const struct answer *answer, int keep_alive) {
  client->out_bytes = snprintf(client->out, sizeof client->out,
      "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
      "Connection: %s\r\n\r\n%s",
      answer->status, reason(answer->status), answer->is_json ? "application/json" : "text/plain",
      strlen(answer->body), keep_alive ? "keep-alive" : "close", answer->body);
  client->out_sent = 0;
  client->closes_after_output = !keep_alive;
  client->due_ms = answer->delay_ms == 0 ? 0 : now_ms() + answer->delay_ms;
  client->then = answer->then;
}

static void drop_input(struct client *client, size_t bytes) {
  client->in_bytes -= bytes;
  memmove(client->in, client->in + bytes, client->in_bytes);
}

static void refuse_head(struct client *client, enum parse parse) {
  struct answer answer = {.status = parse == parse_malformed ? 400 : 413, .is_json = 1};
  snprintf(answer.body, sizeof answer.body, "{\"error\":\"%s\"}\n",
           parse == parse_malformed ? "this is no HTTP request" : "the request is too large");
  put_answer(client, &answer, 0);
}

/* Takes one request from the input, if it is whole and nothing stands before it. Returns 1 if it made progress. */
static int take_request(int at) {
  struct client *client = &clients[at];
  size_t skipped = client->body_left < client->in_bytes ? client->body_left : client->in_bytes, used = 0;
  drop_input(client, skipped);
  client->body_left -= skipped;
  if (client->body_left > 0 || client->in_bytes == 0 || client->out_bytes > 0 || client->waits_for_check) return 0;
  if (fault == fault_hang) return 0;
  enum parse parse = parse_request(client->in, client->in_bytes, &pending[at], &used);
  if (parse == parse_incomplete) return 0;
  if (parse != parse_ok) {
    client->in_bytes = 0;
    refuse_head(client, parse);
    return 1;
  }
  drop_input(client, used);
  client->body_left = pending[at].body_bytes;
  struct answer answer;
  answer_request(&pending[at], &answer);
  client->waits_for_check = answer.later;
  if (!answer.later) put_answer(client, &answer, pending[at].keep_alive);
  return 1;
}

/* Sends what waits. Returns 0 when the client is gone. */
static int send_output(int at) {
  struct client *client = &clients[at];
  if (client->due_ms > now_ms()) return 1;
  while (client->out_sent < client->out_bytes) {
    ssize_t sent = send(polls[at].fd, client->out + client->out_sent, client->out_bytes - client->out_sent,
                        MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    client->out_sent += sent;
  }
  client->out_bytes = client->out_sent = 0;
  if (client->then != NULL) client->then();
  client->then = NULL;
  return !client->closes_after_output;
}

static int advance(int at) {
  struct client *client = &clients[at];
  if (!send_output(at)) return 0;
  if (client->kind == kind_http) {
    while (take_request(at))
      if (!send_output(at)) return 0;
    return 1;
  }
  while (client->out_bytes == 0 && client->in_bytes > 0) {
    memcpy(client->out, client->in, client->in_bytes);
    client->out_bytes = client->in_bytes;
    client->in_bytes = 0;
    if (!send_output(at)) return 0;
  }
  return 1;
}

static void serve_client(int at) {
  struct client *client = &clients[at];
  if (polls[at].revents & POLLIN && client->in_bytes < sizeof client->in) {
    ssize_t length = recv(polls[at].fd, client->in + client->in_bytes, sizeof client->in - client->in_bytes, 0);
    if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) return close_client(at);
    if (length > 0) client->in_bytes += length;
    client->active_ms = now_ms();
  } else if (polls[at].revents & (POLLERR | POLLHUP | POLLNVAL)) {
    return close_client(at);
  }
  if (!advance(at)) close_client(at);
}

static void answer_checks(int notices) {
  char byte[64];
  struct answer answer = {.status = 200, .is_json = 1};
  if (read(notices, byte, sizeof byte) <= 0) return;
  load_describe_check(answer.body, sizeof answer.body);
  for (int at = 0; at < maximum_clients; at++) {
    if (clients[at].kind == kind_free || !clients[at].waits_for_check) continue;
    clients[at].waits_for_check = 0;
    put_answer(&clients[at], &answer, pending[at].keep_alive);
    if (!advance(at)) close_client(at);
  }
}

/* Returns for how long nothing need be done but what the polls say. */
static int prepare_polls(void) {
  uint64_t now = now_ms(), patience_ms = look_around_ms;
  for (int at = 0; at < maximum_clients; at++) {
    struct client *client = &clients[at];
    if (client->kind == kind_free) continue;
    uint64_t patience = client->kind == kind_http ? http_idle_ms : echo_idle_ms;
    if (!client->waits_for_check && client->active_ms + patience < now) {
      close_client(at);
      continue;
    }
    int is_held = client->due_ms > now;
    if (is_held && client->due_ms - now < patience_ms) patience_ms = client->due_ms - now;
    polls[at].events = (client->in_bytes < sizeof client->in ? POLLIN : 0) |
                       (client->out_bytes > 0 && !is_held ? POLLOUT : 0);
  }
  return patience_ms;
}

int serve(int http_port, int echo_port) {
  struct pollfd *http = &polls[maximum_clients], *echo = http + 1, *notice = http + 2;
  int notices[2];
  for (int at = 0; at < maximum_clients; at++) polls[at].fd = -1;
  http->fd = listen_on(http_port);
  echo->fd = listen_on(echo_port);
  if (http->fd < 0 || echo->fd < 0 || pipe(notices) != 0) return 1;
  notice->fd = notices[0];
  load_check_done = notices[1];
  http->events = echo->events = notice->events = POLLIN;
  for (;;) {
    if (poll(polls, maximum_clients + 3, prepare_polls()) <= 0) continue;
    if (notice->revents) answer_checks(notice->fd);
    for (int at = 0; at < maximum_clients; at++)
      if (polls[at].fd >= 0 && polls[at].revents) serve_client(at);
    if (http->revents) accept_clients(http->fd, kind_http);
    if (echo->revents) accept_clients(echo->fd, kind_echo);
  }
}
