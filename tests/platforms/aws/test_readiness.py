"""Bad input on AWS: a sentence that says what to do, before anything is created."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.iam.access_control import IAMPolicy, PermissionResult

from platforms import Defaults, Needs, connect
from platforms.aws.account import default_bucket, ensure_bucket
from platforms.aws.readiness import Readiness
from platforms.errors import SettingsError
from platforms.settings import Settings
from tasks.permissions.policy_documents import Scope, chosen, policy_document
from tasks.permissions.table import ROLE as PERMISSIONS
from tests.worlds import aws_stub as stubs
from tests.worlds.aws_stub import ROLE, AwsStub

pytestmark = pytest.mark.slow

REGION = "eu-west-1"
IMAGE = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.10.0-cpu-py313"
SERVING = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/whippet-serve:1"
CHINA = ("eu-west-1.amazonaws.com", "cn-north-1.amazonaws.com.cn")
Ready = Callable[..., list[str]]
NEEDS = Needs(
    instance_types=("ml.m5.xlarge", "ml.t2.medium"),
    quotas={"ml.m5.xlarge for training job usage": 2, "ml.t2.medium for endpoint usage": 1},
)
GPU = Needs(quotas={"ml.g4dn.xlarge for training job usage": 1})


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    """One session: a session of one's own reads botocore's models again, which takes seconds."""
    return boto3.Session("testing", "testing", region_name=REGION)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AwsStub]:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with stubs.aws_stub() as stub:
        monkeypatch.setenv("AWS_ENDPOINT_URL", stub.url)
        yield stub


DEFAULTS: dict[str, Any] = {
    "bucket": "a-bucket",
    "role_arn": ROLE,
    "training_image": IMAGE,
    "inference_image": SERVING,
    "poll_seconds": 5.0,
}
OWN = default_bucket(REGION, stubs.ACCOUNT)


@pytest.fixture
def ready(aws: AwsStub, session: boto3.Session) -> Callable[..., list[str]]:
    """Look at the account of the stub, with changes to the platform's defaults."""

    def look(needs: Needs = NEEDS, **changes: Any) -> list[str]:
        defaults = Defaults(**{**DEFAULTS, **changes})
        return Readiness(session=session, defaults=defaults, prefix="whippet")(needs)

    return look


@pytest.fixture
def s3(aws: AwsStub, session: boto3.Session) -> Any:
    return session.client("s3")


def settings(**changes: Any) -> Settings:
    """Settings of the whole platform; building that takes seconds."""
    chosen = {name: DEFAULTS[name] for name in ("role_arn", "training_image", "inference_image")}
    return Settings(**{"platform": "aws", "region": REGION, **chosen, **changes})


def test_an_account_where_all_is_well(aws: AwsStub, ready: Ready) -> None:
    assert ready() == []
    # Looks only.
    assert set(aws.asked) == {
        *("GetCallerIdentity", "HeadBucket", "GetRole", "SimulatePrincipalPolicy"),
        *("BatchGetImage", "ListServiceQuotas"),
    }


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (stubs.query_error(403, "ExpiredToken", "x"), "session has expired.*aws sso login"),
        (stubs.query_error(403, "InvalidClientTokenId", "x"), "does not know.*AWS_PROFILE"),
    ],
)
def test_credentials_that_do_not_work(
    aws: AwsStub, ready: Ready, answer: Any, sentence: str
) -> None:
    aws.answers["GetCallerIdentity"] = answer
    with pytest.raises(SettingsError, match=sentence):
        ready()
    assert set(aws.asked) == {"GetCallerIdentity"}


def test_the_default_buckets_name_needs_credentials_that_work(aws: AwsStub) -> None:
    aws.answers["GetCallerIdentity"] = stubs.query_error(403, "ExpiredToken", "x")
    with pytest.raises(SettingsError, match="session has expired"):
        connect(settings(bucket=None))


def test_nobody_answers(aws: AwsStub, ready: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(SettingsError, match=r"did not answer.*WHIPPET_REGION"):
        ready()


def test_a_region_without_sagemaker() -> None:
    with pytest.raises(
        SettingsError, match=r"'eu-west-11' is not a SageMaker region.*did you mean eu-west-1"
    ):
        connect(settings(region="eu-west-11"))


@pytest.mark.parametrize(
    ("action", "answer", "sentence"),
    [
        ("HeadBucket", (403, ""), "'a-bucket' does not belong to account 123456789012"),
        ("HeadBucket", (404, ""), "'a-bucket' does not exist: create it in eu-west-1"),
        (
            "GetRole",
            stubs.query_error(404, "NoSuchEntity", "x"),
            "there is no role 'whippet'.*whippet iam",
        ),
        ("GetRole", stubs.role({"Statement": []}), "cannot assume role 'whippet'.*--json trust"),
        (
            "BatchGetImage",
            (200, '{"failures": [{"failureCode": "ImageNotFound"}]}'),
            "pytorch-training:2.10.0-cpu-py313 does not exist.*WHIPPET_TRAINING_IMAGE",
        ),
        (
            "BatchGetImage",
            stubs.json_error("RepositoryNotFoundException", "x"),
            "does not exist, or the account may not pull it",
        ),
        (
            "ListServiceQuotas",
            stubs.quotas({"ml.m5.xlarge for training job usage": 1.0}),
            "'ml.m5.xlarge for training job usage' is 1, but the run needs 2.*Service Quotas",
        ),
    ],
)
def test_what_is_wrong_is_a_sentence(
    aws: AwsStub, ready: Ready, action: str, answer: Any, sentence: str
) -> None:
    aws.answers[action] = answer
    with pytest.raises(SettingsError, match=sentence):
        ready()
    assert not {"CreateBucket", "PutPublicAccessBlock"} & set(aws.asked)


def test_a_quota_of_zero(aws: AwsStub, ready: Ready) -> None:
    with pytest.raises(SettingsError, match=r"g4dn\.xlarge for training job usage' is 0, but the"):
        ready(GPU)


def test_a_bucket_of_another_region(aws: AwsStub, ready: Ready) -> None:
    aws.headers["x-amz-bucket-region"] = "us-east-2"
    with pytest.raises(
        SettingsError, match=r"lies in region 'us-east-2'.*WHIPPET_REGION=us-east-2"
    ):
        ready()


@pytest.mark.parametrize("arn", ["arn:aws:iam::999999999999:role/x", "whippet"])
def test_a_role_of_another_account(aws: AwsStub, ready: Ready, arn: str) -> None:
    with pytest.raises(SettingsError, match="not a role of account 123456789012"):
        ready(role_arn=arn)


def test_an_image_of_another_region(aws: AwsStub, ready: Ready) -> None:
    with pytest.raises(SettingsError, match=r"lies in region 'us-east-1'.*images of eu-west-1"):
        ready(training_image=IMAGE.replace(REGION, "us-east-1"))
    assert aws.asked == []


def test_the_images_of_the_run_are_looked_at(aws: AwsStub, ready: Ready) -> None:
    cuda = IMAGE.replace("cpu", "cu130").replace(REGION, "us-east-1")
    with pytest.raises(SettingsError, match=r"cu130\S* lies in region 'us-east-1'"):
        ready(Needs(images=(SERVING, cuda)))


def test_an_instance_that_the_code_is_not_compiled_for(aws: AwsStub, ready: Ready) -> None:
    with pytest.raises(SettingsError, match=r"'ml\.trn1\.2xlarge'.*choose a CPU or GPU"):
        ready(Needs(instance_types=("ml.trn1.2xlarge",)))


def test_a_role_without_a_permission(aws: AwsStub, ready: Ready) -> None:
    aws.denied = {"s3:PutObject", "logs:PutLogEvents"}
    with pytest.raises(
        SettingsError, match=r"may not do s3:PutObject on arn:aws:s3:::a-bucket/\S+, logs:PutLogE"
    ):
        ready()


def test_the_printed_role_policy_is_enough(aws: AwsStub, ready: Ready) -> None:
    asked = judged_by_the_printed_policy(aws, REGION)
    assert ready() == []
    assert len(asked) == 5


def test_looks_are_of_the_accounts_partition(aws: AwsStub) -> None:
    region, role = "cn-north-1", ROLE.replace("arn:aws:", "arn:aws-cn:")
    aws.answers["GetCallerIdentity"] = stubs.identity(partition="aws-cn")
    asked = judged_by_the_printed_policy(aws, region)
    defaults = Defaults(**{**DEFAULTS, "role_arn": role, "training_image": SERVING.replace(*CHINA)})
    defaults = replace(defaults, inference_image=defaults.training_image)
    china = boto3.Session("testing", "testing", region_name=region)
    assert Readiness(session=china, defaults=defaults, prefix="whippet")(NEEDS) == []
    assert asked
    assert {resource.split(":")[1] for _, resource in asked} == {"aws-cn"}


def judged_by_the_printed_policy(aws: AwsStub, region: str) -> list[tuple[str, str]]:
    """Let the stub simulate the role's policy as `whippet iam` prints it; return what it is asked.

    moto reads policies as IAM does; it does not simulate them.
    """
    scope = Scope(
        account=stubs.ACCOUNT, region=region, bucket="a-bucket", prefix="whippet", role="whippet"
    )
    policy = IAMPolicy(json.dumps(policy_document(chosen(PERMISSIONS, ()), scope)))
    asked: list[tuple[str, str]] = []

    def allows(action: str, resource: str) -> bool:
        asked.append((action, resource))
        found = policy.is_action_permitted(action, resource, None, {})
        return bool(found == PermissionResult.PERMITTED)

    aws.allows = allows
    return asked


def test_what_may_not_be_looked_at_is_a_note(aws: AwsStub, ready: Ready) -> None:
    refused = stubs.query_error(403, "AccessDenied", "no")
    aws.answers |= {"GetRole": refused, "SimulatePrincipalPolicy": refused}
    aws.answers["ListServiceQuotas"] = stubs.json_error("AccessDeniedException", "no")
    aws.answers["BatchGetImage"] = stubs.json_error("AccessDeniedException", "no")
    notes = ready()
    assert [note.partition(":")[0] for note in notes] == [
        *("role", "permissions of the role", "images", "quotas")
    ]
    assert all("not checked" in note for note in notes)


def test_an_answer_that_is_none_is_a_note(aws: AwsStub, ready: Ready) -> None:
    aws.answers["SimulatePrincipalPolicy"] = (500, "<!doctype html>\n<p>Internal Server Error")
    (note,) = ready()
    assert note.startswith("permissions of the role: not checked (Unable to parse response")


def test_quotas_that_aws_does_not_list_are_a_note(aws: AwsStub, ready: Ready) -> None:
    needs = Needs(quotas={"ml.new.xlarge for training job usage": 3})
    assert ready(needs) == [
        "quota 'ml.new.xlarge for training job usage' was not found: it must be at least 3"
    ]


@pytest.mark.slow
def test_a_slow_account_is_not_waited_for(
    aws: AwsStub, ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for what does answer, on a busy machine too.
    monkeypatch.setattr("platforms.aws.readiness._SECONDS", 4.0)
    over = threading.Event()
    aws.answers["ListServiceQuotas"] = stubs.not_before(over, stubs.quotas({}))
    try:
        notes = ready()
    finally:
        over.set()
    assert len(notes) == 1
    assert notes[0].startswith("quotas: not checked")


def test_the_default_bucket_is_made_on_demand_closed_to_the_public(aws: AwsStub) -> None:
    platform = connect(settings(bucket=None))
    assert platform.defaults.bucket == OWN == "sagemaker-eu-west-1-123456789012"
    aws.answers["HeadBucket"] = (404, "")
    assert "the run creates it" in platform.require_ready(NEEDS)[0]
    assert "CreateBucket" not in aws.asked
    platform.prepare()
    assert aws.asked[-2:] == ["CreateBucket", "PutPublicAccessBlock"]


def test_a_bucket_that_is_there_is_left_alone(aws: AwsStub, s3: Any) -> None:
    ensure_bucket(s3, OWN, stubs.ACCOUNT)
    assert aws.asked == ["HeadBucket"]


def test_a_bucket_of_ones_own_is_never_created(aws: AwsStub, s3: Any) -> None:
    aws.answers["HeadBucket"] = (404, "")
    with pytest.raises(SettingsError, match="does not exist"):
        ensure_bucket(s3, "a-bucket", stubs.ACCOUNT)
    assert "CreateBucket" not in aws.asked


def test_somebody_else_took_the_default_buckets_name(aws: AwsStub, s3: Any) -> None:
    aws.answers["HeadBucket"] = (404, "")
    aws.answers["CreateBucket"] = stubs.query_error(409, "BucketAlreadyExists", "x")
    with pytest.raises(SettingsError, match=r"cannot be created.*set WHIPPET_BUCKET"):
        ensure_bucket(s3, OWN, stubs.ACCOUNT)


def test_an_image_past_its_date_is_warned_of(aws: AwsStub, ready: Ready) -> None:
    old = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
    assert date(2026, 7, 1) <= date.today()
    (note,) = ready(inference_image=old)
    assert "no security patches since 2026-06-30" in note
    assert "WHIPPET_INFERENCE_IMAGE" in note
