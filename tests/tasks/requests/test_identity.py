from __future__ import annotations

import pytest

from tasks.requests.identity import digest_tag, request_digest, with_source_of, with_tags
from tests.worlds.requests import deployment_requests

JOB = {
    "TrainingJobName": "pets-abc123-train",
    "RoleArn": "arn:aws:iam::123456789012:role/whippet",
    "HyperParameters": {"lr": "0.001", "model": "resnet18"},
    "InputDataConfig": [{"ChannelName": "train"}],
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    "Tags": [{"Key": "whippet:run", "Value": "Été"}],
}
# By the code before its requests had types: a run resumed after an upgrade adopts by these.
DIGESTS = {
    "CreateModel": "a1a17cd8b9ddc7e3d078f683501ed869a5662798b6f690dc2a6b393e97435a48",
    "CreateEndpointConfig": "8e2aa7af7002c01a26f19044eaa8ce29342a0841c979ce23f886e3c3a422c915",
    "CreateEndpoint": "4e56b5acfb67a91e79f05bfbf37f363849c88cd2485ce54c1fc3d29ecb6324e6",
}


def test_the_digest_of_a_request_is_what_it_always_was():
    expected = "7d8ec433b0a3946825e269a58ab9ff30543f0bceb254140a4c815df5c652aa6d"
    assert request_digest(JOB) == expected
    assert digest_tag(with_tags(JOB, {})) == expected


@pytest.mark.parametrize(("operation", "request_body"), deployment_requests())
def test_an_endpoint_is_asked_for_as_ever(operation, request_body):
    assert digest_tag(request_body) == DIGESTS[operation]


@pytest.mark.parametrize("source", [None, "s3://bucket/old.tar.gz"])
def test_a_job_without_a_source_archive_stays_as_it_is(source):
    described = {"HyperParameters": {"sagemaker_submit_directory": source} if source else {}}
    assert with_source_of(JOB, described) == with_tags(JOB, {"whippet:run": "Été"})
