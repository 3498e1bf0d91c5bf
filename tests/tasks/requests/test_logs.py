"""Every page of a log is read; cli/commands/test_inspection.py reads those of real jobs."""

from __future__ import annotations

from tasks.requests.logs import log_events, log_text
from tests.worlds.platforms import fake_platform


class Pages:
    """CloudWatch's answers: a page may be empty and not the last."""

    def __init__(self):
        self.asked = []

    def filter_log_events(self, **request):
        self.asked.append(request)
        pages = {None: (["a", "b"], "1"), "1": ([], "2"), "2": (["é"], None)}
        messages, more = pages[request.get("nextToken")]
        events = [{"message": message} for message in messages]
        return {"events": events, **({"nextToken": more} if more else {})}


def test_every_page_of_a_log_is_read():
    logs = Pages()
    assert log_text(fake_platform(logs=logs), "job") == "a\nb\né"
    # The slash: a job whose name begins like this one is another job.
    assert {each["logStreamNamePrefix"] for each in logs.asked} == {"job/"}


def test_events_from_a_moment_on():
    logs = Pages()
    assert next(log_events(fake_platform(logs=logs), "job", start=7))["message"] == "a"
    assert logs.asked[0]["startTime"] == 7
