"""The texts of the benchmark files: JSON lines, Parquet or plain text, compressed or not."""

import gzip
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import zstandard


def texts_of(file: Path) -> list[str]:
    """Every text of a file; records without a `text` or `content` field are left out."""
    if file.suffix == ".parquet":
        table = pq.read_table(file)
        name = next(name for name in ("text", "content") if name in table.column_names)
        return [text for text in table[name].to_pylist() if text]
    content = file.read_bytes()
    if file.suffix == ".gz":
        content = gzip.decompress(content)
    elif file.suffix == ".zst":
        content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)).read()
    if ".json" not in file.name:
        return [content.decode("utf-8", "replace")]
    records = (json.loads(line) for line in content.split(b"\n") if line.strip())
    return [text for record in records if (text := record.get("text", record.get("content")))]
