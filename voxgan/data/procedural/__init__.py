"""Furniture as programs: chairs, tables, cabinets, sofas, beds and lamps, each drawn from its kind and a seed."""
