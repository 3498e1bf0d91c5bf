"""``whippet features``: what jobs keep of pictures, and removing it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cli.table import print_table
from platforms.errors import ParameterError

if TYPE_CHECKING:
    from platforms import Platform
    from tasks.features.kept import KeptFeatures

HELP = "list the features that are kept for the next run, and how much they take"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--remove",
        metavar="NAME",
        help="remove those of a data set (NAME), or of one network (DATA SET/FOLDER); the next run "
        "computes them again",
    )


def command(arguments: argparse.Namespace) -> int:
    """Print what is kept, the longest unused first, or remove some of it."""
    from platforms import connect
    from tasks.features.kept import list_kept
    from tasks.features.places import features_root

    platform = connect()
    store = platform.store(platform.defaults.bucket)
    kept = list_kept(store, features_root(platform))
    if arguments.remove is not None:
        return _remove(platform, kept, arguments.remove)
    features = [each for each in kept if not each.is_progress]
    print_table([_row(each) for each in features], empty="no features are kept")
    print(_total(platform, kept))
    return 0


def _row(each: KeptFeatures) -> dict[str, str]:
    return {
        "name": each.name,
        "network": each.network or "-",
        "pixels": str(each.image_size or "-"),
        "precision": each.precision or "-",
        "pictures": "-" if each.pictures is None else f"{each.pictures:,}",
        "views": f"{each.views:,}" if each.views else "-",
        "MB": f"{each.bytes / 1e6:,.1f}",
        "last used (UTC)": f"{each.used:%Y-%m-%d %H:%M}",
    }


def _total(platform: Platform, kept: list[KeptFeatures]) -> str:
    from sm_entrypoints.contract.sentences import counted
    from tasks.features.kept import GIGABYTE
    from tasks.features.places import features_root

    used = sum(each.bytes for each in kept) / GIGABYTE
    searches = [each for each in kept if each.is_progress]
    progress = f", {sum(each.bytes for each in searches) / 1e6:,.1f} MB of it the progress of "
    progress += f"{counted(len(searches), 'search', 'searches')} to go on with"
    place = f"s3://{platform.defaults.bucket}/{features_root(platform)}/"
    return (
        f"{used:.2f} GB of {platform.settings.features_gb:g} GB (WHIPPET_FEATURES_GB) are kept "
        f"below {place}{progress if searches else ''}"
    )


def _remove(platform: Platform, kept: list[KeptFeatures], name: str) -> int:
    from sm_entrypoints.contract.sentences import did_you_mean, nearest
    from tasks.features.kept import remove

    wanted = name.strip("/")
    chosen = [each for each in kept if wanted in (each.name, each.dataset)]
    if not chosen:
        known = sorted({each.dataset for each in kept} | {each.name for each in kept})
        hint = did_you_mean(nearest(wanted, known), str)
        raise ParameterError(
            f"no features are kept under {name!r}: {hint or 'see `whippet features`'}"
        )
    freed = remove(platform.store(platform.defaults.bucket), chosen)
    for each in chosen:
        print(f"removed {each.name}")
    print(f"{freed / 1e6:,.1f} MB are free again; the next run computes the features anew")
    return 0
