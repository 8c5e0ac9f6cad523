"""A warm worker keeps a process for many runs, and says so when it loses one."""

import os
import signal
import threading
import time
from datetime import datetime

import pytest

from mapnode.jobs.failures import ending_of
from mapnode.records import JobState
from mapnode.runners import worker as worker_module
from mapnode.runners.worker import WorkerLost, WorkerNotStarted, WorkerState
from operators.core.contract import Job, Status
from tests.mapnode.runners.toy import ENOUGH_S, LOOP, is_gone
from tests.node_under_test import wait_for


def test_its_process_is_told_how_many_threads_it_has(toy, folders, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    worker = toy("result(timings_s={'threads': float(os.environ['OMP_NUM_THREADS'])}); finish()", threads=3)

    assert worker.run(*folders, Job(), timeout_s=ENOUGH_S).timings_s == {"threads": 3}


def test_runs_share_one_process(toy, folders):
    worker = toy("result(timings_s={'runs': runs}); finish()")

    results = [worker.run(*folders, Job(), timeout_s=ENOUGH_S) for _ in range(3)]

    assert [(r.status, r.timings_s["runs"]) for r in results] == [(Status.DONE, n) for n in (1, 2, 3)]
    assert worker.runs == 3


def test_an_idle_process_is_told_what_to_read_ahead(toy, folders, tmp_path):
    loop = LOOP.replace(
        "    source, target",
        "    if 'files' in order:\n        told = order['files']\n        continue\n    source, target",
    )
    worker = toy("result(reasons=[{'code': 'told', 'message': told[0]}]); finish()", loop=loop)
    worker.warm_up()
    worker.read_ahead([tmp_path / "a.dcm"])

    result = worker.run(*folders, Job(), timeout_s=ENOUGH_S)

    assert [reason.message for reason in result.reasons] == [str(tmp_path / "a.dcm")]


def test_reading_ahead_starts_no_process_and_waits_for_no_run(toy, folders, tmp_path):
    worker = toy("time.sleep(60)")
    worker.read_ahead([tmp_path / "a.dcm"])
    before = worker.pid

    def run():
        with pytest.raises(WorkerLost):
            worker.run(*folders, Job(), timeout_s=ENOUGH_S)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: worker.state is WorkerState.BUSY, ENOUGH_S, "the run")
    worker.read_ahead([tmp_path / "a.dcm"])
    worker.stop()
    thread.join()

    assert before is None


def test_nothing_starts_before_it_is_asked_for(toy):
    assert toy().pid is None


def test_a_warmed_up_worker_runs_in_the_process_that_was_started(toy, folders):
    worker = toy()
    worker.warm_up()
    pid = worker.pid

    worker.run(*folders, Job(), timeout_s=ENOUGH_S)

    assert pid is not None
    assert worker.pid == pid


def test_the_order_reaches_the_worker(toy, folders):
    worker = toy("result(identity=order['job']['identity'], clock=order['job']['clock']); finish()")
    job = Job(identity="ab" * 32, clock=datetime(2025, 1, 2, 10, 15, 30), parameters={"p": 1})

    result = worker.run(*folders, job, timeout_s=ENOUGH_S)

    assert (result.identity, result.clock) == ("ab" * 32, "2025-01-02T10:15:30")


def test_progress_lines_are_passed_on_and_other_lines_are_not(toy, folders):
    worker = toy("print('hello'); say(operator='Load', fraction=0.5); result(); finish()")
    seen = []

    worker.run(*folders, Job(), timeout_s=ENOUGH_S, on_progress=seen.append)

    assert [(p.operator, p.fraction) for p in seen] == [("Load", 0.5)]


def test_a_crash_in_the_middle_is_a_lost_worker_and_the_next_run_has_a_new_process(toy, folders, tmp_path):
    marker = tmp_path / "crashed"
    worker = toy(
        f"if not os.path.exists({str(marker)!r}):\n"
        f"    open({str(marker)!r}, 'w').close(); sys.exit(7)\n"
        "result(timings_s={'runs': runs}); finish()"
    )
    worker.warm_up()
    first = worker.pid

    with pytest.raises(WorkerLost, match="exit code 7"):
        worker.run(*folders, Job(), timeout_s=ENOUGH_S)
    lost = worker.pid
    result = worker.run(*folders, Job(), timeout_s=ENOUGH_S)

    assert (lost, is_gone(first)) == (None, True)
    assert result.timings_s == {"runs": 1}
    assert (worker.pid != first, worker.runs) == (True, 1)


def test_death_by_signal_is_named(toy, folders):
    with pytest.raises(WorkerLost, match="signal 9"):
        toy("os.kill(os.getpid(), 9)").run(*folders, Job(), timeout_s=ENOUGH_S)


def test_a_worker_that_died_between_two_runs_is_replaced_in_silence(toy, folders):
    worker = toy("result(timings_s={'runs': runs}); finish()")
    worker.run(*folders, Job(), timeout_s=ENOUGH_S)
    assert worker._child is not None
    worker._child.kill()
    wait_for(lambda: worker.pid is None, ENOUGH_S, "the process to end")

    result = worker.run(*folders, Job(), timeout_s=ENOUGH_S)

    assert result.timings_s == {"runs": 1}


def test_a_run_that_takes_too_long_is_killed_and_says_so(toy, folders):
    worker = toy("time.sleep(60)")
    worker.warm_up()
    pid = worker.pid

    with pytest.raises(WorkerLost, match=r"took longer than 0\.3 s and was killed"):
        worker.run(*folders, Job(), timeout_s=0.3)

    assert is_gone(pid)


def test_a_start_that_takes_too_long_is_killed_and_says_so(toy, folders):
    worker = toy(start="time.sleep(600); sys.exit(0)\n")
    started = time.monotonic()

    with pytest.raises(WorkerLost, match=r"took longer than 0\.3 s and was killed"):
        worker.run(*folders, Job(), timeout_s=0.3)

    assert time.monotonic() - started < 60


def test_a_worker_that_does_not_start_says_its_last_words(toy):
    worker = toy(start="sys.exit('no such model')\n")

    with pytest.raises(WorkerNotStarted, match="exit code 1; last words: no such model"):
        worker.warm_up()

    assert worker.pid is None


def test_last_words_say_nothing_that_a_library_quotes(toy, folders):
    worker = toy("""raise ValueError("Unable to convert 'Doe^Jane' to a date")""")

    with pytest.raises(WorkerLost) as lost:
        worker.run(*folders, Job(), timeout_s=ENOUGH_S)

    assert "Unable to convert" in str(lost.value)
    assert "Doe" not in str(lost.value)


@pytest.mark.parametrize(
    ("in_run", "words"),
    [
        ("result('done'); finish(3)", "ended with 3, but says done"),
        ("result('refused'); finish(0)", "ended with 0, but says refused"),
        ("finish(0)", "left no valid result.json"),
        ("open(os.path.join(target, 'result.json'), 'w').close(); finish(0)", "left no valid result.json"),
    ],
)
def test_a_result_and_an_exit_code_that_disagree_are_a_failure(toy, folders, in_run, words):
    worker = toy(in_run)

    result = worker.run(*folders, Job(), timeout_s=ENOUGH_S)

    assert result.status is Status.FAILED
    assert words in result.reasons[0].message
    assert worker.pid is not None


@pytest.mark.parametrize(("status", "code"), [("refused", 3), ("not_applicable", 4), ("failed", 1)])
def test_a_run_that_ends_as_agreed_keeps_its_process(toy, folders, status, code):
    worker = toy(f"result({status!r}); finish({code})")

    results = [worker.run(*folders, Job(), timeout_s=ENOUGH_S) for _ in range(2)]

    assert [r.status for r in results] == [Status(status)] * 2
    assert worker.runs == 2


def test_a_flood_on_both_channels_does_not_block_a_run(toy, folders):
    worker = toy("for _ in range(20000): print('o' * 50); print('e' * 50, file=sys.stderr)\nresult(); finish()")

    assert worker.run(*folders, Job(), timeout_s=ENOUGH_S).status is Status.DONE


def test_runs_of_two_threads_come_one_after_another(toy, folders, tmp_path):
    worker = toy(
        f"log = open({str(tmp_path / 'log')!r}, 'a'); log.write('begin '); log.flush(); time.sleep(0.1)\n"
        "log.write('end '); log.close(); result(); finish()"
    )
    threads = [
        threading.Thread(target=worker.run, args=(*folders, Job()), kwargs={"timeout_s": ENOUGH_S}) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (tmp_path / "log").read_text() == "begin end begin end "


def test_stopping_ends_the_process_and_a_later_run_starts_another(toy, folders):
    worker = toy()
    worker.run(*folders, Job(), timeout_s=ENOUGH_S)
    pid = worker.pid

    worker.stop()
    stopped = worker.pid
    worker.run(*folders, Job(), timeout_s=ENOUGH_S)

    assert (stopped, is_gone(pid)) == (None, True)
    assert worker.pid not in {None, pid}


def test_stopping_twice_or_before_a_start_is_harmless(toy):
    worker = toy()
    worker.stop()
    worker.stop()

    assert worker.pid is None


def test_idle_process_that_does_not_answer_is_replaced_before_a_run(toy, folders, monkeypatch):
    monkeypatch.setattr(worker_module, "PING_TIMEOUT_S", 0.3)
    worker = toy("result(timings_s={'runs': runs}); finish()")
    worker.run(*folders, Job(), timeout_s=ENOUGH_S)
    hung = worker.pid
    os.kill(hung, signal.SIGSTOP)

    result = worker.run(*folders, Job(), timeout_s=ENOUGH_S)

    assert result.timings_s == {"runs": 1}
    assert is_gone(hung)


def test_killed_worker_takes_the_processes_that_it_started_along(toy, folders, tmp_path):
    pid_file = tmp_path / "grandchild"
    worker = toy(
        "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(pid_file)!r}, 'w').write(str(child.pid)); say(operator='Load', fraction=0.1); time.sleep(60)"
    )

    worker.warm_up()

    with pytest.raises(WorkerLost):
        worker.run(*folders, Job(), timeout_s=3.0)

    wait_for(lambda: is_gone(int(pid_file.read_text())), ENOUGH_S, "the grandchild to end")


def test_worker_says_what_it_does(toy, folders):
    worker = toy("say(operator='Load', fraction=0.1); result(); finish()")
    states = [worker.state]

    worker.run(*folders, Job(), timeout_s=ENOUGH_S, on_progress=lambda _: states.append(worker.state))
    states.append(worker.state)
    worker.stop()

    assert [*states, worker.state] == [
        WorkerState.STOPPED,
        WorkerState.BUSY,
        WorkerState.IDLE,
        WorkerState.STOPPED,
    ]


def test_closed_worker_starts_nothing_any_more(toy, folders):
    worker = toy()
    worker.close()

    with pytest.raises(WorkerLost):
        worker.run(*folders, Job(), timeout_s=ENOUGH_S)

    assert worker.pid is None


def test_a_run_whose_listener_fails_leaves_no_answer_for_the_next_run(toy, folders):
    worker = toy("say(operator='Load', fraction=0.1); time.sleep(0.3); result(timings_s={'runs': runs}); finish()")

    def fails(_):
        raise RuntimeError("the records cannot be written")

    with pytest.raises(RuntimeError):
        worker.run(*folders, Job(), timeout_s=ENOUGH_S, on_progress=fails)
    folder = folders[1].with_name("next")
    folder.mkdir()
    result = worker.run(folders[0], folder, Job(), timeout_s=ENOUGH_S)

    assert (result.status, result.timings_s) == (Status.DONE, {"runs": 1})


def test_a_process_that_an_app_leaves_in_a_session_of_its_own_holds_up_nobody_and_is_ended(toy, folders, tmp_path):
    note = tmp_path / "pid"
    worker = toy(
        "import subprocess\n"
        "left = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"open({str(note)!r}, 'w').write(str(left.pid))\n"
        "time.sleep(60)"
    )
    worker.warm_up()
    ended = []

    def run():
        with pytest.raises(WorkerLost, match="took longer"):
            worker.run(*folders, Job(), timeout_s=3.0)
        ended.append(True)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=120)

    assert ended
    wait_for(lambda: is_gone(int(note.read_text())), 120, "the end of what it left")


def test_an_output_that_takes_no_more_is_a_full_disk_and_no_fault_of_the_input(toy, folders):
    worker = toy("finish(2)")

    with pytest.raises(OSError, match="could not write its results") as failed:
        worker.run(*folders, Job(), timeout_s=ENOUGH_S)

    ending = ending_of(failed.value, JobState.RUNNING, 100)
    assert (ending.state, ending.reason) == (JobState.QUEUED, "the disk is full; tried again when there is room")
    assert worker.state is WorkerState.IDLE
