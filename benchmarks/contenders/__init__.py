"""The contenders, one file each: a module holds ``CONTENDERS``, a tuple of Contender classes."""

from __future__ import annotations
