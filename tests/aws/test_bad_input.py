"""Bad input on AWS by the command itself: a sentence that says what to do, and nothing is created.

`whippet run --platform aws` against canned answers of AWS (moto has no quotas, and simulates no
policies). What was asked is all there was: one call that is no look would be seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import AWKWARD
from tests.worlds import aws_stub as stubs
from tests.worlds.aws_stub import ROLE, AwsStub
from tests.worlds.pipeline import TINY, Whippet, tiny_data

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

IMAGE = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.10.0-cpu-py313"
SERVING = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/whippet-serve:1"
# All that a run may do before it knows that all is well.
LOOKS = re.compile(r"Get|Head|List|Describe|Simulate|BatchGet|\?")
OTHERS = {
    "HyperParameterTuningJobArn": "arn:aws:sagemaker:eu-west-1:123456789012:x/y",
    "HyperParameterTuningJobStatus": "InProgress",
    "HyperParameterTuningJobName": "y",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is wrong, and the sentence.

    Attributes:
        answers: what AWS says, by action.
        denied: what the role may not do.
        headers: of each answer.
        variables: changes of the environment; None takes one away.
        options: more options of the command.
    """

    sentence: str
    answers: Mapping[str, Any] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str | None] = field(default_factory=dict)
    options: tuple[str, ...] = ()


NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
CASES = {
    "no credentials": Case(
        variables=NO_KEYS,
        sentence=r"no AWS credentials: run `aws configure` or `aws sso login`",
    ),
    "expired token": Case(
        answers={"GetCallerIdentity": stubs.query_error(403, "ExpiredToken", "is expired")},
        sentence=r"the AWS session has expired .*: renew it by `aws sso login`",
    ),
    "wrong region": Case(
        variables={"WHIPPET_REGION": "eu-west-11"},
        sentence=r"WHIPPET_REGION='eu-west-11' is not a SageMaker region .*did you mean eu-west-1",
    ),
    "no role given": Case(
        variables={"WHIPPET_ROLE_ARN": None},
        sentence=r"the execution role of jobs must be set on AWS: set WHIPPET_ROLE_ARN",
    ),
    "no such role": Case(
        answers={"GetRole": stubs.query_error(404, "NoSuchEntity", "x")},
        sentence=r"there is no role 'whippet': create it as `whippet iam` prints",
    ),
    "bucket of another account": Case(
        answers={"HeadBucket": (403, "")},
        sentence=r"'a-bucket' does not belong to account 123456789012.*set WHIPPET_BUCKET",
    ),
    "bucket of another region": Case(
        headers={"x-amz-bucket-region": "us-east-2"},
        sentence=r"'a-bucket' lies in region 'us-east-2'.*set WHIPPET_REGION=us-east-2",
    ),
    "quota zero": Case(
        options=("--instance-type", "ml.g4dn.xlarge"),
        sentence=r"quota 'ml\.g4dn\.xlarge for training job usage' is 0, but the run needs \d.*"
        r"ask for more",
    ),
    "image unknown in the region": Case(
        answers={"BatchGetImage": (200, '{"failures": [{"failureCode": "ImageNotFound"}]}')},
        sentence=r"image \S+ does not exist, or the account may not pull it: set WHIPPET_TRAINING",
    ),
    "role without a permission": Case(
        denied=frozenset({"s3:PutObject"}),
        sentence=r"may not do s3:PutObject on arn:aws:s3:::a-bucket/\S+: add what `whippet iam",
    ),
    "cap too small": Case(
        # The table in the package is of this region, and AWS's prices may not be asked for here.
        variables={
            "WHIPPET_REGION": "us-east-1",
            "WHIPPET_TRAINING_IMAGE": IMAGE.replace("eu-west-1", "us-east-1"),
            "WHIPPET_INFERENCE_IMAGE": SERVING.replace("eu-west-1", "us-east-1"),
        },
        headers={"x-amz-bucket-region": "us-east-1"},
        options=("--max-usd", "0.01"),
        sentence=r"max_usd=0\.01 is too small: .* smallest cap that works is --max-usd \d",
    ),
    "cap, and prices of the region unknown": Case(
        options=("--max-usd", "0.01"),
        sentence=r"max_usd=0\.01 cannot be guaranteed in eu-west-1: .*Allow pricing:GetProducts",
    ),
    "name taken by another request": Case(
        answers={
            "DescribeHyperParameterTuningJob": (200, json.dumps(OTHERS)),
            "ListTags": (200, json.dumps({"Tags": [{"Key": "whippet:run", "Value": "other"}]})),
        },
        sentence=r"tuning job '\S+' exists and was created by another .*use another run name",
    ),
}


@pytest.fixture
def aws() -> Iterator[AwsStub]:
    with stubs.aws_stub() as stub:
        for kind in ("TrainingJob", "Model", "EndpointConfig", "Endpoint"):
            stub.answers[f"Describe{kind}"] = stubs.json_error(
                "ValidationException", "Could not find it: not found"
            )
        stub.answers["DescribeHyperParameterTuningJob"] = stubs.json_error("ResourceNotFound", "x")
        for kind in ("Endpoints", "TrainingJobs", "Models", "EndpointConfigs"):
            summaries = {"Models": "Models"}.get(kind, kind)
            if kind == "TrainingJobs":
                summaries = "TrainingJobSummaries"
            stub.answers[f"List{kind}"] = (200, json.dumps({summaries: []}))
        tuning = {"HyperParameterTuningJobSummaries": []}
        stub.answers["ListHyperParameterTuningJobs"] = (200, json.dumps(tuning))
        stub.answers["GetProducts"] = stubs.json_error("AccessDeniedException", "no")
        yield stub


@pytest.mark.parametrize("what", CASES)
def test_it_is_one_sentence_and_nothing_is_created(
    what: str,
    aws: AwsStub,
    server_url: str,
    tmp_path: Path,
    show: Callable[[str, str], None],
) -> None:
    case = CASES[what]
    aws.answers |= case.answers
    aws.denied, aws.headers = set(case.denied), dict(case.headers)
    given = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": aws.url,
        "WHIPPET_BUCKET": "a-bucket",
        "WHIPPET_REGION": "eu-west-1",
        "WHIPPET_ROLE_ARN": ROLE,
        "WHIPPET_TRAINING_IMAGE": IMAGE,
        "WHIPPET_INFERENCE_IMAGE": SERVING,
        **case.variables,
    }
    extra = {name: value for name, value in given.items() if value is not None}
    whippet = Whippet(home=tmp_path / AWKWARD, api_url=server_url, extra=extra, seconds=600)
    data = tiny_data(tmp_path / "photos")
    ended = whippet.run("run", "--platform", "aws", "--data", str(data), *TINY, *case.options)
    assert ended.code != 0
    assert "Traceback" not in ended.out + ended.err
    [said] = [line for line in ended.err.splitlines() if line.startswith("whippet: error: ")]
    assert re.search(case.sentence, said)
    assert [action for action in aws.asked if not LOOKS.match(action)] == []
    show(f"bad input: {what}", said)
