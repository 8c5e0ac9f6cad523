"""Demo: the main job, whole: a scanner sends a CT to the node, SEG and SR come back into Orthanc.

The study is the digital phantom, whose volumes are known, or a folder of one's own. Everything that the demo starts
it stops; its exit code is that of the job, or 1 where the phantom was measured wrong.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import yaml
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from mapnode.cli.printing import new_table, print_error, print_line, print_table
from mapnode.cli.run import print_result
from mapnode.database import place_of
from mapnode.errors import NodeError, WrongUse
from mapnode.jobs.ledger import Ledger
from mapnode.node_folder import STATE_NAME
from mapnode.pacs.orthanc_client import OrthancClient
from mapnode.pacs.orthanc_configuration import load_credentials
from mapnode.pacs.orthanc_process import free_port
from mapnode.phantom import Phantom, build_trunk_phantom, write_ct_series
from mapnode.records import Records
from mapnode.records.job_states import ACTIVE
from mapnode.share import import_root
from operators.core.contract import EXIT_CODES, RESULT_NAME, ExitCode, Result, Status
from operators.core.errors import InputRefused
from operators.core.reading import read_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BUILD = Path("build")
SENDER = "SCANNER"
START_TIMEOUT_S = 60.0
JOB_TIMEOUT_S = 600.0
QUIET_S = 6.0
"""So long after the last instance a series that no rule matched is given up."""
LOOK_S = 0.1
STORESCU_OPTIONS = {
    ExplicitVRBigEndian: "-xb",
    DeflatedExplicitVRLittleEndian: "-xd",
    JPEGBaseline8Bit: "-xy",
    JPEGExtended12Bit: "-xx",
    JPEGLosslessSV1: "-xs",
    JPEGLSLossless: "-xt",
    JPEGLSNearLossless: "-xu",
    JPEG2000Lossless: "-xv",
    JPEG2000: "-xw",
    RLELossless: "-xr",
}
"""What makes dcmtk's storescu propose a transfer syntax; native ones it proposes with `-x=`."""
TOLERANCE_PERCENT = 2.0
"""A phantom's tissue has to be measured this well; otherwise the demo fails."""


class NotSent(NodeError):
    """The sender or Orthanc refused the study."""

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED


def demo(study: Path | None) -> int:
    """Send a study to a node of its own and show what happens.

    Args:
        study: Folder with DICOM files; None makes the phantom.

    Returns:
        The exit code.

    Raises:
        WrongUse: If there is nothing to send.
    """
    started = time.perf_counter()
    phantom = None
    if study is None:
        phantom, study = _make_phantom(BUILD / "phantom")
    files = _dicom_files(study)
    with _node(BUILD / "node") as settings:
        _send(files, settings)
        jobs = _follow(Path(settings["var"]))
        _print_stored(settings, jobs)
    code, result = _collect(Path(settings["var"]), jobs, BUILD / "demo")
    wrong = _compare(result, phantom) if result is not None and phantom is not None else []
    for line in wrong:
        print_error(line)
    print_line(f"everything is stopped; {time.perf_counter() - started:.1f} s in all")
    return ExitCode.DEFECT if wrong else code


def _make_phantom(folder: Path) -> tuple[Phantom, Path]:
    shutil.rmtree(folder, ignore_errors=True)
    phantom = build_trunk_phantom()
    files = write_ct_series(
        phantom.hu, phantom.affine_lps, folder, description="Digital trunk phantom", uid_seed="mapnode demo"
    )
    print_line(f"{folder}: digital trunk phantom, {len(files)} CT images, tissue volumes known")
    return phantom, folder


def _dicom_files(folder: Path) -> list[Path]:
    """The DICOM files of a folder.

    Raises:
        WrongUse: If there is no folder, or nothing in it can be sent.
    """
    if not folder.is_dir():
        raise WrongUse(f"the folder {folder} does not exist")
    try:
        found = read_folder(folder)
    except InputRefused as error:
        raise WrongUse(f"{folder}: {error}") from error
    for file in found.skipped:
        print_line(f"not sent: {file.name}: {file.reason}")
    return [instance.path for series in found.series for instance in series.instances]


@contextlib.contextmanager
def _node(folder: Path) -> Iterator[dict[str, Any]]:
    """A node with fresh storage on free ports, and its settings.

    Raises:
        NodeError: If it does not start.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    settings: dict[str, Any] = {
        "rules": str(import_root() / "rules.yaml"),
        "var": str((folder / "var").resolve()),
        "orthanc": {
            "dicom_port": free_port(),
            "http_port": free_port(),
            "modalities": [{"aet": SENDER, "host": "127.0.0.1", "port": 104}],
        },
    }
    (folder / "mapnode.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    with (folder / "node.log").open("w", encoding="utf-8") as log:
        command = [sys.executable, "-m", "mapnode", "up", "--config", str(folder / "mapnode.yaml")]
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - ourselves
        try:
            _wait_until_ready(process, Path(settings["var"]), folder / "node.log")
            print_line(f"node and Orthanc are up (log: {folder / 'node.log'})")
            yield settings
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def _wait_until_ready(process: subprocess.Popen[bytes], var: Path, log: Path) -> None:
    """Wait for the node's sign.

    Raises:
        NodeError: If it ends or takes too long.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (var / STATE_NAME).is_file():
        if process.poll() is not None or time.monotonic() > deadline:
            raise NodeError(f"the node did not start: {log.read_text(encoding='utf-8').strip()[-2000:]}")
        time.sleep(LOOK_S)


def storescu_command(files: Iterable[Path], *, calling: str, called: str, port: int) -> list[list[str]]:
    """The commands that send files as they are: dcmtk proposes one compressed transfer syntax a call.

    Args:
        files: DICOM files.
        calling: Calling AE title.
        called: Called AE title.
        port: Where the node listens, on this machine.

    Returns:
        One command for each transfer syntax.
    """
    by_option: dict[str, list[str]] = {}
    for path in files:
        syntax = read_file_meta_info(path).TransferSyntaxUID
        by_option.setdefault(STORESCU_OPTIONS.get(syntax, "-x="), []).append(str(path))
    # -R proposes only the presentation contexts that the files need.
    head = ["storescu", "-R", "-aet", calling, "-aec", called]
    return [[*head, option, "127.0.0.1", str(port), *paths] for option, paths in sorted(by_option.items())]


def _send(files: list[Path], settings: dict[str, Any]) -> None:
    """C-STORE with dcmtk's storescu, as a scanner would.

    Raises:
        NotSent: If it is refused.
    """
    started = time.perf_counter()
    for command in storescu_command(files, calling=SENDER, called="MAPNODE", port=settings["orthanc"]["dicom_port"]):
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
        if done.returncode != 0:
            raise NotSent(f"storescu could not send: {(done.stderr or done.stdout).strip()[-500:]}")
    print_line(f"sent {len(files)} images with storescu in {time.perf_counter() - started:.1f} s")


def _follow(var: Path) -> list[dict[str, Any]]:
    """Print the stages of all jobs as they end; the jobs when all have.

    Raises:
        NodeError: If no job ends in time.
    """
    ledger, seen = Ledger(place_of(var)), set[tuple[str, str]]()
    started = time.monotonic()
    try:
        while time.monotonic() - started < JOB_TIMEOUT_S:
            jobs = ledger.newest()
            for job in jobs:
                _print_new_stages(job, seen, time.monotonic() - started)
            if jobs and all(job["state"] not in ACTIVE for job in jobs):
                return jobs
            if not jobs and time.monotonic() - started > QUIET_S:
                return []
            time.sleep(LOOK_S)
    finally:
        ledger.close()
    raise NodeError(f"no job ended within {JOB_TIMEOUT_S:g} s")


def _print_new_stages(job: dict[str, Any], seen: set[tuple[str, str]], elapsed_s: float) -> None:
    for name, words in [
        ("job", f"{job['app']} on series ...{job['series_instance_uid'][-12:]}"),
        *((step["name"], f"{step['seconds']:.2f} s") for step in job["steps"] if step["seconds"] is not None),
        *([("end", f"{job['state']} {job['reason']}".strip())] if job["state"] not in ACTIVE else []),
    ]:
        if (job["id"], name) not in seen:
            seen.add((job["id"], name))
            print_line(f"{elapsed_s:5.1f} s  {job['id'][:8]}  {name:<8}{words}")


def _print_stored(settings: dict[str, Any], jobs: list[dict[str, Any]]) -> None:
    """What is now in Orthanc, and how to see it."""
    credentials = load_credentials(Path(settings["var"]) / "orthanc")
    url = f"http://127.0.0.1:{settings['orthanc']['http_port']}"
    with OrthancClient(url, credentials.user, credentials.password) as client:
        for stored in (stored for job in jobs for stored in job["stored"]):
            instance = client.instance(stored["orthanc_id"])
            print_line(f"in Orthanc: {stored['path']:<8} SOP Instance UID {instance.sop_instance_uid}")
    port = settings["orthanc"]["dicom_port"]
    print_line("a node that stays up: `make up`; then, as a workstation that mapnode.yaml names:")
    print_line(
        f"  findscu -S -aet {SENDER} -aec MAPNODE -k 0008,0052=SERIES -k 0020,000D -k 0008,0060 127.0.0.1 {port}"
    )


def _collect(var: Path, jobs: list[dict[str, Any]], target: Path) -> tuple[int, Result | None]:
    """Lay the results of the first finished job into a folder and print them; the exit code of the jobs."""
    shutil.rmtree(target, ignore_errors=True)
    if not jobs:
        _print_decisions(var)
        return ExitCode.NOT_APPLICABLE, None
    chosen = min(jobs, key=lambda job: job["state"] != Status.DONE)
    source = var / "jobs" / chosen["id"] / "output"
    if not (source / RESULT_NAME).is_file():
        print_error(f"{chosen['state']}: {chosen['reason']}")
        return ExitCode.DEFECT, None
    shutil.copytree(source, target)
    result = Result.model_validate_json((target / RESULT_NAME).read_text(encoding="utf-8"))
    print_result(result, target)
    if chosen["state"] != Status.DONE:
        print_error(chosen["reason"])
    known = chosen["state"] in {status.value for status in EXIT_CODES}
    return (result.exit_code if known else ExitCode.DEFECT), result


def _print_decisions(var: Path) -> None:
    """Why no rule matched any series."""
    records = Records(place_of(var).records)
    for decision in records.decisions.all():
        clause = decision.clauses[-1]
        series = f"series ...{decision.series_instance_uid[-12:]}"
        print_error(f"not applicable: {series}: rule {decision.rule}: {clause['text']}, met {clause['met']}")
    records.close()


def _compare(result: Result, phantom: Phantom) -> list[str]:
    """Print measured against true volumes; the tissues that are off by more than the tolerance."""
    table = new_table(
        "segment", "measured mL", "true mL", "difference %", numbers=("measured mL", "true mL", "difference %")
    )
    wrong = []
    measured = {m.segment: m.value for m in result.measurements if m.name == "volume_ml"}
    for name, truth in phantom.truth_volume_ml.items():
        difference = 100 * (measured[name] - truth) / truth
        table.add_row(name, f"{measured[name]:.1f}", f"{truth:.1f}", f"{difference:+.2f}")
        if abs(difference) > TOLERANCE_PERCENT:
            wrong.append(f"{name} is off by {difference:+.2f} %, more than {TOLERANCE_PERCENT:g} %")
    print_table(table)
    return wrong


def main(arguments: list[str]) -> int:
    """Entry point: at most one argument, the study's folder."""
    try:
        return demo(Path(arguments[0]) if arguments else None)
    except NodeError as error:
        print_error(str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
