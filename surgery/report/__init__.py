"""Reports: plans, results, checkpoints and ledgers as text, JSON and HTML. Nothing here needs torch."""
