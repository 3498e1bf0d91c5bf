"""Words that people choose from, where the command line, the forms and who acts on them share them.

Not for the words of hyperparameters: ``hyperparameters``. Standard library only.
"""

from __future__ import annotations

from typing import Literal

# Ours to search, SageMaker's own, and ours to name ranges (docs/tuning.md). auto: packed where that
# is possible, else Bayesian.
Strategy = Literal["auto", "packed", "Bayesian", "Random", "Hyperband", "Grid"]
Preset = Literal["quick", "lr-batch-epochs", "lr-batch-eps-decay"]
# What decides a comparison; auto: what the change is for.
Measure = Literal["auto", "speed", "quality"]
# Whether smdebug saves tensors; auto: unless SageMaker refuses it.
DebuggerUse = Literal["auto", "on", "off"]
# What a rule does when it triggers.
RuleAction = Literal["warn", "stop", "off"]
