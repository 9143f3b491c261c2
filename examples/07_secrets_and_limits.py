"""Secrets and limits: what stays out of a line, and how what is too large is cut."""

from __future__ import annotations

import ctxlog
from ctxlog.limits import Limits
from ctxlog.redact import Redaction

log = ctxlog.get_logger("shop")


class Awkward:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        """Fail."""
        raise RuntimeError("no repr today")


def main() -> None:
    """Log secrets by name, by type and by pattern; then what is long, deep, cyclic or forged."""
    ctxlog.configure(
        redact=Redaction(
            also=["iban"],
            allow=["page.token"],
            patterns=[r"\b\d{4} \d{4} \d{4} \d{4}\b"],
        ),
        limits=Limits(value_bytes=40, line_bytes=1024, depth=3, items=3),
    )
    log.info("signed in", user="ann", password="hunter2", tokens_used=3)  # noqa: S106
    log.info("called", headers={"Authorization": "Bearer abc", "Accept": "*/*"})
    log.info("paid", iban="DE02 1203", note="card 4111 1111 1111 1111")
    log.info("next page", **{"page.token": "p2"})
    log.info("wrapped", key=ctxlog.Secret("k-123"))

    log.info("long", text="é" * 100, rows=list(range(10)), deep={"a": {"b": {"c": {"d": 1}}}})
    log.info("awkward", it=Awkward(), number=2**70, ratio=float("nan"), raw=b"\x00\xff", names={1})
    log.info('forged\n{"level":"error"}', text="\x1b[31m\u2028")
    log.info("a field of a reserved name moves", level="mine")
    log.info("computed only if it is written", answer=ctxlog.lazy(lambda: 6 * 7))


if __name__ == "__main__":
    main()

# It prints, when piped:
#
# {"timestamp":"2026-11-21T11:16:14.355696Z","level":"info","logger":"shop","event":"signed in","user":"ann","password":"[redacted]","tokens_used":3}
# {"timestamp":"2026-11-21T11:16:14.355788Z","level":"info","logger":"shop","event":"called","headers":{"Authorization":"[redacted]","Accept":"*/*"}}
# {"timestamp":"2026-11-21T11:16:14.355838Z","level":"info","logger":"shop","event":"paid","iban":"[redacted]","note":"card [redacted]"}
# {"timestamp":"2026-11-21T11:16:14.355862Z","level":"info","logger":"shop","event":"next page","page.token":"p2"}
# {"timestamp":"2026-11-21T11:16:14.355889Z","level":"info","logger":"shop","event":"wrapped","key":"[redacted]"}
# {"timestamp":"2026-11-21T11:16:14.355914Z","level":"info","logger":"shop","event":"long","text":"éééééééééé…[+180 bytes]","rows":[0,1,2,"<+7 more>"],"deep":{"a":{"b":{"c":"<depth>"}}}}
# {"timestamp":"2026-11-21T11:16:14.355990Z","level":"info","logger":"shop","event":"awkward","it":"<Awkward: repr raised RuntimeError>","number":"1180591620717411303424","ratio":"NaN","raw":"\u0000\\xff","names":[1]}
# {"timestamp":"2026-11-21T11:16:14.356191Z","level":"info","logger":"shop","event":"forged\n{\"level\":\"error\"}","text":"\u001b[31m\u2028"}
# {"timestamp":"2026-11-21T11:16:14.356224Z","level":"info","logger":"shop","event":"a field of a reserved name moves","fields.level":"mine"}
# {"timestamp":"2026-11-21T11:16:14.356252Z","level":"info","logger":"shop","event":"computed only if it is written","answer":42}
