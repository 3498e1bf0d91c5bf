"""Bodies that nobody honest sends, made from a service's own model: seeded, without end."""

from __future__ import annotations

import random
from typing import Any

NAMES = (
    *("..", ".", "/", "../../../../etc/passwd", "a/../../b", "..\\..\\evil", "/etc/passwd"),
    *("", " ", "\0", "a\0b", "\n", "a\r\nSet-Cookie: x=y", "-", "--help", ".hidden", "~", "$HOME"),
    *("é" * 60, "\U0001f600", "\u202eevil", "\ud800", "a" * 63, "a" * 64, "a" * 5000, "A-b-1", "x"),
    *("%2e%2e%2f", "{}", "${jndi:ldap://x}", "<script>", "' OR 1=1 --", "con", "nul", "latest"),
    *("s3://", "s3://../x", "s3://b/../../x", "s3://bucket/k\0", "file:///etc/passwd"),
    *("arn:aws:sagemaker:local:000000000000:training-job/../x", "arn:aws:iam::000000000000:role/x"),
    *("https://127.0.0.1:9/x", "NaN", "1e999", "null", "true", "0", "-1"),
)
NUMBERS = (0, -1, 1, 2, 2**31, 2**63, -(2**63) - 1, 10**400, 1.5, -0.0, 1e308, float("nan"))
MOST_DEPTH = 6


def deep(levels: int) -> str:
    """Return JSON of lists within lists."""
    return "[" * levels + "]" * levels


class Hostile:
    """Makes values: mostly of the type that a shape wants, sometimes of another."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def of(self, shape: Any, depth: int = 0) -> Any:
        """Return a value for a member of this shape."""
        if depth > MOST_DEPTH or self.random.random() < 0.06:
            return self.anything()
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape, depth)
        if kind == "list":
            count = self.random.choice((0, 1, 1, 2, 3))
            return [self.of(shape.member, depth + 1) for _ in range(count)]
        if kind == "map":
            count = self.random.choice((0, 1, 2))
            return {self.text(): self.of(shape.value, depth + 1) for _ in range(count)}
        if kind == "string":
            return self._text_of(shape)
        if kind == "boolean":
            return self.random.choice((True, False))
        if kind in ("integer", "long", "float", "double", "timestamp"):
            return self.random.choice((*NUMBERS, 1, 1, 3, 600, 3600))
        return self.text()

    def anything(self) -> Any:
        """Return some value of whatever type."""
        choices = (self.text(), self.random.choice(NUMBERS), None, True, [], {}, [[[[[]]]]])
        return self.random.choice((*choices, {"a": {"b": [None, {}]}}, [self.text()] * 50))

    def text(self) -> str:
        """Return some text."""
        return self.random.choice(NAMES)

    def _structure(self, shape: Any, depth: int) -> dict[str, Any]:
        wanted = set(shape.required_members)
        made = {
            name: self.of(member, depth + 1)
            for name, member in shape.members.items()
            if (name in wanted and self.random.random() < 0.9) or self.random.random() < 0.25
        }
        if self.random.random() < 0.05:
            made[self.text()] = self.anything()
        return made

    def _text_of(self, shape: Any) -> str:
        if shape.enum and self.random.random() < 0.8:
            return str(self.random.choice(shape.enum))
        if self.random.random() < 0.4:
            return self.random.choice(("pets", "a1", "ml.m5.large", "s3://bucket/x", "1", "cat-7"))
        return self.text()
