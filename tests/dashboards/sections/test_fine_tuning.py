"""The section on what the training of all layers brought."""

from __future__ import annotations

from dashboards.sections.fine_tuning import FineTuned, fine_tuning_section


def test_both_models_stand_beside_each_other():
    rows = [["valid:loss", "0.5000", "0.4000", "-0.1000 ± 0.0300"]]
    section = fine_tuning_section(FineTuned(sentence="All <b>layers</b> learned.", rows=rows))
    markup = "".join(block.markup for block in section.blocks)
    assert section.title == "What fine-tuning brought"
    assert "All &lt;b&gt;layers&lt;/b&gt; learned." in markup
    for text in ("head alone", "all layers", "change", *rows[0]):
        assert text in markup
    assert "less than twice that may be chance" in markup
