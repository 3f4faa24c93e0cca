"""Reads Figurative's support mailbox and does with each mail what a careful person would do."""
