"""How fast the named variants of RULES 2-5 are measured, beside the default, in CPU seconds of one core.

python tests/bench/variants.py documents.jsonl.zst [MEGABYTES]
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from stages import c4_variants, measuring
from stages.variants import Variants
from tests.bench.texts import texts_of


def speed(measure: Callable[[pa.Array], Any], column: pa.Array, megabytes: float) -> float:
    """Megabytes of text a second, compiled before."""
    measure(column.slice(0, 5))
    begun = time.process_time()
    measure(column)
    return megabytes / (time.process_time() - begun)


if __name__ == "__main__":
    texts, size, most = [], 0, float(sys.argv[2]) * 1e6 if len(sys.argv) > 2 else 2e7
    for text in texts_of(Path(sys.argv[1])):
        if text.strip() and size < most:
            texts.append(text.strip())
            size += len(text.encode())
    column = pa.array(texts, pa.large_string())
    default = measuring.measured(column, None)
    names = default["profile"].to_pylist()
    print(f"{len(texts)} documents, {size / 1e6:.1f} MB")
    print(
        f"default           {speed(lambda c: measuring.measured(c, None), column, size / 1e6):6.1f} MB/s, all families"
    )
    for family, spec in Variants.model_fields.items():
        for name in spec.annotation.__args__[1:]:  # type: ignore[union-attr]
            chosen = Variants.model_validate({family: name})

            def measure(part: pa.Array, chosen: Variants = chosen) -> Any:
                """The columns that this variant replaces."""
                if chosen.c4 != "default":
                    return c4_variants.c4_measured(part, names[: len(part)], {}, chosen.c4, apply=True)
                columns = {key: values.slice(0, len(part)) for key, values in default.items()}
                return chosen.measured(part, names[: len(part)], columns)

            print(f"{family:10} {name:17} {speed(measure, column, size / 1e6):6.1f} MB/s")
