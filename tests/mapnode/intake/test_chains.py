"""Chains: a result leads to the rule that asked for it, never back to itself, and no deeper than allowed."""

from pydicom import dcmread

from mapnode.records import JobState
from operators.core.identity import derived_uid
from tests.mapnode.engine import SERIES
from tests.mapnode.intake.steps import ANY, IS_CT, all_jobs, settle, states

# chains


def own(files, tmp_path, name="result"):
    """A file that says that mapnode made it."""
    dataset = dcmread(files[0])
    dataset.ImageType, dataset.Manufacturer = ["DERIVED", "PRIMARY"], "mapnode"
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = derived_uid(f"{name}/1"), derived_uid(name)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    path = tmp_path / f"{name}.dcm"
    dataset.save_as(path)
    return path


def run_chain(node, orthanc, records, clock, tmp_path, files, most=12) -> list[str]:
    """Have every job make a result that comes back, as long as jobs follow; the rules that ran."""
    ran = []
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock, 5)
    while len(ran) < most and (job := next(iter(records.jobs.in_states({JobState.QUEUED})), None)):
        ran.append(job.spec.rule)
        result = own(files, tmp_path, f"result-{len(ran)}")
        records.jobs.made(job.id, [str(dcmread(result).SOPInstanceUID)])
        records.jobs.move(job.id, JobState.DONE)
        node.intake.take(orthanc.add(f"result-{len(ran)}", [result]))
        settle(node, clock, 5)
    return ran


def test_a_result_starts_no_rule_that_did_not_ask_for_results(make_node, orthanc, files, records, clock, tmp_path):
    node = make_node({"when": [ANY]})

    assert run_chain(node, orthanc, records, clock, tmp_path, files) == ["rule_0"]


def test_a_rule_is_never_started_by_its_own_result(make_node, orthanc, files, records, clock, tmp_path):
    node = make_node({"when": [ANY], "own_results": True})

    assert run_chain(node, orthanc, records, clock, tmp_path, files) == ["rule_0"]


def test_rules_that_lead_to_each_other_end(make_node, orthanc, files, records, clock, tmp_path):
    both = {"when": [ANY], "own_results": True}
    node = make_node(both, {**both, "parameters": {"a": 1}})

    assert sorted(run_chain(node, orthanc, records, clock, tmp_path, files)) == ["rule_0"] * 2 + ["rule_1"] * 2


def test_a_chain_is_no_deeper_than_it_may_be(make_node, orthanc, files, records, clock, tmp_path):
    rules = [{"when": [IS_CT, {"attribute": "ImageType", "equals": "ORIGINAL"}]}]
    rules += [{"when": [ANY], "own_results": True, "parameters": {"a": n}} for n in range(5)]
    node = make_node(*rules)

    run_chain(node, orthanc, records, clock, tmp_path, files, most=200)

    assert max(len(job.spec.chain) for job in all_jobs(records)) == 3


def test_a_result_that_comes_back_under_another_ae_title_after_a_restart_is_known(
    make_node, orthanc, files, records, clock, tmp_path
):
    rules = {"when": [ANY], "own_results": True}
    assert run_chain(make_node(rules), orthanc, records, clock, tmp_path, files) == ["rule_0"]
    stripped = dcmread(own(files, tmp_path, "result-1"))
    stripped.Manufacturer, stripped.SeriesDescription = "PACS", "coerced"
    stripped.save_as(tmp_path / "coerced.dcm")
    orthanc.remove("result-1")
    orthanc.calling_aet = "PACS"

    restarted = make_node(rules)
    restarted.intake.take(orthanc.add("result-1", [tmp_path / "coerced.dcm"]))
    settle(restarted, clock, 5)

    assert states(records) == ["done"]
