#!/bin/sh
# Keeps one program running, as a service manager would: keep-running.sh NICENESS PAUSE always|unless-clean PROGRAM [ARGUMENT...]
# It is started again PAUSE seconds after it ended; with `unless-clean` an exit code of 0 ends the keeping. SIGTERM stops both.
niceness=$1 pause=$2 policy=$3
shift 3
stopping=
trap 'stopping=yes; kill -TERM "$program" 2> /dev/null' TERM
while :; do
  # Without the right to it, nice says so and runs the program all the same.
  nice -n "$niceness" "$@" &
  program=$!
  wait "$program"
  code=$?
  if [ -n "$stopping" ]; then
    # The signal interrupted the wait above.
    wait "$program"
    exit 0
  fi
  [ "$policy" = unless-clean ] && [ "$code" -eq 0 ] && exit 0
  echo "keep-running: $2 ended with $code; it is started again in $pause s" >&2
  sleep "$pause"
done
