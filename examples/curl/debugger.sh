# Reports an agent's steps to agent-debugger and sets what to do. Source it from your own agent; it needs only curl.

AGENT_DEBUGGER_URL=${AGENT_DEBUGGER_URL:-http://127.0.0.1:7117}
ended=false      # whether an event with run_end was reported
complained=false
AWAY=10           # how long a debugger that is away is asked again, in seconds
MAX_BYTES=4190000 # of a body: the service reads up to 4 MiB to their end

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
# and `reason`. A step that must not run, since it was refused, or its answer was lost, or a required debugger is absent,
# is a `fail` with status 1. Where nothing listens, steps proceed unless AGENT_DEBUGGER_REQUIRED is set.
step() {
  local body held=false away_until='' trouble said answer
  body="{\"type\":\"$1\",\"data\":$2,\"accepts\":$3,\"name\":$(json_string "${4:-}")"
  body+=",\"node_id\":$(json_string "${5:-}"),\"run_id\":$(json_string "${AGENT_DEBUGGER_RUN_ID:-}")"
  body+=",\"run_end\":${6:-false},\"hold\":\"${7:-auto}\""
  # By its request_id the step is asked for again, and not recorded again, where its answer did not come.
  body+=",\"request_id\":\"$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')\""
  action=fail node_id='' data='' model='' message='' reason=''
  if (($(LC_ALL=C; printf '%s' "${#body}") > MAX_BYTES)); then # bytes, and not characters
    message="the step cannot be sent: it has more than $MAX_BYTES bytes"
    return 1
  fi
  while true; do
    ask "$body" "$away_until"
    case $trouble in
      none)
        [[ ${answer%%\"decision\":*} == *'"outcome":"still_held"'* ]] || break
        held=true away_until=''
        continue
        ;;
      refused) message=$said; return 1 ;;
      aborted) action=abort reason=$said; return ;;
      absent) # One that was there a moment ago may be starting again.
        [[ $held == true || -n $away_until ]] || { go_on "$said"; return; }
        ;;
    esac
    # A step that got no answer for a second was held: others are answered in milliseconds.
    ((waited >= 1)) && held=true
    away_until=${away_until:-$((SECONDS + AWAY))}
    if ((SECONDS > away_until)); then # whole seconds: rather one more than one less
      [[ $held == false ]] && { go_on "$said"; return; }
      message="the step was held, and the connection was lost: $said"
      return 1
    fi
    sleep 0.2
  done
  [[ ${6:-false} == true ]] && ended=true
  obey
}

# Asks once. Sets `trouble` (none, refused, aborted, absent or away), what was `said`, the `answer`, and the whole
# seconds `waited`.
ask() {
  local wait=20 margin=10 status code reached headers=(-H 'Content-Type: application/json')
  [[ -n $2 ]] && wait=2 margin=3 # whether the debugger is back is to be known soon
  [[ -n ${AGENT_DEBUGGER_TOKEN:-} ]] && headers+=(-H "Authorization: Bearer $AGENT_DEBUGGER_TOKEN")
  answer=$(curl --silent --show-error --connect-timeout 5 --max-time $((wait + margin)) "${headers[@]}" \
    --write-out '\n%{http_code} %{time_connect} %{time_total}' --data-binary @- \
    "$AGENT_DEBUGGER_URL/agent/$AGENT_DEBUGGER_AGENT_ID/debug/trace" 2>&1 <<<"$1,\"hold_timeout_ms\":${wait}000}")
  code=$?
  read -r status reached waited <<<"${answer##*$'\n'}"
  answer=${answer%$'\n'*} waited=${waited%%[.,]*}
  said=$(json_field "$answer" error) || said=${answer:-HTTP status $status}
  said=${said%$'\n'}
  case $code in
    0) ;;
    6 | 7) trouble=absent; return ;;                   # no such host; nothing listens
    28) # it took too long: to connect, or to answer
      trouble=away
      [[ $reached =~ ^0[.,]0*$ ]] && trouble=absent
      return
      ;;
    18 | 52 | 55 | 56) trouble=away; return ;;         # the connection was lost
    *) trouble=refused; return ;;                      # it is not the service that was meant
  esac
  local kind
  kind=$(json_field "$answer" reason)
  case $status in
    200) trouble=none ;;
    409) [[ $kind == STOPPED ]] && trouble=aborted || trouble=refused ;;
    429) [[ $kind == AGENT_LIMIT ]] && trouble=absent || trouble=refused ;;
    502 | 503 | 504) trouble=away ;;
    *) trouble=refused ;;
  esac
}

# There is no debugger: the step proceeds, unless one is required.
go_on() {
  if [[ ${AGENT_DEBUGGER_REQUIRED:-0} != 0 ]]; then
    message="a debugger is required, and there is none: $1"
    return 1
  fi
  $complained || echo "going on without the debugger: $1" >&2
  complained=true action=proceed
}

# Reads the decision out of the answer.
obey() {
  local decision=${answer#*\"decision\":}
  node_id=$(json_field "${answer%"$decision"}" node_id)
  action=$(json_field "$decision" action)
  case $action in
    proceed | edit | fulfil | fail | abort) ;;
    *) action=fail message="the answer cannot be read: $answer"; return 1 ;; # which is no leave to go on
  esac
  message=$(json_field "$decision" message) reason=$(json_field "$decision" reason)
  decision=${decision%\}} # the answer's own brace
  if [[ $decision =~ ^(.*[\"\}]),\"model\":\"([^\"]*)\"\}$ ]]; then
    decision=${BASH_REMATCH[1]}\} model=${BASH_REMATCH[2]}
  fi
  [[ $decision == *'"data":'* ]] && data=${decision#*\"data\":} && data=${data%\}}
  return 0
}
