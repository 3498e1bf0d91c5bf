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
# Whether a person is asked before a model is deployed; when_worse: unless a comparison rules out
# that it is worse than the model in service.
Approve = Literal["always", "when_worse", "never"]
# What a rule does when it triggers.
RuleAction = Literal["warn", "stop", "off"]
# What findings about a search's trials do.
Lint = Literal["error", "warn", "off"]
