"""Text from a model: one token after the other, for a look at what it has learned.

Recomputes the whole window for each token; a server would keep keys and values, a look does not need to.
"""

from __future__ import annotations

import torch
from tokenizers import Tokenizer

from stages.packed import TOKENIZER, Packed
from trainer.batches import Batch
from trainer.model import Decoder, sight

__all__ = ["generate_text"]


@torch.no_grad()
def generate_text(
    model: Decoder, packed: Packed, prompt: str, *, tokens: int, temperature: float, top_k: int, seed: int
) -> str:
    """The prompt and up to `tokens` more, up to the end of the document.

    Raises:
        ValueError: the model was not trained to predict the next token.
    """
    if model.config.objective == "masked":
        raise ValueError("a model with objective: masked fills gaps; it does not go on from a prompt")
    manifest = packed.manifest
    tokenizer = Tokenizer.from_file(str(packed.folder / TOKENIZER))
    random = torch.Generator().manual_seed(seed)
    ids: list[int] = tokenizer.encode(prompt, add_special_tokens=False).ids or [manifest.eos_id]
    device = next(model.parameters()).device
    for _ in range(tokens):
        window = torch.tensor([ids[-manifest.seq_len :]], device=device)
        batch = Batch.plain(window)
        seen = sight(batch, model.config)
        logits = model(window, batch.positions, seen)[0, -1, : manifest.vocab_size].float().cpu()
        following = _draw(logits, temperature, top_k, random)
        if following == manifest.eos_id:
            break
        ids.append(following)
    return str(tokenizer.decode(ids))


def _draw(logits: torch.Tensor, temperature: float, top_k: int, random: torch.Generator) -> int:
    if temperature == 0:
        return int(logits.argmax())
    if 0 < top_k < len(logits):
        logits = logits.masked_fill(logits < logits.topk(top_k).values[-1], -torch.inf)
    return int(torch.multinomial((logits / temperature).softmax(-1), 1, generator=random))
