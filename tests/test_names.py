"""Names: where a field goes whose name is taken."""

from __future__ import annotations

from ctxlog import names


def test_move_keeps_every_value():
    """Reserved names move, also when where they move to is taken."""
    fields: dict[str, object] = {"level": 1, "fields.level": 2, "event": 3, "a": 4}
    names.move(fields, names.RESERVED)
    assert {"fields.fields.level": 1, "fields.level": 2, "fields.event": 3, "a": 4} == fields
