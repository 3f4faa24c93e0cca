"""The client of one Claude model."""

from integrations.claude.client import PRICES, Answer, Claude

__all__ = ["PRICES", "Answer", "Claude"]
