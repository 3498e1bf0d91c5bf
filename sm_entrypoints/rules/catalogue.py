"""All rules, in the order in which they are evaluated."""

from __future__ import annotations

from sm_entrypoints.rules.cpu.steps import STEP_TIME_RULES
from sm_entrypoints.rules.cpu.system import MACHINE_RULES
from sm_entrypoints.rules.profiler.bottlenecks import BOTTLENECK_RULES
from sm_entrypoints.rules.profiler.gpu import GPU_RULES
from sm_entrypoints.rules.profiler.overview import OVERVIEW_RULES
from sm_entrypoints.rules.profiler.steps import STEP_RULES
from sm_entrypoints.rules.rule import Rule
from sm_entrypoints.rules.tensor.rules import TENSOR_RULES

# The eleven of SageMaker's profiler report, by the names of their files.
PROFILER_RULES: tuple[Rule, ...] = (
    *BOTTLENECK_RULES,
    *GPU_RULES,
    *STEP_RULES,
    *OVERVIEW_RULES,
)
# What AWS lacks: rules that need no GPU.
CPU_RULES: tuple[Rule, ...] = (*STEP_TIME_RULES, *MACHINE_RULES)

RULES: tuple[Rule, ...] = (*PROFILER_RULES, *CPU_RULES, *TENSOR_RULES)
RULES_BY_NAME = {rule.name: rule for rule in RULES}
