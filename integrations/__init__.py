"""Clients for the external services, one small module each. None of them knows about mail."""
