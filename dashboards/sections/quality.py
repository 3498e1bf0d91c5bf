"""The report's sections on how good the model is: curves, confusion, mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboards.figures.curves import curve_figure, get_curve_info
from dashboards.figures.training import (
    LABEL_PIXELS,
    ConfusionInfo,
    class_scores_figure,
    confidence_figure,
    confusion_figure,
    get_class_scores_info,
    get_confidence_info,
    get_confusion_info,
    most_confused,
)
from dashboards.files.frames import TrainingOutput
from dashboards.page.markup import (
    Block,
    Section,
    empty_section,
    folded,
    grid,
    heading,
    paragraph,
    pictures,
    plot,
    table,
)
from sm_entrypoints.contract.sentences import counted

# A matrix of more classes needs the page's whole width; the table then stands below it.
MAX_CLASSES_BESIDE = 12


def curves_section(output: TrainingOutput) -> Section:
    """Return loss and accuracy over epochs."""
    best = output.training.get("best_epoch")
    best = best if isinstance(best, int) else None
    # What is about tensors and data shows on the curves; what is about time, on the step times.
    marks = [mark for mark in output.findings.marks if mark.kind != "profiler"]
    return Section(
        anchor="curves",
        title="Training curves",
        blocks=[
            paragraph(_curves_sentence(output)),
            grid(
                *(
                    plot(
                        f"curve-{column}",
                        column.capitalize(),
                        curve_figure(
                            get_curve_info(output.metrics, column, best, marks, output.steps)
                        ),
                    )
                    for column in ("loss", "accuracy")
                )
            ),
        ],
    )


def confusion_section(output: TrainingOutput) -> Section:
    """Return the confusion matrix, the most confused pairs and the scores of each class."""
    info = get_confusion_info(output.evaluation)
    scores = get_class_scores_info(output.evaluation)
    hidden = f"The {scores.hidden} best classes are omitted." if scores.hidden else ""
    every = folded("Scores of every class", _class_table(output.evaluation))
    return Section(
        anchor="confusion",
        title="Confusion matrix",
        blocks=[
            paragraph(_evaluation_sentence(output.evaluation)),
            *_confusion_blocks(info),
            grid(
                plot(
                    "class-scores",
                    "Precision and recall, weakest classes first",
                    class_scores_figure(scores),
                    hidden,
                ),
                plot(
                    "confidence",
                    "Is the model as accurate as it is confident?",
                    confidence_figure(get_confidence_info(output.predictions)),
                ),
            ),
            *([every] if output.evaluation else []),
        ],
    )


def _confusion_blocks(info: ConfusionInfo) -> list[Block]:
    size = len(info.classes)
    matrix = plot(
        "confusion-matrix",
        "True class versus predicted class",
        confusion_figure(info),
        "Colour: share of the true class.",
        max_width=LABEL_PIXELS + max(460, 44 * size),
    )
    pairs = [(*pair[:3], f"{pair[3]:.0%}") for pair in most_confused(info)]
    if not pairs:
        return [matrix]
    columns = ("true", "predicted", "images", "share of the class")
    confused = (heading("Most confused"), table(columns, pairs))
    beside = Block(markup=f"<div>{''.join(block.markup for block in confused)}</div>")
    return [grid(matrix, beside)] if size <= MAX_CLASSES_BESIDE else [matrix, *confused]


def mistakes_section(output: TrainingOutput) -> Section:
    """Return the worst mistakes with their pictures: true class, then the model's answer."""
    if not output.mistakes:
        return empty_section("mistakes", "Worst mistakes", "No mistakes were recorded.")
    lead = paragraph(
        "Test images with the highest loss: the true class in green, the model's answer and its "
        "confidence in red. Many of their labels are worth a second look."
    )
    return Section(
        anchor="mistakes", title="Worst mistakes", blocks=[lead, pictures(output.mistakes)]
    )


def _curves_sentence(output: TrainingOutput) -> str:
    training = output.training
    epochs = training.get("epochs_run")
    if not epochs:
        return "The job left no summary of its training."
    stopped = {
        "early_stopping": ", stopped early",
        "sigterm": ", stopped from outside",
        "rule": ", stopped by a rule",
        "diverged": ", diverged",
    }
    best = training.get("best_epoch")
    metrics = output.metrics
    losses = metrics["loss"][(metrics["split"] == "valid") & (metrics["epoch"] == best)]
    reached = f" with a validation loss of {losses.iloc[-1]:.4f}" if len(losses) else ""
    delivered = f"delivered is epoch {best}{reached}" if best else "no model was delivered"
    ending = stopped.get(str(training.get("stopped")), "")
    return f"{counted(epochs, 'epoch')}{ending}; {delivered}."


def _evaluation_sentence(evaluation: Mapping[str, Any] | None) -> str:
    if not evaluation:
        return "The job left no evaluation."
    samples = int(evaluation.get("samples") or 0)
    confusion = evaluation["confusion"]
    right = sum(int(row[index]) for index, row in enumerate(confusion))
    if not samples:
        return "The job evaluated no images."
    share = f" ({right / samples:.1%})"
    top5 = evaluation.get("top5_accuracy")
    extra = f"; the true class is among the top five for {top5:.1%}" if top5 is not None else ""
    split = evaluation.get("split", "test")
    return f"{right:,} of {samples:,} {split} images are right{share}{extra}."


def _class_table(evaluation: Mapping[str, Any] | None) -> Block:
    columns = ("label", "precision", "recall", "f1", "support")
    rows = (evaluation or {}).get("per_class") or []
    return table(
        ("class", *columns[1:]), [tuple(row.get(column) for column in columns) for row in rows]
    )
