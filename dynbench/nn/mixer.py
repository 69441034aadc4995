"""MLP-mixer block: tokens are mixed in each channel, then channels in each token (Tolstikhin et al., 2021)."""

from __future__ import annotations

from torch import Tensor, nn

from dynbench.nn.dropout import dropout
from dynbench.nn.transformer import FeedForward


class MixerBlock(nn.Module):
    """Two feed-forward layers with GELU, each after a layer norm and added to what came in.

    Args:
        tokens: Number of tokens, K.
        channels: Number of channels, C.
        dropout: After both layers of each feed-forward.
        token_share: Hidden width of the token mixing, as a multiple of K.
        channel_share: Hidden width of the channel mixing, as a multiple of C.
    """

    def __init__(
        self, tokens: int, channels: int, dropout: float, token_share: float = 0.5, channel_share: float = 4.0
    ):
        super().__init__()
        self.token_norm = nn.LayerNorm(tokens)
        self.token_mixing = FeedForward(tokens, max(1, int(token_share * tokens)), dropout, "gelu")
        self.channel_norm = nn.LayerNorm(channels)
        self.channel_mixing = FeedForward(channels, int(channel_share * channels), dropout, "gelu")
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """``(Q, K, C)`` to ``(Q, K, C)``."""
        mixed = self.token_mixing(self.token_norm(x.transpose(1, 2)))
        x = x + dropout(mixed, self.dropout, self.training).transpose(1, 2)
        return x + dropout(self.channel_mixing(self.channel_norm(x)), self.dropout, self.training)
