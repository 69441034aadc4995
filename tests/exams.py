"""Short words for what tests look at most: the blocks of an episode, and what becomes of an answer."""

from __future__ import annotations

from torch import Tensor

from dynbench.contract import Block, Episode


def blocks_of(episode: Episode) -> list[Block]:
    """The test blocks of the main exam."""
    return [block for block in episode.exams[0].blocks() if block.fold == "test"]


def validation_of(episode: Episode) -> list[Block]:
    """The blocks that a model may be selected by."""
    return [] if episode.validation is None else list(episode.validation.blocks())


def read(episode: Episode, block: Block, answer: Tensor) -> Tensor:
    """What the main exam measures of an answer."""
    readout = episode.exams[0].readout
    return answer if readout is None else readout(block, answer)
