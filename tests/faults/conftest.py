"""A folder that ends with its test, and the seed of a run."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import server_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder("faults") as path:
        yield path


@pytest.fixture
def rng() -> random.Random:
    """From FAULTS_SEED, else from chance; the seed is printed, so a run that failed can be played again."""
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"FAULTS_SEED={seed}")
    return random.Random(seed)
