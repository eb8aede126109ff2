# Sourced by the scripts of this directory: how they call Bazel, alike on every machine.
#
# Afterwards: MILLRACE_ROOT is the work tree, MILLRACE_CACHE the directory that is ours to fill, and
#   millrace_bazel NAME COMMAND...   runs Bazel in its own output base, NAME
#   millrace_bazel_shutdown          ends every server that this script started
# From the environment: MILLRACE_CACHE, and MILLRACE_DISK_CACHE, a directory for Bazel's
# --disk_cache (default: none).

MILLRACE_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
if [[ $MILLRACE_ROOT == *[[:space:]]* ]]; then
  echo "Bazel 4.2.3 cannot build in a path with spaces: $MILLRACE_ROOT" >&2
  exit 1
fi

# One directory for each work tree: Bazel must not mix up two clones.
if [[ -z ${MILLRACE_CACHE:-} ]]; then
  MILLRACE_CACHE=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/millrace
  MILLRACE_CACHE+=/$(printf '%s' "$MILLRACE_ROOT" | cksum | cut -d' ' -f1)
fi
mkdir -p "$MILLRACE_CACHE"
export HOME=${HOME:-$MILLRACE_CACHE}

# Compilers and flags of the caller's shell would leak into Bazel's toolchain.
unset CC CXX CFLAGS CXXFLAGS CPPFLAGS LDFLAGS BAZEL_CXXOPTS BAZEL_LINKOPTS PKG_CONFIG_PATH

# The JDK that came with bazel-bootstrap, whatever JAVA_HOME and PATH offer: 4.2.3 fails on new ones.
MILLRACE_JAVA=
if [[ -x /usr/lib/jvm/default-java/bin/java ]]; then
  MILLRACE_JAVA=/usr/lib/jvm/default-java
  export JAVA_HOME=$MILLRACE_JAVA
fi

# The sanitizers of GCC 12 and Clang 14 cannot map their shadow where the kernel randomises addresses
# by more than 28 bits, as newer ones do; Bazel's server hands the setting on to the tests.
MILLRACE_BAZEL_PREFIX=()
if (($(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0) > 28)) && setarch -R true 2>/dev/null; then
  MILLRACE_BAZEL_PREFIX=(setarch -R)
fi

declare -A millrace_bazel_servers=()

millrace_bazel() {
  local name=$1 command=$2
  shift 2
  # Debian's binary, even where PATH finds another Bazel first.
  local bazel=/usr/bin/bazel
  [[ -x $bazel ]] || bazel=bazel
  local startup=(
    --nohome_rc --max_idle_secs=600
    "--output_user_root=$MILLRACE_CACHE/bazel" "--output_base=$MILLRACE_CACHE/$name"
  )
  if [[ -n $MILLRACE_JAVA ]]; then startup+=("--server_javabase=$MILLRACE_JAVA"); fi
  # The toolchain's list of the system's headers, by which layering_check judges, is older than packages
  # installed since: Bazel writes it again where its marker is gone.
  local toolchain=$MILLRACE_CACHE/$name/external/@local_config_cc.marker
  if [[ -e $toolchain && /var/lib/dpkg/status -nt $toolchain ]]; then rm -f "$toolchain"; fi
  local options=()
  if [[ $command == build || $command == test || $command == run ]]; then
    # No convenience links: several output bases would fight for them.  And none that another base
    # left: //... walks into a link that is not Bazel's own.  Plain `bazel build` makes it again.
    if [[ -L bazel-${PWD##*/} ]]; then rm -f "bazel-${PWD##*/}"; fi
    options+=(--color=no --curses=no --noshow_progress --experimental_convenience_symlinks=ignore)
    if [[ -n ${MILLRACE_DISK_CACHE:-} ]]; then options+=("--disk_cache=$MILLRACE_DISK_CACHE"); fi
  fi
  millrace_bazel_servers[$name]=$PWD
  "${MILLRACE_BAZEL_PREFIX[@]}" "$bazel" "${startup[@]}" "$command" "${options[@]}" "$@"
}

millrace_bazel_shutdown() {
  local name
  for name in "${!millrace_bazel_servers[@]}"; do
    (cd "${millrace_bazel_servers[$name]}" && millrace_bazel "$name" shutdown) >/dev/null 2>&1 || true
    unset "millrace_bazel_servers[$name]"
  done
}
