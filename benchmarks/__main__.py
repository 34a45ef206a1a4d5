"""``python -m benchmarks [NAME ...] [options]``: every claim of speed, runnable, the peer beside it."""

from __future__ import annotations

import importlib
import sys

NAMES = ("plan", "cycle", "gateway", "store", "replay", "ageing")


def main(argv: list[str]) -> int:
    """Run the named benchmarks, or all of them, one after the other; the rest goes to each."""
    names = [word for word in argv if word in NAMES] or list(NAMES)
    rest = [word for word in argv if word not in NAMES]
    for name in names:
        print(f"== {name}", file=sys.stderr, flush=True)
        importlib.import_module(f"benchmarks.{name}").main(rest)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
