"""Files of 200 MB: they are refused or taken in pieces, and memory stays bounded by what is kept."""

import hashlib
import http.client
import itertools
import sys
import time

import pytest
import requests

from debuggers import Refused
from files import decision, event, manifest, text
from runs import Runs
from server import PATIENCE, Server

MIB = 1024 * 1024
# How much memory a refusal and an export may take beside what is held already.
SLACK = 64 * MIB
EVENTS, PAYLOAD = 100, 2_000_000
WHOLE = EVENTS * PAYLOAD

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the memory of a process is read from /proc")


class Memory:
    """What the server holds, and the most that it held since the last look."""

    def __init__(self, server):
        self._process = f"/proc/{server.process.pid}"
        self._before = self._read("VmRSS")
        # Forgets the peak.
        with open(f"{self._process}/clear_refs", "w") as file:
            file.write("5")

    def _read(self, name):
        with open(f"{self._process}/status") as lines:
            (line,) = [line for line in lines if line.startswith(f"{name}:")]
        return int(line.split()[1]) * 1024

    def peak(self):
        """Over what was held before."""
        return self._read("VmHWM") - self._before

    def held(self):
        return self._read("VmRSS") - self._before


def generated(said, records):
    """A file that exists nowhere: one line at a time, with the right hash at the end."""
    sha = hashlib.sha256()
    for record in itertools.chain([said], records):
        line = text(record).encode() + b"\n"
        sha.update(line)
        yield line
    yield text({"end": {"sha256": sha.hexdigest()}}).encode() + b"\n"


def events():
    data = {"text": "x" * (PAYLOAD - len('{"text":""}'))}
    return (event(ordinal, data=data) for ordinal in range(1, EVENTS + 1))


def edits():
    """Events of a few bytes, with what lay before their edits."""
    before = {"text": "x" * (PAYLOAD - len('{"text":""}'))}
    for ordinal in range(1, EVENTS + 1):
        yield event(ordinal)
        yield decision(ordinal, action="edit", model="m", before_form="json", before=before)


def said(**fields):
    return manifest([], events=EVENTS, run_id="large", **fields)


@pytest.fixture
def usual():
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def roomy():
    server = Server(max_bytes_per_agent="512MiB")
    yield server
    server.stop()


# What a file says of itself, what it brings, the refusal, and how much of it was taken for true until then.
@pytest.mark.parametrize("said, records, status, believed", [
    pytest.param(said(bytes=WHOLE), events, 429, 0, id="that-says-so"),
    pytest.param(said(bytes=MIB), events, 400, MIB, id="that-says-it-is-small"),
    pytest.param(said(bytes=63 * MIB), events, 400, 63 * MIB, id="that-says-it-just-fits"),
    pytest.param(said(bytes=63 * MIB, decisions=EVENTS), edits, 400, 63 * MIB, id="that-hides-it-in-decisions"),
])  # fmt: skip
def test_a_file_of_200_megabytes_is_refused_where_there_is_no_room(usual, said, records, status, believed):
    runs = Runs(usual, "a")
    # The first call of a process costs memory of its own.
    with pytest.raises(Refused):
        runs.take_in(b"{}\n")
    memory = Memory(usual)
    with pytest.raises(Refused) as refusal:
        runs.take_in(generated(said, records()))
    assert refusal.value.code == status, refusal.value
    assert memory.peak() < believed + SLACK
    assert memory.held() < SLACK
    assert runs.agents() == []


def test_few_files_are_read_at_a_time(usual):
    """Each may bring as much as an agent keeps, before any of it is counted."""
    runs = Runs(usual, "a")

    def refused_with(code):
        deadline = time.monotonic() + PATIENCE
        while True:
            with pytest.raises(Refused) as refusal:
                runs.take_in(b"{}\n")
            if refusal.value.code == code:
                return str(refusal.value)
            assert time.monotonic() < deadline, refusal.value

    connections = []
    for _ in range(4):
        connection = http.client.HTTPConnection(usual.address, timeout=PATIENCE)
        connection.putrequest("POST", "/agent/a/debug/import")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        connections.append(connection)
    assert "at a time" in refused_with(429)
    for connection in connections:
        connection.close()
    assert "line 1" in refused_with(400)


def test_a_file_of_200_megabytes_is_taken_in_and_written_again_where_there_is_room(roomy):
    runs = Runs(roomy, "a")
    sha = hashlib.sha256()

    def hashed(pieces):
        for piece in pieces:
            sha.update(piece)
            yield piece

    memory = Memory(roomy)
    taken = runs.take_in(hashed(generated(said(bytes=WHOLE), events())))
    assert taken["events"] == EVENTS
    assert memory.peak() < WHOLE + SLACK, "nothing of it is in memory twice"
    memory, again = Memory(roomy), hashlib.sha256()
    with requests.get(f"{runs.url}/export", params={"run_id": "large"}, stream=True, timeout=PATIENCE) as answer:
        for piece in answer.iter_content(MIB):
            again.update(piece)
    assert again.digest() == sha.digest()
    assert memory.peak() < SLACK, "it is written piece by piece"
