"""What exactly one notebook measures, claims and draws, a folder a notebook; `shared` serves two or more."""
