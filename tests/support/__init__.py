"""What every test of the whole product shares: a running server, raw HTTP, metrics and waiting."""
