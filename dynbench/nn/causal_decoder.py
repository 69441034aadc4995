"""A decoder in the style of GPT-2 that reads vectors instead of words, and a shared beginning that is read once.

Radford, Wu, Child, Luan, Amodei, Sutskever: Language models are unsupervised multitask learners. 2019: causal
attention, learnt positions, norms in front of each part and one at the end, GELU, four times the width in between.

Where many short ends follow one long beginning, the keys and values of the beginning are kept and serve all of them:
they are neither computed again nor copied.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynbench.errors import ConfigError
from dynbench.nn.dropout import dropout


class Beginning(NamedTuple):
    """Keys and values of ``P`` tokens, of one layer each: ``(heads, P, width / heads)``."""

    keys: list[Tensor]
    values: list[Tensor]

    def __len__(self) -> int:
        """Number of tokens."""
        return self.keys[0].shape[1]


class CausalBlock(nn.Module):
    """``y = x + drop( attention(norm x) )``, then ``y + drop( W_2 gelu( W_1 norm y ) )``.

    Args:
        width: Of the tokens.
        heads: Of the attention; divides the width.
        share: Of dropout.
    """

    def __init__(self, width: int, heads: int, share: float):
        super().__init__()
        self.heads, self.share = heads, share
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.first, self.second = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(R, T, width)`` tokens to the same, and their keys and values, ``(R, heads, T, width / heads)``."""
        query, key, value = self._heads(x)
        share = self.share if self.training else 0.0
        if share and x.device.type == "cpu":  # torch's own takes a slow way on a CPU as soon as weights are dropped
            met = _attended(query, key, value, share)
        else:
            met = F.scaled_dot_product_attention(query, key, value, dropout_p=share, is_causal=True)
        return self._after(x, met), key, value

    def follow(self, x: Tensor, past_key: Tensor, past_value: Tensor) -> Tensor:
        """``(Q, E, width)`` ends after one beginning, whose keys and values are ``(heads, P, width / heads)``."""
        query, key, value = self._heads(x)
        query = query * query.shape[-1] ** -0.5
        rows, heads, ends, size = query.shape
        # All ends at once against the one beginning: a product per head, in which nothing is repeated.
        line = query.transpose(0, 1).reshape(heads, rows * ends, size)
        before = (line @ past_key.transpose(1, 2)).view(heads, rows, ends, -1).transpose(0, 1)
        hidden = torch.ones(ends, ends, dtype=torch.bool, device=x.device).triu(1)
        own = (query @ key.transpose(2, 3)).masked_fill(hidden, float("-inf"))
        weights = torch.cat([before, own], dim=3).softmax(3)
        before, own = weights.split([past_key.shape[1], ends], dim=3)
        line = before.transpose(0, 1).reshape(heads, rows * ends, -1)
        met = (line @ past_value).view(heads, rows, ends, size).transpose(0, 1) + own @ value
        return self._after(x, met)

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        parts = self.project(self.norms[0](x)).unflatten(2, (3, self.heads, -1))
        return parts.permute(2, 0, 3, 1, 4).unbind(0)

    def _after(self, x: Tensor, met: Tensor) -> Tensor:
        x = x + dropout(self.out(met.transpose(1, 2).flatten(2)), self.share, self.training)
        inner = self.second(F.gelu(self.first(self.norms[1](x)), approximate="tanh"))
        return x + dropout(inner, self.share, self.training)


class CausalDecoder(nn.Module):
    """Blocks one after the other, on vectors with learnt positions.

    Args:
        width: Of the tokens.
        layers: Number of blocks.
        heads: Of each of them.
        share: Of dropout: of the input, of attention weights, and after each part.
        positions: Longest sequence.
        initial: Values to start from: ``gpt2``, normal with deviation 0.02, and less where blocks write to the sum of
            all; or those of ``torch``.
    """

    def __init__(
        self, width: int, layers: int, heads: int, share: float, positions: int, initial: Literal["gpt2", "torch"]
    ):
        super().__init__()
        if width % heads:
            raise ConfigError(f"a decoder of width {width} does not divide into {heads} heads")
        self.share = share
        self.positions = nn.Embedding(positions, width)
        self.blocks = nn.ModuleList(CausalBlock(width, heads, share) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        if initial == "gpt2":
            self.apply(_small)
            for block in self.blocks:
                for layer in (block.out, block.second):
                    nn.init.normal_(layer.weight, std=0.02 * (2 * layers) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """``(R, T, width)`` vectors to ``(R, T, width)``, each in view of itself and of those before it."""
        return self.norm(self._read(x)[0])

    def begin(self, x: Tensor) -> Beginning:
        """Keys and values of ``(P, width)`` vectors that others will follow."""
        _, keys, values = self._read(x[None])
        return Beginning([part[0] for part in keys], [part[0] for part in values])

    def follow(self, x: Tensor, beginning: Beginning) -> Tensor:
        """``(Q, E, width)`` ends, each after the same beginning, to ``(Q, E, width)``."""
        start = len(beginning)
        x = x + self.positions.weight[start : start + x.shape[1]]
        for block, key, value in zip(self.blocks, *beginning, strict=True):
            x = block.follow(x, key, value)
        return self.norm(x)

    def _read(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        x = dropout(x + self.positions.weight[: x.shape[1]], self.share, self.training)
        keys, values = [], []
        for block in self.blocks:
            x, key, value = block(x)
            keys.append(key)
            values.append(value)
        return x, keys, values


def _attended(query: Tensor, key: Tensor, value: Tensor, share: float) -> Tensor:
    """Causal attention, ``(R, heads, T, size)`` each, of whose weights a share is dropped."""
    length = query.shape[2]
    later = torch.full((length, length), float("-inf"), device=query.device).triu(1)
    score = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(2, 3)).add_(later)
    return dropout(score.softmax(3), share, True) @ value


def _small(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
