"""Check what a user passes, and make normalised rows of it."""
