from dashboards.files.pictures import PicturesDocument
from tasks.report.pictures import pictures_markdown
from tests.worlds.sample_output import CLASSES
from tests.worlds.sample_pictures import document


def test_the_artifact_tells_all_and_no_name_breaks_its_tables():
    text = pictures_markdown(PicturesDocument.model_validate(document(CLASSES)))
    assert "- 23 of 3,800 pictures may have the wrong label." in text
    assert "+2.1 points" in text
    assert text.count("97%") == 1
    assert "<script>" not in text
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 2 + 14 + 2 + 1
