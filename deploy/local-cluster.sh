#!/usr/bin/env bash
# Three nodes of one cluster on this machine, until Ctrl-C. Data in $1 (default
# .cluster), HTTP on ports 8081–8083, the nodes' own traffic on 7081–7083. A node
# that dies is started again, as a service manager would; $1/n1.pid and so on
# hold the processes' ids.
set -euo pipefail
cd "$(dirname "$0")/.."

data=${1:-.cluster}
mkdir -p "$data"
if [ -z "${PRAETOR_OPERATOR_KEY:-}" ]; then
  key_file="$data/operator.key"
  [ -s "$key_file" ] || (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "$key_file")
  PRAETOR_OPERATOR_KEY=$(cat "$key_file")
fi
export PRAETOR_OPERATOR_KEY
peers=n1=127.0.0.1:7081,n2=127.0.0.1:7082,n3=127.0.0.1:7083

keepers=()
stop() {
  trap - INT TERM EXIT
  touch "$data/stopping"
  for i in 1 2 3; do kill "$(cat "$data/n$i.pid" 2>/dev/null)" 2>/dev/null || true; done
  wait
}
trap stop INT TERM EXIT
rm -f "$data/stopping"

# keep runs a node, its lines with its name before them, in a colour of its own on
# a terminal.
keep() {
  local prefix="n$1 |"
  if [ -t 1 ]; then prefix=$(printf '\033[3%dm%s\033[0m' "$1" "$prefix"); fi
  trap '' INT # Ctrl-C reaches the node, which ends by itself
  while :; do
    bin/praetor serve --node-id "n$1" --data "$data/n$1" --listen "127.0.0.1:808$1" --raft-listen "127.0.0.1:708$1" \
      --peers "$peers" --log-format json > >(sed -u "s/^/$prefix /") 2>&1 &
    echo $! > "$data/n$1.pid"
    wait $! || true
    [ -e "$data/stopping" ] && return
    echo "$prefix ended; it is started again in a second"
    sleep 1
  done
}
for i in 1 2 3; do
  keep "$i" &
  keepers+=($!)
done

for _ in $(seq 300); do
  up=0
  for i in 1 2 3; do curl -fsS -o /dev/null "http://127.0.0.1:808$i/readyz" 2>/dev/null && up=$((up + 1)); done
  [ "$up" = 3 ] && break
  sleep 0.1
done
cat <<EOF

  Three nodes are up: http://127.0.0.1:8081, :8082, :8083. Every node scores and takes writes.

    export PRAETOR_OPERATOR_KEY=$PRAETOR_OPERATOR_KEY
    bin/praetor cluster status --url http://127.0.0.1:8082
    deploy/kill-the-leader.sh        # while a client writes: nothing is lost

  Ctrl-C stops them.

EOF
wait "${keepers[@]}"
