"""Where pictures come from: the cutouts world, its control worlds, photographs, ImageNet's class names."""
