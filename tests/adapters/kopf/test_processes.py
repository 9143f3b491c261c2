"""Processes: what a handler raises in another process arrives, and costs nobody else the pool."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import kopf
import pytest

from ctxlog.adapters.kopf import processes
from tests.kubernetes.cluster import body, cluster, operator, until

if TYPE_CHECKING:
    from tests.adapters.kopf.conftest import Lines

pytestmark = pytest.mark.asyncio


class TheirError(Exception):
    """An error that pickles, and cannot be made again of what was pickled."""

    def __init__(self, what: str, *, where: str) -> None:
        super().__init__(f"{what} in {where}")


class Gone(kopf.PermanentError):
    """One of kopf's kind."""

    def __init__(self, what: str, *, where: str) -> None:
        super().__init__(f"{what} in {where}")


class Later(kopf.TemporaryError):
    """Another one."""

    def __init__(self, what: str, *, where: str) -> None:
        super().__init__(f"{what} in {where}", delay=0.01)


class Refused(kopf.AdmissionError):
    """And a webhook's, with what no process can send."""

    def __init__(self) -> None:
        super().__init__("not this one", code=409)
        self.held = lambda: None


def raises(param: Any, **_: Any) -> None:
    """Raise what the handler was registered with."""
    raise param() if param is Refused else param("lost", where="space")


def is_well(**_: Any) -> None:
    """Do nothing."""


ENDS = {
    TheirError: ("error", "tests.adapters.kopf.test_processes.TheirError: lost in space"),
    Gone: ("error", "lost in space"),
    Later: ("retry", "lost in space"),
    Refused: ("refused", "not this one"),
}


async def test_an_error_that_does_not_travel_breaks_no_pool(lines: Lines):
    """Kopf is told one of the same kind that does; other handlers go on in the pool."""
    registry = kopf.OperatorRegistry()
    handler: Any = raises
    for kind in ENDS:
        kopf.on.create(
            "widgets", id=kind.__name__, registry=registry, param=kind,
            errors=kopf.ErrorsMode.PERMANENT,
        )(handler)  # fmt: skip
    kopf.on.create("widgets", id="well", registry=registry)(is_well)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        async with cluster() as there:
            there.put(body(1))
            async with operator(there, registry, execution__executor=pool) as running:
                await until(lambda: lines.of(event="reconcile", handler="well"), running)
    for kind, (outcome, message) in ENDS.items():
        closing = lines.of(event="reconcile", handler=kind.__name__)[0]
        told = closing.get("k8s.admission.message") or closing["exception.message"]
        assert (outcome, message) == (closing["outcome"], told)
        if kind is Refused:
            assert 409 == closing["k8s.admission.code"]
        else:
            assert "raises" in closing["exception.stacktrace"], "where it was raised, over there"
    assert {"success"} == {x["outcome"] for x in lines.of(event="reconcile", handler="well")}


async def test_the_object_logger_of_another_process_keeps_what_a_call_gives(lines: Lines):
    """As kopf's own does; where it arrives, a plain adapter would put its own in place of it."""
    from kopf._cogs.structs.bodies import Body
    from kopf._core.actions.loggers import ObjectLogger

    made = ObjectLogger(body=Body(body(1)), settings=kopf.OperatorSettings())  # type: ignore[arg-type]
    arrived = pickle.loads(pickle.dumps(processes._portable(is_well, {"logger": made})))["logger"]
    arrived.info("told", extra={"size": 3})
    arrived.info("bare")
    arrived.info("nothing", extra=None)
    assert ["Widget/shop/w-1"] * 3 == [line["k8s.object.ref"] for line in lines]
    assert 3 == lines.of(event="told")[0]["size"]
