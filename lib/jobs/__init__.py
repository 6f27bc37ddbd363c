"""One shared artefact a file, computed once before the notebooks that read it."""
