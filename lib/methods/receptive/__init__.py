"""What a unit can see, and the patches that excite it most."""
