"""Long work: what runs, how far it is, how it ended.  It outlives the tab that asked for it.

A job follows one call of a worker, or one download.  A keeper puts what arrives into the store, so
that whatever was delivered is saved when the job ends early, for whatever reason.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol

from annotation_store.errors import NotFoundError, WorkspaceBusyError
from app.live import Live
from app.notices import Notice, RefusedError, explain
from app.workers.messages import Progress
from app.workers.process import ENDS, Told

Kind = Literal["ingest", "segment", "propagate", "export", "samples", "repair", "fetch"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
PAUSABLE: frozenset[Kind] = frozenset({"propagate"})
"""Not "segment": a network at rest would leave no room for the next run's."""
ENDED: frozenset[State] = frozenset({"done", "failed", "cancelled"})

GATHER_S = 0.1
"""What arrives in this time is saved together and told once."""
GATHERED_AT_MOST = 64
"""So much at once: what is saved together is in memory together."""
PATIENCE_S = 60.0
"""How long what was delivered waits for another program that holds the workspace."""
KEPT_S = 30 * 60.0
KEPT_ENDED = 50
MOST_OPEN = 500
"""Each has a thread of its own."""


@dataclass
class Job:
    """What the page knows of one job; the thread that follows it keeps it up to date."""

    id: int
    kind: Kind
    title: str
    clip_id: int | None = None
    target_id: int | None = None
    draft_id: int | None = None
    engine: str | None = None
    state: State = "queued"
    stage: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    result: dict[str, Any] | None = None
    cancelling: bool = False
    paused: bool = False
    ended_at: float = 0.0
    pace: Pace = field(default_factory=lambda: Pace())

    def progress(self, done: int, total: int, stage: str = "") -> None:
        """How far it is; `total` is 0 while nobody knows."""
        self.done, self.total = done, total
        self.stage = "Stopping" if self.cancelling else stage
        if self.paused:
            self.pace = Pace()  # the rest is no part of the pace
        self.pace.note(done)

    def as_json(self) -> dict[str, Any]:
        running = self.state == "running"
        left = self.pace.seconds_left(self.done, self.total) if running else None
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "clip_id": self.clip_id,
            "target_id": self.target_id,
            "draft_id": self.draft_id,
            "engine": self.engine,
            "state": self.state,
            "paused": self.paused,
            "stage": self.stage,
            "done": self.done,
            "total": self.total,
            "seconds_left": left,
            "message": self.message,
            "result": self.result,
        }


class Pace:
    """Seconds a step, from the first step on: what came before it was loading."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[int, float] | None = None
        self._last: tuple[int, float] = (0, 0.0)

    def note(self, done: int) -> None:
        if done > 0:
            self._last = (done, self._clock())
            self._first = self._first or self._last

    def seconds_left(self, done: int, total: int) -> float | None:
        """None until two steps have been seen."""
        if self._first is None or self._last[0] <= self._first[0] or total < done:
            return None
        each = (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])
        return round(each * (total - done), 1)


class Call(Protocol):
    """What a job follows: see `app.workers.worker.Call`."""

    def take(self, timeout_s: float | None = None) -> Told | None:
        """The next thing told; None when nothing is within `timeout_s`."""
        ...

    def cancel(self) -> None:
        """Ask for an end, which is told when it has come."""
        ...

    def pause(self, paused: bool) -> None:
        """Let it rest after the step it is in, or go on."""
        ...


class Keeper(Protocol):
    """Puts what a job delivers where it belongs.  Called from the job's own thread.

    Called again with the same where the workspace was busy, so doing half of it twice is nothing.
    """

    def take(self, job: Job, steps: list[Any]) -> None:
        """Keep what arrived together, and note how far the job is."""
        ...

    def end(self, job: Job, state: State, result: Any) -> None:
        """The job is over: `result` is the task's, None unless `state` is "done"."""
        ...


class Jobs:
    """Every job of this run of the program.  Safe from many threads."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._jobs: dict[int, tuple[Job, Call]] = {}

    def start(
        self,
        kind: Kind,
        title: str,
        call: Call,
        keeper: Keeper,
        *,
        clip_id: int | None = None,
        target_id: int | None = None,
        draft_id: int | None = None,
        engine: str | None = None,
    ) -> Job:
        """Follow `call` as a job of its own.

        Raises:
            RefusedError: too many are open; the call is cancelled and nothing of it is left.
        """
        with self._lock:
            job = Job(next(self._numbers), kind, title, clip_id, target_id, draft_id, engine)
            self._forget_old()
            has_room = sum(one.state not in ENDED for one, _ in self._jobs.values()) < MOST_OPEN
            if has_room:
                self._jobs[job.id] = (job, call)
        if not has_room:
            call.cancel()
            keeper.end(job, "cancelled", None)
            raise RefusedError(
                f"{MOST_OPEN} jobs are waiting already. Wait for some to end, or cancel them, then "
                "try again.",
                code="busy",
                status=503,
            )
        self._tell(job)
        threading.Thread(
            target=self._follow, args=(job, call, keeper), name=f"job {job.id}", daemon=True
        ).start()
        return job

    def all(self) -> list[Job]:
        """Those that run, and those that ended a while ago, oldest first."""
        with self._lock:
            self._forget_old()
            return [job for job, _ in self._jobs.values()]

    def find(self, job_id: int) -> Job | None:
        with self._lock:
            found = self._jobs.get(job_id)
        return None if found is None else found[0]

    def running(self, kind: Kind) -> list[Job]:
        return [job for job in self.all() if job.kind == kind and job.state not in ENDED]

    def cancel(self, job_id: int) -> Job | None:
        """Ask a job to end; None if there is no such job."""
        with self._lock:
            found = self._jobs.get(job_id)
        if found is None:
            return None
        job, call = found
        if job.state not in ENDED:
            job.cancelling = True
            job.paused = False
            job.stage = "Stopping"
            call.cancel()
            self._tell(job)
        return job

    def pause(self, job_id: int, paused: bool) -> Job | None:
        """Let a job rest, or go on; None if there is no such job.

        Raises:
            RefusedError: it is not of a kind that can rest.
        """
        with self._lock:
            found = self._jobs.get(job_id)
        if found is None:
            return None
        job, call = found
        if job.kind not in PAUSABLE:
            raise RefusedError("Only propagating can be paused; cancel this instead.")
        if job.state not in ENDED and not job.cancelling and job.paused != paused:
            job.paused = paused
            job.pace = Pace()
            call.pause(paused)
            self._tell(job)
        return job

    def cancel_where(self, belongs: Callable[[Job], bool]) -> None:
        """Ask every job to end that `belongs` to what is being removed."""
        for job in self.all():
            if belongs(job):
                self.cancel(job.id)

    def _forget_old(self) -> None:
        ended = [job for job, _ in self._jobs.values() if job.state in ENDED]
        late = time.monotonic() - KEPT_S
        for place, job in enumerate(ended):
            if job.ended_at < late or place < len(ended) - KEPT_ENDED:
                del self._jobs[job.id]

    def _follow(self, job: Job, call: Call, keeper: Keeper) -> None:
        end: Told | None = None
        while end is None:
            steps, end = _gather(call, job)
            try:
                if steps:
                    self._patiently(job, partial(keeper.take, job, steps))
            except NotFoundError as error:
                # What this was made for was removed meanwhile, which is how to ask for its end.
                call.cancel()
                end = Told("cancelled", explain(error))
            except Exception as error:  # noqa: BLE001  # told to the person by `explain`
                call.cancel()
                end = Told("failed", explain(error))
            if end is None:
                self._tell(job)
        self._end(job, keeper, end)

    def _end(self, job: Job, keeper: Keeper, end: Told) -> None:
        state: State = "failed"
        if end.kind == "done":
            state, job.done = "done", job.total or job.done
        elif end.kind == "cancelled":
            state = "cancelled"
        notice = end.what if isinstance(end.what, Notice) else None
        job.message = notice.sentence if notice else job.message
        try:
            result = end.what if state == "done" else None
            self._patiently(job, partial(keeper.end, job, state, result))
        except Exception as error:  # noqa: BLE001  # told to the person by `explain`
            state, job.message = "failed", explain(error).sentence
        job.stage = ""
        job.paused = False
        job.ended_at = time.monotonic()
        job.state = state
        self._tell(job)

    def _patiently(self, job: Job, keep: Callable[[], None]) -> None:
        """`keep`, and again while another program holds the workspace.

        What took minutes to make is worth waiting for longer than a request does.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return keep()
            except WorkspaceBusyError:
                if time.monotonic() > deadline:
                    raise
                job.stage = "Waiting for another program that holds the workspace"
                self._tell(job)
                time.sleep(GATHER_S)

    def _tell(self, job: Job) -> None:
        self._live.say({"type": "job", "job": job.as_json()})


def _gather(call: Call, job: Job) -> tuple[list[Any], Told | None]:
    """What was told within GATHER_S of the first thing, and the end if it was among it."""
    steps: list[Any] = []
    told = call.take()
    until = time.monotonic() + GATHER_S
    while told is not None:
        if told.kind == "begun":
            job.state = "running"
        elif told.kind in ENDS:
            return steps, told
        else:
            steps.append(told.what)
            if len(steps) == GATHERED_AT_MOST:
                break
        told = call.take(max(0.0, until - time.monotonic()))
    return steps, None


def note_progress(job: Job, steps: list[Any]) -> None:
    """Show the newest of what a task said of its progress."""
    said = [step for step in steps if isinstance(step, Progress)]
    if said:
        job.progress(said[-1].done, said[-1].total, said[-1].stage)
