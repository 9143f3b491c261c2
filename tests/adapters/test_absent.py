"""Each adapter with its library absent: ctxlog works without, and loads nothing unasked."""

from __future__ import annotations

import subprocess
import sys

import pytest

BLOCK = (
    "import sys\n"
    "class Absent:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name.partition('.')[0] == {library!r}: raise ModuleNotFoundError(name, name=name)\n"
    "sys.meta_path.insert(0, Absent())\n"
)


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "library", ["structlog", "loguru", "uvloop", "kopf", "kubernetes", "opentelemetry"]
)
def test_without_the_library(library: str):
    """Everything of configure's default works, and every door but the absent one."""
    code = BLOCK.format(library=library) + (
        "import ctxlog, logging\n"
        "ctxlog.configure(renderer='json')\n"
        "with ctxlog.entry({'x-request-id': 'r-1'}):\n"
        "    ctxlog.get_logger('own').info('own', n={1})\n"
        "    logging.getLogger('lib').info('lib')\n"
        "    ctxlog.snapshot().run(ctxlog.get_logger('own').info, 'snap')\n"
        "    logging.getLogger('lib').addHandler(ctxlog.Handler())\n"
        "    logging.getLogger('lib').info('handled')\n"
        "ctxlog.shutdown()\n"
    )
    done = run(code)
    assert (0, 4) == (done.returncode, done.stderr.count('"request_id":"r-1"')), done.stderr


@pytest.mark.parametrize("library", ["structlog", "loguru", "kopf"])
def test_the_adapter_itself_says_what_is_missing(library: str):
    """Importing the adapter of an absent library is Python's own error, naming the library."""
    done = run(BLOCK.format(library=library) + f"import ctxlog.adapters.{library}")
    assert f"ModuleNotFoundError: {library}" in done.stderr


BLOCK_SDK = BLOCK.replace("name.partition('.')[0] == {library!r}", "name.startswith({library!r})")


@pytest.mark.parametrize(
    "library", ["opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry"]
)
def test_without_opentelemetrys_sdk(library: str):
    """Every module but the adapter's works; ``otlp=True`` says what to install."""
    code = BLOCK_SDK.format(library=library) + (
        "import ctxlog, ctxlog.sampling\n"
        "from ctxlog.errors import UsageError\n"
        "try: ctxlog.configure(otlp=True)\n"
        "except UsageError as error: print(error)\n"
        "ctxlog.configure(renderer='json', processors=[ctxlog.sampling.Sample(1.0)])\n"
        "with ctxlog.entry(), ctxlog.operation('done'):\n"
        "    headers = {}\n"
        "    ctxlog.inject(headers)\n"
        "    ctxlog.get_logger('own').info('own')\n"
        "assert 'traceparent' in headers\n"
        "ctxlog.shutdown()\n"
    )
    done = run(code)
    assert (0, 2) == (done.returncode, done.stderr.count('"trace_id"')), done.stderr
    assert "pip install 'ctxlog[otel]'" in done.stdout


def test_without_the_sdk_every_module_of_the_adapter_imports():
    """They need the API alone."""
    code = BLOCK_SDK.format(library="opentelemetry.sdk") + (
        "import importlib, pkgutil, ctxlog.adapters.otel as otel\n"
        "names = [m.name for m in pkgutil.iter_modules(otel.__path__)]\n"
        "for name in names: importlib.import_module(f'ctxlog.adapters.otel.{name}')\n"
        "import ctxlog\n"
        "from ctxlog.adapters.otel.sink import OtelSink\n"
        "ctxlog.configure(sinks=[OtelSink()])\n"
        "ctxlog.get_logger('own').info('own')\n"
        "assert ctxlog.shutdown()\n"
        "print(len(names))\n"
    )
    done = run(code)
    assert 0 == done.returncode, done.stderr
    assert int(done.stdout) >= 5


def test_importing_ctxlog_loads_no_adapter():
    """``import ctxlog`` loads none, ``configure`` no third party but orjson."""
    done = run(
        "import sys, ctxlog\n"
        "assert not [n for n in sys.modules if n.startswith('ctxlog.adapters')]\n"
        "ctxlog.configure(renderer='json', sinks=[])\n"
        "print(sorted({n.partition('.')[0] for n in sys.modules} & "
        "{'structlog', 'loguru', 'rich', 'asyncio', 'uvloop', 'kopf', 'kubernetes'}))\n"
    )
    assert "[]\n" == done.stdout, done.stderr


WEB = ["starlette", "fastapi", "uvicorn", "flask", "werkzeug", "django", "asgiref", "gunicorn",
       "httpx", "requests", "aiohttp"]  # fmt: skip


def test_the_web_without_any_framework():
    """Both middlewares serve with none of the web's libraries there, and load none."""
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {WEB}: raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import asyncio, ctxlog\n"
        "from ctxlog.adapters import asgi, outgoing, servers, starlette, wsgi\n"
        "ctxlog.configure(renderer='json')\n"
        "servers.adopt()()\n"
        "async def app(scope, receive, send):\n"
        "    await send({'type': 'http.response.start', 'status': 200})\n"
        "    await send({'type': 'http.response.body'})\n"
        "async def send(message): pass\n"
        "scope = {'type': 'http', 'headers': [(b'x-request-id', b'r-1')]}\n"
        "asyncio.run(asgi.Middleware(app)(scope, None, send))\n"
        "def old(environ, start):\n"
        "    start('200 OK', [])\n"
        "    return [b'']\n"
        "body = wsgi.Middleware(old)({'HTTP_X_REQUEST_ID': 'r-1'}, lambda *_: None)\n"
        "list(body)\n"
        "body.close()\n"
        "ctxlog.shutdown()\n"
    )
    done = run(code)
    assert (0, 2) == (done.returncode, done.stderr.count('"request_id":"r-1"')), done.stderr


@pytest.mark.parametrize(
    ("adapter", "library"),
    [
        ("httpx", "httpx"),
        ("aiohttp", "aiohttp"),
        ("requests", "requests"),
        ("flask", "flask"),
        ("django", "asgiref"),
        ("gunicorn", "gunicorn"),
    ],
)
def test_an_adapter_without_its_library(adapter: str, library: str):
    """Asking for it says which library is missing; everything else works."""
    code = BLOCK.format(library=library) + (
        "import ctxlog\n"
        "ctxlog.configure(renderer='json')\n"
        "try:\n"
        f"    import ctxlog.adapters.{adapter}\n"
        "except ModuleNotFoundError as error:\n"
        "    ctxlog.get_logger('own').info('absent', name=error.name)\n"
        "ctxlog.shutdown()\n"
    )
    done = run(code)
    assert 0 == done.returncode, done.stderr
    assert f'"name":"{library}' in done.stderr


def test_the_front_door_loads_nothing_of_the_web():
    """`import ctxlog` and its configuration load no adapter of the web and no library of it."""
    code = (
        "import sys, ctxlog\n"
        "ctxlog.configure(renderer='json')\n"
        "ctxlog.get_logger('own').info('loaded', names=sorted(\n"
        f"    name for name in sys.modules if name.partition('.')[0] in {WEB}\n"
        "    or name in ('ctxlog.adapters.asgi', 'ctxlog.adapters.wsgi', 'ctxlog.adapters.exchange')))\n"
        "ctxlog.shutdown()\n"
    )
    assert '"names":[]' in run(code).stderr


@pytest.mark.parametrize("library", ["kubernetes", "kubernetes_asyncio"])
def test_an_api_client_may_be_absent_or_loaded_later(library: str):
    """Installing loads nothing; without the library nothing happens, with it its clients are ours."""
    adapter = "kubernetes_client" if library == "kubernetes" else library
    install = f"import sys\nimport ctxlog.adapters.{adapter} as adapter\nadapter.install()\n"
    done = run(BLOCK.format(library=library) + install + "adapter.uninstall()\nprint('fine')\n")
    assert "fine\n" == done.stdout, done.stderr
    done = run(
        f"{install}assert {library!r} not in sys.modules\n"
        f"import {library}.client\n"
        f"print({library}.client.ApiClient.__init__.__wrapped__ is not None)\n"
    )
    assert "True\n" == done.stdout, done.stderr
