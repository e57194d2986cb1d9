#!/usr/bin/env bash
# Reports one tool call with the helper for curl and prints what its agent was told.
set -uo pipefail
AGENT_DEBUGGER_AGENT_ID=${AGENT_DEBUGGER_AGENT_ID:-probe}
source "$(dirname "${BASH_SOURCE[0]}")/../../../examples/curl/debugger.sh"

repeated() { head -c "$2" /dev/zero | tr '\0' "$1"; }

data='{"amount":1}' name=pay
case $1 in
  sizeable) data="{\"text\":\"$(repeated x 3565158)\"}" ;;
  large) data="{\"text\":\"$(repeated x 3774873)\"}" ;;
  huge) data="{\"text\":\"$(repeated x 5242880)\"}" ;;
  deep) data=$(printf '{"deeper":%.0s' {1..69})'{}'$(repeated '}' 69) ;;
  nan) data='{"amount":NaN}' ;;
  list) data='[1]' ;;
  foreign) data='{"amount":1},"hold":"never"' ;; # what is no object could say more than its own field
  long_name) name=$(repeated x 201) ;;
  huge_name) name=$(repeated x 5242880) ;;
esac
told=$(step tool_call "$data" '["edit","fulfil","fail","abort"]' "$name" >&2; printf '%s %s %s' "$?" "$action" "$message$reason")
read -r status action why <<<"$told"
case $status/$action in
  0/abort) action=aborted ;;
  1/fail) action=refused ;;
esac
printf '{"told":"%s","why":%s}\n' "$action" "$(json_string "$why")"
