"""An ordinary LangGraph agent: it finds out who is on call for this project. It knows nothing of a debugger."""

import json
import re
import sqlite3
import tempfile
import uuid
from pathlib import Path

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool

REPOSITORY = Path(__file__).resolve().parents[2]
QUESTION = "Who is on call for this project?"
# What was really done, and not answered by somebody else or from a record.
calls = {"model": 0, "tools": 0}


class ScriptedModel(BaseChatModel):
    """Stands where a hosted model would: it decides by rule, from the messages alone, without a network."""

    model: str = "scripted-1"

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **kwargs):
        return self  # the rules below know the tools

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        calls["model"] += 1
        return ChatResult(generations=[ChatGeneration(message=self._reply(messages[-1]))])

    def _reply(self, last):
        if not isinstance(last, ToolMessage):
            return self._call("read_file", path="Cargo.toml")
        if last.status == "error":
            return AIMessage(f"I could not find out: {last.content}")
        if last.name == "read_file":
            service = re.search(r'^name = "(.+)"', last.content, re.MULTILINE).group(1)
            # One model is more thorough than the other.
            columns = "service, person" if self.model == "scripted-2" else "person"
            return self._call("query_sqlite", sql=f"SELECT {columns} FROM on_call WHERE service = '{service}'")
        row = json.loads(last.content)[0]
        whose = f" for {row['service']}" if "service" in row else ""
        return AIMessage(f"{row['person']} is on call{whose}.")

    @staticmethod
    def _call(name, **args):
        return AIMessage("", tool_calls=[{"name": name, "args": args, "id": uuid.uuid4().hex}])


@tool
def read_file(path: str) -> str:
    """Reads a file of the repository."""
    calls["tools"] += 1
    return (REPOSITORY / path).read_text()


@tool
def query_sqlite(sql: str) -> str:
    """Queries the on-call database."""
    calls["tools"] += 1
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(Path(folder) / "on_call.sqlite")
        database.row_factory = sqlite3.Row
        database.execute("CREATE TABLE on_call (service TEXT, person TEXT)")
        database.executemany("INSERT INTO on_call VALUES (?, ?)", [("agent-debugger", "Ada"), ("billing", "Grace")])
        return json.dumps([dict(row) for row in database.execute(sql)])


def ask(middleware=(), **config):
    agent = create_agent(ScriptedModel(), [read_file, query_sqlite], middleware=middleware)
    final = agent.invoke({"messages": [{"role": "user", "content": QUESTION}]}, config)
    return final["messages"][-1].content


if __name__ == "__main__":
    print(json.dumps({"status": "done", "answer": ask()}))
