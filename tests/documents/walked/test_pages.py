"""Every command of the documents that needs no account, typed in the order of each page.

Not in CI: a dozen small runs, a worker, PostgreSQL. ``make test-aws`` runs it.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.report.pdf import find_chromium
from tests.documents.reading import Command
from tests.documents.walked.shell import Shell, project
from tests.documents.walked.worlds import LOCAL, documents_of, typed, walked
from tests.worlds.job_environment import job_python
from tests.worlds.pipeline import PACKED, tiny_data
from tests.worlds.postgres import Postgres, programs, running_postgres
from tests.worlds.receiver import Receiver, receiving

pytestmark = [pytest.mark.slow, pytest.mark.job, pytest.mark.timeout(1800)]

RUN = "known"
# What these take for granted: Prefect's own commands know the server.
NEEDS_SERVER = re.compile(r"^(\.venv/bin/)?prefect (work-pool|deployment|--no-prompt)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project's folder with pictures in several layouts, and a run that ended."""
    job_python()
    found = project(tmp_path_factory.mktemp("documents") / "my project")
    pictures = tiny_data(found / "pictures")
    for name in ("fold1", "fold2"):
        shutil.copytree(pictures / "train", found / "folds" / name)
    shutil.copytree(pictures / "train", found / "folders")
    shutil.copytree(pictures, found / ".whippet" / "s3" / "bucket" / "pets")
    (found / "sendgrid.key").write_text("SG.a-key", "utf-8")
    shell = Shell(folder=found)
    shell.run(shlex.join(["whippet", "run", "--data", "pictures", "--name", RUN, *PACKED]))
    yield found
    shell.run("whippet down")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL as a system has it, with its superuser."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed here")
    with running_postgres(role="postgres") as postgres:
        yield postgres


@pytest.fixture(scope="module")
def hook() -> Iterator[Receiver]:
    """A webhook's receiver."""
    with receiving() as found:
        yield found


def words_of(folder: Path, command: Command, hook: Receiver) -> dict[str, str]:
    """Return what stands for the placeholders of a command."""
    record = json.loads((folder / ".whippet/runs" / RUN / "run.json").read_text("utf-8"))
    job = record["jobs"]["training"]
    home = folder / ".whippet"
    (output,) = [path for path in (home / "s3").rglob(job) if path.is_dir()]
    picture = next((folder / "pictures/test").rglob("*.jpg"))
    kept = [path.parent for path in sorted(home.glob("s3/*/*/features/*/*/about.json"))]
    features = kept[-1] if kept else Path("none/none")
    words = {
        "s3://bucket/prefix": f"s3://{output.relative_to(home / 's3')}",
        "pets/0123456789abcdef": f"{features.parent.name}/{features.name}",
        "https://example.org/hook": hook.url,
        "RUN …": RUN,
        "RUN": RUN,
        "my-run": RUN,
        "NAME": job,
        "PATH": str(output.relative_to(folder)),
        "IMAGE.jpg": str(picture.relative_to(folder)),
        "dogImages": "pictures",
        "DIR": "fetched" if " fetch " in command.line else "pictures",
    }
    if command.document == "docs/data.md":
        words["DIR"] = "folders" if "--no-splits" in command.line else "folds"
    if " features --remove" in command.line:
        words["pets"] = features.parent.name
    return {written: shlex.quote(meant) for written, meant in words.items()}


@pytest.mark.parametrize("document", documents_of(LOCAL))
def test_every_command_of_a_page_runs(document: str, folder: Path, hook: Receiver) -> None:
    shell = Shell(folder=folder)
    for command in walked(LOCAL, document):
        if command.section == "PostgreSQL":
            continue
        line = typed(command.line, words_of(folder, command, hook))
        if " --pdf" in line:
            browser = find_chromium()
            if browser is None:
                continue  # README says that it needs one
            line = f"WHIPPET_CHROMIUM={shlex.quote(str(browser))} {line}"
        if NEEDS_SERVER.match(command.line):
            shell.run("whippet up")
        shell.do(line)
    if document == "docs/operate.md":
        assert hook.messages


def test_every_command_about_postgresql_runs(folder: Path, postgres: Postgres) -> None:
    """With Debian's programs, as a user who may create databases; Whippet's role has a password."""
    asks = {"PGHOST": str(postgres.folder), "PGUSER": "postgres", "PGPASSWORD": postgres.password}
    shell = Shell(folder=folder, variables=asks, programs=(postgres.bin,))
    password = "a-Password-1"
    commands = [each for each in walked(LOCAL, "docs/operate.md") if each.section == "PostgreSQL"]
    assert len(commands) == 8
    address = f"{password}@/whippet?host={postgres.folder}"
    for command in commands:
        line = command.line.replace("PASSWORD@HOST/whippet", shlex.quote(address))
        # It asks twice, at a terminal or, where there is none, here.
        shell.run(line, stdin=f"{password}\n" * 2)
    for database in ("whippet", "restored"):
        asked = ("-d", database, "-Atc", "select count(*) from deployment")
        assert postgres.run("psql", *asked).strip() == "19"
