"""Every network behind one interface: the zoo, ImageNet networks, the reader's own; autoencoders and the generator."""
