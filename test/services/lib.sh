# What the service scripts share. Each sets `service`, defines do_install, do_start, do_stop, do_status and do_env, and ends with
# `service_main "$@"`:
#
#   test/services/NAME install    get the server (once; needs the network)
#   test/services/NAME start      install, start, wait until it serves; running already: nothing
#   test/services/NAME stop       stop it, data stays, so that start after stop is a restart
#   test/services/NAME clean      stop it and delete its data
#   test/services/NAME status     exit status 0 when it runs
#   test/services/NAME env        print NAME=VALUE lines for the tests
#
# Everything listens on 127.0.0.1 only; credentials are fixed and public. Files are under DATAFLOW_SERVICES
# (~/.cache/dataflow-services).
set -euo pipefail

home=${DATAFLOW_SERVICES:-$HOME/.cache/dataflow-services}/$service

say() { printf '%s: %s\n' "$service" "$*" >&2; }
die() { say "$@"; exit 1; }

# need PROGRAM...: each must be there.
need() {
  local program
  for program; do
    command -v "$program" >/dev/null || die "'$program' is missing; install it and run again"
  done
}

# apt_install PACKAGE...: what is missing of them; root only.
apt_install() {
  local missing=() package
  for package; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "install these packages and run again: ${missing[*]}"
  say "installing ${missing[*]}"
  { apt-get update && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends \
    -o Dpkg::Options::=--force-confold "${missing[@]}"; } >"$home/apt.log" 2>&1 ||
    { tail -n 5 "$home/apt.log" >&2; die "apt could not install them (whole log: $home/apt.log)"; }
}

# alive FILE WORD: the process id in FILE, when that process runs and its command line has WORD in it (ids are recycled).
alive() {
  local pid
  pid=$(head -n 1 "$1" 2>/dev/null) && [ -n "$pid" ] || return 1
  tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$2" || return 1
  printf '%s\n' "$pid"
}

# wait_until SECONDS COMMAND...: until the command succeeds; 1 when it does not in time.
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

# start_process COMMAND...: in the background, in a session of its own; its output goes to $home/server.log, its id to $home/server.pid.
start_process() {
  cd "$home" # some leave files where they are
  setsid "$@" </dev/null >"$home/server.log" 2>&1 9>&- &
  echo $! >"$home/server.pid"
}

# wait_ready SECONDS COMMAND...: until the command succeeds; the started process is stopped when it does not, or ends.
wait_ready() {
  local seconds=$1 pid
  shift
  pid=$(head -n 1 "$home/server.pid")
  ready_or_gone() { "$@" || ! kill -0 "$pid"; }
  wait_until "$seconds" ready_or_gone "$@" || true
  if ! "$@" >/dev/null 2>&1; then
    tail -n 5 "$home/server.log" >&2
    do_stop
    die "the server did not start (log: $home/server.log)"
  fi
  say "ready"
}

# find_java VERSION: the path of a java of that version or later.
find_java() {
  local candidate
  for candidate in ${JAVA_HOME:+"$JAVA_HOME/bin/java"} "$(command -v java || true)" /usr/lib/jvm/*/bin/java /opt/*/bin/java; do
    if [ -x "$candidate" ] && [ "$("$candidate" -version 2>&1 | sed -n '1s/.* version "\([0-9]*\).*/\1/p')" -ge "$1" ]; then
      echo "$candidate"
      return
    fi
  done
  die "needs Java $1 or later: install a JDK or set JAVA_HOME"
}

# maven_get GROUP:ARTIFACT:VERSION[:TYPE[:CLASSIFIER]]: prints the path of the file, fetched when it is not there.
maven_get() {
  local group artifact version type classifier file
  IFS=: read -r group artifact version type classifier <<<"$1"
  file=$home/maven/${group//.//}/$artifact/$version/$artifact-$version${classifier:+-$classifier}.${type:-jar}
  if [ ! -s "$file" ]; then
    say "fetching $1"
    mvn -q -B -Dmaven.repo.local="$home/maven" -Dtransitive=false -Dartifact="$1" \
      org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get </dev/null >"$home/fetch.log" 2>&1 ||
      { tail -n 5 "$home/fetch.log" >&2; die "Maven could not fetch $1 (log: $home/fetch.log)"; }
  fi
  echo "$file"
}

# end_process PID SECONDS: SIGTERM, and SIGKILL when that does not help in time.
end_process() {
  kill -CONT "$1" 2>/dev/null || return 0 # a test may have paused it
  kill "$1" 2>/dev/null || return 0
  wait_until "$2" eval "! kill -0 $1" || kill -KILL "$1" 2>/dev/null || true
}

# make_pki FOLDER: once, a test CA with the certificates server (localhost, 127.0.0.1) and client (cert-user), and another CA.
make_pki() {
  [ -e "$1/.complete" ] && return
  need openssl
  rm -rf "$1"
  mkdir -p -m 700 "$1"
  (
    cd "$1"
    local name
    for name in ca other-ca; do
      openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=Test $name" -keyout $name.key -out $name.pem
    done
    make_certificate server localhost DNS:localhost,IP:127.0.0.1
    make_certificate client cert-user DNS:cert-user
    touch .complete
  ) >"$home/pki.log" 2>&1 || die "making the certificates failed (log: $home/pki.log)"
}

# make_certificate NAME SUBJECT ALTERNATIVE-NAMES: in the current folder, signed by its ca.pem.
make_certificate() {
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" -keyout "$1.key" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3") -out "$1.pem"
}

do_clean() {
  do_stop
  rm -rf "$home/data"
}

service_main() {
  local verb=${1:-}
  case $verb in
    install | start | stop | clean)
      mkdir -p "$home"
      exec 9>"$home/lock" # two starts at once must not race; servers are started with 9>&-
      flock 9
      "do_$verb"
      ;;
    status | env) "do_$verb" ;;
    *) die "usage: test/services/$service install|start|stop|clean|status|env" ;;
  esac
}
