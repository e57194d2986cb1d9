#!/usr/bin/env bash
# A small agent over plain HTTP: it counts the calls of this project's contract, and can be debugged at every step.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")" || exit
AGENT_DEBUGGER_AGENT_ID=${AGENT_DEBUGGER_AGENT_ID:-curl-example}
source ./debugger.sh
cd ../.. # the tools read files of the repository

# What this agent obeys before and after a step; the debugger offers nothing else.
BEFORE='["edit","fulfil","fail","abort"]'
AFTER='["edit","fail","abort"]'

# The tools and the model take a JSON object as $1 and leave theirs in `output`.
read_file() {
  local path text
  path=$(json_field "$1" path) && text=$(cat -- "$path" 2>&1) || { failed "${text:-no path}"; return; }
  output="{\"text\":$(json_string "$text")}"
}

count_matches() {
  local path pattern count
  path=$(json_field "$1" path) && pattern=$(json_field "$1" pattern) || { failed 'no path or no pattern'; return; }
  count=$(grep -cE -- "$pattern" "$path" 2>&1)
  (($? < 2)) || { failed "$count"; return; }
  output="{\"count\":$count}"
}

failed() { output="{\"error\":$(json_string "$1")}"; }

# The "model": it decides by rule, from the last message alone, so that every run is the same.
think() {
  local name count error
  if error=$(json_field "$1" error); then
    output="{\"answer\":$(json_string "I could not find out: $error")}"
  elif count=$(json_field "$1" count); then
    output="{\"answer\":\"The contract has $count calls.\"}"
  elif [[ $(json_field "$1" text) =~ (^|$'\n')'name = "'([^\"]+)'"' ]]; then
    name=${BASH_REMATCH[2]//-/_}
    output="{\"call\":\"count_matches\",\"path\":\"proto/$name/v1/debugger.proto\",\"pattern\":\"^ +rpc \"}"
  else
    output='{"call":"read_file","path":"Cargo.toml"}'
  fi
}

# One step of the agent: report it and obey, do it, report what came of it and obey again. Leaves its `output`.
traced() {
  local opening=$1 closing=$2 name=$3 input=$4 work=$5 node last=false
  step "$opening" "$input" "$BEFORE" "$name"
  node=$node_id
  case $action in
    abort) finish "{\"status\":\"aborted\",\"reason\":$(json_string "$reason")}" ;;
    fail) failed "$message" ;;
    fulfil) output=${data:-\{\}} ;;
    edit) "$work" "${data:-$input}" ;;
    proceed) "$work" "$input" ;;
  esac
  if [[ $output == '{"error":'* ]]; then
    step error "$output" '["abort"]' "$name" "$node"
  else
    [[ $output == *'"answer":'* ]] && last=true
    step "$closing" "$output" "$AFTER" "$name" "$node" $last
  fi
  case $action in
    abort) finish "{\"status\":\"aborted\",\"reason\":$(json_string "$reason")}" ;;
    fail) failed "$message" ;;
    edit) output=${data:-$output} ;;
  esac
}

# Prints the result and ends the agent. A run that did not get as far as an answer is given a last event.
finish() {
  $ended || step log "$1" '[]' '' '' true never
  printf '%s\n' "$1"
  exit
}

prompt='{"content":"How many calls does this project'\''s contract have?"}'
while true; do
  traced prompt response '' "$prompt" think
  if answer=$(json_field "$output" answer); then finish "{\"status\":\"done\",\"answer\":$(json_string "$answer")}"; fi
  tool=$(json_field "$output" call)
  case $tool in
    read_file | count_matches) traced tool_call tool_result "$tool" "$output" "$tool" ;;
    *) finish "{\"status\":\"failed\",\"error\":$(json_string "$(json_field "$output" error)")}" ;;
  esac
  prompt=$output
done
