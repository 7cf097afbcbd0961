"""The worker process: urgent things first, nothing told is lost, and a new one when it dies."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from app.notices import RefusedError
from app.workers.worker import Priority, Worker
from tests.app.conftest import wait_for
from tests.app.workers import worker_tasks
from tests.conftest import REPOSITORY

ENOUGH_S = 60


@pytest.fixture
def said():
    return []


@pytest.fixture
def worker(tmp_path, said):
    one = Worker("test", worker_tasks.make_tasks, tmp_path, told=lambda *what: said.append(what))
    one.start()
    yield one
    one.stop()


def take(call):
    told = call.take(ENOUGH_S)
    assert told is not None, "the worker said nothing"
    return told


def heard(call):
    """Everything told of a call to its end."""
    told = [take(call)]
    while told[-1].kind not in ("done", "failed", "cancelled"):
        told.append(take(call))
    return told


def is_alive(pid):
    return psutil.pid_exists(pid)


def test_a_task_tells_its_steps_and_its_result(worker):
    told = heard(worker.submit("count", Priority.CLIP, upto=3))

    assert [one.kind for one in told] == ["begun", "step", "step", "step", "done"]
    assert [one.what for one in told[1:]] == [1, 2, 3, 3]


def test_a_click_waits_for_one_step_of_what_runs_and_not_for_its_end(worker):
    long = worker.submit("count", Priority.CLIP, upto=40, pause_s=0.05)
    while take(long).kind != "step":
        continue

    assert worker.submit("echo", Priority.CLICK, words="now").result(ENOUGH_S) == "now"

    done = heard(long)
    assert done[-1].what == 40
    assert len(done) > 10, "the click came while the long task was under way"


def test_the_more_urgent_of_two_waiting_tasks_runs_first(worker):
    running = worker.submit("count", Priority.CLICK, upto=2, pause_s=0.3)
    ahead = worker.submit("count", Priority.AHEAD, upto=500, pause_s=0.02)
    propagation = worker.submit("count", Priority.PROPAGATION, upto=3, pause_s=0.02)
    heard(running)

    heard(propagation)

    told = []
    while (one := ahead.take(0)) is not None:
        told.append(one.kind)
    ahead.cancel()
    assert "done" not in told, "the one submitted first has ten seconds of work, and went second"


def test_cancelling_closes_the_task_and_keeps_what_was_told(worker, tmp_path):
    call = worker.submit("count", Priority.CLIP, upto=1000, pause_s=0.02, name="closed")
    while take(call).kind != "step":
        continue

    call.cancel()

    told = heard(call)
    assert told[-1].kind == "cancelled"
    assert (tmp_path / "closed").exists()
    assert worker.submit("echo", Priority.CLICK, words="on").result(ENOUGH_S) == "on"


def test_a_refusal_comes_back_as_its_sentence(worker):
    with pytest.raises(RefusedError, match="There is no such thing") as refused:
        worker.submit("refuse", Priority.CLICK).result(ENOUGH_S)

    assert (refused.value.notice.code, refused.value.notice.status) == ("missing", 404)


def test_an_unforeseen_failure_shows_a_number_and_no_detail(worker):
    with pytest.raises(RefusedError) as refused:
        worker.submit("break_down", Priority.CLICK).result(ENOUGH_S)

    assert "written to the log" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_killed_process_fails_what_had_begun_and_does_what_had_not(worker, said):
    call = worker.submit("count", Priority.PROPAGATION, upto=1000, pause_s=0.05)
    waiting = worker.submit("echo", Priority.CLIP, words="later")
    steps = []
    while len(steps) < 3:
        told = take(call)
        steps += [told.what] if told.kind == "step" else []

    os.kill(worker.pid, signal.SIGKILL)

    failed = heard(call)[-1]
    assert failed.kind == "failed"
    assert "SIGKILL" in failed.what.sentence
    assert failed.what.code == "worker"
    assert waiting.result(ENOUGH_S) == "later"
    assert [state for state, _ in said] == ["up", "down", "up"]


def test_a_process_that_cannot_begin_is_given_up_with_a_reason(tmp_path):
    worker = Worker("test", worker_tasks.cannot_begin, tmp_path, told=lambda *_: None)
    call = worker.submit("echo", Priority.CLICK, words="never")
    worker.start()

    with pytest.raises(RefusedError, match="The test process ended"):
        call.result(ENOUGH_S)
    worker.stop()


def test_an_order_that_cannot_be_sent_is_given_up_and_leaves_no_process_behind(tmp_path):
    worker = Worker("unsent", worker_tasks.make_tasks, tmp_path)
    call = worker.submit("echo", Priority.CLICK, words=threading.Lock())
    worker.start()

    with pytest.raises(RefusedError, match="unsent process cannot be started"):
        call.result(ENOUGH_S)
    assert worker.submit("echo", Priority.CLICK, words="on").result(ENOUGH_S) == "on"
    assert [one.name for one in multiprocessing.active_children()].count("unsent") == 1
    worker.stop()


def test_an_order_that_cannot_be_read_is_given_up_and_the_worker_goes_on(worker):
    call = worker.submit("echo", Priority.CLICK, words=worker_tasks.Unreadable())

    with pytest.raises(RefusedError, match="The test process ended"):
        call.result(ENOUGH_S)

    assert worker.submit("echo", Priority.CLICK, words="on").result(ENOUGH_S) == "on"


def test_stopping_ends_the_process_even_in_the_middle_of_a_step(worker):
    pid = worker.submit("pid", Priority.CLICK).result(ENOUGH_S)
    call = worker.submit("count", Priority.CLIP, upto=2, pause_s=60)
    wait_for(lambda: take(call).kind == "begun", "the long step")

    worker.stop()

    assert not is_alive(pid)
    assert call.take(0) is None, "the step of a minute was not waited for"


IMPATIENT_S = 5


@pytest.fixture
def impatient(tmp_path, said):
    """A worker whose process is given up after a few seconds of silence."""
    one = Worker(
        "test",
        worker_tasks.make_tasks,
        tmp_path,
        told=lambda *what: said.append(what),
        silence_s=IMPATIENT_S,
    )
    one.start()
    yield one
    one.stop()


def test_a_process_that_hangs_is_replaced_and_what_it_delivered_stands(impatient, said):
    call = impatient.submit("count", Priority.PROPAGATION, upto=1000, pause_s=0.05)
    waiting = impatient.submit("echo", Priority.CLIP, words="later")
    while take(call).kind != "step":
        continue
    hung = impatient.pid

    os.kill(hung, signal.SIGSTOP)

    failed = heard(call)[-1]
    assert failed.kind == "failed"
    assert "did not answer any more" in failed.what.sentence
    assert waiting.result(ENOUGH_S) == "later"
    assert not is_alive(hung), "two processes on one device would have no room"
    assert [state for state, _ in said] == ["up", "down", "up"]


def test_a_step_that_takes_long_is_not_taken_for_hanging(impatient, said):
    long = impatient.submit("count", Priority.CLIP, upto=1, pause_s=2 * IMPATIENT_S)

    assert long.result(ENOUGH_S) == 1
    assert [state for state, _ in said] == ["up"]


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_a_click_under_way_is_asked_once_more(impatient, how):
    call = impatient.submit("fall", Priority.CLICK, how=how, times=1)

    assert call.result(ENOUGH_S) == 1


def test_a_click_that_ends_every_process_is_given_up_with_the_reason(worker, tmp_path):
    call = worker.submit("fall", Priority.CLICK, how=signal.SIGKILL, times=9)

    with pytest.raises(RefusedError, match="SIGKILL"):
        call.result(ENOUGH_S)
    assert len(list(tmp_path.glob("fall-*"))) == 2
    assert worker.submit("echo", Priority.CLICK, words="on").result(ENOUGH_S) == "on"


def test_a_process_that_closed_its_ears_and_stays_is_killed(impatient):
    pid = impatient.submit("pid", Priority.CLICK).result(ENOUGH_S)

    lost = impatient.submit("fall", Priority.CLIP, how=signal.SIGSTOP, times=1, deafly=True)

    assert heard(lost)[-1].kind == "failed"
    assert impatient.submit("echo", Priority.CLICK, words="on").result(ENOUGH_S) == "on"
    assert not is_alive(pid)


def test_orders_to_a_process_that_reads_nothing_wait_without_holding_anybody(worker):
    pid = worker.submit("pid", Priority.CLICK).result(ENOUGH_S)
    os.kill(pid, signal.SIGSTOP)
    words = "a mask is some kilobytes of run lengths " * 2000

    calls = [worker.submit("echo", Priority.CLICK, words=words) for _ in range(20)]

    os.kill(pid, signal.SIGCONT)
    assert [call.result(ENOUGH_S) for call in calls] == [words] * 20


def test_a_cancel_between_two_processes_is_kept(tmp_path):
    downs = []

    def told(state, message):
        downs.extend([message] * (state == "down"))
        if len(downs) == 2:
            call.cancel()

    worker = Worker("test", worker_tasks.begins_at_last, tmp_path, told=told)
    call = worker.submit("count", Priority.CLIP, upto=3, name="ran")
    worker.start()

    assert [one.kind for one in heard(call)] == ["cancelled"]
    assert worker.submit("echo", Priority.CLICK, words="on").result(ENOUGH_S) == "on"
    assert not (tmp_path / "ran").exists()
    worker.stop()


def test_a_task_that_had_not_begun_is_cancelled_at_once(worker):
    running = worker.submit("count", Priority.CLICK, upto=1, pause_s=2)
    waiting = worker.submit("count", Priority.CLIP, upto=3)

    waiting.cancel()

    assert [one.kind for one in heard(waiting)] == ["cancelled"]
    assert "done" not in [one.kind for one in iter(lambda: running.take(0), None)]
    assert running.result(ENOUGH_S) == 1


def test_a_system_without_room_for_a_process_is_asked_again(worker, said):
    pid = worker.submit("pid", Priority.CLICK).result(ENOUGH_S)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: any("cannot be started" in what for _, what in said), "the failure")
        call = worker.submit("echo", Priority.CLICK, words="at last")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert call.result(ENOUGH_S) == "at last"


def test_answers_are_awaited_without_a_thread_each(worker):
    threads = threading.active_count()

    async def ask():
        calls = [worker.submit("echo", Priority.CLICK, words=str(number)) for number in range(50)]
        answers = asyncio.gather(*(call.answer(ENOUGH_S) for call in calls))
        await asyncio.sleep(0)
        assert threading.active_count() == threads
        return await answers

    assert asyncio.run(ask()) == [str(number) for number in range(50)]


def test_who_stops_waiting_leaves_the_task_to_its_end(worker):
    async def give_up():
        call = worker.submit("count", Priority.CLICK, upto=3, pause_s=0.2)
        waiting = asyncio.ensure_future(call.answer(ENOUGH_S))
        await asyncio.sleep(0)
        waiting.cancel()
        return call

    assert heard(asyncio.run(give_up()))[-1].what == 3


def test_an_answer_that_does_not_come_is_given_up_with_a_sentence(worker):
    call = worker.submit("count", Priority.CLICK, upto=1, pause_s=3)

    with pytest.raises(RefusedError, match=r"did not answer within 0\.5 seconds") as refused:
        asyncio.run(call.answer(0.5))

    assert (refused.value.notice.code, refused.value.notice.status) == ("slow", 504)
    assert worker.submit("echo", Priority.CLICK, words="on").result(ENOUGH_S) == "on"


PARENT = """
import sys, time
from pathlib import Path
from app.workers.worker import Priority, Worker
from tests.app.workers import worker_tasks

if __name__ == "__main__":
    worker = Worker("test", worker_tasks.make_tasks, Path(sys.argv[1]), told=lambda *_: None)
    worker.start()
    pid = worker.submit("pid", Priority.CLICK).result(60)
    worker.submit("count", Priority.CLIP, upto=2, pause_s=60)
    print(pid, flush=True)
    time.sleep(60)
"""


def test_the_process_ends_when_its_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        pid = int(parent.stdout.readline())

        parent.kill()

        wait_for(lambda: not is_alive(pid), "the end of the worker", 10)
