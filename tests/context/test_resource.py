"""Resource: fields of the process."""

from __future__ import annotations

import pytest

from ctxlog.context.resource import get_resource, set_resource
from ctxlog.errors import UsageError


@pytest.fixture(autouse=True)
def _put_back():
    before = get_resource()
    yield
    set_resource(before)


def test_it_is_replaced_whole():
    """A second set_resource replaces the first."""
    set_resource({"service.name": "shop"}, region="eu")
    set_resource(region="us")
    assert {"region": "us"} == get_resource()


def test_what_is_read_is_a_copy():
    """Changing what was read changes nothing."""
    set_resource(labels={"a": [1]})
    get_resource()["labels"]["a"].append(2)  # type: ignore[index]
    assert {"labels": {"a": [1]}} == get_resource()


def test_a_mapping_is_wanted():
    """Anything else is misuse."""
    with pytest.raises(UsageError):
        set_resource(5)  # type: ignore[arg-type]
