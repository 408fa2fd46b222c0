"""How anomalies are found: expectation, residual, score, threshold, ranges; one idea per file."""
