"""Variables: other people's ContextVars in a snapshot, and structlog's own."""

from __future__ import annotations

from contextvars import ContextVar

import pytest
from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

from ctxlog import Snapshot, snapshot
from ctxlog.context.accessors import unregister_accessor
from ctxlog.context.variables import carry_var
from ctxlog.errors import UsageError

OWN: ContextVar[object] = ContextVar("own")


@pytest.fixture(autouse=True)
def _taken_out():
    """No variable of a test travels after it."""
    yield
    unregister_accessor("own")


def test_a_block_puts_back_what_was_there():
    """Within it the captured value, after it the old one; a value set in the block goes."""
    carry_var(OWN, missing="nothing")
    empty = snapshot()
    OWN.set("captured")
    taken = snapshot()
    OWN.set("here")
    with taken.scope():
        assert "captured" == OWN.get()
    with empty.scope():
        assert "nothing" == OWN.get()
        OWN.set("left in the block")
    assert "here" == OWN.get()


def test_a_variable_never_set_here_stands_for_missing_afterwards():
    """A ContextVar cannot be unset: after the block it is what stands for missing."""
    carry_var(OWN)
    empty = snapshot()
    with empty.scope():
        assert "unset" == OWN.get("unset")
        OWN.set("left in the block")
    assert OWN.get() is None


def test_dump_and_load_are_the_owners_own():
    """A value of another type travels by what its owner makes of it."""
    carry_var(OWN, dump=list, load=tuple)
    OWN.set((1, 2))
    assert (1, 2) == Snapshot.from_bytes(snapshot().to_bytes()).run(OWN.get)


@pytest.mark.parametrize("value", [{1: 2}, [object()], {"a": {1}}, {"deep": [[[()]]]}])
def test_what_json_would_change_stays_behind(value: object):
    """A value that would come back as another one is not sent."""
    carry_var(OWN)
    OWN.set(value)
    arrived = Snapshot.from_bytes(snapshot().to_bytes())
    assert ["own"] == arrived.values()["context.replaced"]


def test_wrong_arguments_are_refused():
    """A variable is a ContextVar, its name a text."""
    with pytest.raises(UsageError, match="ContextVar"):
        carry_var("own")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="256"):
        carry_var(OWN, name="")


def test_structlogs_variables_are_put_back():
    """A block has what was captured and nothing else; afterwards what was there before."""
    with bound_contextvars(a=1):
        taken = snapshot()
    nothing = snapshot()
    with bound_contextvars(b=2):
        with taken.scope():
            assert {"a": 1} == get_contextvars()
            bind_contextvars(c=3)
        assert {"b": 2} == get_contextvars()
        with nothing.scope():
            assert {} == get_contextvars()
        assert {"b": 2} == get_contextvars()


def test_structlogs_values_arrive_as_what_they_were():
    """Lists, mappings and texts come back equal."""
    with bound_contextvars(many=[1, {"a": ["x"]}], text="t", none=None):
        arrived = Snapshot.from_bytes(snapshot().to_bytes())
    assert {"many": [1, {"a": ["x"]}], "text": "t", "none": None} == arrived.run(get_contextvars)
