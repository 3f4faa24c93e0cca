"""One small module a service; none of them knows about mail."""
