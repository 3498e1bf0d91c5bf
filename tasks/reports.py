"""Tasks that fetch a job's output and turn it into the run's files and its report."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact

from dashboards.files.writing import as_csv
from platforms import Settings, connect
from platforms.files import write_atomically
from sm_entrypoints.contract import PICTURES_FILE
from tasks.costs.ledger_update import settle
from tasks.events import label_report, tell_verdict
from tasks.report.content import (
    conclusion,
    headline,
    run_markdown,
    training_markdown,
    write_run_report,
)
from tasks.report.pdf import PdfError, find_chromium, print_pdf
from tasks.report.pictures import pictures_markdown
from tasks.report.profiler import profiler_markdown
from tasks.runs.names import RunIdentity
from tasks.runs.output import training_output, unpack_output
from tasks.runs.record import (
    METRICS_FILE,
    PDF_FILE,
    PREDICTIONS_FILE,
    REPORT_FILE,
    read_run,
    record,
    run_folder,
)
from tasks.runs.record_model import RunFacts, RunRecord
from tasks.runs.record_parts import JobFacts, TrainedModel
from tasks.runs.task_policy import policy


@task(
    name="download training output",
    task_run_name="download output of {trained.job}",
    **policy(1800),
)
def download_output(run: RunIdentity, trained: TrainedModel) -> None:
    """Bring the job's output.tar.gz into the run's folder, with metrics.csv and other tables."""
    platform = connect()
    folder = run_folder(platform.settings, run.name)
    unpack_output(platform, trained.output_uri, folder)
    output = training_output(folder)
    # Frames hold every number as a float; people and programs read epochs as whole numbers.
    metrics = output.metrics.astype({"epoch": "Int64", "samples": "Int64"})
    predictions = output.predictions.astype({"correct": "boolean"})
    write_atomically(folder / METRICS_FILE, as_csv(metrics))
    if output.pictures is not None:
        text = output.pictures.document.model_dump_json(indent=1)
        write_atomically(folder / PICTURES_FILE, f"{text}\n".encode())
    write_atomically(folder / PREDICTIONS_FILE, as_csv(predictions))
    facts = RunFacts(
        evaluation=headline(output),
        verdict=conclusion(output),
        job=JobFacts.model_validate(output.training),
    )
    record(platform.settings, run, facts)


@task(
    name="publish training summary", task_run_name="publish training of {run.name}", **policy(300)
)
def publish_training(run: RunIdentity) -> None:
    """Publish the training summary with its curves, the profiler summary, and the pictures."""
    output = training_output(run_folder(Settings(), run.name))
    create_markdown_artifact(
        training_markdown(output), key="training-summary", description="Curves and figures"
    )
    create_markdown_artifact(
        profiler_markdown(output), key="profiler-summary", description="Where the time went"
    )
    jobs = read_run(Settings(), run.name).jobs
    tell_verdict(run, jobs.get("training", ""), output.findings.verdict)
    if output.pictures is not None:
        text = pictures_markdown(output.pictures.document)
        create_markdown_artifact(text, key="pictures", description="What the pictures say")


@task(name="render report", task_run_name="render report of {run.name}", **policy(600))
def render_report(run: RunIdentity) -> str:
    """Write the run's self-contained report from what the run has so far; return its path."""
    settings = Settings()
    path = write_run_report(run_folder(settings, run.name), read_run(settings, run.name))
    record(settings, run, RunFacts(report=str(path)))
    told = "On the machine of the worker that wrote it"
    create_link_artifact(path.as_uri(), str(path), key="training-report", description=told)
    label_report(run, str(path))
    return str(path)


@task(name="print report", task_run_name="print report of {run.name}", **policy(300))
def print_report(run: RunIdentity) -> str | None:
    """Write report.pdf beside report.html, where there is a Chromium; return its path.

    A PDF is an extra: a failure is a warning, and the run continues.
    """
    settings = Settings()
    folder = run_folder(settings, run.name)
    target = folder / PDF_FILE
    try:
        chromium = find_chromium(settings.chromium)
        if chromium is None:
            return None
        print_pdf(folder / REPORT_FILE, target, chromium)
    except PdfError as error:
        get_run_logger().warning("no report.pdf: %s", error)
        # An older one would tell of an older report.
        target.unlink(missing_ok=True)
        return None
    record(settings, run, RunFacts(pdf=str(target)))
    return str(target)


@task(name="publish run summary", task_run_name="publish summary of {run.name}", **policy(300))
def publish_run(run: RunIdentity) -> RunRecord:
    """Publish the summary of the whole run; return its record."""
    settings = Settings()
    settle(connect(settings), run)
    run_record = read_run(settings, run.name)
    create_markdown_artifact(
        run_markdown(run_record), key="run-summary", description="What came of it, and what it cost"
    )
    return run_record
