import dataclasses

import pytest

from dashboards.files.findings import Findings, Mark
from dashboards.sections.judgement import change_text, rules_section, verdict_section


def markup(section):
    return "".join(block.markup for block in section.blocks)


@pytest.fixture
def findings(output):
    return output.findings


def test_the_verdict_gives_sentence_evidence_change_and_gain(findings):
    html = markup(verdict_section(findings, [("Try it", "whippet run --set 'a b=<2>'")]))
    assert '<div class="verdict warning">' in html
    # A number and its unit stay in one line.
    assert "The network waits for its data 38%" in html
    assert "&lt;b&gt;2 cores&lt;/b&gt; are there." in html
    assert "<code>num_workers=2</code>" in html
    assert "whippet run --set &#x27;a b=&lt;2&gt;&#x27;</code>" in html
    assert "1.42 times as fast" in html
    assert "2 other findings" in html
    assert "weight_decay=0.01" in html


def test_nothing_to_change_offers_no_command(findings):
    fine = dataclasses.replace(
        findings.verdict, severity="ok", change={}, evidence=(), others=(), gain="", reasoning=""
    )
    html = markup(verdict_section(Findings(judged=True, verdict=fine), [("Try it", "whippet")]))
    assert '<div class="verdict ok">' in html
    assert "whippet" not in html
    assert "Expected gain" not in html


def test_a_job_that_was_not_judged_says_so():
    assert "not judged" in markup(verdict_section(Findings(), []))
    assert "No rules were evaluated" in markup(rules_section(Findings()))


def test_a_stopped_job_says_it_loudly():
    mark = Mark(rule="<b>", step=41, epoch=2, mode="TRAIN", subject="", message="NaN in <i>")
    html = markup(verdict_section(Findings(judged=True, stopped_by=mark), []))
    assert 'role="alert"' in html
    assert "Stopped by the rule &lt;b&gt; at TRAIN step 41 of epoch 2" in html
    assert "NaN in &lt;i&gt;" in html


def test_rules_that_found_something_are_open_and_the_others_folded(findings):
    section = rules_section(findings)
    lead, found, silent, absent = (block.markup for block in section.blocks)
    assert "2 of 5 rules found something" in lead
    assert found.index("Overfit") < found.index("DataWaitShare")
    assert "212 of 500 datapoints" in found
    assert "and 16 more places" in found
    assert "may stop" in found
    assert "Raise num_workers" in found
    assert "<details><summary>2 rules found nothing" in silent
    # What nobody needs to do now does not read as advice.
    assert "If it fires: Raise num_workers" in silent
    assert "<summary>One rule had nothing to examine" in absent
    assert "the job had no GPU" in absent


def test_evidence_is_told_in_four_digits(findings):
    rule = dataclasses.replace(
        findings.rules[0], details={"classes": [{"label": "a <b>", "share": 0.1428571428}]}
    )
    html = markup(rules_section(Findings(judged=True, rules=(rule,))))
    assert "{&quot;label&quot;: &quot;a &lt;b&gt;&quot;, &quot;share&quot;: 0.1429}" in html


def test_a_change_can_be_pasted():
    assert change_text({"batch_size": 1024, "optimizer": "adamw", "lr": 1e-5}) == (
        "batch_size=1024 optimizer=adamw lr=1e-05"
    )
    assert change_text({"cache_features": True}) == "cache_features=true"
