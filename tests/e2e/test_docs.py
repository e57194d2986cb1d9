"""What holds for all documents: their links, their length, their words, and that every block of code is run."""

import importlib
import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

from contract import REPOSITORY
from documents import CLAIMED, FENCED, README, STARTED, Document

BENCHMARK = Document("docs/internals/performance.md")
BENCHMARK_RUNS = BENCHMARK.blocks("# Performance", "sh")
MODULES = ["test_docs_agents", "test_docs_commands", "test_docs_reference", "test_export"]

PAGES = ["README.md", *sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "docs").rglob("*.md"))]
OTHERS = [
    *sorted(path.name for path in REPOSITORY.glob("*.md") if path.name != "README.md"),
    *sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "examples").rglob("*.md") if "node_modules" not in path.parts),
    "tests/e2e/README.md",
]  # fmt: skip
# Blocks that are pictures and not code.
DRAWINGS = {"docs/concepts/modes.md": 1}


# The links.


def anchors(document):
    """The anchors of a document's headings, as they are made on GitHub."""
    slugs = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in document.headings()]
    return {slug if not (before := slugs[:place].count(slug)) else f"{slug}-{before}" for place, slug in enumerate(slugs)}


def links(document):
    """The targets in a document that are not addresses."""
    targets = re.findall(r"\]\(([^)\s]+)\)", document.prose) + re.findall(r'(?:src|srcset|href)="([^"]+)"', document.prose)
    return [target for target in targets if not re.match(r"\w+:", target)]


def file_of(document, target):
    """The file that a link of a document leads to."""
    path = unquote(target.partition("#")[0])
    return ((REPOSITORY / document.name).parent / path).resolve() if path else REPOSITORY / document.name


@pytest.mark.parametrize("name", [*PAGES, *OTHERS])
def test_what_is_linked_to_is_there(name):
    document = Document(name)
    for target in links(document):
        file = file_of(document, target)
        assert file.exists(), target
        assert file.is_relative_to(REPOSITORY), target
        if anchor := target.partition("#")[2]:
            assert anchor in anchors(Document(file.relative_to(REPOSITORY))), target


def test_every_page_is_in_the_index_and_the_readme_leads_to_the_index():
    index = Document("docs/README.md")
    linked = {str(file_of(index, target).relative_to(REPOSITORY)) for target in links(index)}
    assert set(PAGES) - {"README.md", index.name} <= linked
    assert REPOSITORY / index.name in {file_of(README, target) for target in links(README)}


# The code.


def test_every_block_of_code_is_run_by_a_test():
    for module in MODULES:
        importlib.import_module(module)
    assert {Path(__file__).with_name(f"{module}.py") for module in MODULES} >= set(Path(__file__).parent.glob("test_docs_*.py"))
    unclaimed = {}
    for name in PAGES:
        for block in FENCED.finditer(Document(name).text):
            if (name, block.start()) not in CLAIMED:
                unclaimed.setdefault(name, []).append(block.group())
    assert {name: len(found) for name, found in unclaimed.items()} == DRAWINGS, unclaimed


def test_every_fence_is_closed_and_names_its_language():
    for name in PAGES:
        document = Document(name)
        assert "```" not in document.prose, name
        assert all(block.group(1) for block in FENCED.finditer(document.text)), name


def test_the_commands_of_cargo_are_those_of_the_package():
    package = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())
    assert "`cargo run --release`" in README.text and "`cargo test`" in README.text
    assert BENCHMARK_RUNS == ["cargo bench --features jemalloc\n"]
    commands = [command for name in PAGES for command in re.findall(r"`(cargo [^`]+)`", Document(name).text)] + BENCHMARK_RUNS
    assert any("--profile dist" in command for command in commands)
    for command in commands:
        command = command.partition(" -- ")[0]
        for profile in re.findall(r"--profile ([\w-]+)", command):
            assert profile in package["profile"], command
        for feature in re.findall(r"--features ([\w-]+)", command):
            assert feature in package["features"], command
    assert all(bench["name"] == "performance" for bench in package["bench"])
    assert package["package"]["default-run"] == "agent-debugger"


@pytest.mark.parametrize("document", [README, STARTED], ids=lambda document: document.name)
def test_the_requirements_are_those_of_the_package(document):
    package = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]["package"]
    assert f"Rust {package['rust-version']} or newer" in document.text
    assert package["license"] == "MIT OR Apache-2.0"


# The words.


def test_the_readme_stays_short():
    assert len(README.text.splitlines()) <= 250


@pytest.mark.parametrize("name", [name for name in [*PAGES, *OTHERS] if name != "STYLE.md"])
def test_a_document_names_the_role_and_not_somebody(name):
    prose = re.sub(r"`[^`\n]*`", "", Document(name).prose)
    # STYLE.md has the rule.
    assert re.findall(r"\b(?:whoever|nobody|somebody|anew)\b", prose, re.IGNORECASE) == []
