"""Findings about the machine and the rest of the job: GPUs, memory, disk, start-up, outliers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sm_entrypoints.rules.cpu.system import waiting_share
from sm_entrypoints.rules.profiler.steps import initialization_seconds
from sm_entrypoints.rules.result import RuleResult
from sm_entrypoints.rules.verdict.case import Case
from sm_entrypoints.rules.verdict.finding import Change, Finding, Gain, Group, duration, percent

# Threads of one training wait for each other's work a little on any machine.
_BUSY = 0.25
# Of the job's seconds: only an order among findings, never shown.
_LOADERS_SHARE = 0.05
_MEASURE = "`whippet improve` measures how much it gains"


def slow_start(case: Case) -> Finding | None:
    """The time before the first step is long, in itself or beside the training."""
    seconds = initialization_seconds(case.evidence) or 0.0
    if case.issue("MaxInitializationTime") is None and not (
        seconds > 30 and seconds > 0.3 * case.seconds
    ):
        return None
    return Finding(
        group=Group.TIME,
        sentence=f"The job spends {duration(seconds)} before its first step, "
        f"{percent(seconds / max(case.seconds, 1e-9))} of its time.",
        rule="MaxInitializationTime",
        evidence=(f"the steps took {duration(case.loop_seconds)}",),
        advice="Prepare the data once, in fewer, smaller and already resized files.",
        gain=Gain(kind="speed", reasoning="at most, all of the start-up time disappears"),
        worth=0.5 * seconds,
    )


def odd_steps(case: Case) -> Finding | None:
    """Single steps take far longer than the others."""
    result = case.issue("StepOutlier")
    if result is None:
        return None
    worst = max(result.details, key=lambda name: float(result.details[name]["excess_seconds"]))
    excess = sum(float(part["excess_seconds"]) for part in result.details.values())
    numbers = result.details[worst]
    return Finding(
        group=Group.TIME,
        sentence=f"Single steps stall: {numbers['outliers']} of {result.datapoints} took up to "
        f"{duration(numbers['max_seconds'])} instead of {duration(numbers['median_seconds'])}, "
        f"in {worst}.",
        rule="StepOutlier",
        evidence=(
            f"without them the job would be {duration(excess)} shorter",
            *(f"step {mark.step}: {mark.message}" for mark in result.marks[:3]),
        ),
        advice="Look at what else happens at these steps: checkpoints, a busy disk, very large "
        "images, other programs on the machine.",
        gain=case.speed(excess, "if these steps were as fast as the others"),
        worth=excess,
    )


def memory_grows(case: Case) -> Finding | None:
    """The process's memory grows with every epoch."""
    result = case.issue("MemoryGrowth")
    if result is None:
        return None
    numbers = result.details
    return Finding(
        group=Group.MEMORY,
        sentence=f"The training's memory grows by {numbers['megabytes_per_epoch']:.0f} MB per "
        "epoch and is never freed: a longer training would run out of it.",
        rule="MemoryGrowth",
        evidence=(
            f"from {numbers['first_megabytes']:.0f} MB to {numbers['last_megabytes']:.0f} MB after "
            "the warm-up",
        ),
        advice="Look for a list that keeps tensors, losses or images of every step.",
        gain=Gain(reasoning="it saves a job from being killed, not time"),
    )


def taken_share(case: Case) -> float | None:
    """Return the share of their time that threads waited for others' cores; None if small."""
    share = waiting_share(case.evidence)
    if share is None or share < _BUSY or case.issue("ThreadOversubscription"):
        return None
    return share


def busy_machine(case: Case) -> Finding | None:
    """Other programs took the cores: every number of seconds is larger than it need be."""
    share = taken_share(case)
    if share is None:
        return None
    return Finding(
        group=Group.NOTE,
        sentence="Other programs kept the machine busy: for "
        f"{percent(share)} of their time the training's threads were ready but had no core.",
        evidence=(f"{case.cores} cores, {case.evidence.job.get('threads')} threads of ours",),
        advice="Measure again on a quiet machine before trusting any times.",
        gain=Gain(reasoning="nothing in the training causes this"),
    )


def too_many_loaders(case: Case) -> Finding | None:
    """More processes load images than there are cores for; too few show in the waiting."""
    result = case.issue("Dataloader")
    if result is None or result.details.get("problem") == "too few":
        return None
    percentage = result.details["percent"]
    return Finding(
        group=Group.TIME,
        sentence="More processes load images than there are cores.",
        rule="Dataloader",
        evidence=(
            f"the loading processes were {percentage:.0f}% of the {case.cores} cores in number",
        ),
        change=_change(case, "Dataloader"),
        advice="Set num_workers to the number of cores that training leaves idle.",
        gain=Gain(kind="speed", reasoning=_MEASURE),
        worth=_LOADERS_SHARE * case.seconds,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """What to say when a rule triggered that measures no seconds."""

    rule: str
    sentence: str
    advice: str
    share: float  # of the job's seconds: only an order among findings, never shown
    group: Group = Group.TIME


_TEXTS = (
    _Text(
        rule="CPUBottleneck",
        sentence="The GPU idles while a CPU core is full: images are prepared too slowly.",
        advice="Let more processes load images, make the augmentation cheaper, or take an "
        "instance with more cores per GPU.",
        share=0.3,
    ),
    _Text(
        rule="IOBottleneck",
        sentence="The GPU idles while the CPU waits for the disk.",
        advice="Keep the images in memory, use a faster volume, or fewer and larger files.",
        share=0.3,
    ),
    _Text(
        rule="BatchSize",
        sentence="Neither CPU, GPU nor GPU memory is nearly full: there is room for larger "
        "batches.",
        advice="Double batch_size (and raise lr with it), or take a smaller instance.",
        share=0.25,
    ),
    _Text(
        rule="LowGPUUtilization",
        sentence="The GPU has too little to do.",
        advice="Raise batch_size, load images further ahead (num_workers), or take a smaller GPU.",
        share=0.2,
    ),
    _Text(
        rule="LoadBalancing",
        sentence="The GPUs share the work unevenly.",
        advice="Train with one process per GPU, each with the same number of images.",
        share=0.2,
    ),
    _Text(
        rule="GPUMemoryIncrease",
        sentence="The GPU's memory grows during training: a longer training would run out of it.",
        advice="Keep numbers, not tensors (loss.item()).",
        share=0.15,
        group=Group.MEMORY,
    ),
    _Text(
        rule="IOWait",
        sentence="The cores wait for the disk during training.",
        advice="Keep the images in memory, use a faster volume, or fewer and larger files.",
        share=0.1,
    ),
)


def _change(case: Case, rule: str) -> Change | None:
    if rule in ("BatchSize", "LowGPUUtilization"):
        size = case.arguments.get("batch_size")
        return None if size is None else case.set(batch_size=2 * size)
    if rule in ("CPUBottleneck", "Dataloader") and case.cores:
        wanted = case.cores if case.on_cpu else max(1, case.cores - 1)
        return case.set(num_workers=wanted) if wanted != case.workers else None
    return None


def _lines(result: RuleResult) -> tuple[str, ...]:
    """Return a rule's details as lines: names and numbers."""
    lines = []
    for name, value in result.details.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {_number(part)}" for key, part in value.items())
        lines.append(f"{name.replace('_', ' ')}: {_number(value)}")
    return (*lines[:4], f"looked at {result.datapoints} samples")


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _told(text: _Text) -> Callable[[Case], Finding | None]:
    def find(case: Case) -> Finding | None:
        result = case.issue(text.rule)
        if result is None:
            return None
        return Finding(
            group=text.group,
            sentence=text.sentence,
            rule=text.rule,
            evidence=_lines(result),
            change=_change(case, text.rule),
            advice=text.advice,
            gain=Gain(kind="speed", reasoning=_MEASURE),
            worth=text.share * case.seconds,
        )

    return find


MACHINE_FINDINGS: tuple[Callable[[Case], Finding | None], ...] = (
    slow_start,
    odd_steps,
    memory_grows,
    busy_machine,
    too_many_loaders,
    *(_told(text) for text in _TEXTS),
)
