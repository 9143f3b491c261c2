"""Writer: the thread behind a queue. It takes lines in batches, and is started again if it dies."""

from __future__ import annotations

from contextvars import Context
from itertools import repeat
from typing import Any

from ctxlog.context.resource import get_resource
from ctxlog.counting import counters
from ctxlog.sinks import exits, last_resort, notices
from ctxlog.sinks.backlog import Backlog
from ctxlog.sinks.native import get_ident, thread

NEVER = 1 << 62
#: While lines keep being dropped, a notice this often; else as soon as the queue is empty again.
NOTICE_SECONDS = 1.0
#: Reasons of drops that no notice tells: telling would make another.
_UNTOLD = frozenset({"reentrant"})


class Writer(Backlog):
    """A backlog with a thread that writes it. Nothing runs until the first line."""

    def _wake(self) -> None:
        """Ring for a line; those that follow need not, until the writer has looked.

        It says itself what wakes it each time it looks: before it sleeps, and as it lingers.
        """
        try:
            with self.guard:
                if not self._closing:
                    self.wake_at = NEVER
        finally:
            self._ring()

    def _ring(self) -> None:
        """Wake the writer; start it if there is none."""
        if self._closed:
            self._late_all()
            return
        if not self._alive:
            self._start()
        try:
            self._bell.release()
        except RuntimeError:  # it has been rung already
            return

    def _writer(self) -> int | None:
        return self._thread.ident if self._alive and self._thread is not None else None

    def _start(self) -> None:
        with self.guard:
            if self._starting:  # this very start was interrupted by what comes in here
                return
            self._starting = get_ident()  # only then the look: what came before has ended
            try:
                if self._alive or self._closed:
                    return
                started = self._start_thread()
            finally:
                self._starting = 0
        if not started:
            self._set_wake_at(1)
            self._late_all()

    def _start_thread(self) -> bool:
        exits.stop_at_exit(self)
        self._resource = get_resource()  # a shutdown forgets it before the last notice
        self._life += 1
        # in an empty context: what it writes belongs to no request
        name = f"ctxlog writer {self.id}"
        self._thread = thread(Context().run, self._run, self._life, name=name)
        self._alive = True
        try:
            self._thread.start()
        except BaseException as error:
            if self._thread.ident is None:
                self._alive = False
                self._life += 1
            if isinstance(error, RuntimeError):  # it is ending, or may have no more threads
                return False
            raise  # Ctrl-C
        return True

    def _run(self, life: int) -> None:
        try:
            while self._life == life and self._turn(life):
                pass
        except BaseException as error:  # noqa: BLE001 - SystemExit in a sink, for one
            self._died(life, error)
        else:
            self._left_off(life)

    def _died(self, life: int, error: BaseException) -> None:
        """Count what the sink had in hand, and start another writer."""
        with self.guard:
            self.inside = 0
            if self._life != life:
                return
            self._put_back(self._count_unknown())
            self._noticing = False
            self._alive = False
            self._death = last_resort.said(self.inner.name, error)
            self._life += 1
            counters.add("queue.writer_died")
            self.tally.add("restarts")
            self._open_doors()
            self.changed.notify_all()
        self._start()

    def _left_off(self, life: int) -> None:
        """Tell those who wait for the writer's end that it has come."""
        with self.guard:
            self.inside = 0
            if self._life in (life, life + 1):
                self._alive = False
                self.changed.notify_all()
            given_up = self._closed and self._stuck
        if given_up:  # nobody else could close it while it was being written to
            self.inner.close()

    def _put_back(self, number: int) -> None:
        """Put the last lines of the batch back to where they came from."""
        if number:
            self._queue.extendleft(reversed(self._batch[-number:]))

    def _turn(self, life: int) -> bool:
        """Wait for lines and write one batch of them; false when the queue is closed."""
        self._set_wake_at(1)
        if not self._waiting():
            self._notice(life)
            if not self._waiting():
                self._bell.acquire()
                return True
        self._linger()
        self._set_wake_at(NEVER)
        batch = self._take(life)
        if batch:
            if self.clock() >= self._notice_after:
                self._notice(life)
            self._deliver(batch, life)
        return True

    def _set_wake_at(self, number: int) -> None:
        with self.guard:
            if not self._closing:
                self.wake_at = number

    def _linger(self) -> None:
        """Wait until a batch is worth writing."""
        options = self.options
        end = self.clock() + options.batch_seconds
        while not (self._urgent or self._closing):
            self._set_wake_at(options.batch)
            if self._waiting() >= options.batch:
                return
            left = end - self.clock()
            if left <= 0 or not self._bell.acquire(timeout=left):
                return

    def _take(self, life: int) -> list[Any]:
        with self.guard:
            if self._life != life:
                return []
            batch = self._batch = []
            append, pop = batch.append, self._pop
            number = min(self._waiting(), self.options.batch)
            try:
                for _ in repeat(None, number):
                    append(pop())
                    self._left += 1
            except IndexError:  # a finaliser has logged in between, and made room for its line
                pass
            if not self._closing:
                self.room = self.options.size - self._left
            return batch

    def _deliver(self, batch: list[Any], life: int) -> None:
        """Write a batch: in pieces as large as the target takes whole, or line by line."""
        at, limit = 0, self.inner.chunk_bytes
        while at < len(batch) and self._life == life:
            end = at + 1
            if limit:
                size = len(batch[at])
                while end < len(batch) and size + len(batch[end]) <= limit:
                    size += len(batch[end])
                    end += 1
            self._put(batch[at:end], life)
            at = end

    def _put(self, lines: list[Any], life: int) -> None:
        """Write some lines at once; tried again if that fails, and then one by one."""
        attempt = 0
        while True:
            try:
                self._hand = len(lines)
                self._into_sink(lines[0] if len(lines) == 1 else _joined(lines))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the sink's
                if self._life != life:
                    return
                self._hand = 0
                if attempt < self._patience:
                    self._pause(attempt, life)
                    attempt += 1
                    self.tally.add("retried", len(lines))
                    continue
                self._patience = 0  # as long as nothing gets through, one attempt a line
                if len(lines) == 1:
                    last_resort.rescue(self.name, lines[0], error, self.target_stream)
                    self._settle(len(lines), life, failed=True)
                    return
                for line in lines:
                    self._put([line], life)
                return
            self._patience = self.options.retries
            self._settle(len(lines), life)
            return

    def _into_sink(self, data: Any) -> None:
        self.inside = get_ident()
        try:
            self.inner.write(data)
        finally:
            self.inside = 0

    def _pause(self, attempt: int, life: int) -> None:
        """Wait before another attempt, unless the queue is being stopped."""
        end = self.clock() + self.options.retry_seconds * 2**attempt
        with self.guard:
            while not self._closing and self._life == life:
                left = end - self.clock()
                if left <= 0:
                    return
                self.changed.wait(left)

    def _settle(self, number: int, life: int, *, failed: bool = False) -> None:
        """Move lines from those in hand to those that are done."""
        with self.guard:
            if self._life != life:  # given up: they are counted as unknown
                return
            if failed:
                self._drop("failed", number)
            else:
                self.settled += number
            self._left -= number
            self._hand = 0
            if not self._closing:
                self.room += number
            self.changed.notify_all()

    # -- what the writer says itself --------------------------------------------------------------

    def _untold(self) -> dict[str, int]:
        """Return what was dropped since the last notice, by reason."""
        dropped = {
            name: number - self._told.get(name, 0)
            for name, number in self.tally.read().items()
            if name == "unknown" or name.startswith("dropped.")
            if name.removeprefix("dropped.") not in _UNTOLD
        }
        return {name: number for name, number in dropped.items() if number}

    def _tell(self, dropped: dict[str, int]) -> None:
        for name, number in dropped.items():
            self._told[name] = self._told.get(name, 0) + number

    def _owes_notice(self) -> bool:
        """Say whether the writer has to write one yet; what comes as it is being stopped can wait."""
        return self._alive and not self._mute and bool(self._untold().keys() - {"dropped.closed"})

    def _say_rest(self) -> None:
        """Say elsewhere what is still untold at the end: the sink is stuck, or fails.

        What it has failed to write is there already, line by line.
        """
        dropped = self._untold()
        self._tell(dropped)
        dropped.pop("dropped.failed", None)
        if dropped:
            notices.say_lost(dropped)

    def _notice(self, life: int) -> None:
        """Write one line on what was dropped, and on a writer that died, since the last."""
        dropped, death = self._untold(), self._death
        if not dropped and death is None:
            return
        with self.guard:
            if self._life != life:
                return
            self._noticing = True
        try:
            self._into_sink(notices.line_for(self, dropped, death, self._resource))
        except Exception:  # noqa: BLE001 - it is tried again with the next batch, or at the end
            counters.add("errors.notice")
            self._mute = self._closing
        else:
            self._tell(dropped)
            self._death = None if self._death is death else self._death
            self.tally.add("notices")
        finally:
            self._notice_after = self.clock() + NOTICE_SECONDS
            with self.guard:
                self._noticing = self._noticing and self._life != life
                self.changed.notify_all()


def _joined(lines: list[Any]) -> bytes | str:
    try:
        return b"".join(lines)
    except TypeError:  # a renderer that makes text, or now and then JSON because it failed
        return "".join(line.decode() if isinstance(line, bytes) else line for line in lines)
