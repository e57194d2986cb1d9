"""A worker that stays up: it follows the debugger, and starts the agent for every run that somebody forks.

It only watches, so it holds nothing. One worker per agent: two of them would start each fork twice.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

from agent import work
from debugger import Absent, Away, Debugger, pb, trouble_of

# Runs at a time: each may be held for as long as somebody looks at it. Further ones wait for their turn.
AT_ONCE = 8
# Between two attempts to reach a debugger that is away, in seconds.
RETRY = 1


def forks(debugger):
    """The ids of the forks that nobody has started yet, those that are there first, and then as they are made."""
    resume_token = ""
    while True:
        watch = pb.EventsRequest(agent_id=debugger.agent_id, mode="MODE_OBSERVE", resume_token=resume_token)
        try:
            for frame in debugger.stub.Events(watch, metadata=debugger.metadata):
                if frame.WhichOneof("frame") == "forked" and is_new(debugger, frame.forked.run_id):
                    yield frame.forked.run_id
                # After a break the stream goes on behind the last frame that was dealt with.
                resume_token = frame.resume_token
        except grpc.RpcError as error:
            if not isinstance(trouble_of(error), (Absent, Away)):
                sys.exit(f"the debugger refuses this worker: {error.details()}")  # and would again
            print(f"waiting for the debugger: {error.details()}", file=sys.stderr)
            time.sleep(RETRY)


def is_new(debugger, run_id):
    """Whether a fork still waits for its agent: one who comes late, or again, hears of old forks too."""
    status = debugger.stub.Status(pb.StatusRequest(agent_id=debugger.agent_id), metadata=debugger.metadata)
    return any(run.run_id == run_id and not run.events and not run.finished for run in status.runs)


def main():
    debugger = Debugger("python-example")
    started = set()

    def start(run_id):
        try:
            print(json.dumps({"run_id": run_id, **work(run_id)}), flush=True)
        except Exception as error:
            print(f"run {run_id} broke off: {error!r}", file=sys.stderr)
        finally:
            started.discard(run_id)  # From here on its events tell that it was started.

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for run_id in forks(debugger):
            if run_id not in started:
                started.add(run_id)
                pool.submit(start, run_id)


if __name__ == "__main__":
    main()
