"""Jobs: how far they are, when they will be done, how they end, and what one keeps at a time."""

from __future__ import annotations

import os
import pickle
import signal

import pytest

from app.live import Live
from app.notices import RefusedError
from app.settings import Login, Settings
from app.work.jobs import GATHERED_AT_MOST, MOST_OPEN, Jobs, Pace, note_progress
from app.workers.messages import Progress
from app.workers.process import Told
from app.workers.worker import Priority, Worker
from tests.app.conftest import wait_for
from tests.app.workers import worker_tasks


class Clock:
    """Shows the time it was set to, in seconds."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def paced(clock, *notes):
    """A pace that heard of (seconds from the start, steps done)."""
    pace = Pace(clock)
    for after_s, done in notes:
        clock.now = 100.0 + after_s
        pace.note(done)
    return pace


def test_what_came_before_the_first_step_is_loading_and_no_part_of_the_pace(clock):
    pace = paced(clock, (60, 0), (80, 1), (82, 2), (86, 4))

    # Steps 2 to 4 took six seconds, two each; six are left.
    assert pace.seconds_left(4, 10) == 12.0


def test_several_steps_at_once_are_as_many_steps(clock):
    pace = paced(clock, (0, 10), (5, 30))

    assert pace.seconds_left(30, 70) == 10.0


def test_one_step_is_no_pace(clock):
    assert paced(clock).seconds_left(0, 10) is None
    assert paced(clock, (3, 1)).seconds_left(1, 10) is None
    assert paced(clock, (3, 1), (9, 1)).seconds_left(1, 10) is None


def test_nothing_is_left_of_what_is_done_and_nobody_knows_without_a_total(clock):
    pace = paced(clock, (0, 1), (4, 3))

    assert pace.seconds_left(3, 3) == 0.0
    assert pace.seconds_left(3, 0) is None


class Collecting:
    """Keeps what a job delivers in a list of batches."""

    def __init__(self):
        self.batches = []
        self.ended = None

    def take(self, job, steps):
        self.batches.append(list(steps))
        note_progress(job, steps)

    def end(self, _job, state, result):
        self.ended = state, result


@pytest.fixture
def worker(tmp_path):
    one = Worker("test", worker_tasks.make_tasks, tmp_path, silence_s=5)
    yield one
    one.stop()


def ended(job):
    return wait_for(lambda: job.state in ("done", "failed", "cancelled"), "the job's end")


def test_what_piled_up_is_kept_in_bounded_parts(worker):
    call = worker.submit("count", Priority.CLIP, upto=1)
    keeper = Collecting()
    call.hear(Told("begun"))
    for number in range(10 * GATHERED_AT_MOST + 1):
        call.hear(Told("step", number))
    call.hear(Told("done", "all"))

    job = Jobs(Live()).start("segment", "Segmenting", call, keeper)

    ended(job)
    assert [one for batch in keeper.batches for one in batch] == list(
        range(10 * GATHERED_AT_MOST + 1)
    )
    assert max(map(len, keeper.batches)) == GATHERED_AT_MOST
    assert keeper.ended == ("done", "all")


def test_a_job_shows_its_newest_progress_and_stopping_once_it_is_cancelled(worker):
    call = worker.submit("count", Priority.CLIP, upto=1)
    jobs = Jobs(Live())
    job = jobs.start("export", "Exporting", call, Collecting())
    call.hear(Told("begun"))
    call.hear(Told("step", Progress(1, 9, "Writing masks")))
    call.hear(Told("step", Progress(2, 9, "Writing masks")))
    wait_for(lambda: job.done == 2, "the progress")
    shown = job.as_json()

    jobs.cancel(job.id)

    assert (shown["done"], shown["total"], shown["stage"]) == (2, 9, "Writing masks")
    assert (job.state, job.stage) == ("running", "Stopping")
    call.hear(Told("cancelled"))
    ended(job)
    assert (job.state, job.stage) == ("cancelled", "")


@pytest.mark.parametrize(
    ("how", "sentence"),
    [(signal.SIGSTOP, "did not answer any more"), (signal.SIGKILL, "was stopped (SIGKILL")],
)
def test_a_job_whose_process_hangs_or_dies_fails_with_what_it_delivered_kept(worker, how, sentence):
    worker.start()
    keeper = Collecting()
    call = worker.submit("count", Priority.PROPAGATION, upto=10_000, pause_s=0.02)
    job = Jobs(Live()).start("propagate", "Propagating", call, keeper)
    wait_for(lambda: keeper.batches, "the first steps")

    os.kill(worker.pid, how)

    ended(job)
    assert job.state == "failed"
    assert sentence in job.message
    assert keeper.ended == ("failed", None)
    delivered = [one for batch in keeper.batches for one in batch]
    assert delivered == list(range(1, len(delivered) + 1))


def test_no_more_jobs_are_taken_on_than_can_be_followed_and_the_last_leaves_nothing(worker):
    jobs = Jobs(Live())
    calls = [worker.submit("echo", Priority.CLIP, words="on") for _ in range(MOST_OPEN + 1)]
    for call in calls[:-1]:
        jobs.start("segment", "Segmenting", call, Collecting())
    keeper = Collecting()

    with pytest.raises(RefusedError, match="500 jobs are waiting already") as refused:
        jobs.start("segment", "Segmenting", calls[-1], keeper)

    assert (refused.value.notice.code, refused.value.notice.status) == ("busy", 503)
    assert keeper.ended == ("cancelled", None)
    assert calls[-1].take(0) == Told("cancelled")
    calls[0].hear(Told("done"))
    wait_for(lambda: len(jobs.running("segment")) < MOST_OPEN, "the end of one")
    jobs.start("segment", "Segmenting", calls[0], Collecting())
    for call in calls[1:-1]:
        call.cancel()


def test_what_the_workers_are_told_holds_no_password(tmp_path):
    settings = Settings(tmp_path, logins=(Login("ana", "a long secret"),))

    handed = pickle.dumps(settings.without_logins())

    assert b"a long secret" in pickle.dumps(settings)
    assert b"a long secret" not in handed
    assert pickle.loads(handed).workspace == tmp_path
