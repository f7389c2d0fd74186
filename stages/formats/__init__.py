"""Readers: bytes of a file become records. One module a family of formats; `stages/load.py` drives them.

    spec.py       what a recipe says of a source; which extension or first bytes mean which format
    discover.py   which files belong to a source, their names and digests
    streams.py    regular files only; decompression in bounded blocks, damage reported and passed over
    encodings.py  bytes to text: byte order marks, declared and detected encodings
    metadata.py   fields of records that are kept as columns, by type
    rows.py       records to Arrow tables of bounded size, with doc_id and quarantine reason
    lines.py      JSON Lines          delimited.py  CSV, TSV
    parquet.py    Parquet             arrow.py      Arrow IPC       columnar.py  what both do with batches
    plain.py      text, Markdown      html.py       HTML pages      warc.py      WARC, WET, ARC
    http.py       the response inside an archive record
    extractor.py  the child process in which pages are parsed
    article.py    which blocks of a page are its article
    benchmark.py  records of a benchmark file, strict

No reader raises on bad data: a record that cannot be read is a record with a reason. Damage inside a file
costs what is damaged. Nothing here holds more than one record or one block of a file in memory.
"""
