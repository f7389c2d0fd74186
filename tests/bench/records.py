"""The records of benchmark files: JSON lines, compressed or not."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import zstandard


def records_of(file: Path) -> list[dict[str, Any]]:
    """Every record of a file."""
    content = file.read_bytes()
    if file.suffix == ".gz":
        content = gzip.decompress(content)
    elif file.suffix == ".zst":
        content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)).read()
    return [json.loads(line) for line in content.split(b"\n") if line.strip()]
