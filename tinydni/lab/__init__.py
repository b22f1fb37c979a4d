"""The laboratory: jobs, tables of the papers, workers and benchmarks. All of it stands on the library's public names."""
