"""OpenTelemetry: two services, and what a collector has of one request: lines and spans, one trace.

Needs the extra ``otel``. The collector is this process, the services are two others.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import ctxlog

log = ctxlog.get_logger("shop")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def ask(port: int, headers: dict[str, str]) -> bytes:
    """Send a request to a service of this machine."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/", headers=headers)
        return connection.getresponse().read()
    finally:
        connection.close()


# ---- a service: set up once, and one request


def set_up() -> Any:
    """Lines and spans to the collector that the ``OTEL_*`` variables name."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from ctxlog.adapters.otel.resource import resource
    from ctxlog.adapters.otel.spans import SpanFields, SpanSink

    ctxlog.configure(otlp=True, sinks=[SpanSink()], propagators=["tracecontext", "b3"])
    spans = TracerProvider(resource=resource())
    spans.add_span_processor(SpanFields(["tenant"]))
    spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(spans)
    return spans


class Front(BaseHTTPRequestHandler):
    """Asks the store."""

    def do_GET(self) -> None:
        """Answer one request."""
        with ctxlog.entry(self.headers.items(), tenant="t-1"), ctxlog.operation("answer"):
            log.info("accepted")
            headers: dict[str, str] = {}
            ctxlog.inject(headers)
            ctxlog.annotate(rows=int(ask(int(os.environ["STORE"]), headers)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's word
        """Ours are the lines."""


class Store(Front):
    """Finds rows, and one that it does not understand."""

    def do_GET(self) -> None:
        """Answer one request."""
        with ctxlog.entry(self.headers.items(), tenant="t-1"), ctxlog.operation("look up"):
            try:
                int("three")
            except ValueError:
                log.exception("row skipped")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"3")


def serve(kind: type[BaseHTTPRequestHandler]) -> None:
    """Serve one request, then send what is left and say what became of the lines."""
    spans = set_up()
    server = HTTPServer(("127.0.0.1", 0), kind)
    print(server.server_address[1], flush=True)
    server.handle_request()
    server.server_close()
    ctxlog.flush(10)
    account = {
        name.split(".", 2)[2]: number
        for name, number in ctxlog.counters().items()
        if name.endswith((".acknowledged", ".unconfirmed", ".dropped.full"))
    }
    ctxlog.shutdown(10)
    spans.shutdown()
    print(" ".join(f"{name}={number}" for name, number in account.items()), flush=True)


# ---- the collector, and the request


def collect() -> tuple[HTTPServer, list[str]]:
    """Receive OTLP over HTTP; return the server, and what it has been told."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    told: list[str] = []

    def service_of(resource: Any) -> str:
        names: dict[str, str] = {one.key: one.value.string_value for one in resource.attributes}
        return names["service.name"]

    class Collector(Front):
        def do_POST(self) -> None:
            """Take one export."""
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                data = gzip.decompress(data)
            if self.path == "/v1/logs":
                for one in ExportLogsServiceRequest.FromString(data).resource_logs:
                    name = service_of(one.resource)
                    for line in (line for scope in one.scope_logs for line in scope.log_records):
                        what = f"{line.severity_text:5} {line.body.string_value}"
                        told.append(f"{line.trace_id.hex()} {name:5} line {what}")
            else:
                for one in ExportTraceServiceRequest.FromString(data).resource_spans:
                    name = service_of(one.resource)
                    for span in (span for scope in one.scope_spans for span in scope.spans):
                        tenant = [
                            a.value.string_value for a in span.attributes if a.key == "tenant"
                        ]
                        status = "error" if span.status.code == 2 else "ok"
                        what = f"{status:5} {span.name}, tenant {tenant[0]}"
                        told.append(f"{span.trace_id.hex()} {name:5} span {what}")
            self.send_response(200)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Collector)
    Thread(target=server.serve_forever, daemon=True).start()
    return server, told


def start(kind: str, **more: str) -> tuple[subprocess.Popen[str], int]:
    """Start a service; return its process and port."""
    process = subprocess.Popen(  # noqa: S603 - this file
        [sys.executable, *(f"-W{option}" for option in sys.warnoptions), __file__, kind],
        env={**os.environ, "OTEL_SERVICE_NAME": kind, **more},
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, int(process.stdout.readline() if process.stdout else 0)


def main() -> None:
    """Start everything, send one request, print what the collector has of it."""
    collector, told = collect()
    variables = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_address[1]}",
        "NO_PROXY": "*",
    }
    store, port = start("store", **variables)
    front, entrance = start("front", STORE=str(port), **variables)
    ask(entrance, {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-ID": "r-1"})
    for name, process in (("front", front), ("store", store)):
        rest, _ = process.communicate()
        print(f"{name}: {rest.strip()}")
    collector.shutdown()
    collector.server_close()
    print(*sorted(told), sep="\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve({"front": Front, "store": Store}[sys.argv[1]])
    else:
        main()

# It prints, when piped:
#
# front: acknowledged=2 unconfirmed=0 dropped.full=0
# store: acknowledged=2 unconfirmed=0 dropped.full=0
# 4bf92f3577b34da6a3ce929d0e0e4736 front line info  accepted
# 4bf92f3577b34da6a3ce929d0e0e4736 front line info  answer
# 4bf92f3577b34da6a3ce929d0e0e4736 front span ok    answer, tenant t-1
# 4bf92f3577b34da6a3ce929d0e0e4736 store line error row skipped
# 4bf92f3577b34da6a3ce929d0e0e4736 store line info  look up
# 4bf92f3577b34da6a3ce929d0e0e4736 store span error look up, tenant t-1
