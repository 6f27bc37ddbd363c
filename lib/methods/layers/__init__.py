"""What a layer holds (CS231n 2016, lecture 9, lists 1, 3 and 4): sparseness, first-layer filters, codes and their
neighbours, codes in the plane."""
