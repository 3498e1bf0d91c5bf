"""A package that a source or a model brings along, with a build backend that needs no network."""

from __future__ import annotations

_BACKEND = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "brought-1-py3-none-any.whl"
    info = "brought-1.dist-info"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("brought.py", "V = '1'\\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: brought\\nVersion: 1\\n")
        tag = "Tag: py3-none-any"
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n{tag}\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""

# To lie beside the program that says `import brought`; `brought.V` is '1'.
BROUGHT_PACKAGE = {
    "requirements.txt": "--no-index\n./brought\n",
    "brought/pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'build'\n"
    "backend-path = ['.']\n",
    "brought/build.py": _BACKEND,
}
