"""The worst case of the requests that are really built never passes the cap."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from types import SimpleNamespace

import pytest

from platforms.errors import DataError, ParameterError
from platforms.instances import has_gpu
from tasks.costs.cap import LEAST_SECONDS, BudgetError
from tasks.costs.prices import table_prices
from tasks.costs.worst_case import endpoint_usd
from tasks.parameters.run import (
    DataParameters,
    DeploymentParameters,
    ModelParameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.plan.requests import UNNAMED, PlannedRequest, RunChoices
from tasks.plan.run import Planner, plan_run
from tasks.plan.text import plan_text, usd
from tasks.runs.record_model import RunFacts
from tests.worlds.pictures import write_data
from tests.worlds.platforms import fake_platform
from tests.worlds.run_records import record_values, run_record

SIX = TuningParameters(strategy="Bayesian")
INSTANCES = ("ml.m5.xlarge", "ml.g4dn.xlarge", "ml.p3.2xlarge", "ml.t2.medium")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("my photos é")
    return write_data(root, {split: {"a": 2, "b": 2} for split in ("train", "valid", "test")})


@pytest.fixture
def platform(tmp_path):
    return fake_platform(home=tmp_path / "home")


def choices(data, **changes) -> RunChoices:
    values = {
        "data": DataParameters(path=str(data)),
        "model": ModelParameters(),
        "tuning": TuningParameters(),
        "training": TrainingParameters(),
        "deployment": DeploymentParameters(),
        "resources": ResourceParameters(),
    }
    return RunChoices(**{**values, **changes})


PER_HOUR = {"ml.m5.xlarge": "0.23", "ml.g4dn.xlarge": "0.736", "ml.p3.2xlarge": "3.825"}
PER_HOUR |= {"ml.t2.medium": "0.056"}


def worst_case(requests, hours_to_live) -> Decimal:
    """Add up by hand what requests can cost: not by the code that is tested."""
    usd = Decimal(0)
    for each in requests:
        body = each.request
        if each.operation == "CreateEndpointConfig":
            (variant,) = body["ProductionVariants"]
            price = Decimal(PER_HOUR[variant["InstanceType"]]) * variant["InitialInstanceCount"]
            usd += price * Decimal(str(hours_to_live))
        job = body.get("TrainingJobDefinition", body)
        if "ResourceConfig" in job:
            resources = job["ResourceConfig"]
            limits = job["StoppingCondition"]
            seconds = limits.get("MaxWaitTimeInSeconds", limits["MaxRuntimeInSeconds"]) + 120 + 300
            seconds += resources.get("KeepAlivePeriodInSeconds", 0)
            hour = Decimal(PER_HOUR[resources["InstanceType"]])
            hour += Decimal("0.14") * resources["VolumeSizeInGB"] / 730
            limits = body.get("HyperParameterTuningJobConfig", {}).get("ResourceLimits", {})
            jobs = limits.get("MaxNumberOfTrainingJobs", 1)
            usd += hour * resources["InstanceCount"] * seconds / 3600 * jobs
    return usd


def some_choices(data, chance: random.Random) -> RunChoices:
    instance_type, count = chance.choice(INSTANCES[:3]), chance.randint(1, 4)
    longest, spot = chance.randint(60, 20_000), chance.random() < 0.3
    return choices(
        data,
        tuning=TuningParameters(
            strategy=chance.choice(["auto", "Bayesian"]),
            max_jobs=chance.randint(1, 60),
            max_parallel_jobs=chance.randint(1, 8),
        ),
        deployment=DeploymentParameters(
            instance_type=chance.choice(INSTANCES),
            instance_count=chance.randint(1, 3),
            hours_to_live=round(chance.uniform(0.1, 30), 2),
        ),
        resources=ResourceParameters(
            instance_type=instance_type,
            instance_count=count if has_gpu(instance_type) else 1,
            volume_gb=chance.randint(1, 500),
            max_runtime_seconds=longest,
            spot=spot,
            max_wait_seconds=longest * chance.randint(1, 5) if spot and longest > 5000 else None,
            keep_alive_seconds=0 if spot else chance.choice([0, 0, 600, 3600]),
            max_usd=Decimal(chance.randint(1, 20_000)) / 100,
        ),
    )


@pytest.mark.slow
def test_no_requests_that_are_built_can_pass_the_cap(data, platform):
    chance, kept, refused, tight, packed = random.Random(4), 0, 0, 0, 0
    for _ in range(40):
        asked = some_choices(data, chance)
        cap = asked.resources.max_usd
        try:
            plan = plan_run(platform, UNNAMED, asked)
        except BudgetError as error:
            refused += 1
            smallest = Decimal(str(error).split("--max-usd ")[1].split(";")[0])
            assert smallest > cap
            enough = asked.resources.model_copy(update={"max_usd": smallest})
            again = plan_run(platform, UNNAMED, asked.model_copy(update={"resources": enough}))
            trials = again.asked.max_jobs if again.search.is_packed else 1
            assert again.limits.max_jobs == trials, "the smallest cap is enough, and for no more"
            continue
        kept += 1
        assert plan.worst_usd is not None
        assert worst_case(plan.requests, asked.deployment.hours_to_live) <= plan.worst_usd <= cap
        packed += plan.search.is_packed
        assert plan.limits.max_jobs <= asked.tuning.max_jobs
        assert plan.limits.trial_seconds <= asked.resources.max_runtime_seconds
        if plan.limits != plan.asked:
            tight += 1
            assert plan.limits.trial_seconds >= min(
                LEAST_SECONDS, asked.resources.max_runtime_seconds
            )
    assert min(kept - packed, packed, refused, tight) >= 4, "the cases say something"


def test_the_limits_are_the_largest_that_keep_the_cap(data, platform):
    asked = choices(data, tuning=SIX, resources=ResourceParameters(max_usd=Decimal(3)))
    found = plan_run(platform, UNNAMED, asked)
    assert LEAST_SECONDS < found.limits.trial_seconds < 7200
    assert found.limits.max_jobs == 6, "time goes first, then trials"
    longer = found.limits.model_copy(
        update={
            key: found.limits.trial_seconds + 1 for key in ("trial_seconds", "training_seconds")
        }
    )
    planner = Planner(
        platform=platform,
        run=UNNAMED,
        choices=asked,
        inputs=_inputs(platform, asked),
        data=found.data,
    )
    bodies = [PlannedRequest(operation="", request=r) for r in planner.requests(longer).values()]
    endpoint = next(line for line in found.costs if "endpoint" in line.what).worst_usd
    assert worst_case(bodies, 0) + endpoint + found.objects_month_usd > 3


def _inputs(platform, asked):
    from tasks.plan.requests import planned_inputs

    return planned_inputs(platform, asked, RunFacts())


def test_fine_tuning_is_a_job_more(data, platform):
    asked = choices(data, tuning=SIX)
    both = asked.model_copy(update={"training": TrainingParameters(fine_tune=True)})
    plain, found = (plan_run(platform, UNNAMED, each) for each in (asked, both))
    jobs = [r.request for r in found.requests if r.operation == "CreateTrainingJob"]
    assert [job["TrainingJobName"].rpartition("-")[2] for job in jobs] == ["train", "finetune"]
    head, all_layers = jobs
    assert all_layers["HyperParameters"]["trainable"] == "all"
    output = head["OutputDataConfig"]["S3OutputPath"]
    uris = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in all_layers["InputDataConfig"]
    }
    assert uris["weights"] == f"{output}/{head['TrainingJobName']}/output/model.tar.gz"
    assert all_layers["CheckpointConfig"] != head["CheckpointConfig"]
    line = next(line for line in found.costs if line.what.startswith("the fine-tuning, "))
    assert found.worst_usd == plain.worst_usd + line.worst_usd
    assert found.worst_seconds > plain.worst_seconds
    assert found.permissions == plain.permissions
    with pytest.raises(ParameterError, match="leave one of the two out"):
        plan_run(
            platform, UNNAMED, both.model_copy(update={"model": ModelParameters(trainable="all")})
        )


def test_a_packed_search_keeps_its_trials_and_gets_less_time_or_is_refused(data, platform):
    found = plan_run(platform, UNNAMED, choices(data, resources=_cap("1.20")))
    assert (found.limits.max_jobs, found.asked.max_jobs) == (64, 64)
    assert LEAST_SECONDS < found.limits.trial_seconds == found.limits.training_seconds < 7200
    assert worst_case(found.requests, 8) <= found.worst_usd <= Decimal("1.20")
    assert f"seconds of the search 7200 -> {found.limits.trial_seconds}" in plan_text(found)
    with pytest.raises(BudgetError, match="even with a packed search of 600 s"):
        plan_run(platform, UNNAMED, choices(data, resources=_cap("0.65")))


def _cap(usd: str) -> ResourceParameters:
    return ResourceParameters(max_usd=Decimal(usd))


@pytest.mark.parametrize(
    ("tuning", "ways"),
    [
        (TuningParameters(), [("packed", 64), ("Bayesian", 6)]),
        (TuningParameters(max_jobs=20), [("packed", 20), ("Bayesian", 20)]),
        (TuningParameters(strategy="Random"), [("Random", 6), ("packed", 64)]),
        (TuningParameters(fixed={"augmentation": "flip"}), [("Bayesian", 6)]),
    ],
    ids=["packed", "so many", "another strategy", "not to be packed"],
)
def test_both_ways_to_search_are_priced_side_by_side(data, platform, tuning, ways):
    found = plan_run(platform, UNNAMED, choices(data, tuning=tuning))
    assert [(way.strategy, way.trials) for way in found.search_ways] == ways
    (mine, *other), one = found.search_ways, usd_of_a_job()
    costs = {"packed": one}
    for way in (mine, *other):
        assert way.worst_usd == pytest.approx(costs.get(way.strategy, one * way.trials))
    lines = [" ".join(line.split()) for line in plan_text(found).splitlines()]
    assert found.search.sentence in lines
    word = "one training job" if mine.strategy == "packed" else "a tuning job"
    amount = usd(mine.worst_usd)
    said = f"this run: {word} (--strategy {mine.strategy}) {mine.trials} {amount} not known"
    assert said in lines
    assert any(line.startswith("or: ") for line in lines) == (len(ways) == 2)


def usd_of_a_job() -> Decimal:
    hour = Decimal(PER_HOUR["ml.m5.xlarge"]) + Decimal("0.14") * 30 / 730
    return hour * (7200 + 120 + 300) / 3600


def test_a_packed_search_is_expected_to_take_as_long_as_the_last_one(data, platform):
    kind = {"strategy": "packed", "sentence": "x"}
    _rehearse(platform, data, [("s", "tune", 40), ("f", "train", 90)], search=kind)
    found = plan_run(platform, UNNAMED, choices(data, tuning=TuningParameters(max_epochs=8)))
    assert (found.rehearsal.search_seconds, found.rehearsal.trial_seconds) == (40, None)
    assert found.expected_seconds == 40 + 90, "more epochs take hardly more time"
    assert "40 s for the packed search, 90 s for the training" in plan_text(found)
    packed, native = found.search_ways
    assert 0 < packed.expected_usd < packed.worst_usd
    assert native.expected_usd is None


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ("packed", "Bayesian", "not known per trial, 90 s for the training"),
        ("Bayesian", "packed", "not known for the packed search, 90 s for the training"),
    ],
)
def test_a_search_of_the_other_kind_tells_nothing(data, platform, before, now, said):
    kind = {"strategy": before, "sentence": "x"}
    _rehearse(platform, data, [("s", "tune", 40), ("f", "train", 90)], search=kind)
    found = plan_run(platform, UNNAMED, choices(data, tuning=TuningParameters(strategy=now)))
    assert found.expected_seconds is None
    assert said in plan_text(found)
    assert "40 s" not in plan_text(found)


def test_a_run_that_goes_on_is_planned_as_it_began(data, platform):
    asked = choices(data)
    plan = {"limits": {"max_jobs": 6, "trial_seconds": 7200, "training_seconds": 7200}}
    before = plan_run(platform, UNNAMED, asked, run_record(plan=plan))
    assert before.search.strategy == "Bayesian", "runs of earlier versions had tuning jobs"
    assert before.requests[0].operation == "CreateHyperParameterTuningJob"
    assert before.limits.max_jobs == 6
    kind = {"strategy": "packed", "sentence": "x"}
    again = plan_run(platform, UNNAMED, asked, run_record(plan=plan, search=kind))
    assert again.search.strategy == "packed"
    assert again.limits.max_jobs == 64


def test_a_grid_keeps_its_trials_or_is_refused(data, platform):
    from tasks.parameters.ranges import CategoricalRange

    grid = TuningParameters(
        strategy="Grid", ranges={"batch_size": CategoricalRange(values=[8, 16, 32, 64])}
    )
    resources = ResourceParameters(max_usd=Decimal("0.70"))
    with pytest.raises(BudgetError, match="4 trials of 600 s"):
        plan_run(platform, UNNAMED, choices(data, tuning=grid, resources=resources))
    enough = ResourceParameters(max_usd=Decimal("1.80"))
    found = plan_run(platform, UNNAMED, choices(data, tuning=grid, resources=enough))
    limits = found.requests[0].request["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert limits == {"MaxParallelTrainingJobs": 1}
    assert 600 <= found.limits.trial_seconds < 7200


def test_an_endpoint_that_scales_is_counted_at_its_largest(data, platform):
    one = plan_run(platform, UNNAMED, choices(data))
    scaled = DeploymentParameters(max_instances=4)
    four = plan_run(platform, UNNAMED, choices(data, deployment=scaled))
    (before,), (after,) = (
        [line for line in plan.costs if "endpoint" in line.what] for plan in (one, four)
    )
    assert after.worst_usd == 4 * before.worst_usd
    assert after.expected_usd == before.expected_usd


def test_what_bills_by_use_has_no_price():
    variant = {"ServerlessConfig": {"MemorySizeInMB": 3072, "MaxConcurrency": 5}}
    prices = table_prices([("ml.t2.medium", "hosting")])
    assert endpoint_usd({"ProductionVariants": [variant]}, 8, prices, None) is None


def test_an_unknown_price_is_said_and_keeps_no_cap(data, platform):
    unknown = ResourceParameters(instance_type="ml.c7i.large")
    found = plan_run(platform, UNNAMED, choices(data, resources=unknown))
    assert found.worst_usd is None
    assert "not known" in plan_text(found)
    capped = unknown.model_copy(update={"max_usd": Decimal(100)})
    with pytest.raises(ParameterError, match=r"ml\.c7i\.large \(training\)"):
        plan_run(platform, UNNAMED, choices(data, resources=capped))


def test_bad_input_is_refused_before_anything_is_planned(data, platform, tmp_path):
    with pytest.raises(DataError):
        plan_run(platform, UNNAMED, choices(tmp_path / "nowhere"))
    wrong = ResourceParameters(instance_type="ml.m5.xlrage")
    with pytest.raises(ParameterError, match=r"'ml\.m5\.xlrage' for training.*ml\.m5\.xlarge"):
        plan_run(platform, UNNAMED, choices(data, resources=wrong))


def _rehearse(platform, data, jobs: list[tuple[str, str, int]], **facts) -> None:
    """Write the record of an earlier run of these jobs: name, stage, billed seconds."""
    folder = platform.settings.runs / "before"
    folder.mkdir(parents=True)
    entry = {
        "status": "Completed",
        "instance_type": "ml.m5.xlarge",
        "instance_count": 1,
        "spot_saving": 0,
        "usd": "0.01",
        "price": "x",
    }
    ledger = {
        name: {**entry, "job": name, "stage": stage, "billable_seconds": seconds}
        for name, stage, seconds in jobs
    }
    parameters = {"data": {"path": str(data)}, "tuning": {"max_epochs": 4}}
    record = record_values("before", ledger=ledger, parameters=parameters, **facts)
    (folder / "run.json").write_text(json.dumps(record))


def test_a_rehearsal_gives_what_to_expect(data, platform):
    _rehearse(platform, data, [("t1", "tune", 30), ("t2", "tune", 50), ("f", "train", 90)])
    (platform.settings.runs / "odd").mkdir()
    (platform.settings.runs / "odd" / "run.json").write_text("{not json")
    tuning = TuningParameters(strategy="Bayesian", max_epochs=8, max_parallel_jobs=4)
    twice = choices(data, tuning=tuning)
    found = plan_run(platform, UNNAMED, twice)
    assert found.rehearsal is not None
    assert (found.rehearsal.trial_seconds, found.rehearsal.training_seconds) == (80, 90)
    assert found.expected_seconds == 2 * 80 + 90, "six trials, four at a time"
    assert 0 < found.expected_usd < found.worst_usd
    assert "this machine" in plan_text(found)
    other = choices(data, model=ModelParameters(architecture="mobilenet_v2"))
    assert plan_run(platform, UNNAMED, other).rehearsal is None
    changed = {"augmentation": "standard", "views": 4}
    viewed = choices(data, training=TrainingParameters(hyperparameters=changed))
    assert plan_run(platform, UNNAMED, viewed).rehearsal is None, "each view is one more pass"


def test_the_text_says_what_matters(data, platform):
    found = plan_run(platform, UNNAMED, choices(data))
    text = plan_text(found)
    for words in (
        "nothing has been sent or created",
        f"At most {usd(found.worst_usd)} in total (--max-usd makes it a hard cap)",
        "AWS does not remove the endpoint: after its time to live it keeps billing $0.062 per hour",
        "SageMaker stops a job that exceeds its limit, and the run fails",
        "CreateTrainingJob     run-xxxxxx-tune",
        "The search is packed into one training job, because the backbone is frozen",
        "run-xxxxxx-endpoint",
        "ml.m5.xlarge for training job usage",
        "ml.t2.medium for endpoint usage",
        "iam:PassRole",
        "not confirmed by AWS",
        "per month",
    ):
        assert words in text
    assert platform.sagemaker.calls == [], "a plan asks nothing of SageMaker"


def test_a_serverless_endpoint_is_said_to_bill_by_use(data, platform):
    serverless = choices(data, deployment=DeploymentParameters(kind="serverless"))
    text = plan_text(plan_run(platform, UNNAMED, serverless))
    assert "The maximum cost is not known" in text
    assert "by use: nothing while idle" in text


def test_spot_is_counted_for_all_of_its_wait_which_shrinks_with_the_time(data, platform):
    resources = ResourceParameters(
        spot=True, max_runtime_seconds=3600, max_wait_seconds=10_800, max_usd=Decimal(3)
    )
    found = plan_run(platform, UNNAMED, choices(data, tuning=SIX, resources=resources))
    assert worst_case(found.requests, 8) <= found.worst_usd <= 3
    stops = found.requests[1].request["StoppingCondition"]
    assert 600 <= stops["MaxRuntimeInSeconds"] < 3600
    assert stops["MaxWaitTimeInSeconds"] == 3 * stops["MaxRuntimeInSeconds"]


@pytest.mark.parametrize(("region", "kept"), [("us-east-1", True), ("eu-central-1", False)])
def test_a_cap_is_not_kept_by_another_regions_prices(data, platform, region, kept):
    refusing = SimpleNamespace(get_products=lambda **_: {"PriceList": []})
    platform.pricing = SimpleNamespace(client=refusing, region=region)
    platform.bills = True
    resources = ResourceParameters(max_usd=Decimal(50))
    assert plan_run(platform, UNNAMED, choices(data)).worst_usd > 0, "without a cap it is told"
    if kept:
        assert plan_run(platform, UNNAMED, choices(data, resources=resources)).worst_usd <= 50
        return
    with pytest.raises(
        ParameterError, match=r"eu-central-1.*only from a table for us-east-1.*GetProducts"
    ):
        plan_run(platform, UNNAMED, choices(data, resources=resources))


def entry(job: str, usd: str, **more) -> dict:
    known = {
        "job": job,
        "stage": "deploy",
        "status": "Deleted",
        "instance_type": "ml.t2.medium",
        "instance_count": 1,
        "billable_seconds": 60,
        "spot_saving": 0,
        "usd": usd,
        "price": "table",
        "usd_per_hour": "0.06",
        "since": "2026-11-01T00:00:00+00:00",
    }
    return {**known, **more}


@pytest.mark.parametrize(
    ("ledger", "counted"),
    [
        ({"gone": entry("e", "2.5")}, Decimal("2.5")),
        ({"compared": entry("c", "1.5", stage="improve", since=None)}, Decimal("1.5")),
        ({"there": entry("e", "0.3", billing=True)}, Decimal(0)),
    ],
    ids=["an endpoint that was removed", "a comparison", "the endpoint that is there"],
)
def test_a_resumed_run_counts_what_it_used_besides_jobs_of_its_own(data, platform, ledger, counted):
    resources = ResourceParameters(max_usd=Decimal(5))
    asked = choices(data, tuning=SIX, resources=resources)
    first = plan_run(platform, UNNAMED, asked)
    again = plan_run(platform, UNNAMED, asked, run_record(ledger=ledger))
    assert first.worst_usd <= 5
    assert again.worst_usd + counted <= 5 or counted == 0
    if counted:
        assert again.limits.trial_seconds < first.limits.trial_seconds
    else:
        assert again.limits == first.limits, "its whole time to live is in the plan already"


def test_an_endpoint_that_outlived_its_time_counts_for_as_long_as_it_lived(data, platform):
    asked = choices(data, resources=ResourceParameters(max_usd=Decimal(5)))
    late = {"there": entry("e", "4.90", billing=True)}
    with pytest.raises(BudgetError, match=r"4\.97 USD are fixed"):
        plan_run(platform, UNNAMED, asked, run_record(ledger=late))
