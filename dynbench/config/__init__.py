"""Configuration: composing, checking, explaining."""
