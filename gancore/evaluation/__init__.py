"""What the evaluations of clips and of objects share: settings, pairing by name, examples, verdicts and reports."""
