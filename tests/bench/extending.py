"""What a vocabulary extension saves on held-out Chinese, and that texts without Chinese keep their ids.

    python -m tests.bench.extending TOKENIZER.json TOKENS LEARN... --held HELD...

Every second document of LEARN is learned from; the others, and all of HELD, are held out.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from stages.encoding import Encoder
from stages.extension import SCRIPTS, Extension, extend
from tests.bench.texts import texts_of


def main(tokenizer: Path, tokens: int, learn: list[Path], held: list[Path]) -> None:
    """Prints a line a file."""
    given = tokenizer.read_bytes()
    sample = [text for path in learn for text in texts_of(path)[::2]]
    started = time.process_time()
    grown = extend(given, Extension(tokens=tokens), sample)
    print(
        f"learned {tokens} tokens of {sum(map(len, sample)):,} characters in {time.process_time() - started:.0f} s"
    )
    before, after = Encoder(given), Encoder(grown)
    han = re.compile(f"[{SCRIPTS['han']}]")
    for path in [*learn, *held]:
        texts = texts_of(path)[1::2] if path in learn else texts_of(path)
        without = pa.array([text for text in texts if not han.search(text)], pa.large_string())
        same = all(
            np.array_equal(a, b) for a, b in zip(before.encode(without), after.encode(without), strict=True)
        )
        held_out = pa.array(texts, pa.large_string())
        one, other = (int(encoder.encode(held_out)[1].sum()) for encoder in (before, after))
        characters = sum(map(len, texts))
        print(
            f"{path.name:32} tokens a character {one / characters:.3f} -> {other / characters:.3f} "
            f"({other / one - 1:+.1%}); {len(without)} texts without Chinese: {'same ids' if same else 'IDS DIFFER'}"
        )


if __name__ == "__main__":
    at = sys.argv.index("--held")
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]),
        [Path(name) for name in sys.argv[3:at]],
        [Path(name) for name in sys.argv[at + 1 :]],
    )
