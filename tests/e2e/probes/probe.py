"""Reports one tool call with the helper in the folder argv[1] and prints what its agent was told."""

import json
import sys

folder, kind = sys.argv[1:]
sys.path.insert(0, folder)
from debugger import Aborted, Debugger, Refused

MIB = 1024 * 1024


def deep():
    data = {}
    for _ in range(69):
        data = {"deeper": data}
    return data


DATA = {
    "sizeable": lambda: {"text": "x" * (34 * MIB // 10)},
    "large": lambda: {"text": "x" * (36 * MIB // 10)},
    "huge": lambda: {"text": "x" * (5 * MIB)},
    "deep": deep,
    "nan": lambda: {"amount": float("nan")},
    "list": lambda: [1],
    "foreign": lambda: {"text": b"\xff"} if "python" in folder else {("a", "key"): 1},
}
NAMES = {"long_name": "x" * 201, "huge_name": "x" * (5 * MIB)}

accepts = ["edit", "fulfil", "fail", "abort"]
data = DATA.get(kind, lambda: {"amount": 1})()
try:
    told = {"told": Debugger("probe").step("tool_call", data, name=NAMES.get(kind, "pay"), accepts=accepts).action}
except Refused as refusal:
    told = {"told": "refused", "why": str(refusal)}
except Aborted as abort:
    told = {"told": "aborted", "why": str(abort)}
print(json.dumps(told))
