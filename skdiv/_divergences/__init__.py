"""What a divergence is: the terms of its sum, its fast forms, its record, and the registry of all records."""
