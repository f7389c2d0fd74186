"""The verbs that look at a trained run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers

from stages.packed import Packed
from tests.trainer.conftest import SMALL, small
from tests.trainer.corpus import text_like
from trainer import checkpoint
from trainer.__main__ import main
from trainer.batches import Batch
from trainer.export import export_llama
from trainer.loop import train
from trainer.model import Decoder, sight
from trainer.order import Order
from trainer.planner import flops_per_token, parameters, plan

Trained = tuple[Packed, Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Packed, Path]:
    """Shards with a tokenizer of words w0 to w255, and a run on them that kept all checkpoints."""
    root = tmp_path_factory.mktemp("trained")
    packed = text_like(root / "packed")
    words = Tokenizer(models.WordLevel({f"w{n}": n for n in range(256)}, "w1"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(packed.folder / "tokenizer.json"))
    train(packed.folder, root / "out", small(keep=99))
    return packed, root / "out"


def places(trained: Trained) -> list[str]:
    """The options that name shards and run."""
    return ["--packed", str(trained[0].folder), "--out", str(trained[1])]


def test_trace_names_rows_documents_and_losses(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows of the step, each document in them once, highest loss first, by weights from before."""
    packed, _ = trained
    assert main(["trace", *places(trained), "--step", "6", "--drop", str(tmp_path / "drop.txt")]) == 0
    answer = json.loads(capsys.readouterr().out)
    rows = Order(packed.manifest.fingerprint, 0, len(packed.split("train")), 8).at(5)[0].tolist()
    assert answer["rows"] == rows
    assert answer["weights_of_step"] == 4
    losses = [one["loss"] for one in answer["documents"]]
    assert losses == sorted(losses, reverse=True)
    flat = packed.split("train").segments(rows)
    assert sorted(one["doc_id"] for one in answer["documents"]) == sorted(
        doc.tobytes().hex() for doc in flat.doc
    )
    assert (tmp_path / "drop.txt").read_text().split() == answer["outliers"]


def test_traced_losses_are_those_of_the_step(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    """Weighted by their labels, the documents of step 5 make the loss that the log has for it."""
    main(["trace", *places(trained), "--step", "5"])
    documents = json.loads(capsys.readouterr().out)["documents"]
    mean = sum(one["loss"] * one["labels"] for one in documents) / sum(one["labels"] for one in documents)
    log = [json.loads(line) for line in (trained[1] / "metrics.jsonl").read_text().splitlines()]
    assert mean == pytest.approx(next(line["loss"] for line in log if line["step"] == 5), rel=1e-5)


def test_a_step_before_all_checkpoints_is_traced_by_the_newest(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows are those of the step all the same, and the answer says whose weights they are."""
    packed, out = trained
    assert main(["trace", *places(trained), "--step", "1"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (
        answer["rows"]
        == Order(packed.manifest.fingerprint, 0, len(packed.split("train")), 8).at(0)[0].tolist()
    )
    kept = [int(folder.name.removeprefix("step-")) for folder in (out / "checkpoints").iterdir()]
    assert min(kept) > 0
    assert answer["weights_of_step"] == max(kept)


def test_evaluate_repeats_the_last_evaluation(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    """All validation rows, with the newest weights."""
    assert main(["evaluate", *places(trained)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["step"] == 6
    assert set(answer["eval"]["sources"]) == {"web", "books"}


def test_generate_goes_on_from_a_prompt(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    """The same seed, the same text; temperature 0 needs none."""
    texts = []
    for seed in ("3", "3", "4"):
        assert main(["generate", *places(trained), "--prompt", "w5 w6", "--tokens", "9", "--seed", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].startswith("w5 w6 w")
    for seed in ("1", "2"):
        main(
            [
                "generate",
                *places(trained),
                "--prompt",
                "w5",
                "--temperature",
                "0",
                "--tokens",
                "5",
                "--seed",
                seed,
            ]
        )
        texts.append(capsys.readouterr().out)
    assert texts[3] == texts[4]


def llama(folder: Path, ids: torch.Tensor) -> torch.Tensor:
    """Logits (seq, ids) as the published layout defines them, one head at a time."""
    about, w = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")

    def norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + about["rms_norm_eps"]) * weight

    size, groups = about["head_dim"], about["num_attention_heads"] // about["num_key_value_heads"]
    angle = torch.arange(len(ids))[:, None] / about["rope_theta"] ** (torch.arange(0, size, 2) / size)
    cos, sin = angle.cos().repeat(1, 2), angle.sin().repeat(1, 2)

    def turned(x: torch.Tensor) -> torch.Tensor:
        return x * cos + torch.cat([-x[:, size // 2 :], x[:, : size // 2]], 1) * sin

    x = w["model.embed_tokens.weight"][ids]
    for layer in range(about["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        h = norm(x, w[at + "input_layernorm.weight"])
        q, k, v = (h @ w[f"{at}self_attn.{name}_proj.weight"].T for name in "qkv")
        heads = []
        for head in range(about["num_attention_heads"]):
            mine, shared = (
                slice(head * size, (head + 1) * size),
                slice(head // groups * size, (head // groups + 1) * size),
            )
            one, other = q[:, mine], k[:, shared]
            if about["model_type"] == "qwen3":
                one = norm(one, w[at + "self_attn.q_norm.weight"])
                other = norm(other, w[at + "self_attn.k_norm.weight"])
            scores = turned(one) @ turned(other).T / size**0.5
            scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
            heads.append(scores.softmax(-1) @ v[:, shared])
        x = x + torch.cat(heads, 1) @ w[at + "self_attn.o_proj.weight"].T
        h = norm(x, w[at + "post_attention_layernorm.weight"])
        gate, up = h @ w[at + "mlp.gate_proj.weight"].T, h @ w[at + "mlp.up_proj.weight"].T
        x = x + (F.silu(gate) * up) @ w[at + "mlp.down_proj.weight"].T
    head = w["model.embed_tokens.weight" if about["tie_word_embeddings"] else "lm_head.weight"]
    return norm(x, w["model.norm.weight"]) @ head.T


@pytest.mark.parametrize("changes", [{}, {"tied": False, "kv_heads": 1}, {"qk_norm": True}])
def test_an_export_has_equal_logits(packed: Packed, tmp_path: Path, changes: dict[str, Any]) -> None:
    """What the layout of Llama (with QK-norm, Qwen3) computes from the weights is what we compute."""
    config = small(steps=2, **changes)
    train(packed.folder, tmp_path / "out", config)
    arguments = ["--packed", str(packed.folder), "--out", str(tmp_path / "out"), "--to", str(tmp_path / "hf")]
    assert main(["export", *arguments]) == 0
    found = checkpoint.newest(tmp_path / "out")
    assert found is not None
    model = Decoder(config, 256)
    model.load_state_dict(found.model, strict=False)
    ids = torch.randint(0, 256, (1, 40), generator=torch.Generator().manual_seed(1))
    batch = Batch.plain(ids)
    with torch.no_grad():
        torch.testing.assert_close(
            model(ids, batch.positions, sight(batch, config))[0],
            llama(tmp_path / "hf", ids[0]),
            atol=1e-5,
            rtol=1e-5,
        )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("changes", [{}, {"tied": False, "kv_heads": 1}, {"qk_norm": True}])
def test_transformers_loads_an_export(packed: Packed, tmp_path: Path, changes: dict[str, Any]) -> None:
    """The real thing: AutoModelForCausalLM finds every weight and computes equal logits."""
    from transformers import AutoModelForCausalLM

    config = small(**changes)
    model = Decoder(config, 256)
    model.initialise(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)) * 0.05)
    export_llama(model, packed.manifest, packed.folder / "tokenizer.json", tmp_path / "hf")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "hf", dtype=torch.float32)
    ids = torch.randint(0, 256, (2, 40), generator=torch.Generator().manual_seed(1))
    batch = Batch.plain(ids)
    with torch.no_grad():
        torch.testing.assert_close(
            model(ids, batch.positions, sight(batch, config)), theirs(ids).logits, atol=1e-4, rtol=1e-4
        )


def test_no_layout_no_export(packed: Packed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ALiBi has no place in Llama: exit 1 and what to do."""
    train(packed.folder, tmp_path / "out", small(steps=1, positions="alibi"))
    code = main(
        [
            "export",
            "--packed",
            str(packed.folder),
            "--out",
            str(tmp_path / "out"),
            "--to",
            str(tmp_path / "hf"),
        ]
    )
    assert code == 1
    assert "rope" in capsys.readouterr().err


def test_a_folder_without_a_run_is_told(
    packed: Packed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 6: there is nothing to look at."""
    assert main(["evaluate", "--packed", str(packed.folder), "--out", str(tmp_path)]) == 6
    assert "no checkpoint" in capsys.readouterr().err


def test_the_plan_counts_what_the_model_has(
    packed: Packed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parameters are those of the model; tokens and epochs follow from the shards."""
    config = tmp_path / "c.json"
    config.write_text(json.dumps({**SMALL, "steps": 100}))
    assert main(["plan", "--packed", str(packed.folder), "--config", str(config)]) == 0
    figures = json.loads(capsys.readouterr().out)
    model = Decoder(small(), 256)
    assert figures["parameters"] == sum(p.numel() for p in model.parameters())
    assert figures["chinchilla_tokens"] == 20 * figures["parameters"]
    split = packed.manifest.splits["train"]
    assert figures["epochs"] == pytest.approx(800 / split.rows)
    assert figures["tokens"] == pytest.approx(800 * split.tokens / split.rows, abs=1)
    assert any("epochs" in warning for warning in figures["warnings"])


def test_operations_are_those_of_a_known_model() -> None:
    """124M parameters at 1,024 tokens: 6 N + 12 L D T, the figure that nanoGPT's estimate gives."""
    config = small(layers=12, heads=12, kv_heads=12, width=768, hidden=2048)
    total, _ = parameters(config, 50304)
    assert flops_per_token(config, 50304, 1024) == 6 * total + 12 * 12 * 768 * 1024
    assert 120e6 < total < 130e6


@pytest.mark.parametrize(
    "changes", [{}, {"tied": False, "qk_norm": True}, {"objective": "masked", "kv_heads": 1}]
)
def test_parameters_are_counted_without_a_model(changes: dict[str, Any]) -> None:
    """The formula and the model agree."""
    config = small(**changes)
    model = Decoder(config, 256)
    assert parameters(config, 256) == (
        sum(p.numel() for p in model.parameters()),
        model.embedding.weight.numel(),
    )


def test_a_sound_plan_has_no_warnings(packed: Packed) -> None:
    """A tiny model for one epoch of enough tokens."""
    tiny = small(layers=1, heads=1, kv_heads=1, width=2, steps=12, hidden=2, batch_tokens=512)
    assert plan(packed, tiny)["epochs"] < 4
    assert not [w for w in plan(packed, tiny)["warnings"] if "epochs" in w]
