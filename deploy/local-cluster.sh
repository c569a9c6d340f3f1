#!/usr/bin/env bash
# Three nodes of one cluster on this machine, until Ctrl-C. Data in $1
# (default .cluster), HTTP on ports 8081–8083, the log's traffic on 7081–7083.
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

pids=()
stop() {
  trap - INT TERM EXIT
  kill "${pids[@]}" 2>/dev/null || true
  wait
}
trap stop INT TERM EXIT

for i in 1 2 3; do
  # Each node's lines carry its name, in a colour of its own on a terminal.
  prefix="n$i |"
  if [ -t 1 ]; then prefix=$(printf '\033[3%dm%s\033[0m' "$i" "$prefix"); fi
  bin/praetor serve --node-id "n$i" --data "$data/n$i" --listen "127.0.0.1:808$i" --raft-listen "127.0.0.1:708$i" \
    --peers "$peers" --log-format json > >(sed -u "s/^/$prefix /") 2>&1 &
  pids+=($!)
done

for _ in $(seq 200); do
  if curl -fsS -o /dev/null http://127.0.0.1:8081/readyz 2>/dev/null; then break; fi
  sleep 0.1
done
cat <<EOF

  Three nodes are up: http://127.0.0.1:8081, :8082, :8083

    export PRAETOR_OPERATOR_KEY=$PRAETOR_OPERATOR_KEY
    curl -H "X-API-Key: \$PRAETOR_OPERATOR_KEY" http://127.0.0.1:8081/api/v1/cluster

  The leader takes writes, every node scores. Ctrl-C stops them.

EOF
wait
