#!/bin/sh
# First process of a peer's host, in mount, process and name namespaces of its own: host-init.sh FOLDER NAME PRIVATE-FOLDER...
# It makes the machine's run time folders and the named ones private, says `ready` and waits. When its input is closed it ends, and all
# else of the host with it: so nothing outlives whoever measures, not even after a kill -9.
set -e
folder=$1 name=$2
shift 2
hostname "$name"
# The network namespace has its own interfaces; the machine's /sys shows others.
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir /run/lock
mount -t tmpfs tmpfs /dev/shm
for private in "$@"; do
  own=$folder$private
  mkdir -p "$private"
  if [ ! -d "$own" ]; then
    mkdir -p "${own%/*}"
    cp -a "$private" "$own"
  fi
  mount --bind "$own" "$private"
done
echo ready
# A shell that waits reaps what the host's daemons leave behind.
cat > /dev/null
