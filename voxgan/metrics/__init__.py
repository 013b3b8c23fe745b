"""How alike two objects, or two sets of objects, are."""
