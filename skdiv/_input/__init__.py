"""From what a user passes to checked, normalised rows."""
