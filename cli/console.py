"""What a run shows at the terminal: our own lines, not Prefect's bookkeeping.

The Prefect UI keeps every line; only the console is filtered.
"""

from __future__ import annotations

import logging
import sys

# Beginnings of the lines that Prefect writes about every flow run, task run and hook.
_BOOKKEEPING = ("Beginning ", "View at ", "Finished in state", "Running hook", "Hook ", "Created ")


class OnlyOurs(logging.Filter):
    """Pass our tasks' messages and Prefect's warnings; errors are reported once, at the end."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the console shows a record."""
        if record.levelno >= logging.ERROR:
            return False
        return not record.getMessage().startswith(_BOOKKEEPING)


class Short(logging.Formatter):
    """Time of day and message; a level only when it is not INFO."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s  %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        text = super().format(record)
        return text if record.levelno <= logging.INFO else f"{text}  [{record.levelname.lower()}]"


def say(text: str) -> None:
    """Print a line to stderr, at once."""
    print(text, file=sys.stderr, flush=True)


def open_page(url: str) -> None:
    """Show a page in a browser, or say that a person must."""
    import webbrowser

    if not webbrowser.open(url):
        say(f"no browser can be opened here: open {url} yourself")


def quiet_console() -> None:
    """Filter the console handlers of Prefect's loggers; call it after Prefect is imported."""
    names = ["prefect", "prefect.flow_runs", "prefect.task_runs", "prefect.extra", ""]
    for name in names:
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.addFilter(OnlyOurs())
                handler.setFormatter(Short())
