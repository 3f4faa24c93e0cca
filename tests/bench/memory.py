"""What a long memory costs: commands and looks on a state that remembers very many messages."""
