"""The benchmark of OpenTelemetry's lanes runs, and says what it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import otel

if TYPE_CHECKING:
    import pytest


def test_every_lane_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """One short round: a row for each, the SDK's own at 1.00, and the ids' figure."""
    monkeypatch.setattr(otel, "LONG", 1_000)
    monkeypatch.setattr(otel, "BURST", 20)
    assert 0 == otel.main(["--rounds", "5"])
    said = capsys.readouterr().out
    assert len(otel.LANES) == said.count("\n| ") - 1
    assert "| 1.00 |" in said
    assert "64 contexts taking turns" in said
