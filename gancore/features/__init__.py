"""Published feature networks and their weights."""
