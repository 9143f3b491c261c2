"""Misuse of the kit: said at once, with what to do."""

from __future__ import annotations

import operator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest

from ctxlog.errors import UsageError
from ctxlog.propagation import pools
from ctxlog.testing import Lines, assert_isolated, assert_propagates


def test_a_pool_of_processes_cannot_be_asked():
    """The error says why, and what to do instead."""
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(UsageError, match="a boundary to another process cannot be asked"),
    ):
        assert_propagates(pool)


@pytest.mark.parametrize("method", ["one", "where", "assert_any", "assert_none"])
def test_an_event_alone_is_no_question(method: str):
    """The first that many would write, ``one("paid")``, says how it is asked."""
    with pytest.raises(UsageError, match=r"not 'paid': by keyword, as in one\(event='paid'\)"):
        getattr(Lines(), method)("paid")


def test_a_class_is_no_boundary():
    """An executor's class, not an instance of it, is told from one."""
    with pytest.raises(UsageError, match=r"an instance .* not the class ThreadPoolExecutor"):
        assert_propagates(ThreadPoolExecutor)


def test_a_pool_of_multiprocessing_is_asked_as_it_is():
    """Multiprocessing's ThreadPool loses the context, ours carries it; its errors come out."""
    with ThreadPool(1) as plain, pytest.raises(AssertionError, match="ThreadPool does not propag"):
        assert_propagates(plain)
    with pools.ThreadPool(1) as ours:
        assert_propagates(ours)
        assert_isolated(ours)

    class Broken(ThreadPool):
        def apply_async(self, func: Any, *args: Any, **options: Any) -> Any:
            return super().apply_async(operator.truediv, (1, 0))

    with Broken(1) as broken, pytest.raises(ZeroDivisionError):
        assert_isolated(broken)


LINES = Lines([{"event": "step", "n": 1}, {"event": "stop", "n": None}, {"event": "3", "n": 3}])


def test_any_callable_is_asked():
    """A method, a builtin, a partial object: each is asked with the field's value."""
    assert "3" == LINES.one(event=str.isdigit)["event"]
    assert 3 == LINES.one(n=partial(operator.eq, 3))["n"]


def test_a_function_that_raises_refuses():
    """One line's kind of value keeps nobody from asking the others; the failure says it."""
    assert 3 == LINES.one(n=lambda n: n > 1)["n"]
    with pytest.raises(AssertionError, match="n is None, at which <lambda> raises TypeError"):
        LINES.one(n=lambda n: n > 3)
