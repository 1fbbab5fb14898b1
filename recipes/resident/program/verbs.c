/* Which request is answered by what. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "resident.h"

enum { restart_patience_ms = 30000, became_patience_ms = 5000 };

static const char version[] = "1";

void refuse(struct answer *answer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(answer->sentence, sizeof answer->sentence, format, arguments);
  va_end(arguments);
}

void tell(struct answer *answer, const char *key, const char *value) {
  size_t used = strlen(answer->lines);
  snprintf(answer->lines + used, sizeof answer->lines - used, "%s=%s\n", key, value);
}

static void hello(const struct message *message, struct answer *answer);

static void resume(const struct message *message, struct answer *answer) {
  if (may_go_on(message, answer)) go_on(message, answer);
}

static char card[32];

/* The guest's own part of a new identity, such as its DHCP client. What the host waits for does not hang on it. */
static void run_became_hook(const struct message *message) {
  run_hook("became", card, message_value(message, "address"), became_patience_ms);
}

static void become(const struct message *message, struct answer *answer) {
  const char *name = message_value(message, "name"), *machine_id = message_value(message, "machineId");
  struct card_settings settings;
  /* All is looked at before anything is done: a machine that is half another one is worse than none. */
  if (!may_go_on(message, answer)) return;
  if (name == NULL || !is_host_name(name)) return refuse(answer, "name is no host name");
  if (machine_id == NULL || !is_machine_id(machine_id)) return refuse(answer, "machineId is not 32 small hexadecimal digits");
  if (!read_card_settings(message, &settings, answer)) return;
  if (!go_on(message, answer) || !become_named(name, machine_id, answer)) return;
  if (!set_card(&settings, card, sizeof card, answer)) return;
  tell(answer, "card", card);
  answer->then = run_became_hook;
}

static void restart(const struct message *message, struct answer *answer) {
  (void)message;
  enum ending ending = run_hook("restart", NULL, NULL, restart_patience_ms);
  if (ending != ended_well) refuse(answer, "the guest's hook /etc/dialtone/restart %s", ending_words(ending));
}

static const struct {
  const char *name;
  void (*carry_out)(const struct message *, struct answer *);
} verbs[] = {
  {"hello", hello},        {"resume", resume},           {"become", become},
  {"mount", mount_volume}, {"unmount", unmount_volume}, {"restart", restart},
  {"ask", ask_service},
};
enum { verb_count = sizeof verbs / sizeof verbs[0] };

static void hello(const struct message *message, struct answer *answer) {
  char names[128] = "";
  (void)message;
  for (int at = 0; at < verb_count; at++) {
    if (at > 0) strcat(names, ",");
    strcat(names, verbs[at].name);
  }
  tell(answer, "version", version);
  tell(answer, "verbs", names);
}

void carry_out(const struct message *message, struct answer *answer) {
  const char *wanted = message_value(message, "do");
  if (wanted == NULL) return refuse(answer, "it is not said what to do");
  for (int at = 0; at < verb_count; at++)
    if (strcmp(verbs[at].name, wanted) == 0) return verbs[at].carry_out(message, answer);
  refuse(answer, "this agent does not know how to do that");
}
