import json

import pytest

from sm_entrypoints.examine import main
from tests.sm_entrypoints.pictures import CLASSES, make_channels


@pytest.fixture
def manifest(tmp_path):
    channels = make_channels(tmp_path / "data", train=12, valid=4, test=4)
    splits = {
        name: [
            [path.relative_to(tmp_path / "data").as_posix(), CLASSES.index(path.parent.name)]
            for path in sorted(folder.glob("*/*.jpg"))
        ]
        for name, folder in channels.items()
    }
    document = {
        "model": "squeezenet1_1",
        "root": str(tmp_path / "data"),
        "classes": CLASSES,
        "splits": splits,
    }
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.slow
def test_a_data_set_is_examined_and_its_features_are_kept(tmp_path, manifest, capsys):
    options = [str(manifest), "--output", str(tmp_path / "out")]
    options += ["--features", str(tmp_path / "features")]
    assert main(options) == 0
    assert "computed the features of 60 images" in capsys.readouterr().err
    assert main(options) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("took the kept features of 60 images")
    assert said[-1].startswith("examined 60 pictures")
    document = json.loads((tmp_path / "out" / "pictures.json").read_text())
    assert document["pictures"] == {"train": 36, "valid": 12, "test": 12}
    assert document["network"] == "squeezenet1_1"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("nothing", "is not a list of pictures"),
        ("{}", "is not a list of pictures: 'root'"),
        (None, "No such file"),
    ],
)
def test_a_manifest_that_is_none(tmp_path, capsys, content, complaint):
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_text(content)
    assert main([str(path), "--output", str(tmp_path / "out")]) == 1
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_bad_picture_is_named(tmp_path, manifest, capsys):
    bad = tmp_path / "data" / "train" / CLASSES[0] / "000 é.jpg"
    bad.write_bytes(b"\xff\xd8\xff cut off")
    assert main([str(manifest), "--output", str(tmp_path / "out")]) == 1
    assert "000 é.jpg" in capsys.readouterr().err.splitlines()[-1]
