"""Sampling: processors that leave lines out, the same ones in every service of a trace.

They have structlog's signature and go into ``configure(processors=[...])``. What is left out is
counted by reason: ``dropped.sampled``, ``dropped.burst``, ``dropped.tail``, ``dropped.tail_full``.
"""

from __future__ import annotations

from ctxlog.sampling.burst import Burst
from ctxlog.sampling.rates import Keep, Sample, keeps
from ctxlog.sampling.tail import Tail

__all__ = ["Burst", "Keep", "Sample", "Tail", "keeps"]
