#!/usr/bin/env bash
# Runs the suite on a Python that this machine doesn't have: that of Debian's sid, in a folder of
# its own (chroot). Needs root, debootstrap, unshare, git and the network.
#
#     tests/newest_python.sh [DIR] [-- PYTEST-ARGUMENTS]
#
# DIR is made, if it isn't there yet, and kept, so that the next run begins at once. Without it, a
# temporary folder is made and removed again. PYTHON=3.15 takes another version than 3.14.
# It ends with the status of pytest, or with 2 if this machine can't do it.
set -euo pipefail

version=${PYTHON:-3.14}
packages=python$version,python$version-venv,libpython$version-testsuite,ca-certificates,git,xz-utils
checkout=$(cd "$(dirname "$0")/.." && pwd)

cannot() {
  echo "tests/newest_python.sh: $1" >&2
  exit 2
}

# Runs a command in namespaces of its own: what it mounts is never seen outside, so that nothing of
# this machine lies below the folder when that is removed, and no process of it outlives it.
apart() {
  # A shell's jobs in the background ignore interrupts, which tests send.
  unshare --mount --propagation private --pid --fork --kill-child -- \
    env --default-signal=INT "$@" </dev/null &
  sealed=$!
  local status=0
  wait "$sealed" || status=$?
  sealed=
  return "$status"
}

finish() {
  status=$?
  trap - EXIT
  if [ -n "${sealed:-}" ]; then
    kill -KILL "$sealed" 2>/dev/null || true
    wait "$sealed" 2>/dev/null || true
  fi
  if [ -n "${desk:-}" ]; then rm -rf --one-file-system "$desk"; fi
  exit "$status"
}

# Half a system, from a run that was interrupted, is made again.
prepare() {
  if [ ! -e "$root/made" ]; then
    rm -rf --one-file-system "$root"
    apart debootstrap --variant=minbase --include="$packages" sid "$root"
    touch "$root/made"
  fi
}

# Names of hosts, whom this machine trusts (perhaps a proxy too), and where pip finds what; the
# variables of the environment reach the folder as they are.
bring_settings() {
  for settings in /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt /etc/pip.conf /etc/xdg/pip; do
    if [ -e "$settings" ]; then
      mkdir -p "$root$(dirname "$settings")"
      cp -LRT "$settings" "$root$settings"
    fi
  done
}

# The commit, and nothing that isn't in it.
copy_project() {
  rm -rf --one-file-system "$root/project"
  mkdir "$root/project"
  git -c safe.directory="$checkout" -C "$checkout" archive HEAD | tar -x -C "$root/project"
}

# The shell stays the first process of its namespace, which has to reap the orphans that tests make.
# shellcheck disable=SC2016  # these are for the shell inside
inside='
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
chroot "$root" bash -euc '\''
  cd /project
  "$0" -m venv .venv
  .venv/bin/pip install -q -e ".[test]"
  .venv/bin/python -VV
  .venv/bin/python -m pytest "$@"
'\'' "$@"
exit $?
'

if [ "$(id -u)" != 0 ]; then cannot "only root may chroot; run it as root"; fi
for tool in debootstrap unshare git; do
  command -v "$tool" >/dev/null || cannot "$tool isn't installed; install it first"
done
unshare --mount --pid --fork true 2>/dev/null \
  || cannot "this root may not make namespaces (in a container?); run it on a machine of its own"

root=
if [ $# -gt 0 ] && [ "$1" != -- ]; then root=$1; shift; fi
if [ $# -gt 0 ]; then
  [ "$1" = -- ] || cannot "after the folder come -- and the arguments of pytest, not $1"
  shift
fi

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ -z "$root" ]; then
  desk=$(mktemp -d "${TMPDIR:-/var/tmp}/newest_python.XXXXXXXX")
  root=$desk
fi
mkdir -p "$root"
root=$(cd "$root" && pwd)/sid-$version

prepare
bring_settings
copy_project
if [ $# -eq 0 ]; then set -- -n 2; fi
apart -u PYTHONPATH LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  bash -c "$inside" bash "$root" "python$version" "$@"
