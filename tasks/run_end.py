"""The end of every run: what it cost, and what is still billing; one place for all flows.

The flows' hooks call it, so failed and cancelled runs end with it too. It never changes a run's
outcome: anything it cannot find out is a warning.
"""

from __future__ import annotations

import json
from logging import Logger, LoggerAdapter
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError
from prefect import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun
from prefect.logging.loggers import flow_run_logger

from platforms import Settings, connect
from platforms.errors import WhippetError
from tasks.costs.ledger import LEDGER_COLUMNS, cost_sentence, ledger_rows
from tasks.costs.ledger_update import settle
from tasks.costs.still_billing import still_billing, total_sentence
from tasks.events import tell_cost
from tasks.runs.names import RunIdentity
from tasks.runs.record import read_run, settings_of

COSTS_KEY, BILLING_KEY = "run-costs", "still-billing"
_BILLING_COLUMNS = [*("bills", "run", "instances", "USD per hour", "until (UTC)", "last request")]


def close_accounts(flow_run: FlowRun, run: RunIdentity | None) -> None:
    """Publish the run's ledger, when it has one, and the table of what still bills.

    Nothing for the run of a subflow: its root says it once for all.
    """
    if flow_run.parent_task_run_id is not None:
        return
    logger = flow_run_logger(flow_run)
    try:
        platform = connect(settings_of(run))
        if run is not None:
            settle(platform, run)
            _publish_costs(flow_run.id, platform.settings, run, logger)
        resources = still_billing(platform)
    except (WhippetError, BotoCoreError, ClientError, OSError) as error:
        logger.warning("what still bills is not known (%s): see `whippet endpoints`", error)
        return
    nothing = "nothing is billing any more"
    sentence = total_sentence(resources, bills=platform.bills) if resources else nothing
    _publish(flow_run.id, BILLING_KEY, [each.row for each in resources], sentence)
    logger.info("%s", sentence)


def _publish_costs(
    flow_run_id: UUID, settings: Settings, run: RunIdentity, logger: Logger | LoggerAdapter[Logger]
) -> None:
    run_record = read_run(settings, run.name)
    sentence = cost_sentence(run_record)
    if sentence is not None:
        _publish(flow_run_id, COSTS_KEY, ledger_rows(run_record), sentence)
        logger.info("run %s cost %s", run.name, sentence)
        tell_cost(run, run_record)


def _publish(flow_run_id: UUID, key: str, rows: list[dict[str, str]], sentence: str) -> None:
    # A hook runs outside of its flow run: prefect.artifacts would not know whose artifact it is.
    columns = LEDGER_COLUMNS if key == COSTS_KEY else _BILLING_COLUMNS
    artifact = ArtifactCreate(
        type="table",
        key=key,
        description=sentence,
        data=json.dumps(rows or [dict.fromkeys(columns, "-")]),
        flow_run_id=flow_run_id,
    )
    with get_client(sync_client=True) as client:
        client.create_artifact(artifact)
