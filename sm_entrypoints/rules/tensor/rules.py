"""All tensor rules, and the classes that watch while a job trains."""

from __future__ import annotations

from sm_entrypoints.rules.rule import Rule
from sm_entrypoints.rules.tensor.activations import (
    ACTIVATION_RULES,
    DeadRelu,
    PoorWeightInitialization,
    SaturatedActivation,
)
from sm_entrypoints.rules.tensor.data import DATA_RULES, CheckInputImages
from sm_entrypoints.rules.tensor.losses import (
    LOSS_RULES,
    LossNotDecreasing,
    Overfit,
    Overtraining,
)
from sm_entrypoints.rules.tensor.runs import RUN_RULES, StalledWatch
from sm_entrypoints.rules.tensor.updates import UPDATE_RULES, VanishingGradient, WeightUpdateRatio
from sm_entrypoints.rules.tensor.values import (
    VALUE_RULES,
    AllZero,
    ExplodingTensor,
    TensorVariance,
    UnchangedTensor,
)
from sm_entrypoints.rules.tensor.watch import TensorWatch

TENSOR_RULES: tuple[Rule, ...] = (
    *VALUE_RULES,
    *UPDATE_RULES,
    *LOSS_RULES,
    *ACTIVATION_RULES,
    *DATA_RULES,
    *RUN_RULES,
)

# In the order in which they are asked about a record: the gravest first, it stops the training.
WATCHES: tuple[type[TensorWatch], ...] = (
    ExplodingTensor,
    LossNotDecreasing,
    WeightUpdateRatio,
    AllZero,
    PoorWeightInitialization,
    VanishingGradient,
    DeadRelu,
    SaturatedActivation,
    TensorVariance,
    UnchangedTensor,
    CheckInputImages,
    Overfit,
    Overtraining,
    StalledWatch,
)
