"""A run: its names, its record, its stages. Prefect's context is read here, and nowhere below."""
