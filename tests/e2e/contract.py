"""The contract as a Python client sees it, made from the .proto when it is imported."""

import sys
from pathlib import Path

import grpc

REPOSITORY = Path(__file__).resolve().parents[2]

sys.path.append(str(REPOSITORY / "proto"))
pb, services = grpc.protos_and_services("agent_debugger/v1/debugger.proto")



def word(enum_type, prefix, number):
    """The number of `OUTCOME_STEPPED` -> `stepped`."""
    return enum_type.Name(number).removeprefix(prefix + "_").lower()
