"""The content types a client accepts, best first: ``Accept`` headers with their q-values.

Where SageMaker's toolkit finds a type, this finds the same: the toolkit takes the first type that
it can write, and does not know q-values, other parameters, or wildcards within a list.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    media_type: str
    quality: float
    has_parameters: bool
    place: int

    def rank(self) -> tuple[float, bool, bool, int]:
        wild = self.media_type.endswith("*")
        return (-self.quality, wild, self.has_parameters, self.place)


def media_type(content_type: str | None) -> str:
    """Return a content type without parameters, in lower case; empty when there is none."""
    return (content_type or "").split(";")[0].strip().lower()


def accepted(accept: str | None) -> list[str]:
    """Return the media types of an Accept header, the most welcome first, refused ones left out.

    >>> accepted("text/csv;q=0.5, application/json")
    ['application/json', 'text/csv']
    """
    choices = [_choice(part, place) for place, part in enumerate((accept or "").split(","))]
    wanted = sorted((each for each in choices if each.quality > 0), key=_Choice.rank)
    return [each.media_type for each in wanted if each.media_type]


def _choice(part: str, place: int) -> _Choice:
    kind, *parameters = part.split(";")
    return _Choice(
        media_type=kind.strip().lower(),
        quality=_quality(parameters),
        has_parameters=bool(parameters),
        place=place,
    )


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 1.0
    return 1.0
