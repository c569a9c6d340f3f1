#!/usr/bin/env bash
# Kills the leader of the cluster of `make cluster` with SIGKILL while a client
# writes, and counts what became of every write. Exit code 1 when one is missing
# or counted twice.
#
#   deploy/kill-the-leader.sh [DIR] [WRITES]     the cluster's directory (.cluster), 600 writes
set -euo pipefail
cd "$(dirname "$0")/.."

data=${1:-.cluster}
writes=${2:-600}
kills=2
operator=${PRAETOR_OPERATOR_KEY:-$(cat "$data/operator.key")}
urls=(http://127.0.0.1:8081 http://127.0.0.1:8082 http://127.0.0.1:8083)
tenant=failover-$$-$RANDOM
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# call METHOD PATH KEY BODY [HEADER]: asks the next node until one answers with
# success; a write may be repeated since its idempotency key makes it one.
turn=0
call() {
  local attempt status
  for ((attempt = 0; attempt < 300; attempt++)); do
    status=$(curl -sS -m 5 -o "$answer" -w '%{http_code}' -X "$1" -H "Authorization: Bearer $3" -H 'Content-Type: application/json' \
      ${5:+-H "$5"} ${4:+--data-binary "$4"} "${urls[turn % 3]}$2" 2>/dev/null) || status=000
    case $status in 2*) [ "$attempt" -eq 0 ] || repeated=$((repeated + 1)); return ;; esac
    case $status in 4*) echo "$1 $2: $status $(cat "$answer")" >&2; exit 1 ;; esac
    turn=$((turn + 1))
    sleep 0.05
  done
  echo "$1 $2: no node answers: $status $(cat "$answer")" >&2
  exit 1
}
field() { grep -o "\"$1\":\"[^\"]*\"" "$answer" | head -n 1 | cut -d'"' -f4; }

repeated=0
call POST /api/v1/tenants "$operator" "{\"id\":\"$tenant\",\"name\":\"Failover\"}"
call POST /api/v1/api-keys "$operator" '{"name":"writer","role":"editor"}' "X-Tenant-Id: $tenant"
key=$(field key)
call POST /api/v1/algorithm-models "$key" '{"key":"offers","name":"Offers","modelType":"thompson_bandit"}'
model=$(field id)

repeated=0
began=$SECONDS
for ((i = 1; i <= writes; i++)); do
  if ((i % (writes / (kills + 1)) == 0 && i < writes)); then
    call GET /api/v1/cluster "$operator" ""
    leader=$(field leader)
    if [ -n "$leader" ]; then
      echo "write $i of $writes: kill -9 of $leader, which leads"
      kill -9 "$(cat "$data/$leader.pid")"
    fi
  fi
  call POST /api/v1/respond "$key" "{\"customerId\":\"c$((i % 50))\",\"offerId\":\"o$((i % 3))\",\"outcome\":\"click\",\"idempotencyKey\":\"w$i\"}"
done
echo "$writes writes acknowledged in $((SECONDS - began)) s, $repeated of them after repeating them at another node"

call POST /api/v1/cluster/digest "$operator" ""
counted=$(grep -o "\"$tenant\":[0-9]*" "$answer" | cut -d: -f2)
call GET "/api/v1/algorithm-models/$model?include=modelState" "$key" ""
learned=$(grep -o '"alpha":[0-9.]*' "$answer" | cut -d: -f2 | awk '{ n += $1 - 1 } END { print n }')
echo "recorded: ${counted:-0}, learned by the model: $learned"
[ "${counted:-0}" = "$writes" ] && [ "$learned" = "$writes" ] && echo "nothing is lost, nothing is counted twice" && exit 0
echo "NOT what was acknowledged" >&2
exit 1
