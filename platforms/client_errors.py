"""SageMaker's errors as boto3 raises them, built without a service behind them.

The codes are the four that SageMaker's training, tuning and hosting operations use. Which code
goes with which fault follows the service, not its documentation: describing an unknown training
job answers ``ValidationException`` "Requested resource not found." (aws/aws-sdk#165).
"""

from __future__ import annotations

import uuid
from typing import Any, Literal

from botocore.exceptions import ClientError

Code = Literal[
    "ResourceInUse",
    "ResourceNotFound",
    "ResourceLimitExceeded",
    "ValidationException",
    # CloudWatch Logs has names of its own.
    "ResourceNotFoundException",
    "InvalidParameterException",
]


def client_error(operation: str, code: Code, message: str) -> ClientError:
    """Return the error that boto3 raises for ``operation`` (``CreateTrainingJob``).

    Every one of these codes is HTTP status 400, as in botocore's model of the service.
    """
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {
            "RequestId": str(uuid.uuid4()),
            "HTTPStatusCode": 400,
            "HTTPHeaders": {},
            "RetryAttempts": 0,
        },
        "message": message,
    }
    return ClientError(response, operation)
