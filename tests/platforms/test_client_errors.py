"""What people read when IAM refuses a call."""

from __future__ import annotations

import pickle

import pytest
from botocore.exceptions import ClientError

from platforms.client_errors import AccessDenied, denial_sentence, raise_if_denied
from platforms.errors import WhippetError

USER = "arn:aws:iam::111122223333:user/anna"
JOB = "arn:aws:sagemaker:eu-west-1:111122223333:training-job/x-train"


def denied(message: str, code: str = "AccessDeniedException") -> AccessDenied:
    return AccessDenied({"Error": {"Code": code, "Message": message}}, "CreateTrainingJob")


def test_who_may_not_do_what_on_what():
    error = denied(
        f"User: {USER} is not authorized to perform: sagemaker:CreateTrainingJob on resource: "
        f"{JOB} because no identity-based policy allows the sagemaker:CreateTrainingJob action"
    )
    assert str(error) == (
        f"{USER} may not do sagemaker:CreateTrainingJob on {JOB}: add it to the policy "
        f"(`whippet iam` prints it)"
    )


def test_it_is_for_people_and_still_an_error_of_boto3():
    error = denied("no")
    assert isinstance(error, WhippetError)
    assert isinstance(error, ClientError)
    assert error.response["Error"]["Code"] == "AccessDeniedException"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_an_explicit_deny_is_not_cured_by_allowing():
    said = str(
        denied(
            f"User: {USER} is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:"
            f"role/x with an explicit deny in a service control policy"
        )
    )
    assert "may not do iam:PassRole on arn:aws:iam::1:role/x" in said
    assert "service control policy" in said
    assert "whippet iam" not in said


@pytest.mark.parametrize("message", ["Access Denied", "", "forbidden: ask someone"])
def test_a_refusal_that_says_nothing_names_what_was_asked(message):
    sentence = denial_sentence(message, "s3:GetObject", "arn:aws:s3:::b/k")
    assert sentence.startswith("the caller may not do s3:GetObject on arn:aws:s3:::b/k: ")


def test_s3_puts_the_resource_into_quotation_marks():
    said = (
        f'User: {USER} is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::b/a '
        'b" because no identity-based policy allows the s3:PutObject action'
    )
    assert denial_sentence(said, "s3:GetObject").startswith(f"{USER} may not do s3:PutObject on ")


def test_other_errors_are_left_to_boto3():
    raise_if_denied({"Error": {"Code": "ThrottlingException"}}, None)
    raise_if_denied({}, None)
