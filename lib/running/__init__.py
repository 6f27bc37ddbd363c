"""How notebooks and jobs run: parameters, staleness, execution, the bytes of a notebook."""

import sys

# jsonschema, which nbformat imports, builds a grammar of internet addresses as it is imported, a second and more each
# time, if it finds this package. No notebook asks for it, so it is told that the package is not there.
sys.modules.setdefault("rfc3987_syntax", None)
