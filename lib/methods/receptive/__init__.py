"""What a unit can see, and the patches that excite it most (Girshick et al. 2014, section 3.1)."""
