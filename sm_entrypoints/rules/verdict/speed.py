"""Findings about time on the CPU and in the loop: a change's savings, by Amdahl's law.

Every estimate says how it was made; ``whippet improve`` measures the real effect.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sm_entrypoints.contract import TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.rules.cpu.system import waiting_share
from sm_entrypoints.rules.result import RuleResult
from sm_entrypoints.rules.verdict.case import Case
from sm_entrypoints.rules.verdict.finding import Finding, Gain, Group, duration, percent

_FORWARD_ONLY = ("data_wait", "transfer", "forward")
# Measured on a 2-core CPU that multiplies bfloat16: training.network.choose_compute.
_BFLOAT16_FACTOR = 1.7
_CHANNELS_LAST_FACTOR = 1.2
# As BatchSizeThroughput counts: its better batch leaves that many steps an epoch.
_FEWEST_STEPS = 8


def features_repeated(case: Case) -> Finding | None:
    """A frozen backbone sees the same images in every epoch, and was told to keep no features."""
    job, epochs = case.evidence.job, case.epochs_run
    repeats = case.frozen and not job.get("cached_features") and epochs > 1
    if not repeats or case.arguments.get("augmentation") != "none" or not case.loop_seconds:
        return None
    # Untold, a training keeps the features that fit into memory.
    if case.arguments.get("cache_features") != "false" or job.get("features_fit") is False:
        return None
    spent = sum(case.phases[mode][phase] for mode in case.phases for phase in _FORWARD_ONLY)
    saved = spent * (1 - 1 / epochs)
    images = case.images(TRAIN_CHANNEL, VALID_CHANNEL)
    name = case.arguments.get("model", "the network")
    backward = case.phases["TRAIN"]["backward"] + case.phases["TRAIN"]["optimizer"]
    return Finding(
        group=Group.TIME,
        sentence=f"The frozen {name} computes the same features of the same {images} images in "
        f"each of the {epochs} epochs, which takes {percent(spent / case.loop_seconds)} "
        "of all time spent in steps.",
        evidence=(
            f"forward passes and their data took {duration(spent)} of "
            f"{duration(case.loop_seconds)} in steps; the head took "
            f"{duration(backward)}",
            "the backbone is frozen and augmentation=none: an image's features never change",
            "cache_features=false was set",
        ),
        change=case.set(cache_features="auto"),
        advice="Keep the features of the first pass; the trained model is the same. (Without "
        "cache_features=false, a training does this by itself.)",
        gain=case.speed(
            saved,
            f"one pass over the images instead of {epochs}: {duration(spent)} become about "
            f"{duration(spent / epochs)}; start-up, test and the rest of the job's "
            f"{duration(case.seconds)} do not change",
        ),
        worth=saved,
    )


def waits_for_data(case: Case) -> Finding | None:
    """Steps wait for images; loader processes hide that as far as cores are idle."""
    result = case.issue("DataWait")
    # A short training has too few steps for DataWait; that nobody loads ahead still tells.
    loaders = case.issue("Dataloader")
    starved = loaders is not None and loaders.details.get("problem") == "too few"
    if (result is None and not starved) or not case.main_seconds:
        return None
    wait = case.main_phases["TRAIN"]["data_wait"]
    saved, idle = _hidden(case, wait)
    wanted = _workers_wanted(case, wait)
    more = wanted > case.workers
    pays = more and saved > 0.05 * case.main_seconds
    busy = (
        ""
        if case.demand is None
        else f"; {percent(1 - case.demand)} of the cores are idle meanwhile"
    )
    return Finding(
        group=Group.TIME,
        sentence=f"Training waits for its images: {percent(wait / case.main_seconds)} of the time "
        f"of its steps{_loaders_told(case)}.",
        rule="Dataloader" if result is None else "DataWait",
        evidence=(
            *_median_wait(result),
            f"{duration(wait)} of {duration(case.main_seconds)} in training steps{busy}",
        ),
        change=case.set(num_workers=wanted) if pays else None,
        advice=f"Let {wanted} processes load images while the network works."
        if pays
        else "No core is free to load ahead: make loading cheaper instead (smaller files, "
        "augmentation=flip or none, images kept in memory).",
        gain=case.speed(saved if pays else 0.0, idle) if more else Gain(reasoning=idle),
        worth=saved if pays else 0.2 * wait,
    )


def _loaders_told(case: Case) -> str:
    sources = {"workers": case.evidence.summary, "num_workers": case.arguments}
    if not any(name in source for name, source in sources.items()):
        return ""
    return f", with {case.workers or 'no'} loader {'process' if case.workers < 2 else 'processes'}"


def _median_wait(result: RuleResult | None) -> tuple[str, ...]:
    if result is None:
        return ()
    median = duration(result.details["median_wait_seconds"])
    return (f"a step waits {median} for its batch (the median)",)


def _hidden(case: Case, wait: float) -> tuple[float, str]:
    """Return how many seconds of waiting could go, and why no more."""
    loop, demand = case.main_seconds, case.demand
    if demand is None or not case.on_cpu:
        return (
            wait,
            "loading and computing at the same time: at most, all of the waiting disappears",
        )
    # All that the cores did has to be done again, on all of them at best.
    left = max(loop - wait, demand * loop)
    saved = max(0.0, loop - left)
    if saved >= 0.9 * wait:
        return saved, "the cores are idle while training waits, so loading ahead hides nearly all"
    return saved, (
        f"loading and computing share {case.cores} cores that are {percent(demand)} busy "
        f"already: at most {duration(saved)} of the {duration(wait)} can be hidden"
    )


def _workers_wanted(case: Case, wait: float) -> int:
    """Return how many loader processes would keep up with the network, within the cores."""
    compute = max(case.main_seconds - wait, 1e-9)
    needed = math.ceil((wait + 1e-9) / compute) if not case.workers else case.workers + 1
    return max(2, min(needed, max(2, case.cores)))


def too_many_threads(case: Case) -> Finding | None:
    """More threads than cores: they put each other off."""
    result = case.issue("ThreadOversubscription")
    if result is None:
        return None
    details = result.details
    threads, workers, cores = (details[name] for name in ("threads", "workers", "cores"))
    processes = int(case.evidence.job.get("processes") or 1)
    share = waiting_share(case.evidence)
    lost = f"for {percent(share or 0.0)} of their time the threads were ready but had no core"
    fewer = max(1, cores // processes)
    crowd = threads <= cores
    return Finding(
        group=Group.TIME,
        sentence=f"{threads} threads and {workers} loader processes compete for {cores} cores."
        if workers
        else f"{threads} threads compute on {cores} cores and wait for each other.",
        rule="ThreadOversubscription",
        evidence=((lost,) if share is not None else ())
        + (f"{details['involuntary_switches']} times a thread was moved off its core",),
        change=case.set(num_workers=max(1, cores - 1)) if crowd else case.set(threads=fewer),
        advice="Use as many threads as there are cores, loader processes included.",
        gain=Gain(
            kind="speed",
            reasoning="every step waits for its slowest thread; `whippet improve` measures how "
            "much of that disappears",
        ),
        worth=(share or 0.2) * case.main_seconds,
    )


def batch_too_small(case: Case) -> Finding | None:
    """Most of a step does not depend on how many images it has."""
    result = case.issue("BatchSizeThroughput")
    if result is None:
        return None
    details = result.details
    size, better, factor = details["batch_size"], details["better_batch_size"], details["factor"]
    work = case.main_seconds - case.main_phases["TRAIN"]["data_wait"]
    saved = work * (1 - 1 / factor)
    return Finding(
        group=Group.TIME,
        sentence=f"Batches of {size} are too small: {details['fixed_percent']:.0f}% of a step is "
        "the same however many images it has.",
        rule="BatchSizeThroughput",
        evidence=(
            f"a step costs {duration(details['fixed_seconds'])} and "
            f"{duration(details['image_seconds'])} more for each image",
            f"estimated from {details['method']}",
        ),
        change=case.set(batch_size=better),
        advice=f"Take batches of {better}. Fewer steps learn less per epoch: raise lr with the "
        "batch (adam: by the square root), and compare the validation loss.",
        gain=case.speed(
            saved,
            f"by that cost, batches of {better} go through the images {factor:.1f} times as fast"
            + ("; larger ones would leave too few steps per epoch" if _few(case, better) else ""),
        ),
        worth=saved,
    )


def _few(case: Case, size: int) -> bool:
    """Return whether twice the batch would leave fewer than eight steps an epoch."""
    images = case.images(TRAIN_CHANNEL)
    return 0 < images < 2 * size * _FEWEST_STEPS


def cores_idle(case: Case) -> Finding | None:
    """Training on the CPU leaves cores without work, and nothing else explains it."""
    result = case.issue("LowCPUUtilization")
    explained = ("DataWait", "BatchSizeThroughput", "ThreadOversubscription")
    if result is None or any(case.issue(rule) for rule in explained):
        return None
    threads = int(case.evidence.job.get("threads") or 0)
    processes = int(case.evidence.job.get("processes") or 1)
    share = result.details["percent"] / 100
    fewer = 0 < threads * processes < case.cores
    # Validation profits, too: without it, slow numbers could seem the larger loss.
    work = _spent(case, "transfer", "forward", "backward", "optimizer")
    saved = work * (1 - threads * processes / case.cores) if fewer else 0.0
    return Finding(
        group=Group.TIME,
        sentence=f"Training leaves cores idle: it asks for {percent(share)} of the {case.cores} "
        "cores" + (f", with threads={threads}." if fewer else "."),
        rule="LowCPUUtilization",
        evidence=(
            f"the source is {result.details['measured']}",
            f"steps took {duration(case.loop_seconds)} of the job's {duration(case.seconds)}",
        ),
        change=case.set(threads=case.cores // processes) if fewer else None,
        advice="Let it use every core."
        if fewer
        else "Something in the loop waits: look at the operators and at what runs between steps.",
        gain=case.speed(saved, "at most: operators that run in parallel get all the cores")
        if fewer
        else Gain(reasoning="the cause of the waiting is not known"),
        worth=saved or 0.2 * (1 - share) * case.loop_seconds,
    )


def slow_numbers(case: Case) -> Finding | None:
    """The CPU multiplies bfloat16, all layers learn, but float32 was asked for."""
    able = (case.evidence.job.get("hardware") or {}).get("bfloat16")
    if not able or case.frozen or case.arguments.get("precision") != "float32":
        return None
    return _computing_faster(
        case,
        _BFLOAT16_FACTOR,
        measured=f"{_BFLOAT16_FACTOR} times as fast",
        sentence="The network computes in float32 on hardware that multiplies bfloat16.",
        change=case.set(precision="auto"),
        advice="Let precision=auto choose; the delivered model stays in float32.",
    )


def slow_layout(case: Case) -> Finding | None:
    """channels_last was switched off."""
    if case.arguments.get("channels_last") != "false":
        return None
    return _computing_faster(
        case,
        _CHANNELS_LAST_FACTOR,
        measured="1.0 to 1.8 times as fast",
        sentence="Images are stored channel by channel, which convolutions have to undo.",
        change=case.set(channels_last="true"),
        advice="Use channels_last.",
    )


def _computing_faster(case: Case, factor: float, *, measured: str, **texts: Any) -> Finding:
    """Return the finding that forward and backward passes could take ``factor`` times less."""
    computing = _spent(case, "forward", "backward")
    saved = computing * (1 - 1 / factor)
    return Finding(
        group=Group.TIME,
        evidence=(f"{duration(computing)} went into forward and backward passes",),
        gain=case.speed(saved, f"measured elsewhere: {measured}"),
        worth=saved,
        **texts,
    )


def _spent(case: Case, *phases: str) -> float:
    """Return the seconds that these phases took, in training and in validation."""
    return sum(times[name] for times in case.main_phases.values() for name in phases)


SPEED_FINDINGS: tuple[Callable[[Case], Finding | None], ...] = (
    features_repeated,
    waits_for_data,
    too_many_threads,
    batch_too_small,
    cores_idle,
    slow_numbers,
    slow_layout,
)
