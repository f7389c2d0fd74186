"""The stages: Arrow tables in, Arrow tables out, one stage a file, pure.

Read `base.py` first: it holds the four kinds of stage and what each may do. Then any stage, whole; then
the kernels it calls (`kernels/`: arrays in, arrays out).

    load -> clean -> langid -> dedup -> decontaminate -> mix -> tokenize -> pack

A stage never opens a file it did not declare, never looks at a clock, and never learns how the corpus was
cut into parts. `packed.py` is the format of the shards that the last stage writes and the trainer reads.

This room imports neither `pipeline` nor `trainer`, neither dask nor torch.
"""
