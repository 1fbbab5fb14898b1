/*
 * dialtone-resident: waits in the guest on the virtio serial port org.dialtone.resident.0 and does what the host asks, within
 * milliseconds: it is the first to run when a machine goes on from memory. No library, no thread, no fork on the way to an answer
 * but for hooks and a new file system. What is said on the port: src/agent/hypervisor/resident-protocol.ts.
 */
#ifndef DIALTONE_RESIDENT_H
#define DIALTONE_RESIDENT_H

#include <stddef.h>

/* message.c */
enum { message_bytes = 4096, maximum_fields = 24 };
struct message {
  int count;
  struct {
    const char *key, *value;
  } fields[maximum_fields];
};
enum inbox_state { inbox_collects, inbox_has_message, inbox_overflowed, inbox_skips };
/* Collects the bytes of one message. It is empty when all its bytes are zero. */
struct inbox {
  enum inbox_state state;
  size_t length;
  char text[message_bytes + 1];
};
/*
 * Takes bytes up to the end of a message and returns how many; look at `state` after each call. inbox_overflowed is seen once
 * for each message that is too long; the rest of it is passed over.
 */
size_t inbox_take(struct inbox *inbox, const char *bytes, size_t length);
/* Splits the text in its place. Returns NULL, or what is wrong; the id is then still there if it was understood. */
const char *parse_message(char *text, struct message *message);
/* The value of a key, or NULL. */
const char *message_value(const struct message *message, const char *key);

/* verbs.c */
enum { sentence_bytes = 300 };
struct answer {
  char sentence[sentence_bytes]; /* what went wrong; empty when nothing did */
  char lines[512];               /* more lines key=value */
  /* What is done once the answer is on its way. */
  void (*then)(const struct message *);
};
void carry_out(const struct message *message, struct answer *answer);
/* Says what went wrong. */
void refuse(struct answer *answer, const char *format, ...);
/* Adds a line to the answer. */
void tell(struct answer *answer, const char *key, const char *value);

/* ask-service.c */
/* Asks the service of this machine as often as is said, and tells how often it answered. */
void ask_service(const struct message *message, struct answer *answer);

/* random-and-clock.c */
/* True when both values are what `go_on` needs. */
int may_go_on(const struct message *message, struct answer *answer);
/* New random numbers first, then the time: what every machine needs that comes from memory. Returns 1 when both are done. */
int go_on(const struct message *message, struct answer *answer);

/* identity.c */
int is_host_name(const char *text);
int is_machine_id(const char *text);
/* Host name, machine id and SSH host keys become those of another machine. Returns 1 when all are done. */
int become_named(const char *name, const char *machine_id, struct answer *answer);

/* card.c */
struct card_settings {
  unsigned char mac[6];
  unsigned address, netmask, gateway; /* in network order; gateway 0: none */
};
/* Reads the values of a message; returns 1 when all are there and right. */
int read_card_settings(const struct message *message, struct card_settings *settings, struct answer *answer);
/* Gives the first Ethernet card, whose name is written to `card`, another address. Returns 1 when it is up with it. */
int set_card(const struct card_settings *settings, char *card, size_t size, struct answer *answer);

/* find-disk.c */
/* Finds the disk with this serial number, waiting for it if need be; returns 1 and its path and name below /dev. */
int find_disk(const char *serial, int patience_ms, char *device, size_t size);

/* file-system.c */
/* Makes a file system on a blank disk; returns 1 if it did, 0 if there is something on it, -1 when it cannot be done. */
int make_file_system_if_blank(const char *device, const char *serial, struct answer *answer);

/* volumes.c */
void mount_volume(const struct message *message, struct answer *answer);
void unmount_volume(const struct message *message, struct answer *answer);

/* run.c */
enum ending { ended_well, ended_badly, ended_by_deadline, was_absent };
/* Runs a program to its end, or kills it and all that it started when its time is over. */
enum ending run_program(const char *const arguments[], int patience_ms);
/* Runs /etc/dialtone/NAME, the guest's own part; `first` and `second` may be NULL. */
enum ending run_hook(const char *name, const char *first, const char *second, int patience_ms);
const char *ending_words(enum ending ending);

/* port.c */
/* Opens the port that the host speaks on, waiting for it without end. */
int open_port(void);
/* Asks for a signal (SIGIO) whenever something changes at the port. */
void watch_port(int port);
/* Sleeps until something changed. */
void wait_for_port(void);
/* Sends the text, or drops it when nobody takes it. */
void write_port(int port, const char *text, size_t length);

/* device-events.c */
/* Opens the kernel's announcements of devices that come and go; -1 if there are none. */
int open_device_events(void);
/* Returns when there was one, or the time is over. */
void wait_for_device_event(int events, int milliseconds);

/* files.c */
/* Reads at most size - 1 bytes, ends them with 0, cuts white space and zeros at both ends. Returns the length, or -1. */
int read_text(const char *path, char *text, size_t size);
/* Replaces a file, or what a link points to, in one step that a power cut cannot tear. Returns 0, or -1 with errno. */
int replace_file(const char *path, const char *text);

#endif
