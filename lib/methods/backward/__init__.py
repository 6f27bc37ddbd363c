"""From a score back to the picture: gradient, deconvnet, guided backpropagation; saliency; random weights."""
