"""The parts of `./dev bench gateway`: peers, load, and the measures of the table."""
