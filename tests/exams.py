"""Short words for what tests look at most: the blocks of an episode, and what becomes of an answer."""

from __future__ import annotations

from torch import Tensor

from dynbench.contract import Block, Episode, Exam
from dynbench.engine.loop import Loop


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


class TestsAlone(Loop):
    """Measures nothing on validation, so that a model is left as it was when the test was over."""

    __test__ = False

    def _measured(self, episode: Episode) -> list[Exam]:
        return list(episode.exams)
