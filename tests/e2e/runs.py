"""What can be done with whole runs of an agent, over HTTP: fork, compare, export, import, and look at them."""

import time

import requests

from debuggers import Refused
from server import PATIENCE


class Runs:
    def __init__(self, server, agent_id):
        self._server = server.url
        self.url = f"{server.url}/agent/{agent_id}/debug"

    def _call(self, method, path, **options):
        answer = requests.request(method, f"{self.url}/{path}", timeout=PATIENCE, **options)
        if answer.status_code != 200:
            raise Refused(answer.status_code, answer.json()["error"])
        return answer

    def post(self, path, **body):
        return self._call("POST", path, json=body).json()

    def delete(self, path):
        self._call("DELETE", path)

    def trace(self, **event):
        """Reports a step; the answer says what to do."""
        return self.post("trace", **event)

    def trace_text(self, body):
        """The same with a body as it is, whose numbers no parser has touched."""
        return self._call("POST", "trace", data=body.encode(), headers={"Content-Type": "application/json"}).json()

    def release(self, seq, action, **decision):
        self.post("release", seq=seq, action=action, **decision)

    def fork(self, **body):
        return self.post("fork", **body)

    def compare(self, left, right):
        return self._call("GET", "compare", params={"left": left, "right": right}).json()

    def export(self, run_id="", mask=False):
        """The file, byte for byte."""
        return self._call("GET", "export", params={"run_id": run_id, "mask": str(mask).lower()}).content

    def take_in(self, file, run_id=None):
        return self._call("POST", "import", params={"run_id": run_id}, data=file).json()

    def status(self):
        return self._call("GET", "status").json()

    def run(self, run_id):
        """What the status says of one run."""
        return next(run for run in self.status()["runs"] if run["run_id"] == run_id)

    def recorded(self, run_id=None):
        """The events with their decisions, page by page."""
        events, token = [], ""
        while True:
            page = self._call("GET", "trace", params={"run_id": run_id, "page_size": 1000, "page_token": token}).json()
            events += page["events"]
            token = page["next_page_token"]
            if not token:
                return events

    def agents(self):
        """The ids of the server's agents."""
        page = requests.get(f"{self._server}/agents", params={"page_size": 1000}, timeout=PATIENCE).json()
        return [agent["agent_id"] for agent in page["agents"]]

    def until(self, run_id, condition, waited_for):
        """Asks for a run again and again until the condition holds for it."""
        deadline = time.monotonic() + PATIENCE
        while not condition(run := self.run(run_id)):
            assert time.monotonic() < deadline, f"never came: {waited_for}; last: {run}"
        return run
