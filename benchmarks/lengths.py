"""Lengths of sequences as they occur: made-up ones with a long tail, and the sentences of a treebank."""

import lzma
from pathlib import Path

import numpy as np

NUM_SEQUENCES = 64


def lognormal_lengths() -> list[int]:
    """64 lengths from 3 to 117, mean 31."""
    generator = np.random.default_rng(0)
    return [int(length) for length in np.clip(generator.lognormal(3.1, 0.85, NUM_SEQUENCES), 3, 200)]


def sentence_lengths(path: Path) -> list[int]:
    """Words of 64 sentences drawn from a CoNLL-U file, plain or .xz."""
    content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    sentences = content.decode("utf-8").replace("\r\n", "\n").split("\n\n")
    # numbered lines are words; 1-2 is two words written as one, 3.1 a word that is not there, # a comment
    counts = [sum(line.split("\t", 1)[0].isdigit() for line in sentence.split("\n")) for sentence in sentences]
    lengths = [words for words in counts if words]
    if len(lengths) < NUM_SEQUENCES:
        raise SystemExit(f"{path.name} has {len(lengths)} sentences; expected at least {NUM_SEQUENCES}. Give a CoNLL-U file.")
    return [int(length) for length in np.random.default_rng(0).choice(lengths, NUM_SEQUENCES, replace=False)]
