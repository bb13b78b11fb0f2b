"""Data sources that refresh by themselves: what is elsewhere, and how it becomes documents."""
