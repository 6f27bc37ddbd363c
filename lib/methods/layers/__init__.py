"""What a layer holds: sparseness, first-layer filters, codes and their neighbours, codes in the plane."""
