"""Optimised images (Simonyan et al. 2014, Yosinski et al. 2015, Nguyen et al. 2016): one loop, parameterisations,
objectives, regularisers, the generator prior."""
