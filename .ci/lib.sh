# What .ci/run and .ci/compat are written in: steps with a time budget, lanes side by side, and nothing left running.
#
#   step NAME SECONDS COMMAND...   runs a program or a function of the script. Fails where that fails, takes longer than
#                                  its budget, or leaves a process running; then the script ends.
#   lanes NAME...                  runs the functions lane_NAME side by side. Each step's output goes to a file of its
#                                  own: its end is printed when it succeeds, the whole file when it fails. The first
#                                  failure stops the other lanes.
#
# However the script ends, what its steps started is ended first, and a table of the steps is printed last: seconds
# beside budgets. A budget is about three times what the step takes on a machine of two cores: it is there to catch what
# hangs, and what has become slow without a notice.

# The script as a whole, in seconds.
CEILING=${CEILING:-3600}
# How long a process of a step may take to end once the step has.
GRACE=5
# How much of a successful step's output a lane prints: closing lines of test runners are among it.
CLOSING_LINES=15

SCRIPT=$(basename "$0")
LOGS=target/ci/$SCRIPT
LANE=main
# Marks the processes of this script, by their environment, which children inherit and parents' deaths do not change.
RUN=$$-${EPOCHREALTIME//[.,]/}
TIMES=$LOGS/times

rm -rf "$LOGS"
mkdir -p "$LOGS"
: >"$TIMES"
exec {OUT}>&1

say() { printf '\n=== [%4ds] %s\n' "$SECONDS" "$*" >&$OUT; }

# The processes whose mark begins with this. A bracket keeps the pattern from matching itself.
marked() { grep -lzs -- "^CI_STEP=$RUN/$1" /proc/[0-9]*/environ | cut -d/ -f3 || true; }

# Ends them, and waits until they are gone.
end_marked() {
  local signal=TERM pids end=$((SECONDS + 10))
  while pids=$(marked "$1") && [[ $pids ]]; do
    # shellcheck disable=SC2086  # one word for each process
    kill -s $signal $pids 2>/dev/null || true
    sleep 0.2
    ((SECONDS < end)) || signal=KILL
  done
}

# Whether all of them end by themselves, within the grace.
all_ended() {
  local end=$((SECONDS + GRACE))
  while [[ $(marked "$1") ]]; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

step() {
  local name=$1 budget=$2 mark=$LANE/${1//[^a-zA-Z0-9]/-}/ began=$SECONDS code=0 verdict=passed log
  shift 2
  [[ ! -e $LOGS/stopped ]] || return 1
  if ((budget > CEILING - SECONDS)); then budget=$((CEILING - SECONDS > 0 ? CEILING - SECONDS : 1)); fi
  log=$LOGS/${mark//\//.}log
  say "$LANE $name, at most $budget s: $*"
  if [[ $LANE == main ]]; then watched "$mark" "$budget" "$@" || code=$?
  else watched "$mark" "$budget" "$@" >"$log" 2>&1 || code=$?
  fi
  if ((code == 124 || code == 137)) && ((SECONDS - began >= budget)); then
    verdict="over its budget"
  elif ((code)); then
    verdict="failed ($code)"
  elif ! all_ended "$mark"; then
    verdict="left processes running"
    marked "$mark" | xargs -r ps -o pid=,args= -p >&$OUT || true
    code=1
  fi
  end_marked "$mark"
  [[ ! -e $LOGS/stopped ]] || verdict="stopped"
  printf '%s\t%s\t%d\t%d\t%s\n' "$LANE" "$name" $((SECONDS - began)) "$budget" "$verdict" >>"$TIMES"
  if [[ $LANE != main ]]; then report "$name" "$verdict" "$log"; fi
  return $code
}

# Runs a command in a process group of its own, within the budget.
watched() {
  local mark=$1 budget=$2
  shift 2
  CI_STEP=$RUN/$mark timeout --kill-after=10 "$budget" bash -euo pipefail -c '"$@"' "$SCRIPT" "$@" </dev/null &
  wait $!
}

# One lane's report at a time.
report() {
  local name=$1 verdict=$2 log=$3
  (
    flock 9
    say "$LANE $name: $verdict"
    if [[ $verdict == passed || $verdict == stopped ]]; then tail -n "$CLOSING_LINES" "$log"; else cat "$log"; fi >&$OUT
  ) 9>"$LOGS/lock"
}

lanes() {
  local name ended failed=0
  declare -A running=()
  for name; do
    (LANE=$name; "lane_$name") &
    running[$!]=$name
  done
  while ((${#running[@]})); do
    if ! wait -n -p ended "${!running[@]}" && ((!failed)); then
      failed=1
      stop_lanes
    fi
    unset "running[$ended]"
  done
  return $failed
}

# No step begins any more, and what runs ends.
stop_lanes() {
  touch "$LOGS/stopped"
  end_marked ""
}

finish() {
  local code=$?
  trap - EXIT
  # A lane is this script's own child: it sees its step end, and begins no other.
  stop_lanes
  while [[ $(jobs -pr) ]]; do
    end_marked ""
    sleep 0.1
  done
  printf '\n%-8s %-34s %8s %8s\n' lane step seconds budget >&$OUT
  while IFS=$'\t' read -r lane name seconds budget verdict; do
    printf '%-8s %-34s %8d %8d  %s\n' "$lane" "$name" "$seconds" "$budget" "${verdict/passed/}" >&$OUT
  done <"$TIMES"
  say "$SCRIPT: $( ((code)) && echo failed || echo passed) after $SECONDS s of at most $CEILING s; logs: $LOGS"
  exit $code
}

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
