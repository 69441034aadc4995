"""Making tables: what is run, what is left alone, and what happens when a run fails."""

import sys
import threading
import time

import pytest

from dynbench.reporting import make
from dynbench.reporting.process_pool import ProcessPool, describe


def call(lab, *arguments):
    return make.main(["--results-dir", str(lab.results), "--work-dir", str(lab.work), *arguments])


def table_text(lab, ending="csv"):
    return (lab.results / "tables" / f"lab_table1.{ending}").read_text()


# Runnable at quick: Good on alpha and beta, Heavy on alpha; three seeds each.
RUNS = 9


def test_what_is_missing_is_run_and_finished_runs_are_left_alone(lab, fake, capsys):
    assert call(lab) == 0
    assert len(fake.commands) == RUNS
    assert "9 finished, 0 failed" in capsys.readouterr().out
    assert ",90,0,3," in table_text(lab)
    assert call(lab) == 0
    assert len(fake.commands) == RUNS


def test_a_command_says_everything(lab, fake):
    call(lab, "--only", "row=heavy,column=alpha", "--budget", "smoke", "--set", "trainer.precision=2")
    (command,) = fake.commands
    assert command[0] == sys.executable
    assert command[1] == str(lab.conf.parent / "run.py")
    said = ["protocol=pairs", "data=alpha", "model=good", "model.weights=heavy", "trainer.precision=2"]
    assert command[2:] == [
        *said,
        "budget=smoke",
        "seed=0",
        "progress=false",
        f"results_dir='{lab.results}'",
        f"work_dir='{lab.work}'",
    ]


def test_first_seeds_come_first(lab, fake):
    call(lab)
    seeds = [next(word for word in command if word.startswith("seed=")) for command in fake.commands]
    assert seeds == ["seed=0"] * 3 + ["seed=1"] * 3 + ["seed=2"] * 3


def test_a_failing_run_stops_nothing_and_is_tried_again_once(lab, fake, capsys):
    fake.behaviour = {"good-alpha": "NaN in the loss"}
    assert call(lab) == 1
    assert len(fake.commands) == RUNS
    said = capsys.readouterr()
    assert "failed: lab_table1, Good, Alpha, seed 0: NaN in the loss" in said.err
    # A failure is told, and changes nothing that is committed.
    assert "NaN" not in table_text(lab)
    assert table_text(lab).count(",not_run,") == 4  # Good and Heavy, two metrics
    fake.behaviour, fake.commands = {}, []
    assert call(lab) == 0
    assert len(fake.commands) == 6
    assert "NaN" not in table_text(lab)


def test_a_killed_run_leaves_a_reason(lab, fake, capsys):
    fake.behaviour = {"good-alpha-pairs-quick-s1": -9, "good-beta": 2}
    assert call(lab) == 1
    said = capsys.readouterr().err
    assert "Good, Alpha, seed 1: the process was ended by SIGKILL (out of memory?)" in said
    assert "Good, Beta, seed 0: the process ended with exit code 2: the disk is full" in said
    kept = lab.store.spooled(lab.identity("model=good", "data=alpha", "protocol=pairs", "budget=quick", "seed=1"))
    assert kept.reason == "the process was ended by SIGKILL (out of memory?)"


def test_a_run_that_cannot_be_started_stops_nothing(lab, fake):
    fake.behaviour = {"good-beta": OSError("no such program")}
    assert call(lab) == 1
    assert len(fake.commands) == RUNS


@pytest.mark.parametrize(("flag", "tried"), [((), RUNS - 2), (("--force-failed",), RUNS)])
def test_absent_data_is_no_failure_and_is_asked_for_once(lab, fake, flag, tried, capsys):
    fake.behaviour = {"good-beta": "dataset 'beta' is not available; looked in /x/y."}
    assert call(lab, *flag) == 0
    assert len(fake.commands) == tried
    assert "3 without their data" in capsys.readouterr().out


def test_runs_and_fits_are_counted_and_a_fit_is_learnt_once(lab, fake, capsys):
    lab.add("rows", "name: asked, label: Asked less, overrides: [model=good, protocol.asked=half]")
    assert call(lab, "--jobs", "3") == 0
    # On alpha the new row shares the fits of Good; on beta Good has other settings.
    assert "planned: 15 runs, 12 fits; missing: 15 runs, 12 fits" in capsys.readouterr().out
    call(lab)
    assert "missing: 0 runs, 0 fits" in capsys.readouterr().out


def test_what_was_run_by_hand_is_published(lab, fake):
    words = ("model=good", "data=alpha", "protocol=pairs", "budget=quick", "seed=0")
    lab.record(*words, metrics={"auc": 0.7, "ap": 0.6}, publish=False)
    assert list(lab.store.published.all()) == []
    assert call(lab, "--no-run") == 0
    assert [run.metrics["auc"] for run in lab.store.published.all()] == [0.7]
    assert "1 of 3 runs" in table_text(lab)


def test_pruning_removes_what_no_table_uses(lab, fake, capsys):
    call(lab)
    lab.record(
        "model=good", "model.dim=99", "data=alpha", "protocol=pairs", "budget=quick", "seed=0", metrics={"auc": 1}
    )
    assert len(list(lab.store.published.all())) == RUNS + 1
    assert call(lab, "--no-run", "--prune") == 0
    assert "pruned: 1 runs" in capsys.readouterr().out
    assert len(list(lab.store.published.all())) == RUNS


def test_smoke_writes_nothing_that_is_committed(lab, fake, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert make.main(["--budget", "smoke", "--no-run"]) == 0
    assert (tmp_path / "runs" / "smoke" / "tables" / "lab_table1.md").is_file()
    assert not (tmp_path / "results" / "tables").exists()


def test_no_run_only_writes(lab, fake):
    assert call(lab, "--no-run") == 0
    assert fake.commands == []
    assert all(table_text(lab, ending) for ending in ("md", "csv", "tex"))


def test_runs_shared_by_tables_are_run_once(lab, fake):
    text = (lab.conf / "table" / "lab_table1.yaml").read_text()
    lab.put("table", "lab_table2", text.replace("table: 1", "table: 2"))
    assert call(lab, "--tables", "lab_table1", "lab_table2") == 0
    assert len(fake.commands) == RUNS
    assert ",90,0,3," in (lab.results / "tables" / "lab_table2.csv").read_text()


def test_several_jobs(lab, fake):
    assert call(lab, "--jobs", "3") == 0
    assert (len(fake.commands), fake.single_thread) == (RUNS, {True})


def test_interrupting_writes_the_tables(lab, fake, monkeypatch, capsys):
    def interrupted(*arguments):
        for count, done in enumerate(real(*arguments)):
            if count == 2:
                raise KeyboardInterrupt
            yield done

    real = make.schedule.carry_out
    monkeypatch.setattr(make.schedule, "carry_out", interrupted)
    assert call(lab) == make.INTERRUPTED
    assert "interrupted" in capsys.readouterr().err
    published = {run.name for run in lab.store.published.all()}
    assert len(published) >= 2
    assert {path.stem for path in lab.work.rglob("records/*/*.json")} == set(map(str, published))
    assert table_text(lab).count(";good-") + table_text(lab).count(",good-") == 2 * len(published)


def test_mistakes_are_said_in_a_sentence(lab, fake, capsys):
    assert call(lab, "--only", "row=goood") == 2
    assert "--only: 'row=goood'" in capsys.readouterr().err
    assert call(lab, "--tables", "lab_table7") == 2
    assert "did you mean 'lab_table1'" in capsys.readouterr().err
    assert call(lab, "--budget", "fast") == 2
    assert fake.commands == []


def test_no_half_written_table_is_left(lab, fake):
    call(lab)
    assert {path.suffix for path in (lab.results / "tables").iterdir()} == {".md", ".csv", ".tex"}
    assert len(list(lab.store.published.all())) == RUNS


def test_a_process_and_its_end():
    code, words = ProcessPool().run([sys.executable, "-c", "print('a'); raise SystemExit('b')"], single_thread=True)
    assert (code, words.split()) == (1, ["a", "b"])
    assert describe(code, words) == "the process ended with exit code 1: b"
    assert describe(-15, "") == "the process was ended by SIGTERM"


def test_stopping_ends_what_runs_and_starts_no_more():
    brood, ends = ProcessPool(), []
    # A shell's background jobs, and the tests among them, are started deaf to Ctrl-C.
    program = "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler); time.sleep(60)"
    thread = threading.Thread(target=lambda: ends.append(brood.run([sys.executable, "-c", program], False)))
    thread.start()
    while not brood._running:
        time.sleep(0.01)
    time.sleep(0.2)
    brood.stop()
    thread.join(10)
    assert ends
    assert ends[0][0] != 0
    with pytest.raises(OSError, match="stopped"):
        brood.run([sys.executable, "-c", ""], False)
