"""A state machine: scopes, binds, snapshots, generators and contexts in any order, beside a model.

The model is a chain of dicts. Whatever is done, and in whatever order, a context shows what the
model says: no field ever shows where it was not bound.
"""

from __future__ import annotations

from contextvars import Context, copy_context
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from ctxlog.context.fields import bind_context, clear_context, get_context, unbind_context
from ctxlog.context.scope import scope
from ctxlog.context.snapshot import snapshot
from ctxlog.entries import entry
from tests.strategies import examples

names = st.sampled_from(["a", "b", "c", "d"])
which = st.integers(0, 5)


class Model:
    """One context: the real one, and the chain it should hold, innermost last."""

    def __init__(self, real: Context, chain: list[tuple[Any, dict[str, object]]]) -> None:
        self.real = real
        self.chain = chain

    def copy(self) -> Model:
        """Copy both."""
        return Model(self.real.copy(), list(self.chain))

    @property
    def fields(self) -> dict[str, object]:
        """What should show."""
        return self.chain[-1][1]

    def put(self, fields: dict[str, object]) -> None:
        """Replace what the innermost block shows."""
        self.chain[-1] = (self.chain[-1][0], fields)

    def left(self, block: Any) -> None:
        """Cut the chain below a block, if it is there."""
        for index in range(len(self.chain) - 1, 0, -1):
            if self.chain[index][0] is block:
                del self.chain[index:]
                return


class Stepped:
    """A decorated generator that does at each step what it is sent, and the chain of its own."""

    def __init__(self, under: Any) -> None:
        @under
        def work() -> Any:
            blocks: list[Any] = []
            todo = yield None
            while True:
                kind, name, value = todo
                if kind == "bind":
                    bind_context({name: value})
                elif kind == "unbind":
                    unbind_context(name)
                elif kind == "clear":
                    clear_context()
                elif kind == "enter":
                    blocks.append(scope({name: value}))
                    blocks[-1].__enter__()
                elif blocks:
                    blocks.pop().__exit__(None, None, None)
                todo = yield get_context()

        self.generator = work()
        self.chain: list[dict[str, object]] = []

    def expect(self, kind: str, name: str, value: object) -> dict[str, object]:
        """Do the same to the chain; return what should show."""
        top = self.chain[-1]
        if kind == "bind":
            self.chain[-1] = {**top, name: value}
        elif kind == "unbind":
            self.chain[-1] = {key: kept for key, kept in top.items() if key != name}
        elif kind == "clear":
            self.chain[-1] = {}
        elif kind == "enter":
            self.chain.append({**top, name: value})
        elif len(self.chain) > 1:
            self.chain.pop()
        return self.chain[-1]


class Interleavings(RuleBasedStateMachine):
    """Everything that can be done to a context, in any order, in several contexts."""

    blocks = Bundle("blocks")
    snapshots = Bundle("snapshots")
    generators = Bundle("generators")

    def __init__(self) -> None:
        super().__init__()
        self.contexts = [Model(Context(), [(None, {})])]
        self.value = 0

    def at(self, index: int) -> Model:
        """Return one of the contexts there are."""
        return self.contexts[index % len(self.contexts)]

    def next(self) -> int:
        """Return a value that nobody had before."""
        self.value += 1
        return self.value

    @rule(index=which)
    def copy(self, index: int) -> None:
        """Copy a context, as a new task does."""
        if len(self.contexts) < 6:
            self.contexts.append(self.at(index).copy())

    @rule(index=which, name=names)
    def bind(self, index: int, name: str) -> None:
        """Bind a value in one context."""
        context, value = self.at(index), self.next()
        context.real.run(bind_context, {name: value})
        context.put({**context.fields, name: value})

    @rule(index=which, name=names)
    def unbind(self, index: int, name: str) -> None:
        """Unbind a name in one context."""
        context = self.at(index)
        context.real.run(unbind_context, name)
        context.put({key: kept for key, kept in context.fields.items() if key != name})

    @rule(index=which)
    def clear(self, index: int) -> None:
        """Clear one context."""
        context = self.at(index)
        context.real.run(clear_context)
        context.put({})

    @rule(target=blocks, name=names)
    def make_scope(self, name: str) -> Any:
        """Make a scope, entered later, perhaps often and in several contexts."""
        value = self.next()
        return scope({name: value}), lambda below: {**below, name: value}

    @rule(target=blocks, name=names)
    def make_entry(self, name: str) -> Any:
        """Make an entry."""
        value = self.next()
        fields = {"request_id": f"r-{value}", name: value}
        return entry({"x-request-id": f"r-{value}"}, {name: value}), lambda below: fields

    @rule(target=blocks, taken=snapshots)
    def make_snapshot_scope(self, taken: Any) -> Any:
        """Make a block under a snapshot."""
        real, fields = taken
        return real.scope(), lambda below: fields

    @rule(index=which, block=blocks)
    def enter(self, index: int, block: Any) -> None:
        """Enter a block."""
        context, (real, fields) = self.at(index), block
        context.real.run(real.__enter__)
        context.chain.append((real, fields(context.fields)))

    @rule(index=which, block=blocks)
    def leave(self, index: int, block: Any) -> None:
        """Leave a block, wherever it may have been entered."""
        context, (real, _) = self.at(index), block
        context.real.run(real.__exit__, None, None, None)
        context.left(real)

    @rule(target=snapshots, index=which)
    def take(self, index: int) -> Any:
        """Take a snapshot."""
        context = self.at(index)
        return context.real.run(snapshot), context.fields

    @rule(index=which, taken=snapshots, name=names)
    def run(self, index: int, taken: Any, name: str) -> None:
        """Run under a snapshot, by run and by wrap; what that binds stays there."""
        real, fields = taken

        def job() -> dict[str, object]:
            found = get_context()
            bind_context({name: "job's"})
            return found

        context = self.at(index).real
        assert fields == context.run(real.run, job) == context.run(real.wrap(job))

    @rule(target=generators, name=names, fresh=st.booleans())
    def make_generator(self, name: str, fresh: bool) -> Any:
        """Make a generator under a scope or an entry."""
        value = self.next()
        if fresh:
            fields = {"request_id": f"r-{value}", name: value}
            under: Any = entry({"x-request-id": f"r-{value}"}, {name: value})
            return Stepped(under), lambda below: fields
        return Stepped(scope({name: value})), lambda below: {**below, name: value}

    @rule(
        target=generators,
        index=which,
        stepped=generators,
        kind=st.sampled_from(["bind", "unbind", "clear", "enter", "leave"]),
        name=names,
    )
    def step(self, index: int, stepped: Any, kind: str, name: str) -> Any:
        """Let a generator do something, wherever it is stepped from."""
        generator, fields = stepped
        context = self.at(index)
        if not generator.chain:
            generator.chain = [fields(context.fields)]
            context.real.run(generator.generator.send, None)
        value = self.next()
        found = context.real.run(generator.generator.send, (kind, name, value))
        assert generator.expect(kind, name, value) == found
        return multiple()

    @rule(index=which, stepped=generators)
    def close(self, index: int, stepped: Any) -> None:
        """Close a generator from any context, and put a new one in its place."""
        generator, _ = stepped
        context = self.at(index)
        context.real.run(generator.generator.close)
        generator.generator = Stepped(scope(a="again")).generator
        generator.chain = [{**context.fields, "a": "again"}]
        context.real.run(generator.generator.send, None)

    @invariant()
    def shows_what_the_model_says(self) -> None:
        """Every context shows exactly what was bound there."""
        for context in self.contexts:
            assert context.fields == context.real.run(get_context)
        assert {} == copy_context().run(get_context)


TestInterleavings = Interleavings.TestCase
pytestmark = pytest.mark.ctxlog(guard="off")  # scopes left anywhere, in any order: what it tests
TestInterleavings.__doc__ = "No field ever shows where it was not bound, in any interleaving."
TestInterleavings.settings = settings(
    max_examples=examples(60), stateful_step_count=60, deadline=None, database=None
)
