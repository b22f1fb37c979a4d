"""The laboratory: jobs, tables of the papers, workers, benchmarks. It stands on public names."""
