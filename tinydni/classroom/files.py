"""What the classroom writes and reads again: the one place that knows how a file is written."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from tinydni.lab.files import whole_file, write_json, write_text

__all__ = ["read_json", "safe", "write_json", "write_rows", "write_text"]


def read_json(path: Path) -> dict[str, Any]:
    """Return what an earlier run has kept, or nothing."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return kept if isinstance(kept, dict) else {}
    except (OSError, ValueError):
        return {}


def write_rows(path: str | Path, rows: list[list[Any]]) -> None:
    """Write a CSV file whole or not at all."""
    with whole_file(path) as temporary, \
            open(temporary, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([[safe(value) for value in row] for row in rows])


def safe(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula."""
    text = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t")
    return f"'{value}" if text else value
