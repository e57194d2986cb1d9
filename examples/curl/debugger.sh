# Reports an agent's steps to agent-debugger and sets what to do. Source it from your own agent; it needs only curl.

AGENT_DEBUGGER_URL=${AGENT_DEBUGGER_URL:-http://127.0.0.1:7117}
ended=false      # whether an event with run_end was reported
complained=false

# A JSON string, with its quotes.
json_string() {
  local text=$1
  text=${text//\\/\\\\} text=${text//\"/\\\"} text=${text//$'\n'/\\n} text=${text//$'\t'/\\t} text=${text//$'\r'/\\r}
  printf '"%s"' "$text"
}

# The string or number under a key of a JSON object; nothing and status 1 where there is none. It looks for the text
# of the key and does not parse, which does for objects as flat as these; for others use jq.
json_field() {
  local string="\"$2\"[[:space:]]*:[[:space:]]*\"(([^\"\\]|\\\\.)*)\"" number="\"$2\"[[:space:]]*:[[:space:]]*([0-9.]+)"
  # A quote and a slash may be escaped in JSON; printf knows every other escape.
  if [[ $1 =~ $string ]]; then local text=${BASH_REMATCH[1]//\\\"/\"}; printf '%b' "${text//\\\//\/}"
  elif [[ $1 =~ $number ]]; then printf '%s' "${BASH_REMATCH[1]}"
  else return 1; fi
}

# step TYPE DATA ACCEPTS [NAME NODE_ID RUN_END HOLD]: reports one step, waits while it is held, and sets
# `action` (proceed, edit, fulfil, fail or abort), `node_id`, `data` (a JSON object or empty), `model`, `message`
# and `reason`.
step() {
  local body answer status headers=(-H 'Content-Type: application/json')
  [[ ${6:-false} == true ]] && ended=true
  [[ -n ${AGENT_DEBUGGER_TOKEN:-} ]] && headers+=(-H "Authorization: Bearer $AGENT_DEBUGGER_TOKEN")
  body="{\"type\":\"$1\",\"data\":$2,\"accepts\":$3,\"name\":$(json_string "${4:-}")"
  body+=",\"node_id\":$(json_string "${5:-}"),\"run_id\":$(json_string "${AGENT_DEBUGGER_RUN_ID:-}")"
  body+=",\"run_end\":${6:-false},\"hold\":\"${7:-auto}\"}"
  action=proceed node_id='' data='' model='' message='' reason=''
  # There is no time-out but for connecting: the step may be held for as long as somebody looks at it.
  answer=$(curl --silent --show-error --connect-timeout 5 --write-out '\n%{http_code}' "${headers[@]}" \
    --data-binary @- "$AGENT_DEBUGGER_URL/agent/$AGENT_DEBUGGER_AGENT_ID/debug/trace" 2>&1 <<<"$body")
  status=${answer##*$'\n'} answer=${answer%$'\n'*}
  if [[ $status == 409 ]]; then # a stop for agents that do not say that they accept one
    action=abort reason=$(json_field "$answer" error)
  elif [[ $status != 200 ]]; then
    # Everything else fails open: a debugger that is away or broken must not stop the agent.
    $complained || echo "going on without the debugger: $answer" >&2
    complained=true
  else
    local decision=${answer#*\"decision\":}
    node_id=$(json_field "${answer%"$decision"}" node_id)
    action=$(json_field "$decision" action)
    message=$(json_field "$decision" message) reason=$(json_field "$decision" reason)
    decision=${decision%\}} # the answer's own brace
    if [[ $decision =~ ^(.*[\"\}]),\"model\":\"([^\"]*)\"\}$ ]]; then
      decision=${BASH_REMATCH[1]}\} model=${BASH_REMATCH[2]}
    fi
    [[ $decision == *'"data":'* ]] && data=${decision#*\"data\":} && data=${data%\}}
  fi
}
