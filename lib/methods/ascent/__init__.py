"""Optimised images: one loop, parameterisations, objectives, regularisers, the generator prior."""
