"""An API server in a process of its own, as a cluster's is: for operators that are measured.

python -m benchmarks.apiserver 200    # prints where it listens; ends with its standard input
"""

from __future__ import annotations

import asyncio
import sys

from tests.kubernetes.cluster import body, cluster


async def serve(objects: int) -> None:
    """Serve so many widgets until nobody holds our standard input any more."""
    async with cluster() as there:
        there.put(*(body(number) for number in range(objects)))
        print(there.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
