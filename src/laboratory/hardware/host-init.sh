#!/bin/sh
# The first process of a laboratory's host: host-init.sh LABS LABORATORY HOST NODE AGENT WATCHDOG MEMORY_MIB SERVER PORT
# Runs in the host's own network and mount namespace and in its cgroup. Shows the host only its own tree and the shared storage, then
# keeps its two programs running.
set -e
labs=$1 laboratory=$2 host=$3 node=$4 agent=$5 watchdog=$6 memory=$7 server=$8 port=$9
folder=$labs/$laboratory
programs=$(dirname "$(dirname "$(readlink -f "$0")")")

# Mounts must not reach the machine. In a chroot / is no mount point: the namespace's own root is, and nsenter goes there.
mount --make-rprivate / 2> /dev/null || nsenter --mount=/proc/self/ns/mnt mount --make-rprivate /

# The working directory keeps the way to what the new mount covers.
cd "$folder"
mount -t tmpfs -o mode=0755,size=64k laboratories "$labs"
mkdir -p "$folder/hosts/$host" "$folder/shared" "$labs/cgroup"
mount --no-canonicalize --bind "hosts/$host" "$folder/hosts/$host"
[ -n "$server" ] || mount --no-canonicalize --bind shared "$folder/shared"
cd /

# A copied mount would keep the namespaces of other hosts and laboratories alive.
umount --lazy /run/netns 2> /dev/null || umount --lazy /run/netns/* 2> /dev/null || :

# The network devices in /sys are those of the namespace that mounted it; the cgroup tree below it has to stay in sight.
if [ -d /sys ]; then
  if mountpoint -q /sys/fs/cgroup; then
    mount --rbind /sys/fs/cgroup "$labs/cgroup"
    mount -t sysfs sysfs /sys
    mount --rbind "$labs/cgroup" /sys/fs/cgroup
    umount --lazy "$labs/cgroup"
  else
    mount -t sysfs sysfs /sys
  fi
fi
rmdir "$labs/cgroup"
mount -o remount,ro "$labs"

# As a mount of the network does it at a boot: without the storage nothing else begins. Like the kernel's own client of a network storage, it
# waits for a server that is silent, and keeps nothing back of what it was told to write.
if [ -n "$server" ]; then
  options=directport=$port,direct_io,sshfs_sync,dir_cache=no,entry_timeout=0,attr_timeout=0,negative_timeout=0
  until timeout 2 nice -n -10 sshfs -o "$options,allow_other,default_permissions" "$server:$folder/shared" "$folder/shared"; do
    sleep 0.2
  done
fi

tree=$folder/hosts/$host
# The host's memory for images of machines: empty after each boot, and seen by nobody else.
mkdir -p "$tree/memory"
[ "$memory" = 0 ] || mount -t tmpfs -o "mode=0755,size=${memory}m" memory "$tree/memory"
sh "$programs/keep-running.sh" -15 0.2 always "$node" "$watchdog" --config "$tree/agent.json" >> "$tree/log/watchdog.log" 2>&1 &
sh "$programs/keep-running.sh" -10 0.2 always "$node" "$agent" --config "$tree/agent.json" >> "$tree/log/agent.log" 2>&1 &
wait
