"""What the report and the artifacts say, from a run's folder and record. No Prefect here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from dashboards.artifacts.charts import markdown_image, training_curves_svg
from dashboards.artifacts.tables import markdown_table
from dashboards.files.frames import TrainingOutput
from dashboards.files.networks import read_networks_file
from dashboards.files.packed_search import read_packed_search
from dashboards.files.trials import Trials, read_trials
from dashboards.report import Report, write_report
from platforms.files import read_json
from sm_entrypoints.contract.networks import NetworksDocument
from sm_entrypoints.contract.sentences import counted
from tasks.costs.ledger import LEDGER_COLUMNS, cost_sentence, ledger_rows
from tasks.dataset.document import DataDocument, read_document
from tasks.lint.findings import EDGE_CODE
from tasks.parameters.typed_path import with_typed
from tasks.report.fine_tuning import fine_tuned
from tasks.report.network import endpoint_price
from tasks.report.rerun import recorded_commands
from tasks.runs.moments import moment
from tasks.runs.output import training_output
from tasks.runs.record import REPORT_FILE, SEARCH_FOLDER, TRIALS_JSON
from tasks.runs.record_model import RunRecord
from tasks.runs.record_parts import BestTrial, Deployment, Evaluation, VerdictFacts

_GROUPS = ("data", "model", "tuning", "training", "deployment", "resources")


def headline(output: TrainingOutput) -> Evaluation:
    """Return the test results that people ask for first; None where there is no evaluation."""
    return Evaluation.model_validate(output.evaluation or {})


def conclusion(output: TrainingOutput) -> VerdictFacts | None:
    """Return the verdict's sentence and change for the run's record; None for an unjudged job."""
    verdict = output.findings.verdict
    if verdict is None:
        return None
    return VerdictFacts(sentence=verdict.sentence, change=dict(verdict.change))


def collect_report(folder: Path, record: RunRecord) -> Report:
    """Return the report's content from what the run's folder and record hold so far."""
    output = training_output(folder)
    data = read_document(folder)
    best, verdict = record.best, output.findings.verdict
    return Report(
        title="Training report",
        run_name=record.name,
        generated_at=datetime.now(UTC),
        overview=_overview(record, output),
        warnings=_warnings(data, best, record.lint),
        data=None if data is None else data.as_json(),
        trials=_trials(folder),
        search=record.search.sentence if record.search else "",
        networks=_networks(folder),
        endpoint_price=endpoint_price(record),
        fine_tuning=fine_tuned(record.fine_tuning) if record.fine_tuning else None,
        best_hyperparameters=best.hyperparameters if best else None,
        training=output,
        endpoint=record.endpoint.model_dump() if record.endpoint else None,
        configuration={
            name: with_typed(values)[0] for name in _GROUPS if (values := record.group(name))
        },
        commands=recorded_commands(record, verdict.change if verdict else {}),
    )


def _trials(folder: Path) -> Trials | None:
    if not (folder / TRIALS_JSON).exists():
        return None
    packed = folder / SEARCH_FOLDER
    histories = read_packed_search(packed).histories if packed.is_dir() else {}
    return read_trials(read_json(folder / TRIALS_JSON), histories)


def _networks(folder: Path) -> NetworksDocument | None:
    try:
        return read_networks_file(folder / SEARCH_FOLDER)
    except ValueError:  # of a newer version: a report goes without it
        return None


def write_run_report(folder: Path, record: RunRecord) -> Path:
    """Write the run's report from what its folder and record hold so far; return its path."""
    path = folder / REPORT_FILE
    write_report(path, collect_report(folder, record))
    return path


def _overview(record: RunRecord, output: TrainingOutput) -> list[tuple[str, object]]:
    test = headline(output)
    arguments = output.training.get("arguments", {})
    seconds = sum(record.seconds.values())
    facts = [
        ("Test accuracy", percent(test.accuracy)),
        ("Top-5 accuracy", percent(test.top5_accuracy)),
        ("Test loss", number(test.loss)),
        ("Model", arguments.get("model")),
        ("Network chosen", _chosen(record)),
        ("Weights", record.weights and record.weights.source),
        ("Search", record.search and record.search.strategy),
        ("Best trial", record.best and record.best.training_job),
        ("Training job", record.jobs.get("training")),
        ("Fine-tuning", record.fine_tuning and record.fine_tuning.sentence),
        ("Data", record.data.dataset),
        ("Time so far", f"{seconds:.0f} s"),
        ("Cost so far", cost_sentence(record)),
    ]
    return [(name, value) for name, value in facts if value not in (None, "-", "None")]


def _chosen(record: RunRecord) -> str | None:
    found = record.network
    return None if found is None else f"{found.network}, among {found.among}"


def _warnings(
    data: DataDocument | None,
    best: BestTrial | None,
    lint: Mapping[str, list[dict[str, str]]],
) -> list[str]:
    found = [warning.message for warning in (data.warnings if data else [])]
    for name, edge in (best.edges if best else {}).items():
        found.append(f"The best {name} is at the {edge} edge of its range: widen the range.")
    for finding in (each for findings in lint.values() for each in findings):
        if finding["code"] != EDGE_CODE:  # said above
            found.append(f"{finding['message']} {finding['advice']}")
    return found


def training_markdown(output: TrainingOutput) -> str:
    """Return the training summary: test results, curves, how fast it went."""
    test, training = headline(output), output.training
    facts: list[dict[str, object]] = [
        {"measure": "test accuracy", "value": percent(test.accuracy)},
        {"measure": "test top-5 accuracy", "value": percent(test.top5_accuracy)},
        {"measure": "test loss", "value": number(test.loss)},
        {"measure": "epochs run", "value": training.get("epochs_run")},
        {"measure": "best epoch", "value": training.get("best_epoch")},
        {"measure": "images per second", "value": number(training.get("images_per_second"))},
    ]
    return "\n".join(
        [
            "# Training summary",
            "",
            markdown_table(facts, ["measure", "value"]),
            "",
            markdown_image(training_curves_svg(output.metrics), "Loss and accuracy by epoch"),
        ]
    )


def run_markdown(record: RunRecord) -> str:
    """Return the summary of a finished run."""
    seconds = [{"stage": name, "seconds": f"{value:.1f}"} for name, value in record.seconds.items()]
    return "\n".join(
        [
            f"# Run {record.name}",
            "",
            f"- {_tested(record.evaluation or Evaluation())}",
            *([f"- report: `{record.report}`"] if record.report else []),
            *([_reached(record.endpoint)] if record.endpoint else []),
            f"- cost so far: {cost_sentence(record) or '-'}",
            "",
            markdown_table(ledger_rows(record), LEDGER_COLUMNS),
            "",
            markdown_table(seconds, ["stage", "seconds"]),
        ]
    )


def _tested(evaluation: Evaluation) -> str:
    if evaluation.accuracy is None or not evaluation.samples:
        return "no test was run"
    images = counted(evaluation.samples, "image")
    return f"test accuracy {percent(evaluation.accuracy)} of {images}"


def _reached(deployed: Deployment) -> str:
    until = f" until {moment(deployed.expires)}" if deployed.expires else ""
    return f"- endpoint: `{deployed.endpoint}`{until}"


def percent(value: float | None) -> str:
    """Return a share as a percentage, or a dash."""
    return "-" if value is None else f"{value:.1%}"


def number(value: float | None) -> str:
    """Return a number in four significant digits, or a dash."""
    return "-" if value is None else f"{value:.4g}"
