"""What a line costs: ctxlog beside its floor and its rivals, measured so that it can be trusted.

``python -m benchmarks`` prints the table, ``--write`` also puts it into the docs, ``--check`` makes
the exit code say whether every budget holds. A further rival is one file in ``contenders/``.
"""

from __future__ import annotations
