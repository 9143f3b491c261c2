"""logging alone: a dictConfig with two handlers; the context crosses a queue too."""

import logging
import logging.config
import logging.handlers
import queue
import sys

import ctxlog

logging.config.dictConfig(
    {
        "version": 1,
        "formatters": {
            "text": {"class": "ctxlog.Formatter", "format": "[%(request_id)s] %(message)s"}
        },
        "handlers": {
            # instead of logging.StreamHandler: the line, with context, ids and fields
            "lines": {
                "class": "ctxlog.Handler",
                "stream": "ext://sys.stdout",
                "renderer": "logfmt",
            },
            # any other handler keeps its own way, and its format can name what is bound
            "people": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "text",
                "level": "WARNING",
            },
        },
        "root": {"level": "INFO", "handlers": ["lines", "people"]},
    }
)
log = logging.getLogger("shop")

with ctxlog.scope(request_id="r-1"):
    log.info("accepted %d", 3, extra={"user": "bob"})
    log.warning("low on milk")
log.warning("idle")

# a record that is handled on another thread keeps the context it was made in
ctxlog.stamp_records()
records: queue.Queue[logging.LogRecord] = queue.Queue()
queued = logging.getLogger("queued")
queued.propagate = False
queued.addHandler(logging.handlers.QueueHandler(records))
listener = logging.handlers.QueueListener(records, ctxlog.Handler(sys.stdout, renderer="logfmt"))
listener.start()
with ctxlog.scope(request_id="r-2"):
    queued.info("from the queue")
listener.stop()

# It prints, when piped:
#
# timestamp=2026-11-21T12:08:57.458298Z level=info logger=shop event="accepted 3" request_id=r-1 user=bob
# timestamp=2026-11-21T12:08:57.458463Z level=warning logger=shop event="low on milk" request_id=r-1
# [r-1] low on milk
# timestamp=2026-11-21T12:08:57.458578Z level=warning logger=shop event=idle
# [-] idle
# timestamp=2026-11-21T12:08:57.459527Z level=info logger=queued event="from the queue" request_id=r-2
