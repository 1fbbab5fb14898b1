/* The pieces of the tiny machine's first program. See init.c for the order in which they run. */
#ifndef TINY_INIT_H
#define TINY_INIT_H

#include <stddef.h>

/* files.c */
/* Reads at most size - 1 bytes and ends them with 0; cuts white space at the end. Returns the length, or -1. */
int read_text(const char *path, char *text, size_t size);
/* Writes the whole text over the file; returns 0, or -1. */
int write_text(const char *path, const char *text);
/* Copies the value of `key` (with its '=') of the kernel's command line; returns 1 if it is there. */
int kernel_argument(const char *key, char *value, size_t size);
/* One line on the console, with the machine's uptime. */
void say(const char *format, ...);

/* modules.c */
/* Loads every module of a list file in its order; lines with a PCI id are passed over where that device is absent. */
void load_modules(const char *list);
/* True when a device `vendor:device` (four hexadecimal digits each) is on the PCI bus. */
int has_pci_device(const char *id);

/* data-disk.c */
/* Mounts the file system labelled TINYDATA on /data and counts this boot there. */
void mount_data_disk(void);
/* Gives the machine its id: the one on the data disk, or a new one. */
void set_machine_id(void);

/* network.c */
/* Brings up the loopback and starts a DHCP client for every Ethernet card. */
void start_network(void);
/* Goes on as another machine: its DHCP client asks for the address that the host has already given, under the new MAC. */
void renew_network(const char *card, const char *address);
/* Sets the host name that the kernel's command line asks for, or one made of the machine id. */
void set_host_name(void);

/* late.c */
/* All that the service does not wait for: agents, more modules, watchdog, conveniences of the shell. Does not return. */
void run_late(void);

/* keep.c */
enum { maximum_arguments = 12 };
/* Starts a program, and starts it again whenever it ends, once `keep_running` looks after them. */
void keep(const char *const arguments[maximum_arguments]);
/* Does not return. */
void keep_running(void);

/* service.c: what the host asks for through the resident agent, which runs these as its hooks */
/* Ends the service and returns when a new one listens: 0, or 1 when there is none. */
int restart_service(void);
/* Makes the service fail in this way, for a drill. Returns 0, or 1 for one that it doesn't know. */
int drill(const char *failure);
/* A data volume is mounted at `place`: gives it the counter that the service keeps there. Returns 0, or 1. */
int start_on_volume(const char *place);

/* stop.c */
/* Ends all programs, unmounts all disks and powers off or restarts. Does not return. */
void stop_machine(int restart);

#endif
