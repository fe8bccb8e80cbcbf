"""README and the pages of docs/ are run: their `>>>` blocks are doctests, one namespace a page."""

import os
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from pathlib import Path

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

SHARED = Path(os.environ.get("USEROPS_SHARED_DATA", Path(__file__).resolve().parents[1] / "shared" / "data"))


def _names(namespace: dict[str, object]) -> None:
    """Give pages the folder of real data, and a folder to write into that is theirs."""
    import tempfile

    namespace["SHARED"] = SHARED
    namespace["folder"] = Path(tempfile.mkdtemp(prefix="userops-docs-"))


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
    setup=_names,
).pytest()
