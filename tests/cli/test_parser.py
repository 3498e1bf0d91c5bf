"""The parser is made of the modules of ``cli.commands``."""

from __future__ import annotations

from pathlib import Path

from cli import commands, parser
from cli.parser import build_parser


def names() -> list[str]:
    (listed,) = [action for action in build_parser()._actions if action.choices]
    return list(listed.choices)


def test_every_module_of_commands_is_a_command() -> None:
    modules = Path(str(commands.__file__)).parent.rglob("[!_]*.py")
    assert sorted(names()) == sorted(each.stem.replace("_", "-") for each in modules)
    assert names() == [name.replace("_", "-") for name in parser._ORDER]


def test_a_new_command_is_one_new_file(tmp_path, monkeypatch) -> None:
    text = Path(str(commands.__file__)).with_name("fetch.py").read_text("utf-8")
    (tmp_path / "bark_twice.py").write_text(text.replace("HELP = ", "HELP = 'bark, ' ", 1), "utf-8")
    (tmp_path / "__init__.py").touch()
    for each in Path(str(commands.__file__)).parent.glob("[!_]*.py"):
        (tmp_path / each.name).write_text(each.read_text("utf-8"), "utf-8")
    monkeypatch.setattr(commands, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(commands, "__path__", [str(tmp_path)])
    assert names()[-1] == "bark-twice"
    assert "bark, " in build_parser().format_help()
