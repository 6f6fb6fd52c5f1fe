"""What a divergence is: its terms, its fast forms, its record, and the registry of all."""
