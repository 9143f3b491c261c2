"""A small collector: gRPC or HTTP on a free port, behind a proxy that can be stalled and cut off."""

from __future__ import annotations

import gzip
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

REQUESTS: dict[str, Any] = {
    "logs": logs_service_pb2.ExportLogsServiceRequest,
    "traces": trace_service_pb2.ExportTraceServiceRequest,
    "metrics": metrics_service_pb2.ExportMetricsServiceRequest,
}
RESPONSES: dict[str, Any] = {
    "logs": logs_service_pb2.ExportLogsServiceResponse,
    "traces": trace_service_pb2.ExportTraceServiceResponse,
    "metrics": metrics_service_pb2.ExportMetricsServiceResponse,
}
SERVICES = {
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}


class Received:
    """What came in, and whether answers go out."""

    def __init__(self) -> None:
        self.requests: dict[str, list[Any]] = {name: [] for name in REQUESTS}
        self.going = Event()
        self.going.set()
        self.lock = Lock()

    def take(self, signal: str, data: bytes) -> Any:
        """Decode a request, keep it, and return the answer; waits while stalled."""
        request = REQUESTS[signal].FromString(data)
        self.going.wait(60)
        with self.lock:
            self.requests[signal].append(request)
        return RESPONSES[signal]()

    def records(self) -> Iterator[tuple[Any, Any, Any]]:
        """Each record with its scope and resource."""
        with self.lock:
            requests = list(self.requests["logs"])
        for request in requests:
            for by_resource in request.resource_logs:
                for by_scope in by_resource.scope_logs:
                    for record in by_scope.log_records:
                        yield record, by_scope.scope, by_resource.resource

    def spans(self) -> Iterator[tuple[Any, Any]]:
        """Each span with its resource."""
        with self.lock:
            requests = list(self.requests["traces"])
        for request in requests:
            for by_resource in request.resource_spans:
                for by_scope in by_resource.scope_spans:
                    for span in by_scope.spans:
                        yield span, by_resource.resource


def value_of(value: Any) -> Any:
    """Return what an AnyValue says."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: value_of(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind)


def attributes_of(thing: Any) -> dict[str, Any]:
    """Return the attributes of a record, a span or a resource."""
    return {pair.key: value_of(pair.value) for pair in thing.attributes}


class Cut:
    """A proxy in front of a port: while it is cut, connections are closed."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        self._threads: list[Thread] = []
        self._start(self._accept)

    def _start(self, act: Any, *args: Any) -> None:
        thread = Thread(target=act, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                there = socket.create_connection(("127.0.0.1", self._to))
                with self._lock:
                    self._open |= {client, there}
                self._start(self._pump, client, there)
                self._start(self._pump, there, client)

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Reset every connection there is."""
        with self._lock:
            ends, self._open = self._open, set()
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        """Stop, and wait for its threads."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)


@contextmanager
def receiver(protocol: str) -> Generator[tuple[Received, Cut]]:
    """Run a collector for a block: what it received, and the proxy that senders connect to."""
    received = Received()
    start = _grpc if protocol == "grpc" else _http
    port, stop = start(received)
    proxy = Cut(port)
    try:
        yield received, proxy
    finally:
        received.going.set()
        proxy.close()
        stop()


def _grpc(received: Received) -> tuple[int, Any]:
    import grpc  # type: ignore[import-untyped]  # here: whoever receives HTTP alone does not load it

    pool = ThreadPoolExecutor(4)
    server: Any = grpc.server(pool)
    for signal, service in SERVICES.items():

        def export(data: bytes, _: Any, signal: str = signal) -> Any:
            return received.take(signal, data)

        handler: Any = grpc.unary_unary_rpc_method_handler(
            export, response_serializer=RESPONSES[signal].SerializeToString
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
        )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def stop() -> None:
        server.stop(0).wait(10)
        pool.shutdown()

    return port, stop


def _http(received: Received) -> tuple[int, Any]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Take one export."""
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                data = gzip.decompress(data)
            answer = received.take(self.path.rpartition("/")[2], data).SerializeToString()
            with suppress(OSError):  # it was cut off meanwhile
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's word
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A connection that was cut off is what the test does."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()

    def stop() -> None:
        server.shutdown()
        thread.join(10)
        server.server_close()

    return server.server_address[1], stop


def environment(protocol: str, port: int) -> dict[str, str]:
    """Return the variables that point the SDK's exporters here."""
    return {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "NO_PROXY": "*",
        "no_proxy": "*",
        "no_grpc_proxy": "127.0.0.1",
    }
