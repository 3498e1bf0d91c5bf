"""Generate docs/rules.md from the catalogue: what each rule looks for, when it fires, what to do.

python -m sm_entrypoints.rules.documentation > docs/rules.md
"""

from __future__ import annotations

from sm_entrypoints.contract import ONLINE_RULES
from sm_entrypoints.rules.catalogue import RULES
from sm_entrypoints.rules.rule import Rule

_HEAD = """# The rules

Every instrumented training is judged by these rules, inside the job, on this machine and on AWS
alike; each leaves `profiler-output/profiler-reports/<Rule>.json` in AWS's schema. Names, formulas
and defaults are AWS's where AWS has the rule. Its patience of 1,000 samples is scaled to the job's
length (at most a tenth of the samples), and thresholds that flag healthy fine-tunings are narrowed:
the docstring of each rule in `sm_entrypoints/rules/` says how, and the values that were used stand
in the report under *parameters*.

A rule finds something, finds nothing, or has nothing to examine (a GPU rule without a GPU). The
rules marked *online* also watch while the job trains, and may stop it:
`--rule ExplodingTensor=stop` (`warn` is the default, `off` leaves a rule out). A stopped job says
which rule, at which step, and keeps its evidence; the model of the best complete epoch is
delivered, and without one the job fails with that sentence.

An instrumented training of a head alone (a frozen backbone, `augmentation=none`) runs its whole
network in the first epoch, under hook and profiler, and the head on the features of that epoch
afterwards: the numbers are the same, to 1e-5 in float32. The column `network` of `steps.csv` says
which step ran the `whole` network and which its `tail`. Rules about the machine, the data and the
batch judge the epoch that read images; StepOutlier compares each step with its own kind.
`cache_features=false` runs the whole network in every epoch.

`.venv-job/bin/python -m pytest tests/sm_entrypoints -k planted_faults` plants each fault in a real
training and lets a healthy one pass. There is no GPU where this was built: the faults of the GPU
rules are planted in the sampler's files of a real training.
"""
_KINDS = {
    "profiler": "Time and the machine",
    "tensor": "Losses, gradients, weights, activations",
    "data": "Images and labels",
}


def rules_markdown() -> str:
    """Return the whole page, in the order of the catalogue within each kind."""
    parts = [_HEAD]
    for kind, title in _KINDS.items():
        parts.append(f"\n## {title}\n")
        parts += [_entry(rule) for rule in RULES if rule.kind == kind]
    return "\n".join(parts)


def _entry(rule: Rule) -> str:
    online = " *(online)*" if rule.name in ONLINE_RULES else ""
    return (
        f"**{rule.name}**{online}. {rule.description}  \n"
        f"Fires when: {rule.threshold}  \nThen: {rule.recommendation}\n"
    )


if __name__ == "__main__":
    print(rules_markdown(), end="")
