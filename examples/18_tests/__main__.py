"""Three bugs in shop.py; what pytest says of them with two lines in the ini file.

python examples/18_tests
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# ctxlog's plugin alone, and no CI: so this prints the same everywhere
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "100", "PYTHONDONTWRITEBYTECODE": "1"}
CHANGING = ("CI", "BUILD_NUMBER", "PYTEST_ADDOPTS", "FORCE_COLOR", "PY_COLORS")


def main() -> None:
    """Run the tests of this folder."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    here = {name: value for name, value in os.environ.items() if name not in CHANGING}
    subprocess.run(  # noqa: S603 - this Python
        [*command, "-p", "ctxlog.pytest_plugin"],
        cwd=Path(__file__).parent,
        env={**here, **ALONE},
        check=False,
    )


if __name__ == "__main__":
    main()

# It prints, when piped:
#
# F.EF                                                                                         [100%]
# ============================================== ERRORS ==============================================
# ____________________________ ERROR at teardown of test_the_latest_order ____________________________
# the test left something behind
#
# scope still open when the entry of test_shop.py:22 in test_the_latest_order.<locals>.request closed: table='orders'
#   opened at: shop.py:31 in orders
#              shop.py:38 in latest_order
#              test_shop.py:23 in test_the_latest_order.<locals>.request
#   fix:       a scope around a yield belongs to whoever consumes the generator; decorate the generator instead: @ctxlog.scope(…)
# ------------------------------------------- ctxlog lines -------------------------------------------
# -- request_id='r-2'
#    22:56:15.820 info     shop: listed table='orders' (test_shop.py:24)
# ============================================= FAILURES =============================================
# ___________________________________ test_a_picture_is_made_small ___________________________________
# context lost at 1 place; required: request_id
#
# shop.py:20 in shrink: 'shrunk' has no request_id (ctxlog, thread pictures_0)
#   last had:  request_id='r-1' at shop.py:26 in upload, bound at test_shop.py:14 in test_a_picture_is_made_small
#   lost at:   ThreadPoolExecutor.submit(shrink) at shop.py:26 in upload
#   fix:       submit it with its context: submit(ctxlog.wrap(shrink), …), or make the pool with ctxlog.propagation.wrap_executor(…)
# ------------------------------------------- ctxlog lines -------------------------------------------
# -- request_id='r-1'
#    22:56:15.818 info     shop: uploaded picture='cat.png' (shop.py:25)
# -- no operation, no request_id
#    22:56:15.818 info     shop [pictures_0]: shrunk picture='cat.png' (shop.py:20)
# ________________________________ test_every_request_sends_its_mail _________________________________
# context lost at 1 place; required: request_id
#
# shop.py:60 in Mailer.work: 'sent' has another's request_id='r-3' (ctxlog, thread MainThread, task Task-6)
#   last had:  request_id='r-4' at shop.py:54 in Mailer.send, bound at test_shop.py:35 in test_every_request_sends_its_mail.<locals>.main
#   came from: create_task(work) at shop.py:53 in Mailer.send, made under request_id='r-3'
#   fix:       start the worker with ctxlog.propagation.run_detached(…), and make each piece of its work an entry of its own: with ctxlog.entry(link=…)
# ------------------------------------------- ctxlog lines -------------------------------------------
# -- request_id='r-3'
#    22:56:15.822 info     shop: sent mail='thanks for order 3' (shop.py:60)
#    22:56:15.822 info     shop: sent mail='thanks for order 4' (shop.py:60)
# ===================================== short test summary info ======================================
# FAILED test_shop.py::test_a_picture_is_made_small - Failed: context lost at 1 place; required: re...
# FAILED test_shop.py::test_every_request_sends_its_mail - Failed: context lost at 1 place; require...
# ERROR test_shop.py::test_the_latest_order - Failed: the test left something behind
# 2 failed, 1 passed, 1 error in 0.01s
