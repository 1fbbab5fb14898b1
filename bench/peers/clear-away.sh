#!/bin/sh
# Clears a peer's network away once its input is closed: clear-away.sh NAME FOLDER. It is a process of its own, so that nothing stays
# behind either when whoever measures is interrupted or killed.
trap '' HUP INT TERM
cat > /dev/null
ip link delete dev "$1" 2> /dev/null
for namespace in /run/netns/"$1"-*; do
  [ -e "$namespace" ] && ip netns delete "${namespace##*/}"
done
# What still dies may write until it has.
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$2" 2> /dev/null && exit 0
  sleep 0.5
done
echo "$2 cannot be removed" >&2
exit 1
