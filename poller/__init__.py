"""Read Figurative's support mailbox and dispatch each mail to the services that handle it."""
