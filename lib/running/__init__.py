"""How notebooks and jobs run: parameters, staleness, execution, the bytes of a notebook."""
