"""MapApplication: every end of a run is a status with its reasons; only a complete run leaves files."""

import json
from pathlib import Path
from typing import ClassVar

import pytest

from operators.core.contract import JOB_VARIABLE, ExitCode, Job, Result, Status
from operators.core.errors import InputRefused, NotApplicable, SegmentationError
from operators.core.findings import Finding, FindingCode
from operators.core.manifest import (
    ApplicationPart,
    Condition,
    Criteria,
    Manifest,
    Model,
    NodePart,
    Resources,
    VolumeProperty,
)
from operators.runtime.application import MapApplication, RunContext, explain, main, run
from operators.runtime.monitor import Monitor
from operators.runtime.step import Step

FINDING = Finding(FindingCode.GANTRY_TILT, "tilted", ("1.2.3",), ("a.dcm",))
RESULT = "result.json"


class Count(Step):
    output: ClassVar[str] = "number"
    share: ClassVar[float] = 2.0

    def process(self):
        self.report(0.5, "half")
        return 21


class Write(Step):
    """Writes a file and then, where the parameters say so, fails."""

    inputs: ClassVar[tuple[str, ...]] = ("number",)
    output: ClassVar[str] = "path"
    share: ClassVar[float] = 3.0

    def process(self, number):
        folder, error = self.parameters
        path = folder / "number.txt"
        path.write_text(str(number))
        if error is not None:
            raise error
        return path


class WriteFolder(Write):
    def process(self, number):
        folder, error = self.parameters
        (folder / "frames").mkdir()
        (folder / "frames" / "1.txt").write_text(str(number))
        raise error


class Finish(Step):
    inputs: ClassVar[tuple[str, ...]] = ("number", "path")

    def process(self, number, path):
        self.parameters.fields.update(identity="ab" * 32, clock=f"{number} in {path.name}")


class TinyApp(MapApplication):
    """Count, write, finish."""

    writer = Write
    error = None

    def compose(self):
        context = self.run_context
        self.connect(
            Count(self),
            self.writer(self, (context.output_folder, self.error)),
            Finish(self, context.outcome),
        )


def failing_with(problem, writer_class=Write):
    class FailingApp(TinyApp):
        error = problem
        writer = writer_class

    return FailingApp


def make_manifest() -> Manifest:
    return Manifest(
        application=ApplicationPart(title="tiny_app", version="1.2.3", summary="A test"),
        resources=Resources(),
        mapnode=NodePart(
            input=Criteria(must={VolumeProperty.MODALITY: Condition(any_of=("CT",))}),
            model=Model(engine="classical", licence="none"),
            outputs=(),
            intended_use="Tests",
            refuses=(),
            weak_points=(),
            parameters={"threshold": 3, "depth": 1},
        ),
    )


@pytest.fixture
def context(tmp_path) -> RunContext:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    return RunContext(tmp_path / "in", tmp_path / "out", None, make_manifest())


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_complete_run_leaves_its_files_and_its_result(context):
    result = run(TinyApp, context)

    assert (result.status, result.exit_code) == (Status.DONE, ExitCode.DONE)
    assert names_in(context.output_folder) == {"number.txt", RESULT}
    assert (result.identity, result.clock) == ("ab" * 32, "21 in number.txt")
    assert set(result.timings_s) == {"Count", "Write", "Finish", "total"}
    assert (result.app, result.version) == ("tiny_app", "1.2.3")


def test_result_json_is_what_run_returns(context):
    result = run(TinyApp, context)

    assert Result.model_validate_json((context.output_folder / RESULT).read_text()) == result


def test_progress_never_goes_back_and_ends_at_1(context):
    heard = []

    run(TinyApp, context, heard.append)

    fractions = [progress.fraction for progress in heard]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    assert ("Count", "half") in {(progress.operator, progress.message) for progress in heard}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InputRefused([FINDING]), Status.REFUSED, "gantry_tilt"),
        (NotApplicable(["no CT"]), Status.NOT_APPLICABLE, "criteria_not_met"),
        (SegmentationError("no body"), Status.NOT_APPLICABLE, "anatomy_not_found"),
        (RuntimeError("no spine"), Status.FAILED, "operator_failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_run_that_fails_says_why_and_leaves_nothing_else(context, error, status, code):
    (context.output_folder / "older.txt").write_text("kept")

    result = run(failing_with(error), context)

    assert result.status is status
    assert [reason.code for reason in result.reasons] == [code]
    assert names_in(context.output_folder) == {"older.txt", RESULT}
    assert (result.identity, result.outputs, result.measurements) == (None, (), ())


def test_failed_run_names_the_operator(context):
    result = run(failing_with(RuntimeError("no spine")), context)

    assert result.reasons[0].message == "operator Write failed: RuntimeError: no spine"


def test_refusal_keeps_instances_and_files(context):
    (reason,) = run(failing_with(InputRefused([FINDING])), context).reasons

    assert (reason.message, reason.instances, reason.files) == ("tilted", ("1.2.3",), ("a.dcm",))


def test_folder_of_a_failed_run_goes_too(context):
    run(failing_with(RuntimeError("no spine"), WriteFolder), context)

    assert names_in(context.output_folder) == {RESULT}


def test_app_that_cannot_be_composed_fails_with_its_name(context):
    class Broken(MapApplication):
        def compose(self):
            raise ValueError("no such operator")

    result = run(Broken, context)

    assert result.status is Status.FAILED
    assert "tiny_app" in result.reasons[0].message
    assert "no such operator" in result.reasons[0].message


def test_graph_that_never_fills_its_record_is_incomplete(context):
    class Forgetful(MapApplication):
        def compose(self):
            self.connect(Count(self), Write(self, (self.run_context.output_folder, None)))

    result = run(Forgetful, context)

    assert (result.status, result.reasons[0].code) == (Status.FAILED, "incomplete")
    assert names_in(context.output_folder) == {RESULT}


def test_connect_refuses_a_port_without_a_source(context):
    application = TinyApp(context, Monitor())

    with pytest.raises(ValueError, match=r"no step emits \['path'\] that Finish needs"):
        application.connect(Count(application), Finish(application, context.outcome))


def test_connect_refuses_two_sources_of_one_name(context):
    application = TinyApp(context, Monitor())

    with pytest.raises(ValueError, match="two steps emit 'number': Count and Again"):
        application.connect(Count(application), Count(application, name="Again"))


def test_job_replaces_parameters_of_the_manifest(context):
    job = Job(parameters={"threshold": 7})
    replaced = RunContext(context.input_folder, context.output_folder, None, context.manifest, job)

    assert context.parameters == {"threshold": 3, "depth": 1}
    assert replaced.parameters == {"threshold": 7, "depth": 1}


def test_a_reference_set_is_part_of_what_the_identity_depends_on(context, tmp_path):
    path = tmp_path / "set.json"
    seen = []

    for content in (b"one", b"other"):
        path.write_bytes(content)
        job = Job(reference=str(path))
        held = RunContext(context.input_folder, context.output_folder, None, context.manifest, job)
        seen.append(held.identity_parameters)

    assert "reference" not in context.identity_parameters
    assert seen[0] != seen[1]
    assert {name: seen[0][name] for name in context.parameters} == context.parameters


def test_explanation_of_a_choice_lists_each_series():
    status, reasons = explain(NotApplicable(["series 1: MR", "series 2: short"]))

    assert status is Status.NOT_APPLICABLE
    assert [reason.message for reason in reasons] == ["series 1: MR", "series 2: short"]


class TestMain:
    """The process: folders from arguments, the job from MAPNODE_JOB, an exit code."""

    @pytest.fixture
    def call(self, context, tmp_path, monkeypatch):
        monkeypatch.delenv(JOB_VARIABLE, raising=False)
        app_file = tmp_path / "app.py"
        (tmp_path / "app.yaml").write_text(json.dumps(context.manifest.model_dump(mode="json")))

        def start(app=TinyApp, source="in", target="out"):
            return main(app, str(app_file), ["app.py", "-i", str(tmp_path / source), "-o", str(tmp_path / target)])

        return start

    def test_complete_run_exits_with_0_and_progress_lines_alone_on_stdout(self, call, capfd):
        code = call()

        lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
        assert code == ExitCode.DONE
        assert lines[-1]["fraction"] == 1
        assert {line["operator"] for line in lines} == {"Count", "Write", "Finish"}

    @pytest.mark.parametrize(
        ("error", "code"), [(InputRefused([FINDING]), 3), (NotApplicable(["no CT"]), 4), (RuntimeError("no spine"), 1)]
    )
    def test_other_ends_give_their_code_and_a_reason_on_stderr(self, call, capfd, error, code):
        assert call(failing_with(error)) == code

        assert explain_text(error) in capfd.readouterr().err

    @pytest.mark.parametrize("folder", [{"source": "absent"}, {"source": "app.yaml"}, {"target": "app.yaml"}])
    def test_folder_that_cannot_be_used_is_wrong_use(self, call, capfd, folder):
        """The SDK's own parser ends the process itself, with the code that the contract has for it."""
        try:
            code = call(**folder)
        except SystemExit as end:
            code = end.code

        assert code == ExitCode.WRONG_USE
        assert next(iter(folder.values())) in capfd.readouterr().err

    @pytest.mark.parametrize("job", ['{"parameters": {"speed": 1}}', '{"identity": "short"}', "no JSON"])
    def test_job_that_cannot_be_is_wrong_use(self, call, capfd, monkeypatch, job):
        monkeypatch.setenv(JOB_VARIABLE, job)

        assert call() == ExitCode.WRONG_USE

        assert "wrong use: " in capfd.readouterr().err

    def test_broken_manifest_is_wrong_use(self, call, capfd, tmp_path):
        (tmp_path / "app.yaml").write_text("application: {}")

        assert call() == ExitCode.WRONG_USE
        assert "application.title" in capfd.readouterr().err


def explain_text(error) -> str:
    """What a person has to read about each of the errors above."""
    return {"InputRefused": "gantry_tilt: tilted", "NotApplicable": "no CT", "RuntimeError": "no spine"}[
        type(error).__name__
    ]
