"""README.md and docs/ as tests read them: sections, blocks of code and tables."""

import re

from contract import REPOSITORY

# The port that the documents show. Tests use another one, so that a debugger that is already running is left alone.
DEFAULT_PORT = "7117"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Where the blocks begin that tests have asked for: what is not in here at the end is run by no test.
CLAIMED = set()


class Document:
    def __init__(self, name):
        self.name = name
        self.text = (REPOSITORY / name).read_text()
        # The same text without its code, in which a line may begin like a heading.
        self.prose = FENCED.sub(lambda block: re.sub(r"[^\n]", " ", block.group()), self.text)

    def _span(self, heading):
        level = heading.split()[0]
        start = re.search(rf"^{re.escape(heading)}$", self.prose, re.MULTILINE)
        assert start, f"{self.name} has no heading {heading!r}"
        end = re.compile(rf"^#{{1,{len(level)}}} ", re.MULTILINE).search(self.prose, start.end())
        return start.start(), end.start() if end else len(self.text)

    def section(self, heading):
        """The text under a heading, up to the next one of the same or a higher level."""
        return self.text[slice(*self._span(heading))]

    def blocks(self, heading, language):
        """The code in that language under a heading, in order. Asking for it is a promise to run it."""
        found = [block for block in FENCED.finditer(self.text, *self._span(heading)) if block.group(1) == language]
        CLAIMED.update((self.name, block.start()) for block in found)
        return [block.group(2) for block in found]

    def table(self, heading, first_column):
        """The rows of the table whose first column has this name, each as a list of its cells."""
        lines = iter(self.section(heading).splitlines())
        assert any(line.startswith(f"| {first_column} |") for line in lines), f"{heading} has no table of {first_column}s"
        next(lines)
        rows = []
        for line in lines:
            if not line.startswith("|"):
                break
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))])
        return rows

    def headings(self):
        return re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)


def code(cell):
    """The text of a cell without its backticks; None where the cell says that there is nothing."""
    return cell.strip("`") if cell not in ("", "–") else None


README = Document("README.md")
STARTED = Document("docs/getting-started.md")
