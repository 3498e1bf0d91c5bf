import pytest

from dashboards.files.frames import read_training_output
from tests.worlds.sample_output import write_output


@pytest.fixture(scope="session")
def output_folder(tmp_path_factory):
    return write_output(tmp_path_factory.mktemp("run 'één' <b>") / "output")


@pytest.fixture(scope="session")
def output(output_folder):
    return read_training_output(output_folder)
