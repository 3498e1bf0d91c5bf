"""The examples in the docstrings of the job's own code work as printed."""

import torch

from tests.examples import run_examples


def test_judge(tmp_path):
    run_examples("sm_entrypoints.rules.judgement:judge", output_folder=tmp_path)


def test_instrumentation(tmp_path):
    run_examples(
        "sm_entrypoints.instrumentation.session:Instrumentation",
        folder=tmp_path,
        model=torch.nn.Linear(3, 2),
        loss_function=torch.nn.CrossEntropyLoss(),
        images=torch.rand(4, 3),
        labels=torch.tensor([0, 1, 0, 1]),
    )
