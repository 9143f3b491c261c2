"""For every test: a context of its own. For the docs: each block and each docstring is a test.

A fenced block of ``python`` or ``pycon`` runs, in the order of its page and in one namespace a page.
A block whose fence says ``json output`` (or ``text output``, ``logfmt output``, …) is what the blocks
since the last such block wrote, to standard output and error together. In it, ``...`` stands for
anything; a time and an id of 16 or 32 hex digits are compared by their shape alone.
"""

from __future__ import annotations

import contextlib
import contextvars
import doctest
import gc
import io
import logging
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from _pytest.doctest import DoctestModule
from _pytest.runner import runtestprotocol
from sybil import Region, Sybil
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.evaluators.python import PythonEvaluator
from sybil.integration.pytest import SybilItem
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _pytest._code.code import Traceback
    from sybil import Document, Example

collect_ignore = ["tests/typing"]  # read by mypy and pyright, never run
SRC = Path(__file__).parent / "src"
# A busy machine is no failure. In CI the same examples each time: a new find is for who looks for it,
# with `make soak`: so many times as many, none remembered, that a seed does the same again.
TIMES = int(os.environ.get("SOAK_EXAMPLES", "0"))
hypothesis.settings.register_profile("ctxlog", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.register_profile(
    "soak", deadline=None, database=None, print_blob=True, max_examples=100 * TIMES or 1
)
hypothesis.settings.load_profile("soak" if TIMES else "ctxlog")

VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b(?:[0-9a-f]{32}|[0-9a-f]{16})\b"), "<id>"),
)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run each test, with its fixtures, in a context of its own: what it binds goes with it."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    contextvars.copy_context().run(runtestprotocol, item, nextitem=nextitem)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the page that shows how scopes are left elsewhere do so."""
    for item in items:
        if item.path.name == "scopes.md":
            item.add_marker(pytest.mark.ctxlog(guard="off"))


def pytest_collection_finish() -> None:
    """Have the garbage collector run all the time, if `make soak` says so."""
    if "SOAK_GC" in os.environ:
        gc.set_threshold(int(os.environ["SOAK_GC"]))


@pytest.fixture(autouse=True)
def _unconfigured_after_a_docstring(request: pytest.FixtureRequest) -> Iterable[None]:
    """A docstring's example may configure ctxlog; the next one starts from nothing."""
    yield
    if isinstance(request.node, pytest.DoctestItem):
        import ctxlog  # here: a test of what `import ctxlog` loads must not find it loaded

        ctxlog.shutdown()


class Page:
    """What the blocks of one page share beside their names: a context, an output, a directory."""

    def __init__(self) -> None:
        self.context = contextvars.copy_context()
        self.written = io.StringIO()
        self.cleanup = contextlib.ExitStack()
        self.cleanup.enter_context(
            contextlib.chdir(self.cleanup.enter_context(tempfile.TemporaryDirectory()))
        )

    def run(self, evaluate: Callable[[Example], str | None], example: Example) -> str | None:
        """Evaluate a block as its page's reader would: where the blocks above it left off."""
        with contextlib.redirect_stdout(self.written), contextlib.redirect_stderr(self.written):
            return self.context.run(evaluate, example)

    def take(self) -> str:
        """What was written since the last time."""
        text = self.written.getvalue()
        self.written.seek(0)
        self.written.truncate()
        return text


run_python = PythonEvaluator()


def evaluate_python(example: Example) -> str | None:
    """Run a ``python`` block."""
    return _page(example).run(run_python, example)


class Prompt(DocTestEvaluator):
    """Run one prompt of a ``pycon`` block and compare what it shows."""

    def __call__(self, example: Example) -> str:
        """Return what differs, or nothing."""
        return _page(example).context.run(super().__call__, example)


run_prompt = Prompt(doctest.ELLIPSIS)


def evaluate_output(example: Example) -> str | None:
    """Compare an ``… output`` block with what was written since the last one."""
    expected, actual = _shape(example.parsed), _shape(_page(example).take())
    if doctest.OutputChecker().check_output(expected, actual, doctest.ELLIPSIS):
        return None
    return f"Expected:\n{expected}\nActual:\n{actual}"


def parse_blocks(document: Document) -> Iterable[Region]:
    """Find the blocks of a page that can be run or compared."""
    lexer = FencedCodeBlockLexer(r"[^\n]+", {"language": "language", "source": "source"})
    for region in lexer(document):
        language, source = region.lexemes["language"].strip(), region.lexemes["source"]
        if language == "pycon":
            for prompt in DocTestStringParser(run_prompt)(source, document.path):
                prompt.adjust(region, source)
                yield prompt
        elif language == "python":
            yield Region(region.start, region.end, source, evaluate_python)
        elif language.endswith(" output"):
            yield Region(region.start, region.end, source, evaluate_output)


def _page(example: Example) -> Page:
    page: Page = example.namespace["__page__"]
    return page


def _shape(text: str) -> str:
    for pattern, shape in VOLATILE:
        text = pattern.sub(shape, text)
    return text.rstrip() + "\n"


def _open(namespace: dict[str, Any]) -> None:
    namespace.update(__name__="__main__", __page__=Page())


def _close(namespace: dict[str, Any]) -> None:
    import ctxlog  # as above

    ctxlog.shutdown()
    namespace["__page__"].cleanup.close()
    # a page's own loggers go with it: another page's `dictConfig` would disable them
    loggers = logging.root.manager.loggerDict
    for name in [name for name in loggers if name.partition(".")[0] not in sys.modules]:
        del loggers[name]


def _traceback(item: SybilItem, error: pytest.ExceptionInfo[BaseException]) -> Traceback:
    """What is shown of a block's failure; sybil's own fails where nothing of sybil is in it.

    That is so of what pytest reports after the block: a file that it left open.
    """
    try:
        return _sybils_traceback(item, error)
    except IndexError:
        return error.traceback


_sybils_traceback = SybilItem._traceback_filter  # noqa: SLF001 - there is no other way in
SybilItem._traceback_filter = _traceback  # type: ignore[assignment,method-assign] # noqa: SLF001

collect_page = Sybil(parsers=[parse_blocks], pattern="*.md", setup=_open, teardown=_close).pytest()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect pages, and the docstrings of the package (of tests none: ``--doctest-modules`` would)."""
    if file_path.suffix == ".py" and file_path.is_relative_to(SRC):
        docstrings: pytest.Collector = DoctestModule.from_parent(parent, path=file_path)
        return docstrings
    page: pytest.Collector | None = collect_page(file_path, parent)
    return page
