"""The trainer: a compact decoder, trained exactly, on the shards that `stages.pack` wrote.

Read it in the order in which a run goes through it:

    __main__     the verbs, exit codes; `check` and `schema` run without torch
    config       one frozen model: the keys of a recipe's `train:`, and what they default to
    order        which rows a step sees: a pure function of (fingerprint, seed, step, skip list)
    batches      rows become ids, labels, positions and masks, for the three objectives
    model        the decoder: RMSNorm, RoPE or ALiBi, GQA, SwiGLU; attention that stays inside documents
    eager        the blocks' parts for a CPU without a compiler, gradients by hand
    optimiser    AdamW or Muon, decay on matrices only; warm-up and decay of the learning rate
    world        devices, number types, torchrun ranks
    checkpoint   safetensors + JSON, atomic, digested; what may and may not be resumed
    metrics      metrics.jsonl, unigram entropy, the summary
    trackers     the same lines for TensorBoard, W&B, trackio
    trace        the documents of a step and their losses
    guard        steps that would do harm: noticed, skipped, remembered
    evaluate     loss, perplexity and bits per byte by source
    ending       finished before, asked to stop, or doing harm
    loop         the training run, top to bottom
    planner      parameters, operations, memory and warnings before a run
    compare      which of two corpora trains the better model
    generate     text from a checkpoint
    export       a checkpoint for Hugging Face transformers
    verbs        what each verb of the command line does

The pipeline starts this package as a process and never imports it. It imports torch, numpy, safetensors,
pydantic, tokenizers and `stages.packed`, nothing else of the project. Nothing here loads a pickle.
"""
